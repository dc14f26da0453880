//! How RPCs of the consensus reach other nodes; the daemon and tests implement it.

use std::{future::Future, pin::Pin, time::Duration};

use autoradio_machine::NodeId;
use bytes::Bytes;

/// What an RPC between consensus modules is; the payload is opaque to the daemon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum RpcKind {
    /// Append entries / heartbeat.
    Append = 1,
    /// Request a vote.
    Vote = 2,
    /// A piece of a snapshot.
    Snapshot = 3,
    /// Request a vote for a candidate that the leader chose: voters do not wait until they miss the leader.
    HandedVote = 4,
    /// The leader asks a voter to lead in its place; answered when it does.
    TakeOver = 5,
    /// A piece of the newest snapshot, for a node whose own is damaged.
    Fetch = 6,
}

/// An RPC could not be delivered or answered.
#[derive(Debug, thiserror::Error)]
pub enum TransportError {
    /// No connection: try again later.
    #[error("{target:x} cannot be reached: {reason}")]
    Unreachable {
        /// The node.
        target: NodeId,
        /// Why.
        reason: String,
    },
    /// No answer in time.
    #[error("{target:x} did not answer in {timeout:?}")]
    Timeout {
        /// The node.
        target: NodeId,
        /// The limit.
        timeout: Duration,
    },
}

/// A future as trait objects return it.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// How RPCs reach other nodes. The daemon implements it over tonic, tests in memory.
pub trait Transport: Send + Sync + 'static {
    /// Sends `payload` to `target`, whose peer address (`http://host:2380`) is `addr`, and waits for the answer.
    fn call(
        &self,
        target: NodeId,
        addr: String,
        kind: RpcKind,
        payload: Bytes,
        timeout: Duration,
    ) -> BoxFuture<'_, Result<Bytes, TransportError>>;
}
