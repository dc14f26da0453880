//! A node as others see it: what it answers, from its consensus.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use autoradio_machine::{ClusterId, Command, LogIndex, NodeId, RangeRequest};
use autoradio_store::{BoxFuture, Consensus, ConsensusError, Proposed, Role, RpcKind, Transport, TransportError};
use bytes::Bytes;
use tokio::time::{Instant, timeout};

use crate::{
    air::Air,
    client::value,
    disk::SimDisk,
    findings::Findings,
    net::{Net, UNPOISONED},
    scenario::Planted,
    wire::{Envelope, Failure, Place, Reply, Request},
};

/// How long a node tries to answer a client.
pub(crate) const LIMIT: Duration = Duration::from_secs(2);
/// All nodes' cluster.
pub(crate) const CLUSTER: ClusterId = 0xc1;

/// The peer address of a place.
pub(crate) fn address(place: usize) -> String {
    format!("http://node{place}:2380")
}

/// The place of a peer address.
pub(crate) fn place_of(address: &str) -> Option<usize> {
    address.strip_prefix("http://node")?.strip_suffix(":2380")?.parse().ok()
}

/// When each other node last answered.
pub(crate) type Heard = Arc<Mutex<BTreeMap<NodeId, Instant>>>;
/// Every node's disk, for those who look from outside.
pub(crate) type Disks = Arc<Mutex<BTreeMap<NodeId, SimDisk>>>;

/// The consensus' way to other nodes.
pub(crate) struct Wire {
    pub(crate) id: NodeId,
    pub(crate) place: usize,
    pub(crate) net: Net,
    pub(crate) heard: Heard,
}

impl Transport for Wire {
    fn call(
        &self,
        target: NodeId,
        addr: String,
        kind: RpcKind,
        payload: Bytes,
        limit: Duration,
    ) -> BoxFuture<'_, Result<Bytes, TransportError>> {
        Box::pin(async move {
            let unreachable = |reason: String| TransportError::Unreachable { target, reason };
            let to = place_of(&addr).ok_or_else(|| unreachable(format!("{addr} is no address")))?;
            let envelope = Envelope { cluster: CLUSTER, target, from: self.id };
            let answer = self.net.call(Place::Node(self.place), to, Request::Raft { envelope, kind, payload });
            match timeout(limit, answer).await {
                Ok(Ok(Reply::Raft(payload))) => {
                    self.heard.lock().expect(UNPOISONED).insert(target, Instant::now());
                    Ok(payload)
                }
                Ok(Ok(other)) => Err(unreachable(format!("{other:?}"))),
                Ok(Err(_)) => Err(unreachable("the connection broke".into())),
                Err(_) => Err(TransportError::Timeout { target, timeout: limit }),
            }
        })
    }
}

/// One life of a node.
pub(crate) struct Server {
    pub(crate) id: NodeId,
    pub(crate) place: usize,
    pub(crate) consensus: Consensus,
    pub(crate) net: Net,
    pub(crate) heard: Heard,
    pub(crate) disks: Disks,
    pub(crate) findings: Findings,
    pub(crate) planted: Planted,
    pub(crate) air: Air,
    /// One waits at a time for what is applied: who is woken first of several is tokio's secret.
    pub(crate) gate: tokio::sync::Mutex<()>,
}

impl Server {
    /// Answers a request.
    pub(crate) async fn handle(&self, request: Request) -> Reply {
        match request {
            Request::Raft { envelope, kind, payload } => match self.check(envelope) {
                Ok(()) => {
                    self.heard.lock().expect(UNPOISONED).insert(envelope.from, Instant::now());
                    let answer = self.consensus.handle(kind, payload).await;
                    answer.map_or(Reply::Failed(Failure::Unreachable), Reply::Raft)
                }
                Err(failure) => Reply::Failed(failure),
            },
            Request::ReadIndex { envelope } => match self.check(envelope) {
                Ok(()) => self.consensus.read_index(LIMIT).await.map_or_else(failed, Reply::Index),
                Err(failure) => Reply::Failed(failure),
            },
            Request::Frames { envelope, mount, starts, frames } => match self.check(envelope) {
                Ok(()) => self.air.take(&mount, starts, frames),
                Err(failure) => Reply::Failed(failure),
            },
            Request::HasSource { envelope, mount } => match self.check(envelope) {
                Ok(()) => Reply::Source(self.air.has_source(&mount)),
                Err(failure) => Reply::Failed(failure),
            },
            Request::Propose(command) => match self.propose_here(&command).await {
                Ok(Proposed { revision, response, .. }) => Reply::Proposed { revision, response },
                Err(error) => failed(error),
            },
            Request::Read { key } => self.read(key).await.unwrap_or_else(Reply::Failed),
            Request::Source { mount, piece } => crate::air::source(self, &mount, piece).await,
            Request::MemberAt { url } => {
                let members = self.consensus.read(|machine| machine.catalog().members);
                let found = members.values().find(|member| member.peer_urls.contains(&url));
                Reply::Member(found.map(|member| member.id))
            }
        }
    }

