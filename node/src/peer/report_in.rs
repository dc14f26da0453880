//! Load reports of one node as they come in, each answered.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use autoradio_machine::NodeId;
use autoradio_policy::Load;
use autoradio_proto::peer::{LoadReport, ReportReply};
use tokio_stream::Stream;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};
use tonic::{Status, Streaming};

use super::{Loads, gone};
use crate::raft::RaftHandle;

/// Takes reports in and answers them, for as long as they come and until the node stops.
pub(super) struct Reports {
    from: NodeId,
    reports: Streaming<LoadReport>,
    raft: RaftHandle,
    loads: Loads,
    stop: Pin<Box<WaitForCancellationFutureOwned>>,
}

impl Reports {
    pub(super) fn new(
        from: NodeId,
        reports: Streaming<LoadReport>,
        raft: RaftHandle,
        loads: Loads,
        stop: CancellationToken,
    ) -> Self {
        Self { from, reports, raft, loads, stop: Box::pin(stop.cancelled_owned()) }
    }

    fn take_in(&self, report: &LoadReport) -> Result<ReportReply, Status> {
        let from = self.from;
        gone::refuse(&self.raft, from)?;
        if report.node_id != from {
            return Err(Status::invalid_argument(format!("node {from:x} reports for node {:x}", report.node_id)));
        }
        let load: Load = serde_json::from_slice(&report.load)
            .map_err(|error| Status::invalid_argument(format!("a load report that cannot be read: {error}")))?;
        self.loads.put(from, load);
        let (seen, has_twin) = self.loads.twins().note(from, report.instance, report.echo);
        if has_twin {
            tracing::error!(
                node = %format_args!("{from:x}"),
                "two processes are this node at the same time: its data folder was copied; both are told to end"
            );
        }
        Ok(ReportReply { seen, has_twin })
    }
}

impl Stream for Reports {
    type Item = Result<ReportReply, Status>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.stop.as_mut().poll(cx).is_ready() {
            return Poll::Ready(None);
        }
        match Pin::new(&mut self.reports).poll_next(cx) {
            Poll::Ready(Some(Ok(report))) => Poll::Ready(Some(self.take_in(&report))),
            Poll::Ready(Some(Err(status))) => Poll::Ready(Some(Err(status))),
            Poll::Ready(None) => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    }
}
