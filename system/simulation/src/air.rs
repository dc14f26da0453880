//! Source leases and mount logs: who is the origin, and whose frames are taken (ARCHITECTURE §5.2 and 3).
//!
//! The claims are the machine's, who may take over is the policy's, and the logs are media's own; only what carries them
//! about is made anew here, and worse than the fabric: an origin pushes to everybody until it is told to stop.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use autoradio_machine::{Claim, Command, LeaseId, MountName, NodeId, Origin, Response, claim_origin, release_origin};
use autoradio_media::{EpochStart, Frame, FrameKind, LogError, LogLimits, MountLog, Position};
use autoradio_policy::takeover::{Decision, HolderAnswer, decide};
use bytes::Bytes;
use tokio::time::{Instant, sleep, timeout};

use crate::{
    findings::Findings,
    net::UNPOISONED,
    scenario::Planted,
    server::{CLUSTER, Server, place_of},
    wire::{Envelope, Failure, Place, Reply, Request},
};

const PUSH: Duration = Duration::from_millis(60);
/// A source that says nothing for so long is gone.
const SOURCE_GONE: Duration = Duration::from_millis(1_200);
/// How long a holder is asked.
const ASK_LIMIT: Duration = Duration::from_millis(300);
const PUSH_BYTES_MAX: usize = 4 * 1024;
const CONTENT_TYPE: &str = "audio/mpeg";

/// What all nodes together have put on air.
#[derive(Clone, Default)]
pub(crate) struct AirBook(Arc<Mutex<Book>>);

#[derive(Default)]
struct Book {
    origins: BTreeMap<(MountName, u64), NodeId>,
    frames: BTreeMap<(MountName, Position), Bytes>,
}

impl AirBook {
    /// Epochs that had an origin.
    pub(crate) fn epochs(&self) -> usize {
        self.0.lock().expect(UNPOISONED).origins.len()
    }
}

/// One mount on one node.
struct Deck {
    log: MountLog,
    /// The newest epoch that is known here, and the last frame taken.
    known: u64,
    last: Option<Position>,
    source: Option<Source>,
}

/// A source that is connected here.
#[derive(Clone, Copy)]
struct Source {
    /// `None` while the claim is being made.
    epoch: Option<u64>,
    next: u64,
    last_piece: Instant,
}

/// One life of a node's mounts.
pub(crate) struct Air {
    name: String,
    id: NodeId,
    book: AirBook,
    findings: Findings,
    planted: Planted,
    decks: Mutex<BTreeMap<MountName, Deck>>,
    /// How far each other node is, as it last said.
    followers: Mutex<BTreeMap<(MountName, NodeId), Position>>,
    lease: Mutex<Option<LeaseId>>,
}

impl Air {
    pub(crate) fn new(name: String, id: NodeId, book: AirBook, findings: Findings, planted: Planted) -> Self {
        let (decks, followers, lease) = (Mutex::default(), Mutex::default(), Mutex::default());
        Self { name, id, book, findings, planted, decks, followers, lease }
    }

    fn deck<T>(&self, mount: &MountName, f: impl FnOnce(&mut Deck) -> T) -> T {
        let mut decks = self.decks.lock().expect(UNPOISONED);
        let fresh = || Deck { log: MountLog::new(LogLimits::default()), known: 0, last: None, source: None };
        f(decks.entry(mount.clone()).or_insert_with(fresh))
    }

    /// Whether a source is connected here, or about to be.
    pub(crate) fn has_source(&self, mount: &MountName) -> bool {
        self.deck(mount, |deck| deck.source.is_some_and(|source| source.last_piece.elapsed() < SOURCE_GONE))
    }

    /// Takes frames from who takes itself for the origin.
    pub(crate) fn take(&self, mount: &MountName, starts: Vec<EpochStart>, frames: Vec<Frame>) -> Reply {
        let newest = self.deck(mount, |deck| {
            for start in starts {
                if deck.log.begin_epoch(start).is_err() && !self.planted.no_fence {
                    return Err(Failure::Stale);
                }
            }
            for frame in frames {
                match deck.log.append_after_gap(frame.clone()) {
                    Ok(_) => self.taken(mount, deck, &frame),
                    Err(LogError::Duplicate(_)) => {}
                    Err(_) if self.planted.no_fence => self.taken(mount, deck, &frame),
                    Err(_) => return Err(Failure::Stale),
                }
            }
            Ok(deck.log.newest())
        });
        newest.map_or_else(Reply::Failed, |newest| Reply::Frames { newest })
    }

