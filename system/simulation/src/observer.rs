//! Sees what every node applies, and compares.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use autoradio_check::{Change, Revision, Watched};
use autoradio_machine::{Event, EventKind, LogIndex, Machine};
use autoradio_policy::dice::mix;
use autoradio_store::Observer;

use crate::{client::KEYS, findings::Findings, net::UNPOISONED};

/// What all nodes together have applied.
#[derive(Default)]
pub(crate) struct Applied {
    /// All events up to an index, folded into one number.
    chains: BTreeMap<LogIndex, u64>,
    /// What each life of each node was told.
    watched: Vec<Watched>,
    snapshots_taken: usize,
}

/// What all nodes share; clones are one.
#[derive(Clone, Default)]
pub(crate) struct AppliedBook(Arc<Mutex<Applied>>);

impl AppliedBook {
    /// What each life of each node was told as a watcher would be.
    pub(crate) fn watched(&self) -> Vec<Watched> {
        self.0.lock().expect(UNPOISONED).watched.clone()
    }

    /// Times that a node took another's snapshot.
    pub(crate) fn snapshots_taken(&self) -> usize {
        self.0.lock().expect(UNPOISONED).snapshots_taken
    }
}

/// One life of one node as its consensus tells of it.
pub(crate) struct Witness {
    name: String,
    book: AppliedBook,
    findings: Findings,
    at: Mutex<At>,
}

/// How far it is.
#[derive(Clone, Copy, Default)]
struct At {
    /// The folded events.
    chain: u64,
    index: LogIndex,
    /// The place in the book of what it was told since its start, or since it took a snapshot.
    watched: Option<usize>,
}

impl Witness {
    pub(crate) fn new(name: String, book: AppliedBook, findings: Findings) -> Self {
        Self { name, book, findings, at: Mutex::default() }
    }
}

fn fold(chain: u64, event: &Event) -> u64 {
    let kv = &event.kv;
    let numbers = [
        u64::from(event.kind == EventKind::Put),
        kv.create_revision.unsigned_abs(),
        kv.mod_revision.unsigned_abs(),
        kv.version.unsigned_abs(),
        kv.lease.unsigned_abs(),
        event.prev_kv.as_ref().map_or(0, |kv| kv.mod_revision.unsigned_abs()),
    ];
    let chain = numbers.into_iter().fold(chain, |h, n| mix(h ^ n).wrapping_add(n));
    kv.key.iter().chain(&kv.value).fold(chain, |h, b| (h ^ u64::from(*b)).wrapping_mul(0x0100_0000_01b3))
}

/// A change of one of the clients' keys.
fn change(event: &Event) -> Option<Change> {
    let key = std::str::from_utf8(&event.kv.key).ok().filter(|key| key.starts_with(KEYS))?.to_owned();
    let value = (event.kind == EventKind::Put).then(|| crate::client::value(&event.kv.value)).flatten();
    Some(Change { revision: event.kv.mod_revision, key, value })
}

impl Observer for Witness {
    fn applied(&self, machine: &Machine, index: LogIndex, events: &[Event]) {
        let mut at = self.at.lock().expect(UNPOISONED);
        let mut book = self.book.0.lock().expect(UNPOISONED);
        if index <= at.index {
            self.findings.inside(format!("{} applied entry {index} after {}", self.name, at.index));
        }
        let chain = events.iter().fold(at.chain, fold);
        (at.chain, at.index) = (chain, index);
        if *book.chains.entry(index).or_insert(chain) != chain {
            self.findings.inside(format!("{} has other events than others up to entry {index}", self.name));
        }
        let Some(watched) = at.watched.and_then(|place| book.watched.get_mut(place)) else { return };
        watched.changes.extend(events.iter().filter_map(change));
        watched.through = machine.revision();
    }

    fn restored(&self, machine: &Machine, index: LogIndex) {
        let mut at = self.at.lock().expect(UNPOISONED);
        let mut book = self.book.0.lock().expect(UNPOISONED);
        book.snapshots_taken += usize::from(at.watched.is_some());
        let known = if index == 0 { Some(0) } else { book.chains.get(&index).copied() };
        let Some(chain) = known else {
            self.findings.inside(format!("{} has a snapshot of entry {index}, at which nobody was", self.name));
            return;
        };
        let revision: Revision = machine.revision();
        let number = book.watched.len();
        book.watched.push(Watched {
            watcher: format!("{} from revision {revision}", self.name),
            from: revision + 1,
            through: revision,
            changes: Vec::new(),
        });
        *at = At { chain, index, watched: Some(number) };
    }
}
