//! etcd's semantics over again, in the simplest way there is: a list of what each revision changed. Every state, event
//! and answer is worked out from the beginning each time, so that nothing is kept that could be wrong.

use std::collections::{BTreeMap, BTreeSet};

use autoradio_machine::{CompareResult as Res, CompareTarget as Target, *};
use bytes::Bytes;

/// What a key becomes: a value on a lease, or nothing.
type Change = (Bytes, Option<(Bytes, LeaseId)>);

/// The pairs of one moment, by key.
pub(crate) type State = BTreeMap<Bytes, KeyValue>;

/// What the machine may answer: this, or one of these refusals. Which of several reasons is told first is left open.
pub(crate) type Expected = Result<Response, Vec<Refusal>>;

/// The model. The changes of revision 2 come first: an empty store has revision 1.
#[derive(Clone, Debug)]
pub(crate) struct Model {
    revisions: Vec<Vec<Change>>,
    pub(crate) compacted: Revision,
    pub(crate) leases: BTreeMap<LeaseId, i64>,
}

impl Default for Model {
    fn default() -> Self {
        Self { revisions: Vec::new(), compacted: -1, leases: BTreeMap::new() }
    }
}

/// Whether etcd's range `[key, end)` holds `found`.
fn holds(key: &[u8], end: &[u8], found: &[u8]) -> bool {
    match end {
        [] => found == key,
        [0] => found >= key,
        _ => found >= key && found < end,
    }
}

/// One change of a state.
fn change(state: &mut State, revision: Revision, (key, to): &Change) {
    let Some((value, lease)) = to else {
        state.remove(key);
        return;
    };
    let before = state.get(key);
    let (create_revision, version) = match before {
        Some(kv) => (kv.create_revision, kv.version + 1),
        None => (revision, 1),
    };
    let (key, value, lease) = (key.clone(), value.clone(), *lease);
    let kv = KeyValue { key: key.clone(), value, create_revision, mod_revision: revision, version, lease };
    state.insert(key, kv);
}

impl Model {
    pub(crate) fn current(&self) -> Revision {
        1 + i64::try_from(self.revisions.len()).expect("a test of few revisions")
    }

    pub(crate) fn state_at(&self, revision: Revision) -> State {
        let mut state = State::new();
        for (at, changes) in (2..=revision).zip(&self.revisions) {
            changes.iter().for_each(|c| change(&mut state, at, c));
        }
        state
    }

    fn newest(&self) -> State {
        self.state_at(self.current())
    }

    /// The keys on a lease.
    pub(crate) fn keys_of(&self, lease: LeaseId) -> Vec<Bytes> {
        self.newest().into_values().filter(|kv| kv.lease == lease).map(|kv| kv.key).collect()
    }

    /// The events of one revision: each key once, in the order of its first change, with what came of it in the end.
    fn events_at(&self, revision: Revision) -> Vec<Event> {
        let (before, after) = (self.state_at(revision - 1), self.state_at(revision));
        let Some(changes) = usize::try_from(revision - 2).ok().and_then(|n| self.revisions.get(n)) else {
            return Vec::new();
        };
        let mut seen = BTreeSet::new();
        let keys = changes.iter().map(|(key, _)| key).filter(|key| seen.insert((*key).clone()));
        keys.map(|key| {
            let prev_kv = before.get(key).cloned();
            let gone = || KeyValue { key: key.clone(), mod_revision: revision, ..KeyValue::default() };
            match after.get(key) {
                Some(kv) => Event { kind: EventKind::Put, kv: kv.clone(), prev_kv },
                None => Event { kind: EventKind::Delete, kv: gone(), prev_kv },
            }
        })
        .collect()
    }

    /// What a watch of `[key, end)` sees of revisions `from..=through`.
    pub(crate) fn history(
        &self,
        key: &[u8],
        end: &[u8],
        from: Revision,
        through: Revision,
    ) -> Result<Vec<Event>, Refusal> {
        if from < self.compacted {
            return Err(Refusal::Compacted { compact_revision: self.compacted });
        }
        let mut events = Vec::new();
        for revision in from.max(2)..=through.min(self.current()) {
            events.extend(self.events_at(revision).into_iter().filter(|event| holds(key, end, &event.kv.key)).map(
                |mut event| {
                    // What was before the compacted revision is gone.
                    event.prev_kv = event.prev_kv.filter(|_| revision > self.compacted);
                    event
                },
            ));
        }
        Ok(events)
    }

