//! Snapshots for `etcdctl snapshot save`: the same files as `radioctl backup` makes.

use autoradio_machine::Machine;
use autoradio_proto::etcd::etcdserverpb::SnapshotResponse;
use tokio::{sync::mpsc, time::timeout};
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;

use super::{
    header,
    limits::{ANSWERS_QUEUED, SEND_TIMEOUT, SERVER_VERSION, SNAPSHOT_PIECE_BYTES},
};
use crate::{backup, context::Context};

/// The state of this moment, in pieces.
pub(super) async fn stream(context: &Context) -> Result<ReceiverStream<Result<SnapshotResponse, Status>>, Status> {
    let raft = context.raft.clone();
    let made = tokio::task::spawn_blocking(move || {
        let (machine, revision) = raft.read(|machine: &Machine| (machine.to_snapshot(), machine.revision()));
        (backup::make(&machine), revision)
    });
    let (mut rest, revision) = made.await.map_err(|error| Status::internal(error.to_string()))?;
    let (sender, receiver) = mpsc::channel(ANSWERS_QUEUED);
    let head = header(&context.raft, revision);
    let stop = context.stop.clone();
    context.tasks.spawn(async move {
        while !rest.is_empty() {
            let blob = rest.split_to(SNAPSHOT_PIECE_BYTES.min(rest.len()));
            let remaining_bytes = rest.len() as u64;
            let piece = SnapshotResponse { header: Some(head), remaining_bytes, blob, version: SERVER_VERSION.into() };
            let sent = stop.run_until_cancelled(timeout(SEND_TIMEOUT, sender.send(Ok(piece)))).await;
            if !matches!(sent, Some(Ok(Ok(())))) {
                return;
            }
        }
    });
    Ok(ReceiverStream::new(receiver))
}
