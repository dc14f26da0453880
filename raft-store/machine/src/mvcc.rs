//! etcd's multi-version store: every key's versions, and what changed at each revision.
//!
//! Writes go in under the next revision and count only when [`Mvcc::commit`] is called; [`Mvcc::rollback`] takes them
//! back. Between the two, reads at the newest revision see them, as operations of one transaction see each other's.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::{
    Event, EventKind, KeyValue, LeaseId, RangeRequest, RangeResponse, Refusal, Revision,
    quota::VERSION_BYTES,
    range::{sort, within},
    span::{Span, borrowed},
};

/// The revision of an empty store, as in etcd.
const FIRST_REVISION: Revision = 1;

/// One version of a key; without a value it is a tombstone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Version {
    pub(crate) mod_revision: Revision,
    /// Place among the changes of one revision.
    pub(crate) sub: u32,
    pub(crate) create_revision: Revision,
    pub(crate) version: i64,
    pub(crate) lease: LeaseId,
    pub(crate) value: Option<Bytes>,
}

/// All keys with all versions that are not compacted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mvcc {
    keys: BTreeMap<Bytes, Vec<Version>>,
    /// Keys changed at each revision from the compacted one on, in order.
    changes: BTreeMap<Revision, Vec<Bytes>>,
    current: Revision,
    /// -1 until the first compaction, so that `Compact(0)` works once, as in etcd.
    compacted: Revision,
    /// What all versions count, pending ones included, and what the newest pairs do.
    bytes: u64,
    live_bytes: u64,
    pending: Vec<Bytes>,
    /// Where each key is in `pending`: a delete of all keys must not take the square of their number.
    places: BTreeMap<Bytes, u32>,
}

impl Default for Mvcc {
    fn default() -> Self {
        Self {
            keys: BTreeMap::new(),
            changes: BTreeMap::new(),
            current: FIRST_REVISION,
            compacted: -1,
            bytes: 0,
            live_bytes: 0,
            pending: Vec::new(),
            places: BTreeMap::new(),
        }
    }
}

fn pair(key: &Bytes, version: &Version, value: &Bytes) -> KeyValue {
    KeyValue {
        key: key.clone(),
        value: value.clone(),
        create_revision: version.create_revision,
        mod_revision: version.mod_revision,
        version: version.version,
        lease: version.lease,
    }
}

/// The pair as it was at `revision`.
fn at(key: &Bytes, versions: &[Version], revision: Revision) -> Option<KeyValue> {
    let newer = versions.partition_point(|v| v.mod_revision <= revision);
    let version = versions.get(newer.checked_sub(1)?)?;
    version.value.as_ref().map(|value| pair(key, version, value))
}

impl Mvcc {
    pub(crate) fn from_parts(keys: BTreeMap<Bytes, Vec<Version>>, current: Revision, compacted: Revision) -> Self {
        let mut ordered: BTreeMap<Revision, Vec<(u32, Bytes)>> = BTreeMap::new();
        for (key, versions) in &keys {
            for version in versions.iter().filter(|v| v.mod_revision >= compacted) {
                ordered.entry(version.mod_revision).or_default().push((version.sub, key.clone()));
            }
        }
        let changes = ordered.into_iter().map(|(revision, mut list)| {
            list.sort();
            (revision, list.into_iter().map(|(_, key)| key).collect())
        });
        let bytes = keys.iter().flat_map(|(key, versions)| versions.iter().map(|v| weight(key, v))).sum();
        let live_bytes = keys.iter().map(|(key, versions)| live_weight(key, versions)).sum();
        let changes = changes.collect();
        Self { changes, keys, current, compacted, bytes, live_bytes, pending: Vec::new(), places: BTreeMap::new() }
    }

    pub(crate) fn keys(&self) -> &BTreeMap<Bytes, Vec<Version>> {
        &self.keys
    }

    pub(crate) fn current(&self) -> Revision {
        self.current
    }

    pub(crate) fn compacted(&self) -> Revision {
        self.compacted
    }

    /// What all versions count for the quota.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// What the newest pairs count.
    pub(crate) fn live_bytes(&self) -> u64 {
        self.live_bytes
    }

    /// The newest version of a key, pending ones included.
    pub(crate) fn get(&self, key: &[u8]) -> Option<KeyValue> {
        let (key, versions) = self.keys.get_key_value(key)?;
        at(key, versions, Revision::MAX)
    }

    /// The newest pairs of a range, pending ones included, by key.
    pub(crate) fn newest<'a>(&'a self, span: Span<'_>) -> impl Iterator<Item = KeyValue> + 'a {
        self.keys.range::<[u8], _>(borrowed(&span.bounds())).filter_map(|(k, v)| at(k, v, Revision::MAX))
    }

