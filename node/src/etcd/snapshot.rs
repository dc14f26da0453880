//! Snapshots for `etcdctl snapshot save`: our own format, plainly marked, since etcd's is a bbolt file.
//!
//! A line of text that says what it is, the machine's snapshot, zeros up to a whole number of 512 bytes, and last the
//! SHA-256 of all before: etcdctl takes a file for whole whose length is 32 beyond a multiple of 512.

use autoradio_machine::Machine;
use autoradio_proto::etcd::etcdserverpb::SnapshotResponse;
use bytes::Bytes;
use sha2::{Digest, Sha256};
use tokio::{sync::mpsc, time::timeout};
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;

use super::{
    header,
    limits::{ANSWERS_QUEUED, SEND_TIMEOUT, SERVER_VERSION, SNAPSHOT_PIECE_BYTES},
};
use crate::context::Context;

/// What etcd's files are a multiple of.
const BLOCK_BYTES: usize = 512;

/// The file: what `machine` is, marked.
fn file(machine: &[u8]) -> Bytes {
    let mut bytes =
        format!("autoradio snapshot 1, not an etcd database; {} bytes follow\n", machine.len()).into_bytes();
    bytes.extend_from_slice(machine);
    bytes.resize(bytes.len().next_multiple_of(BLOCK_BYTES), 0);
    let digest = Sha256::digest(&bytes);
    bytes.extend_from_slice(&digest);
    bytes.into()
}

/// The state of this moment, in pieces.
pub(super) async fn stream(context: &Context) -> Result<ReceiverStream<Result<SnapshotResponse, Status>>, Status> {
    let raft = context.raft.clone();
    let made = tokio::task::spawn_blocking(move || {
        let (machine, revision) = raft.read(|machine: &Machine| (machine.to_snapshot(), machine.revision()));
        (file(&machine), revision)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_marked_and_ends_with_its_digest() {
        let bytes = file(b"the state");
        assert!(bytes.starts_with(b"autoradio snapshot 1"));
        assert_eq!(bytes.len() % BLOCK_BYTES, 32);
        let (body, digest) = bytes.split_at(bytes.len() - 32);
        assert_eq!(&Sha256::digest(body)[..], digest);
    }
}
