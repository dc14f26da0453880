//! The replicated state and its only way to change: [`Machine::apply`].

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use sha2::{Digest, Sha256};

use crate::{
    Alarm, Applied, AuthRefusal, Catalog, ClusterId, Command, DeleteRequest, Event, InitRequest, LeaseId, LogIndex,
    Member, MemberAdd, MemberUpdate, NodeId, Op, PutRequest, Refusal, Response, TxnRequest, audit::Audit, auth::Auth,
    member, mvcc::Mvcc, schema, span::Span, txn,
};

/// etcd: ceil of 3/2 election ticks of a second; shorter leases are raised to it.
const LEASE_TTL_MIN_S: i64 = 2;
/// etcd's `lease.MaxLeaseTTL`.
const LEASE_TTL_MAX_S: i64 = 9_000_000_000;

/// Learners by the administrator's wish at a time, as in etcd.
const LEARNERS_MAX: usize = 1;

/// The whole replicated state. Deterministic: the same commands give the same state and answers everywhere.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Machine {
    pub(crate) store: Mvcc,
    pub(crate) cluster_id: Option<ClusterId>,
    pub(crate) leases: BTreeMap<LeaseId, Lease>,
    /// Ids of removed members, which are never given again and never let in.
    pub(crate) removed: BTreeSet<NodeId>,
    pub(crate) catalog: Catalog,
    pub(crate) alarms: BTreeSet<Alarm>,
    pub(crate) trust: crate::Trust,
    pub(crate) auth: Auth,
    pub(crate) audit: Audit,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Lease {
    pub(crate) ttl_s: i64,
    pub(crate) keys: BTreeSet<Bytes>,
}

/// A lease as the machine knows it; who counts its time is the leader.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeaseInfo {
    /// Its id.
    pub id: LeaseId,
    /// The time to live granted, in seconds.
    pub ttl_s: i64,
}

type Outcome = Result<Response, Refusal>;

impl Machine {
    /// Applies the command of the entry at `index`. Never panics, whatever the command.
    pub fn apply(&mut self, index: LogIndex, command: &Command) -> Applied {
        let before = self.audit_before(command);
        let result = check_form(command.asked()).and_then(|()| self.carry_out(index, command));
        let events = match &result {
            Ok(_) => self.commit(),
            Err(_) => {
                self.store.rollback();
                Vec::new()
            }
        };
        if let (Ok(_), Command::As(asked)) = (&result, command) {
            self.audit.carried_out(asked, before, &events);
        }
        Applied { result, revision: self.store.current(), events }
    }

    fn carry_out(&mut self, index: LogIndex, command: &Command) -> Outcome {
        // Who may not is told so first.
        if !matches!(command, Command::As(_)) {
            self.check_alarms(command)?;
        }
        match command {
            Command::Init(request) => self.init(request),
            Command::Put(request) => self.put(request),
            Command::Delete(request) => self.delete(request),
            Command::Txn(request) => {
                let paths = self.paths(request);
                self.check_ranges(request, &mut paths.iter().copied())?;
                self.txn(request, &mut paths.into_iter())
            }
            Command::Compact { revision } => self.store.compact(*revision).map(|()| Response::Done),
            Command::LeaseGrant { id, ttl_s } => self.grant(index, *id, *ttl_s),
            Command::LeaseRevoke { id } => self.revoke(*id),
            Command::MemberAdd(request) => self.add_member(index, request),
            Command::MemberUpdate(request) => self.update_member(request),
            Command::MemberRemove { id } => self.remove_member(*id),
            Command::Alarm { alarm, active } => Ok(Response::Alarm(self.set_alarm(*alarm, *active).then_some(*alarm))),
            Command::NodeLease { ttl_s } => self.grant(index, 0, *ttl_s),
            Command::Trust(command) => self.carry_out_trust(index, command),
            Command::Auth(change) => Ok(self.auth.change(index, change).map(|()| Response::Done)?),
            Command::As(asked) => {
                self.permit_command(&asked.caller.who, &asked.command)?;
                self.carry_out(index, &asked.command)
            }
        }
    }

    /// Makes what was written count: events, keys of leases, catalog.
    pub(crate) fn commit(&mut self) -> Vec<Event> {
        let events = self.store.commit();
        for event in &events {
            let lease_before = event.prev_kv.as_ref().map_or(0, |kv| kv.lease);
            if lease_before != event.kv.lease
                && let Some(lease) = self.leases.get_mut(&lease_before)
            {
                lease.keys.remove(&event.kv.key);
            }
            if let Some(lease) = self.leases.get_mut(&event.kv.lease) {
                lease.keys.insert(event.kv.key.clone());
            }
        }
        self.catalog.follow(self.store.current(), &events);
        events
    }