    /// Refuses what is meant for another node or cluster (ARCHITECTURE §5.8).
    fn check(&self, envelope: Envelope) -> Result<(), Failure> {
        let fits = envelope.cluster == CLUSTER && envelope.target == self.id;
        if fits { Ok(()) } else { Err(Failure::WrongTarget) }
    }

    async fn propose_here(&self, command: &Command) -> Result<Proposed, ConsensusError> {
        let before = self.consensus.status().voters;
        let proposed = self.consensus.propose(command, LIMIT).await?;
        if self.consensus.status().voters == before {
            self.check_durable(&before, proposed.index);
        }
        Ok(proposed)
    }

    /// What is acknowledged now is on the disks of a majority, the same on each (ARCHITECTURE §5.1). Others may have another
    /// entry there, of a leader that was overtaken before it was committed.
    fn check_durable(&self, voters: &[NodeId], index: LogIndex) {
        let disks = self.disks.lock().expect(UNPOISONED);
        let kept: Vec<_> = voters.iter().filter_map(|id| disks.get(id)?.durable_entry(index)).collect();
        let (entries, snapshots): (Vec<_>, Vec<_>) = kept.into_iter().partition(Option::is_some);
        let alike = entries.iter().map(|entry| entries.iter().filter(|other| *other == entry).count()).max();
        let (have, of) = (alike.unwrap_or_default() + snapshots.len(), voters.len());
        if have <= of / 2 {
            self.findings.inside(format!("entry {index} was acknowledged with {have} of {of} disks having it"));
        }
    }

    /// Proposes at whoever leads.
    pub(crate) async fn propose(&self, command: Command) -> Result<Reply, Failure> {
        let status = self.consensus.status();
        let leader = status.leader.ok_or(Failure::NotLeader(None))?;
        if leader == self.id {
            return Ok(self.propose_here(&command).await.map_or_else(failed, |proposed| Reply::Proposed {
                revision: proposed.revision,
                response: proposed.response,
            }));
        }
        let to = status.addresses.get(&leader).and_then(|a| place_of(a)).ok_or(Failure::NotLeader(None))?;
        let answer = self.net.call(Place::Node(self.place), to, Request::Propose(Box::new(command)));
        timeout(LIMIT, answer).await.map_err(|_| Failure::Unknown)?.map_err(|_| Failure::Unknown)
    }

    /// Reads a key as the product does: a read index from the leader, and then the state here that has applied it.
    async fn read(&self, key: String) -> Result<Reply, Failure> {
        let status = self.consensus.status();
        if !(self.planted.read_without_barrier && status.role == Role::Leader) {
            let index = self.read_index().await?;
            let _turn = self.gate.lock().await;
            self.consensus.wait_applied(index, LIMIT).await.map_err(|_| Failure::Unknown)?;
        }
        let request = RangeRequest { key: key.into(), ..RangeRequest::default() };
        let (found, revision) = self.consensus.read(|machine| (machine.range(&request), machine.revision()));
        let pair = found.map_err(Failure::Refused)?.kvs.into_iter().next();
        let value = pair.as_ref().and_then(|kv| value(&kv.value));
        Ok(Reply::Read { value, written_at: pair.map(|kv| kv.mod_revision), revision })
    }

    async fn read_index(&self) -> Result<LogIndex, Failure> {
        let status = self.consensus.status();
        let leader = status.leader.ok_or(Failure::NotLeader(None))?;
        if leader == self.id {
            return self.consensus.read_index(LIMIT).await.map_err(failure);
        }
        let to = status.addresses.get(&leader).and_then(|a| place_of(a)).ok_or(Failure::NotLeader(None))?;
        let envelope = Envelope { cluster: CLUSTER, target: leader, from: self.id };
        let answer = self.net.call(Place::Node(self.place), to, Request::ReadIndex { envelope });
        match timeout(LIMIT, answer).await {
            Ok(Ok(Reply::Index(index))) => Ok(index),
            Ok(Ok(Reply::Failed(failure))) => Err(failure),
            _ => Err(Failure::Unknown),
        }
    }
}

fn failure(error: ConsensusError) -> Failure {
    match error {
        ConsensusError::NotLeader { leader } => Failure::NotLeader(leader),
        ConsensusError::NoQuorum => Failure::NoQuorum,
        ConsensusError::Refused(refusal) => Failure::Refused(refusal),
        _ => Failure::Unknown,
    }
}

fn failed(error: ConsensusError) -> Reply {
    Reply::Failed(failure(error))
}