    fn readable(&self, revision: Revision) -> Result<(), Refusal> {
        if revision > self.current() {
            return Err(Refusal::FutureRevision);
        }
        if revision > 0 && revision < self.compacted {
            return Err(Refusal::Compacted { compact_revision: self.compacted });
        }
        Ok(())
    }

    pub(crate) fn range(&self, request: &RangeRequest) -> Result<RangeResponse, Refusal> {
        self.readable(request.revision)?;
        let state = if request.revision > 0 { self.state_at(request.revision) } else { self.newest() };
        Ok(range_of(&state, request))
    }

    /// Carries a command out; also gives the events that watchers must see of it.
    pub(crate) fn apply(&mut self, command: &Command, answered: Option<&Response>) -> (Expected, Vec<Event>) {
        let mut draft = Draft { model: self, state: self.newest(), before: self.newest(), changes: Vec::new() };
        let expected = match command {
            Command::Put(put) => draft.put(put).map_err(|refusal| vec![refusal]),
            Command::Delete(delete) => Ok(draft.delete(delete)),
            Command::Txn(txn) => draft.checked_txn(txn),
            Command::Compact { revision } => return (self.compact(*revision), Vec::new()),
            Command::LeaseGrant { id, ttl_s } => return (self.grant(*id, *ttl_s, answered), Vec::new()),
            Command::LeaseRevoke { id } => return self.revoke(*id),
            other => unreachable!("the test does not make {other:?}"),
        };
        let changes = draft.changes;
        let events = if expected.is_ok() { self.push(changes) } else { Vec::new() };
        (expected, events)
    }

    fn push(&mut self, changes: Vec<Change>) -> Vec<Event> {
        if changes.is_empty() {
            return Vec::new();
        }
        self.revisions.push(changes);
        self.events_at(self.current())
    }

    fn compact(&mut self, revision: Revision) -> Expected {
        if revision <= self.compacted {
            return Err(vec![Refusal::Compacted { compact_revision: self.compacted }]);
        }
        if revision > self.current() {
            return Err(vec![Refusal::FutureRevision]);
        }
        self.compacted = revision;
        Ok(Response::Done)
    }

    fn grant(&mut self, id: LeaseId, ttl_s: i64, answered: Option<&Response>) -> Expected {
        if ttl_s > 9_000_000_000 {
            return Err(vec![Refusal::LeaseTtlTooLarge]);
        }
        if self.leases.contains_key(&id) {
            return Err(vec![Refusal::LeaseExists]);
        }
        let id = match (id, answered) {
            // Any id that is not taken will do.
            (0, Some(Response::Lease { id, .. })) if *id > 0 && !self.leases.contains_key(id) => *id,
            (id, _) => id,
        };
        let ttl_s = ttl_s.max(2);
        self.leases.insert(id, ttl_s);
        Ok(Response::Lease { id, ttl_s })
    }

    fn revoke(&mut self, id: LeaseId) -> (Expected, Vec<Event>) {
        if self.leases.remove(&id).is_none() {
            return (Err(vec![Refusal::LeaseNotFound]), Vec::new());
        }
        let changes = self.keys_of(id).into_iter().map(|key| (key, None)).collect();
        (Ok(Response::Done), self.push(changes))
    }
}

/// A command on its way: what it has changed, and the state that its later operations see.
struct Draft<'a> {
    model: &'a Model,
    before: State,
    state: State,
    changes: Vec<Change>,
}