    fn put(&mut self, request: &PutRequest) -> Outcome {
        let before = self.store.get(&request.key);
        if before.is_none() && (request.ignore_value || request.ignore_lease) {
            return Err(Refusal::KeyNotFound);
        }
        let kept = before.as_ref();
        let value = kept.filter(|_| request.ignore_value).map_or_else(|| request.value.clone(), |kv| kv.value.clone());
        let lease = kept.filter(|_| request.ignore_lease).map_or(request.lease, |kv| kv.lease);
        if lease != 0 && !self.leases.contains_key(&lease) {
            return Err(Refusal::LeaseNotFound);
        }
        schema::check_put(&self.store, &request.key, &value, lease)?;
        self.store.put(&request.key, value, lease);
        Ok(Response::Put { prev_kv: before.filter(|_| request.prev_kv) })
    }

    fn delete(&mut self, request: &DeleteRequest) -> Outcome {
        if request.key.is_empty() {
            return Err(Refusal::EmptyKey);
        }
        let span = Span { start: &request.key, end: &request.range_end };
        let with = schema::check_delete(&self.store, span)?;
        let gone = self.store.delete(span);
        // What hangs on a deleted mount goes with it, in the same revision.
        for key in with {
            self.store.delete(Span { start: &key, end: b"" });
        }
        let deleted = i64::try_from(gone.len()).unwrap_or(i64::MAX);
        Ok(Response::Delete { deleted, prev_kvs: if request.prev_kv { gone } else { Vec::new() } })
    }

    /// Which branch each transaction takes, outermost first: all are decided before anything is written.
    pub(crate) fn paths(&self, request: &TxnRequest) -> Vec<bool> {
        let mut paths = Vec::new();
        let mut left = vec![request];
        while let Some(txn) = left.pop() {
            let succeeded = txn.compare.iter().all(|c| txn::holds(&self.store, c));
            paths.push(succeeded);
            let inner = branch(txn, succeeded).iter().filter_map(|op| if let Op::Txn(t) = op { Some(t) } else { None });
            left.extend(inner.collect::<Vec<_>>().into_iter().rev());
        }
        paths
    }

    /// Refuses ranges at revisions that cannot be read, before anything is written.
    pub(crate) fn check_ranges(
        &self,
        request: &TxnRequest,
        paths: &mut dyn Iterator<Item = bool>,
    ) -> Result<(), Refusal> {
        for op in branch(request, paths.next().unwrap_or(false)) {
            match op {
                Op::Range(range) => self.store.check_revision(range.revision)?,
                Op::Txn(inner) => self.check_ranges(inner, paths)?,
                Op::Put(_) | Op::Delete(_) => {}
            }
        }
        Ok(())
    }

    fn txn(&mut self, request: &TxnRequest, paths: &mut dyn Iterator<Item = bool>) -> Outcome {
        let succeeded = paths.next().unwrap_or(false);
        let mut responses = Vec::new();
        for op in branch(request, succeeded) {
            responses.push(match op {
                Op::Range(range) => Response::Range(self.store.range(range)?),
                Op::Put(put) => self.put(put)?,
                Op::Delete(delete) => self.delete(delete)?,
                Op::Txn(inner) => self.txn(inner, paths)?,
            });
        }
        Ok(Response::Txn { succeeded, responses })
    }

    fn grant(&mut self, index: LogIndex, id: LeaseId, ttl_s: i64) -> Outcome {
        if ttl_s > LEASE_TTL_MAX_S {
            return Err(Refusal::LeaseTtlTooLarge);
        }
        if self.leases.contains_key(&id) {
            return Err(Refusal::LeaseExists);
        }
        let id = if id == 0 { self.free_lease_id(index) } else { id };
        let ttl_s = ttl_s.max(LEASE_TTL_MIN_S);
        self.leases.insert(id, Lease { ttl_s, keys: BTreeSet::new() });
        Ok(Response::Lease { id, ttl_s })
    }

    fn free_lease_id(&self, index: LogIndex) -> LeaseId {
        let mut turn = 0u64;
        loop {
            let mut hash = Sha256::new();
            for number in [self.cluster_id.unwrap_or_default(), index, turn] {
                hash.update(number.to_be_bytes());
            }
            let digest = hash.finalize();
            let (first, _) = digest.split_first_chunk::<8>().expect("a SHA-256 digest has 32 bytes");
            let id = i64::from_be_bytes(*first) & i64::MAX;
            if id != 0 && !self.leases.contains_key(&id) {
                return id;
            }
            turn += 1;
        }
    }

