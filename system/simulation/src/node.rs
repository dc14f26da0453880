//! A node in its place: its disk, which stays, and its life, which ends.

use std::{collections::BTreeMap, path::PathBuf, sync::Arc, time::Duration};

use autoradio_machine::NodeId;
use autoradio_store::{Consensus, Identity, Options, Storage, StoreError};
use tokio::{
    runtime::{Builder, Runtime},
    time::Instant,
};

use crate::{
    air::{Air, AirBook, push},
    dice::Dice,
    disk::SimDisk,
    findings::Findings,
    net::{Net, Packet},
    observer::{AppliedBook, Witness},
    scenario::Planted,
    server::{CLUSTER, Disks, Heard, Server, Wire},
    steward::steward,
    wire::{Failure, Reply},
};

/// What all nodes share.
#[derive(Clone)]
pub(crate) struct Shared {
    pub(crate) seed: u64,
    pub(crate) net: Net,
    pub(crate) disks: Disks,
    pub(crate) findings: Findings,
    pub(crate) applied: AppliedBook,
    pub(crate) air: AirBook,
    pub(crate) planted: Planted,
}

/// A clock and tasks that run only when they are driven.
pub(crate) struct Driven {
    runtime: Runtime,
    born: Instant,
    born_ms: u64,
}

impl Driven {
    pub(crate) fn new(now_ms: u64, dice: &mut Dice) -> Self {
        let mut builder = Builder::new_current_thread();
        seed(builder.enable_time().start_paused(true), dice);
        let runtime = builder.build().expect("a runtime without IO needs nothing of the system");
        let born = runtime.block_on(async { Instant::now() });
        Self { runtime, born, born_ms: now_ms }
    }

    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.runtime.spawn(task);
    }

    /// Runs everything that is due up to a moment, each at its time.
    pub(crate) fn drive(&self, now_ms: u64) {
        let until = self.born + Duration::from_millis(now_ms - self.born_ms);
        self.runtime.block_on(async { tokio::time::sleep_until(until).await });
    }

    /// The clock jumps to a moment: everything that was due meanwhile is late.
    pub(crate) fn jump(&self, now_ms: u64) {
        self.runtime.block_on(async {
            let until = self.born + Duration::from_millis(now_ms - self.born_ms);
            tokio::time::advance(until.saturating_duration_since(Instant::now())).await;
        });
    }
}

/// tokio chooses at random too: a `select!` its branch (openraft has one), a `watch` whom it wakes first. That it follows
/// from a seed must be asked of the compiler.
#[cfg(tokio_unstable)]
fn seed(builder: &mut Builder, dice: &mut Dice) {
    builder.rng_seed(tokio::runtime::RngSeed::from_bytes(&dice.roll().to_le_bytes()));
}

#[cfg(not(tokio_unstable))]
fn seed(_: &mut Builder, _: &mut Dice) {}

/// One life.
pub(crate) struct Life {
    pub(crate) driven: Driven,
    pub(crate) server: Arc<Server>,
}

/// A place in the network, with who lives there.
pub(crate) struct Slot {
    pub(crate) place: usize,
    pub(crate) id: Option<NodeId>,
    disk: Option<SimDisk>,
    pub(crate) life: Option<Life>,
    lives: u64,
    /// The greatest term that it said it had taken part in.
    term: u64,
    /// When it is started again, where it was killed; and goes on, where it is paused.
    pub(crate) restart_ms: Option<u64>,
    pub(crate) resume_ms: Option<u64>,
    /// When it is stopped for good, since it was removed.
    pub(crate) stop_ms: Option<u64>,
    /// What came while it was paused.
    held: Vec<Packet>,
}

impl Slot {
    pub(crate) fn new(place: usize) -> Self {
        Self {
            place,
            id: None,
            disk: None,
            life: None,
            lives: 0,
            term: 0,
            restart_ms: None,
            resume_ms: None,
            stop_ms: None,
            held: Vec::new(),
        }
    }

    pub(crate) fn paused(&self) -> bool {
        self.resume_ms.is_some()
    }

    /// A new node moves in, with an empty disk.
    pub(crate) fn settle(&mut self, id: NodeId, shared: &Shared) {
        let disk = SimDisk::new(Dice::of(shared.seed, "disk", id), shared.planted);
        shared.disks.lock().expect(crate::net::UNPOISONED).insert(id, disk.clone());
        (self.id, self.disk) = (Some(id), Some(disk));
        (self.restart_ms, self.resume_ms, self.stop_ms) = (None, None, None);
    }