    /// Refuses revisions that cannot be read.
    pub(crate) fn check_revision(&self, revision: Revision) -> Result<(), Refusal> {
        if revision > self.current {
            return Err(Refusal::FutureRevision);
        }
        if revision > 0 && revision < self.compacted {
            return Err(Refusal::Compacted { compact_revision: self.compacted });
        }
        Ok(())
    }

    pub(crate) fn range(&self, request: &RangeRequest) -> Result<RangeResponse, Refusal> {
        if request.key.is_empty() {
            return Err(Refusal::EmptyKey);
        }
        self.check_revision(request.revision)?;
        let revision = if request.revision > 0 { request.revision } else { Revision::MAX };
        let span = Span { start: &request.key, end: &request.range_end };
        let all = self.keys.range::<[u8], _>(borrowed(&span.bounds())).filter_map(|(k, v)| at(k, v, revision));
        if request.count_only {
            return Ok(RangeResponse { count: all.count() as i64, ..RangeResponse::default() });
        }
        let mut kvs: Vec<_> = all.collect();
        let count = kvs.len() as i64;
        kvs.retain(|kv| within(kv, request));
        sort(&mut kvs, request);
        let limit = usize::try_from(request.limit).unwrap_or(0);
        let more = limit > 0 && kvs.len() > limit;
        if more {
            kvs.truncate(limit);
        }
        if request.keys_only {
            kvs.iter_mut().for_each(|kv| kv.value = Bytes::new());
        }
        Ok(RangeResponse { kvs, more, count })
    }

    /// Puts one key under the pending revision.
    pub(crate) fn put(&mut self, key: &Bytes, value: Bytes, lease: LeaseId) {
        let (revision, sub) = (self.current + 1, self.note(key));
        let last = self.keys.get(key).and_then(|versions| versions.last());
        let first = last.and_then(|v| v.value.as_ref().map(|_| (v.create_revision, v.version)));
        let (create_revision, version) = first.map_or((revision, 1), |(create, version)| (create, version + 1));
        let version = Version { mod_revision: revision, sub, create_revision, version, lease, value: Some(value) };
        self.write(key, version);
    }

    /// Adds a version, and counts it.
    fn write(&mut self, key: &Bytes, version: Version) {
        let versions = self.keys.entry(key.clone()).or_default();
        self.live_bytes -= live_weight(key, versions);
        self.bytes += weight(key, &version);
        self.bytes -= write(versions, version).map_or(0, |replaced| weight(key, &replaced));
        self.live_bytes += live_weight(key, versions);
    }

    /// Deletes the keys of a range under the pending revision; returns the pairs before.
    pub(crate) fn delete(&mut self, span: Span<'_>) -> Vec<KeyValue> {
        let gone: Vec<_> = self.newest(span).collect();
        for kv in &gone {
            let (mod_revision, sub) = (self.current + 1, self.note(&kv.key));
            let tombstone = Version { mod_revision, sub, create_revision: 0, version: 0, lease: 0, value: None };
            self.write(&kv.key, tombstone);
        }
        gone
    }

    /// The place of a key among the pending changes.
    fn note(&mut self, key: &Bytes) -> u32 {
        if let Some(place) = self.places.get(key) {
            return *place;
        }
        let place = u32::try_from(self.pending.len()).expect("memory ends before four thousand million keys do");
        self.pending.push(key.clone());
        self.places.insert(key.clone(), place);
        place
    }

    /// Makes the pending changes the next revision, if there are any, and says what they were.
    pub(crate) fn commit(&mut self) -> Vec<Event> {
        if self.pending.is_empty() {
            return Vec::new();
        }
        self.current += 1;
        self.places.clear();
        let keys = std::mem::take(&mut self.pending);
        let events = keys.iter().filter_map(|key| self.event(key, self.current, true)).collect();
        self.changes.insert(self.current, keys);
        events
    }

    /// Takes the pending changes back.
    pub(crate) fn rollback(&mut self) {
        let pending = self.current + 1;
        self.places.clear();
        for key in std::mem::take(&mut self.pending) {
            if let Some(versions) = self.keys.get_mut(&key) {
                self.live_bytes -= live_weight(&key, versions);
                let gone = versions.iter().filter(|v| v.mod_revision == pending);
                self.bytes -= gone.map(|v| weight(&key, v)).sum::<u64>();
                versions.retain(|v| v.mod_revision != pending);
                self.live_bytes += live_weight(&key, versions);
                if versions.is_empty() {
                    self.keys.remove(&key);
                }
            }
        }
    }