    fn revoke(&mut self, id: LeaseId) -> Outcome {
        let lease = self.leases.remove(&id).ok_or(Refusal::LeaseNotFound)?;
        for key in lease.keys {
            self.store.delete(Span { start: &key, end: b"" });
        }
        Ok(Response::Done)
    }

    fn init(&mut self, request: &InitRequest) -> Outcome {
        match self.cluster_id {
            Some(id) if id == request.cluster_id => return Ok(Response::Done),
            Some(_) => return Err(Refusal::AlreadyInitialised),
            None => {}
        }
        for member in &request.members {
            member::check(member, &request.members)?;
        }
        self.cluster_id = Some(request.cluster_id);
        for member in &request.members {
            self.store.put(&member.key(), member.to_json(), 0);
        }
        Ok(Response::Done)
    }

    fn add_member(&mut self, index: LogIndex, request: &MemberAdd) -> Outcome {
        let learners = member::all(&self.store).iter().filter(|other| other.learner).count();
        let member = self.insert_member(index, request)?;
        if member.learner && learners >= LEARNERS_MAX {
            return Err(Refusal::TooManyLearners);
        }
        Ok(Response::Member(member))
    }

    pub(crate) fn insert_member(&mut self, index: LogIndex, request: &MemberAdd) -> Result<Member, Refusal> {
        let others = member::all(&self.store);
        let mut id = member::new_id(self.cluster_id.unwrap_or_default(), index, &request.peer_urls);
        // Commands that share an entry share its index: a member added, removed and added anew is another.
        while self.removed.contains(&id) || others.iter().any(|other| other.id == id) {
            id = id.wrapping_add(1).max(1);
        }
        let member = Member {
            id,
            name: request.name.clone(),
            peer_urls: request.peer_urls.clone(),
            learner: request.learner,
            ..Member::default()
        };
        member::check(&member, &others)?;
        self.store.put(&member.key(), member.to_json(), 0);
        Ok(member)
    }

    fn update_member(&mut self, request: &MemberUpdate) -> Outcome {
        let mut others = member::all(&self.store);
        let place = others.iter().position(|m| m.id == request.id).ok_or(Refusal::MemberNotFound)?;
        let before = others.remove(place);
        let MemberUpdate { id: _, name, peer_urls, client_urls, public, drained, learner } = request.clone();
        let after = Member {
            id: before.id,
            name: name.unwrap_or_else(|| before.name.clone()),
            peer_urls: peer_urls.unwrap_or_else(|| before.peer_urls.clone()),
            client_urls: client_urls.unwrap_or_else(|| before.client_urls.clone()),
            public: public.unwrap_or_else(|| before.public.clone()),
            drained: drained.unwrap_or(before.drained),
            learner: learner.unwrap_or(before.learner),
        };
        member::check(&after, &others)?;
        if after != before {
            if after.key() != before.key() {
                self.store.delete(Span { start: &before.key(), end: b"" });
            }
            self.store.put(&after.key(), after.to_json(), 0);
        }
        Ok(Response::Member(after))
    }

    fn remove_member(&mut self, id: NodeId) -> Outcome {
        let mut others = member::all(&self.store);
        let place = others.iter().position(|m| m.id == id).ok_or(Refusal::MemberNotFound)?;
        let member = others.remove(place);
        if member.started() && !others.iter().any(Member::started) {
            return Err(Refusal::NotEnoughStarted);
        }
        self.store.delete(Span { start: &member.key(), end: b"" });
        // Its source leases end with it: nobody else would give them back.
        let held = self.catalog.origins.iter().filter(|(_, claim)| claim.origin.node == id);
        for key in held.map(|(mount, _)| crate::origin_key(mount)).collect::<Vec<_>>() {
            self.store.delete(Span { start: &key, end: b"" });
        }
        self.removed.insert(id);
        Ok(Response::Member(member))
    }
}

/// Refuses what makes no sense whatever the state is: as in etcd, before it is asked whether it is permitted.
fn check_form(command: &Command) -> Result<(), Refusal> {
    match command {
        Command::Put(request) => txn::check_put(request),
        Command::Delete(request) if request.key.is_empty() => Err(Refusal::EmptyKey),
        Command::Txn(request) => txn::check(request),
        // One who asks in another's name.
        Command::As(_) => Err(AuthRefusal::Denied.into()),
        _ => Ok(()),
    }
}

pub(crate) fn branch(txn: &TxnRequest, succeeded: bool) -> &[Op] {
    if succeeded { &txn.success } else { &txn.failure }
}