    /// Looks at a frame that was taken: whatever the log thinks, these must hold.
    fn taken(&self, mount: &MountName, deck: &mut Deck, frame: &Frame) {
        let position = frame.position;
        if position.epoch < deck.known {
            let known = deck.known;
            self.findings.inside(format!("{} took {position:?} of {mount} when it knew of epoch {known}", self.name));
        }
        if deck.last.is_some_and(|last| position <= last) {
            self.findings.inside(format!("{} took {position:?} of {mount} after {:?}", self.name, deck.last));
        }
        deck.known = deck.known.max(position.epoch);
        deck.last = Some(position);
        let mut book = self.book.0.lock().expect(UNPOISONED);
        let bytes = book.frames.entry((mount.clone(), position)).or_insert_with(|| frame.data.clone());
        if *bytes != frame.data {
            self.findings.inside(format!("{} has other bytes at {position:?} of {mount} than another", self.name));
        }
    }

    /// The claim was made: the epoch begins after what is here.
    fn begin(&self, mount: &MountName, epoch: u64) -> bool {
        let other = self.book.0.lock().expect(UNPOISONED).origins.insert((mount.clone(), epoch), self.id);
        if let Some(other) = other {
            self.findings.inside(format!("epoch {epoch} of {mount} has two origins: {other:x} and {:x}", self.id));
        }
        self.deck(mount, |deck| {
            let start = EpochStart { epoch, content_type: CONTENT_TYPE.into(), continues: deck.log.newest() };
            let begun = deck.log.begin_epoch(start).is_ok();
            deck.log.fence(epoch);
            deck.known = deck.known.max(epoch);
            if let Some(source) = deck.source.as_mut() {
                source.epoch = Some(epoch);
            }
            begun
        })
    }

    /// Appends a source's piece; false where the epoch is over.
    fn append(&self, mount: &MountName, piece: Bytes) -> bool {
        self.deck(mount, |deck| {
            let Some(source) = deck.source.as_mut() else { return false };
            let Some(epoch) = source.epoch else { return true };
            let position = Position { epoch, seq: source.next };
            source.next += 1;
            let frame = Frame { position, kind: FrameKind::Join, duration_us: 60_000, data: piece };
            let appended = deck.log.append(frame.clone()).is_ok();
            if appended {
                self.taken(mount, deck, &frame);
            }
            appended || self.planted.no_fence
        })
    }

    /// Ends the source; its epoch, if it had one.
    fn end(&self, mount: &MountName) -> Option<u64> {
        self.deck(mount, |deck| deck.source.take()).and_then(|source| source.epoch)
    }
}

/// A piece of a source that is connected to this node.
pub(crate) async fn source(server: &Server, mount: &MountName, piece: Bytes) -> Reply {
    let air = &server.air;
    let known = air.deck(mount, |deck| {
        let known = deck.source.is_some();
        let source = deck.source.get_or_insert(Source { epoch: None, next: 0, last_piece: Instant::now() });
        source.last_piece = Instant::now();
        known
    });
    let on_air = if known { true } else { claim(server, mount).await.is_some_and(|epoch| air.begin(mount, epoch)) };
    if on_air && air.append(mount, piece) {
        return Reply::Source(true);
    }
    give_back(server, mount).await;
    Reply::Failed(Failure::Stale)
}

async fn give_back(server: &Server, mount: &MountName) {
    if let Some(epoch) = server.air.end(mount) {
        // The next source asks, and takes over what could not be given back.
        drop(server.propose(Command::Txn(release_origin(mount, epoch))).await);
    }
}

fn present(server: &Server, mount: &MountName) -> Option<Claim> {
    server.consensus.read(|machine| machine.catalog().origins.get(mount).cloned())
}

