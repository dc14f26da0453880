//! Another node's urgent calls, as they come in over one call that stays open.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use autoradio_machine::NodeId;
use autoradio_proto::peer::{Answer, Call, answer, call};
use autoradio_store::BoxFuture;
use futures_util::stream::FuturesUnordered;
use tokio_stream::Stream;
use tokio_util::sync::WaitForCancellationFutureOwned;
use tonic::{Status, Streaming};

use super::{gone, service::PeerService};
use crate::raft::wire;

/// Calls of one node that are being answered; those beyond wait.
const UNDER_WAY_MAX: usize = 1_024;

/// Answers calls as they come, side by side, until they end or the node stops. All within the task that sends the answers:
/// a task for each would be most of what a call costs.
pub(super) struct Calls {
    from: NodeId,
    calls: Streaming<Call>,
    service: Arc<PeerService>,
    under_way: FuturesUnordered<BoxFuture<'static, Answer>>,
    ended: bool,
    stop: Pin<Box<WaitForCancellationFutureOwned>>,
}

impl Calls {
    pub(super) fn new(from: NodeId, calls: Streaming<Call>, service: PeerService) -> Self {
        let stop = Box::pin(service.stop.clone().cancelled_owned());
        Self { from, calls, service: Arc::new(service), under_way: FuturesUnordered::new(), ended: false, stop }
    }

    /// Takes in what came, as far as there is room.
    fn take_in(&mut self, cx: &mut Context<'_>) {
        while !self.ended && self.under_way.len() < UNDER_WAY_MAX {
            match Pin::new(&mut self.calls).poll_next(cx) {
                Poll::Ready(Some(Ok(call))) => {
                    self.under_way.push(Box::pin(answer(self.service.clone(), self.from, call)));
                }
                // Who has hung up, or cannot be understood, calls anew.
                Poll::Ready(Some(Err(_)) | None) => self.ended = true,
                Poll::Pending => return,
            }
        }
    }
}

impl Stream for Calls {
    type Item = Result<Answer, Status>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.stop.as_mut().poll(cx).is_ready() {
            return Poll::Ready(None);
        }
        self.take_in(cx);
        match Pin::new(&mut self.under_way).poll_next(cx) {
            Poll::Ready(Some(answer)) => Poll::Ready(Some(Ok(answer))),
            Poll::Ready(None) if self.ended => Poll::Ready(None),
            Poll::Ready(None) | Poll::Pending => Poll::Pending,
        }
    }
}

async fn answer(service: Arc<PeerService>, from: NodeId, call: Call) -> Answer {
    let answered = async {
        gone::refuse(&service.raft, from)?;
        match call.what {
            Some(call::What::Raft(request)) => service.answer_raft(request).await.map(answer::What::Raft),
            Some(call::What::Propose(request)) => service.answer_propose(request).await.map(answer::What::Propose),
            Some(call::What::ReadIndex(request)) => {
                service.answer_read_index(request).await.map(answer::What::ReadIndex)
            }
            None => Err(Status::unimplemented("this call is not known here; upgrade autoradio")),
        }
    };
    let what = answered.await.unwrap_or_else(|status| answer::What::Refused(wire::to_refused(&status)));
    Answer { number: call.number, what: Some(what) }
}