    /// The event of a key at a revision.
    fn event(&self, key: &Bytes, revision: Revision, with_prev: bool) -> Option<Event> {
        let versions = self.keys.get(key)?;
        let place = versions.binary_search_by_key(&revision, |v| v.mod_revision).ok()?;
        let version = &versions[place];
        let prev_kv = if with_prev { at(key, &versions[..place], revision) } else { None };
        let (kind, kv) = match &version.value {
            Some(value) => (EventKind::Put, pair(key, version, value)),
            None => (EventKind::Delete, KeyValue { key: key.clone(), mod_revision: revision, ..KeyValue::default() }),
        };
        Some(Event { kind, kv, prev_kv })
    }

    /// The events of revisions `from..=through`, at most `limit` revisions' worth (0: all).
    pub(crate) fn history(
        &self,
        span: Span<'_>,
        from: Revision,
        through: Revision,
        limit: usize,
    ) -> Result<Vec<Event>, Refusal> {
        if from < self.compacted {
            return Err(Refusal::Compacted { compact_revision: self.compacted });
        }
        let mut events = Vec::new();
        let mut revisions = 0;
        // The map panics on a range that ends before it begins.
        for (revision, keys) in self.changes.range(from..=through.max(from)).take_while(|(r, _)| **r <= through) {
            // At the compacted revision itself, what was before is gone.
            let with_prev = *revision > self.compacted;
            let before = events.len();
            let touched = keys.iter().filter(|key| span.contains(key));
            events.extend(touched.filter_map(|key| self.event(key, *revision, with_prev)));
            revisions += usize::from(events.len() > before);
            if limit > 0 && revisions == limit {
                break;
            }
        }
        Ok(events)
    }

    /// Sets the revision ahead: the next change comes so much later.
    pub(crate) fn skip(&mut self, revisions: Revision) {
        self.current = self.current.saturating_add(revisions);
    }

    pub(crate) fn compact(&mut self, revision: Revision) -> Result<(), Refusal> {
        if revision <= self.compacted {
            return Err(Refusal::Compacted { compact_revision: self.compacted });
        }
        if revision > self.current {
            return Err(Refusal::FutureRevision);
        }
        self.compacted = revision;
        self.changes = self.changes.split_off(&revision);
        let mut gone = 0;
        self.keys.retain(|key, versions| {
            let newer = versions.partition_point(|v| v.mod_revision <= revision);
            // The newest version at the revision stays readable; a tombstone stays only where it is the revision's
            // own event, which watchers may still ask for.
            let keep = newer.checked_sub(1).filter(|last| {
                let version = &versions[*last];
                version.value.is_some() || version.mod_revision == revision
            });
            gone += versions.drain(..keep.unwrap_or(newer)).map(|v| weight(key, &v)).sum::<u64>();
            !versions.is_empty()
        });
        // The newest pairs stay, whatever is compacted.
        self.bytes -= gone;
        Ok(())
    }

    /// Checksum over every version up to `revision`.
    pub(crate) fn hash(&self, revision: Revision) -> Result<u32, Refusal> {
        self.check_revision(revision)?;
        let revision = if revision > 0 { revision } else { self.current };
        let mut hash = 0;
        for (key, versions) in &self.keys {
            for v in versions.iter().filter(|v| v.mod_revision <= revision) {
                hash = crc32c::crc32c_append(hash, key);
                for number in [v.mod_revision, v.create_revision, v.version, v.lease, i64::from(v.value.is_some())] {
                    hash = crc32c::crc32c_append(hash, &number.to_be_bytes());
                }
                hash = crc32c::crc32c_append(hash, v.value.as_deref().unwrap_or_default());
            }
        }
        Ok(hash)
    }
}

/// What a version counts for the quota.
fn weight(key: &Bytes, version: &Version) -> u64 {
    VERSION_BYTES + (key.len() + version.value.as_ref().map_or(0, Bytes::len)) as u64
}

/// What the newest version counts, if there is a value.
fn live_weight(key: &Bytes, versions: &[Version]) -> u64 {
    versions.last().filter(|version| version.value.is_some()).map_or(0, |version| weight(key, version))
}

/// Adds a version, or replaces the one that the same revision wrote before, which it gives back.
fn write(versions: &mut Vec<Version>, mut version: Version) -> Option<Version> {
    let mut replaced = None;
    if let Some(last) = versions.last()
        && last.mod_revision == version.mod_revision
    {
        let last = versions.pop().expect("there is a last one");
        // One transaction is one change: a second put of it does not count as another version.
        if let (Some(_), Some(_)) = (&last.value, &version.value) {
            version.version = last.version;
            version.create_revision = last.create_revision;
        }
        replaced = Some(last);
    }
    versions.push(version);
    replaced
}