async fn claim(server: &Server, mount: &MountName) -> Option<u64> {
    let present = present(server, mount);
    let answer = match &present {
        None => HolderAnswer::NotAsked,
        Some(claim) if claim.origin.node == server.id => {
            HolderAnswer::Answered { has_source: false, source_idle_ms: 0, epoch: claim.epoch }
        }
        Some(claim) => ask(server, claim, mount).await,
    };
    let expected = match decide(present.as_ref(), server.id, None, answer) {
        Decision::Free => 0,
        Decision::TakeOver { expected_mod_revision, .. } => expected_mod_revision,
        Decision::Busy => return None,
    };
    let origin = Origin {
        node: server.id,
        content_type: CONTENT_TYPE.into(),
        source: "encoder".into(),
        user_agent: String::new(),
        ice: BTreeMap::new(),
    };
    let txn = claim_origin(mount, expected, &origin, lease(server).await?);
    match server.propose(Command::Txn(txn)).await {
        Ok(Reply::Proposed { revision, response: Response::Txn { succeeded: true, .. } }) => {
            u64::try_from(revision).ok()
        }
        _ => None,
    }
}

async fn ask(server: &Server, claim: &Claim, mount: &MountName) -> HolderAnswer {
    let holder = claim.origin.node;
    let Some(to) = server.consensus.status().addresses.get(&holder).and_then(|a| place_of(a)) else {
        return HolderAnswer::NoAnswer;
    };
    let envelope = Envelope { cluster: CLUSTER, target: holder, from: server.id };
    let request = Request::HasSource { envelope, mount: mount.clone() };
    match timeout(ASK_LIMIT, server.net.call(Place::Node(server.place), to, request)).await {
        Ok(Ok(Reply::Source(has_source))) => {
            HolderAnswer::Answered { has_source, source_idle_ms: 0, epoch: claim.epoch }
        }
        _ => HolderAnswer::NoAnswer,
    }
}

/// The lease that this life's claims hang on.
async fn lease(server: &Server) -> Option<LeaseId> {
    let known = *server.air.lease.lock().expect(UNPOISONED);
    if known.is_some() {
        return known;
    }
    match server.propose(Command::LeaseGrant { id: 0, ttl_s: 60 }).await {
        Ok(Reply::Proposed { response: Response::Lease { id, .. }, .. }) => {
            *server.air.lease.lock().expect(UNPOISONED) = Some(id);
            Some(id)
        }
        _ => None,
    }
}

/// Sends what this node has on air to all others, and lets go of sources that are gone or were overtaken.
pub(crate) async fn push(server: Arc<Server>) {
    loop {
        sleep(PUSH).await;
        let sources: Vec<_> = {
            let decks = server.air.decks.lock().expect(UNPOISONED);
            decks.iter().filter_map(|(mount, deck)| deck.source.map(|source| (mount.clone(), source))).collect()
        };
        for (mount, source) in sources {
            let Some(epoch) = source.epoch else { continue };
            // Its own claim may not be applied here yet: only a newer one tells.
            let overtaken = present(&server, &mount).is_some_and(|claim| claim.epoch > epoch);
            if source.last_piece.elapsed() > SOURCE_GONE || (overtaken && !server.planted.no_fence) {
                give_back(&server, &mount).await;
                continue;
            }
            for (id, addr) in server.consensus.status().addresses {
                if let Some(to) = place_of(&addr).filter(|_| id != server.id) {
                    tokio::spawn(push_one(server.clone(), mount.clone(), id, to));
                }
            }
        }
    }
}

async fn push_one(server: Arc<Server>, mount: MountName, id: NodeId, to: usize) {
    let air = &server.air;
    let place = (mount.clone(), id);
    let after = air.followers.lock().expect(UNPOISONED).get(&place).copied();
    let found = air.deck(&mount, |deck| {
        let frames = deck.log.after(after, PUSH_BYTES_MAX).or_else(|_| deck.log.after(None, PUSH_BYTES_MAX)).ok()?;
        let mut starts: Vec<_> =
            frames.iter().filter_map(|frame| deck.log.epoch_start(frame.position.epoch).cloned()).collect();
        starts.dedup();
        Some((starts, frames))
    });
    let Some((starts, frames)) = found.filter(|(_, frames)| !frames.is_empty()) else { return };
    let envelope = Envelope { cluster: CLUSTER, target: id, from: server.id };
    let request = Request::Frames { envelope, mount: mount.clone(), starts, frames };
    match timeout(ASK_LIMIT, server.net.call(Place::Node(server.place), to, request)).await {
        Ok(Ok(Reply::Frames { newest: Some(newest) })) => {
            air.followers.lock().expect(UNPOISONED).insert(place, newest);
        }
        // It knows of a newer epoch.
        Ok(Ok(Reply::Failed(Failure::Stale))) if !server.planted.no_fence => drop(air.end(&mount)),
        _ => {}
    }
}
