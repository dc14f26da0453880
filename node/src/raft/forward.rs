//! Proposals and reads that another node leads.

use std::time::Duration;

use autoradio_machine::{Command, LeaseId, LogIndex, NodeId};
use autoradio_proto::peer::{KeepAliveRequest, LeaseLeftRequest, ProposeReply, ProposeRequest, ReadIndexRequest};
use autoradio_store::{Consensus, ConsensusError, Proposed};
use tokio::time::timeout;
use tonic::{Code, Status};

use super::{RaftError, handle::Attempt, wire};
use crate::peer::{Lane, Peers};

/// What the answer's way back may take beyond the time that the leader is given.
const MARGIN: Duration = Duration::from_millis(250);

/// How long a node is given to say who leads.
const HEARSAY_LIMIT: Duration = Duration::from_secs(1);

fn millis(left: Duration) -> u32 {
    u32::try_from(left.as_millis()).unwrap_or(u32::MAX)
}

fn failed(leader: NodeId, reason: impl Into<String>) -> RaftError {
    RaftError::Forward { leader, reason: reason.into() }
}

/// Proposes at `leader`, and takes in that it is committed.
pub(super) async fn propose(
    peers: &Peers,
    consensus: &Consensus,
    leader: NodeId,
    command: &Command,
    left: Duration,
) -> Result<Attempt<Proposed>, RaftError> {
    let Ok(node) = peers.urgent(leader) else { return Ok(Attempt::Again) };
    let request = ProposeRequest { command: command.encode().into(), timeout_ms: millis(left) };
    let ProposeReply { index, term, revision, result, commit } =
        match timeout(left + MARGIN, node.propose(request)).await {
            Ok(Ok(reply)) => reply,
            // Only what was surely not carried out may be tried again.
            Ok(Err(status)) if wire::not_leader(&status).is_some() || wire::was_never_sent(&status) => {
                return Ok(Attempt::Again);
            }
            Ok(Err(status)) => return Err(from_status(leader, left, &status)),
            Err(_) => return Err(ConsensusError::Timeout(left).into()),
        };
    let result = wire::decode_result(&result).map_err(|reason| failed(leader, reason))?;
    let response = result.map_err(ConsensusError::Refused)?;
    // The leader says it again by itself.
    if !commit.is_empty()
        && let Err(error) = consensus.take_commit_notice(index, commit).await
    {
        tracing::debug!(%error, index, "a notice of commit was not taken in");
    }
    Ok(Attempt::Done(Proposed { index, term, revision, response }))
}

/// Asks `leader` for a read index.
pub(super) async fn read_index(peers: &Peers, leader: NodeId, left: Duration) -> Result<Attempt<LogIndex>, RaftError> {
    let Ok(node) = peers.urgent(leader) else { return Ok(Attempt::Again) };
    match timeout(left + MARGIN, node.read_index(ReadIndexRequest { timeout_ms: millis(left) })).await {
        Ok(Ok(reply)) => Ok(Attempt::Done(reply.index)),
        // A read changes nothing: it may always be tried again.
        Ok(Err(status)) if matches!(status.code(), Code::Unavailable | Code::DeadlineExceeded) => Ok(Attempt::Again),
        Ok(Err(status)) => Err(from_status(leader, left, &status)),
        Err(_) => Ok(Attempt::Again),
    }
}

/// Who leads, as far as `node` knows.
pub(super) async fn who_leads(peers: &Peers, node: NodeId) -> Option<NodeId> {
    let mut client = peers.client_on(node, Lane::Control).ok()?;
    let request = ReadIndexRequest { timeout_ms: millis(HEARSAY_LIMIT) };
    match timeout(HEARSAY_LIMIT + MARGIN, client.read_index(request)).await.ok()? {
        Ok(_) => Some(node),
        Err(status) => wire::not_leader(&status)?,
    }
}

/// Keeps a lease alive at `leader`; 0 where there is no such lease.
pub(super) async fn keep_alive(
    peers: &Peers,
    leader: NodeId,
    lease_id: LeaseId,
    limit: Duration,
) -> Result<i64, RaftError> {
    let mut client = peers.client_on(leader, Lane::Control).map_err(|error| failed(leader, error.to_string()))?;
    match timeout(limit, client.keep_alive(KeepAliveRequest { lease_id })).await {
        Ok(Ok(reply)) => Ok(reply.into_inner().ttl_s),
        Ok(Err(status)) => Err(from_status(leader, limit, &status)),
        Err(_) => Err(ConsensusError::Timeout(limit).into()),
    }
}

/// [`keep_alive`] as one attempt of several: it may always be tried again.
pub(super) async fn keep_alive_once(
    peers: &Peers,
    leader: NodeId,
    lease_id: LeaseId,
    left: Duration,
) -> Result<Attempt<i64>, RaftError> {
    let Ok(mut client) = peers.client_on(leader, Lane::Control) else { return Ok(Attempt::Again) };
    match timeout(left, client.keep_alive(KeepAliveRequest { lease_id })).await {
        Ok(Ok(reply)) => Ok(Attempt::Done(reply.into_inner().ttl_s)),
        Ok(Err(status)) if status.code() == Code::Unavailable => Ok(Attempt::Again),
        Ok(Err(status)) => Err(from_status(leader, left, &status)),
        Err(_) => Err(ConsensusError::Timeout(left).into()),
    }
}

/// What is left of a lease's time at `leader`, in milliseconds; `None` where there is no such lease.
pub(super) async fn lease_left(
    peers: &Peers,
    leader: NodeId,
    lease_id: LeaseId,
    left: Duration,
) -> Result<Attempt<Option<u64>>, RaftError> {
    let Ok(mut client) = peers.client_on(leader, Lane::Control) else { return Ok(Attempt::Again) };
    match timeout(left, client.lease_left(LeaseLeftRequest { lease_id })).await {
        Ok(Ok(reply)) => Ok(Attempt::Done(reply.into_inner().left_ms)),
        Ok(Err(status)) if status.code() == Code::Unavailable => Ok(Attempt::Again),
        Ok(Err(status)) => Err(from_status(leader, left, &status)),
        Err(_) => Err(ConsensusError::Timeout(left).into()),
    }
}

fn from_status(leader: NodeId, limit: Duration, status: &Status) -> RaftError {
    match status.code() {
        Code::DeadlineExceeded => ConsensusError::Timeout(limit).into(),
        Code::ResourceExhausted => ConsensusError::NoSpace(status.message().to_owned()).into(),
        _ => failed(leader, status.message()),
    }
}