impl Draft<'_> {
    fn change(&mut self, key: &Bytes, to: Option<(Bytes, LeaseId)>) {
        let one = (key.clone(), to);
        change(&mut self.state, self.model.current() + 1, &one);
        self.changes.push(one);
    }

    fn put(&mut self, put: &PutRequest) -> Result<Response, Refusal> {
        if put.ignore_value && !put.value.is_empty() {
            return Err(Refusal::ValueProvided);
        }
        if put.ignore_lease && put.lease != 0 {
            return Err(Refusal::LeaseProvided);
        }
        let before = self.state.get(&put.key).cloned();
        if before.is_none() && (put.ignore_value || put.ignore_lease) {
            return Err(Refusal::KeyNotFound);
        }
        let (old_value, old_lease) = before.as_ref().map(|kv| (kv.value.clone(), kv.lease)).unwrap_or_default();
        let value = if put.ignore_value { old_value } else { put.value.clone() };
        let lease = if put.ignore_lease { old_lease } else { put.lease };
        if lease != 0 && !self.model.leases.contains_key(&lease) {
            return Err(Refusal::LeaseNotFound);
        }
        self.change(&put.key, Some((value, lease)));
        Ok(Response::Put { prev_kv: before.filter(|_| put.prev_kv) })
    }

    fn delete(&mut self, delete: &DeleteRequest) -> Response {
        let gone: Vec<KeyValue> =
            self.state.values().filter(|kv| holds(&delete.key, &delete.range_end, &kv.key)).cloned().collect();
        gone.iter().for_each(|kv| self.change(&kv.key, None));
        let deleted = i64::try_from(gone.len()).expect("few keys");
        Response::Delete { deleted, prev_kvs: if delete.prev_kv { gone } else { Vec::new() } }
    }

    /// A transaction with all that etcd checks before it writes: all that could be told are gathered.
    fn checked_txn(&mut self, txn: &TxnRequest) -> Expected {
        let mut refusals = Vec::new();
        gather_contradictions(txn, &mut refusals);
        if overwrites(&txn.success).is_none() || overwrites(&txn.failure).is_none() {
            refusals.push(Refusal::DuplicateKey);
        }
        self.gather_unreadable(txn, &mut refusals);
        match self.txn(txn) {
            Ok(response) if refusals.is_empty() => Ok(response),
            Ok(_) => Err(refusals),
            Err(refusal) => Err([refusals, vec![refusal]].concat()),
        }
    }

    /// Comparisons see the state before anything was written, those of inner transactions, too.
    fn path<'t>(&self, txn: &'t TxnRequest) -> (bool, &'t [Op]) {
        let succeeded = txn.compare.iter().all(|c| compares(&self.before, c));
        (succeeded, if succeeded { &txn.success } else { &txn.failure })
    }

    fn gather_unreadable(&self, txn: &TxnRequest, refusals: &mut Vec<Refusal>) {
        for op in self.path(txn).1 {
            match op {
                Op::Range(range) => refusals.extend(self.model.readable(range.revision).err()),
                Op::Txn(inner) => self.gather_unreadable(inner, refusals),
                Op::Put(_) | Op::Delete(_) => {}
            }
        }
    }

    fn txn(&mut self, txn: &TxnRequest) -> Result<Response, Refusal> {
        let (succeeded, ops) = self.path(txn);
        let mut responses = Vec::new();
        for op in ops {
            responses.push(match op {
                Op::Put(put) => self.put(put)?,
                Op::Delete(delete) => self.delete(delete),
                Op::Txn(inner) => self.txn(inner)?,
                // The newest revision is the one being written.
                Op::Range(range) if range.revision <= 0 => Response::Range(range_of(&self.state, range)),
                Op::Range(range) => Response::Range(self.model.range(range)?),
            });
        }
        Ok(Response::Txn { succeeded, responses })
    }
}

/// Puts that contradict themselves are refused on either path.
fn gather_contradictions(txn: &TxnRequest, refusals: &mut Vec<Refusal>) {
    for op in txn.success.iter().chain(&txn.failure) {
        match op {
            Op::Put(put) if put.ignore_value && !put.value.is_empty() => refusals.push(Refusal::ValueProvided),
            Op::Put(put) if put.ignore_lease && put.lease != 0 => refusals.push(Refusal::LeaseProvided),
            Op::Txn(inner) => gather_contradictions(inner, refusals),
            _ => {}
        }
    }
}