    /// Starts the node on its disk.
    pub(crate) fn start(&mut self, now_ms: u64, shared: &Shared) -> Result<(), StoreError> {
        let (Some(id), Some(disk)) = (self.id, self.disk.clone()) else { return Ok(()) };
        self.lives += 1;
        self.restart_ms = None;
        let mut dice = Dice::of(shared.seed, "life", id ^ (self.lives << 32));
        // openraft draws election times from a generator of its own: a range of one leaves it no choice.
        let election = dice.within(600..=1_000);
        let entries = dice.within(40..=200);
        let options = Options {
            election: (Duration::from_millis(election), Duration::from_millis(election + 1)),
            snapshot_every_entries: entries,
            keep_entries: entries / 4,
            ..Options::new(PathBuf::from("simulated"))
        };
        let (name, heard) = (format!("node{} ({id:x})", self.place), Heard::default());
        let net = shared.net.clone();
        let wire = Arc::new(Wire { id, place: self.place, net: net.clone(), heard: heard.clone() });
        let witness = Arc::new(Witness::new(name.clone(), shared.applied.clone(), shared.findings.clone()));
        let driven = Driven::new(now_ms, &mut dice);
        driven.spawn(disk.clone().serve());
        let storage = Storage { disk: Arc::new(disk.clone()), files: Arc::new(disk) };
        let identity = Identity { cluster_id: CLUSTER, node_id: id };
        let consensus =
            driven.runtime.block_on(async { Consensus::start(options, identity, storage, wire, witness).await })?;
        let air = Air::new(name, id, shared.air.clone(), shared.findings.clone(), shared.planted);
        let server = Arc::new(Server {
            id,
            place: self.place,
            consensus,
            net,
            heard,
            disks: shared.disks.clone(),
            findings: shared.findings.clone(),
            planted: shared.planted,
            air,
            gate: tokio::sync::Mutex::default(),
        });
        driven.spawn(steward(server.clone()));
        driven.spawn(push(server.clone()));
        self.life = Some(Life { driven, server });
        Ok(())
    }

    /// Looks at the node: a term that it took part in is never forgotten, whatever happens to it, since with the term
    /// goes the vote in it; and its consensus must not stop.
    pub(crate) fn look(&mut self, findings: &Findings) {
        let Some(life) = &self.life else { return };
        let status = life.server.consensus.status();
        // None is told of before the consensus has read its vote.
        let told = status.term > 0;
        if told && status.term < self.term {
            findings.inside(format!("node{} forgot its vote: term {} after {}", self.place, status.term, self.term));
        }
        self.term = self.term.max(status.term);
        if let Some(fatal) = status.fatal {
            findings.inside(format!("the consensus of node{} stopped: {fatal}", self.place));
        }
    }

    /// Makes a new cluster of these voters.
    pub(crate) fn bootstrap(&self, voters: BTreeMap<NodeId, String>, findings: &Findings) {
        let Some(life) = &self.life else { return };
        if let Err(error) = life.driven.runtime.block_on(life.server.consensus.bootstrap(voters)) {
            findings.inside(format!("the cluster could not be made: {error}"));
        }
    }

    /// Kills the node: what its disk had not synced is lost.
    pub(crate) fn kill(&mut self, net: &Net) {
        self.life = None;
        net.reset(self.place);
        self.held.clear();
        self.resume_ms = None;
        if let Some(disk) = &self.disk {
            disk.crash();
        }
    }

    /// Hands over what has arrived for the node.
    pub(crate) fn deliver(&mut self, packet: Packet, net: &Net) {
        let Some(life) = self.life.as_ref() else {
            if let Packet::Request { from, answer, .. } = packet {
                let number = net.taken_in(self.place, from, answer);
                net.answer(self.place, number, Reply::Failed(Failure::Unreachable));
            }
            return;
        };
        if self.resume_ms.is_some() {
            self.held.push(packet);
            return;
        }
        match packet {
            Packet::Request { from, request, answer, .. } => {
                let (server, net, place) = (life.server.clone(), net.clone(), self.place);
                let number = net.taken_in(place, from, answer);
                life.driven.spawn(async move {
                    let reply = server.handle(*request).await;
                    net.answer(place, number, reply);
                });
            }
            // Who does not wait any more needs no answer.
            Packet::Reply { reply, answer, .. } => drop(answer.send(*reply)),
            Packet::Lost { .. } => {}
        }
    }

    /// The node goes on after a pause: its clock has jumped, and what came meanwhile is there.
    pub(crate) fn resume(&mut self, now_ms: u64, net: &Net, first_the_clock: bool) {
        self.resume_ms = None;
        let held = std::mem::take(&mut self.held);
        if let (true, Some(life)) = (first_the_clock, &self.life) {
            life.driven.jump(now_ms);
        }
        held.into_iter().for_each(|packet| self.deliver(packet, net));
        if let (false, Some(life)) = (first_the_clock, &self.life) {
            life.driven.jump(now_ms);
        }
    }
}