/// The keys that operations put and delete, out of the few that the test uses; nothing where one is put twice, or put and
/// deleted. What an inner transaction puts, a later sibling may delete (etcd's `checkIntervals` does not look at that).
fn overwrites(ops: &[Op]) -> Option<(BTreeSet<u8>, BTreeSet<u8>)> {
    let all = || b'a'..=b'f';
    let (mut puts, mut deletes) = (BTreeSet::new(), BTreeSet::new());
    for op in ops {
        if let Op::Delete(d) = op {
            deletes.extend(all().filter(|key| holds(&d.key, &d.range_end, &[*key])));
        }
    }
    for op in ops {
        let Op::Txn(inner) = op else { continue };
        let ((one, gone), (other, gone_else)) = (overwrites(&inner.success)?, overwrites(&inner.failure)?);
        let either: BTreeSet<u8> = &one | &other;
        if !either.is_disjoint(&puts) || !either.is_disjoint(&deletes) {
            return None;
        }
        puts.extend(either);
        deletes.extend(gone.into_iter().chain(gone_else));
    }
    for op in ops {
        let Op::Put(put) = op else { continue };
        if deletes.contains(&put.key[0]) || !puts.insert(put.key[0]) {
            return None;
        }
    }
    Some((puts, deletes))
}

/// Whether a comparison holds for every key of its range; a key that is not there counts as zeros, and has no value.
fn compares(state: &State, compare: &Compare) -> bool {
    let found: Vec<_> = state.values().filter(|kv| holds(&compare.key, &compare.range_end, &kv.key)).collect();
    let nothing = KeyValue::default();
    if found.is_empty() {
        return !matches!(compare.target, Target::Value(_)) && compares_one(&nothing, compare);
    }
    found.into_iter().all(|kv| compares_one(kv, compare))
}

fn compares_one(kv: &KeyValue, compare: &Compare) -> bool {
    fn by<T: Ord>(result: Res, found: &T, wanted: &T) -> bool {
        match result {
            Res::Equal => found == wanted,
            Res::NotEqual => found != wanted,
            Res::Less => found < wanted,
            Res::Greater => found > wanted,
        }
    }
    match &compare.target {
        Target::Version(n) => by(compare.result, &kv.version, n),
        Target::Create(n) => by(compare.result, &kv.create_revision, n),
        Target::Mod(n) => by(compare.result, &kv.mod_revision, n),
        Target::Lease(n) => by(compare.result, &kv.lease, n),
        Target::Value(v) => by(compare.result, &kv.value, v),
    }
}

/// What a range finds in a state: all are counted, then filtered, then sorted, then cut off.
fn range_of(state: &State, r: &RangeRequest) -> RangeResponse {
    let mut kvs: Vec<KeyValue> = state.values().filter(|kv| holds(&r.key, &r.range_end, &kv.key)).cloned().collect();
    let count = i64::try_from(kvs.len()).expect("few keys");
    if r.count_only {
        return RangeResponse { count, ..RangeResponse::default() };
    }
    kvs.retain(|kv| r.min_mod_revision == 0 || kv.mod_revision >= r.min_mod_revision);
    kvs.retain(|kv| r.max_mod_revision == 0 || kv.mod_revision <= r.max_mod_revision);
    kvs.retain(|kv| r.min_create_revision == 0 || kv.create_revision >= r.min_create_revision);
    kvs.retain(|kv| r.max_create_revision == 0 || kv.create_revision <= r.max_create_revision);
    match r.sort_target {
        SortTarget::Key => {}
        SortTarget::Version => kvs.sort_by_key(|kv| kv.version),
        SortTarget::Create => kvs.sort_by_key(|kv| kv.create_revision),
        SortTarget::Mod => kvs.sort_by_key(|kv| kv.mod_revision),
        SortTarget::Value => kvs.sort_by_key(|kv| kv.value.clone()),
    }
    if r.sort_order == SortOrder::Descend {
        kvs.reverse();
    }
    let cut = usize::try_from(r.limit).ok().filter(|limit| *limit > 0 && *limit < kvs.len());
    kvs.truncate(cut.unwrap_or(usize::MAX));
    if r.keys_only {
        kvs.iter_mut().for_each(|kv| kv.value = Bytes::new());
    }
    RangeResponse { kvs, more: cut.is_some(), count }
}
