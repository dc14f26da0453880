//! Time, and all that happens in it.

use std::{collections::BTreeMap, sync::atomic::Ordering};

use autoradio_check::{FinalState, Verdict, equal_finals, linearizable, revisions, watches};
use autoradio_machine::{MountName, NodeId, RangeRequest};
use autoradio_store::Role;

use crate::{
    client::{Crowd, KEYS, value},
    dice::Dice,
    findings::{Findings, Report},
    member::{Admin, Order, Orders},
    nemesis::Nemesis,
    net::{Net, Packet, UNPOISONED},
    node::{Driven, Shared, Slot},
    panics,
    scenario::Scenario,
    server::address,
    trace::Trace,
    wire::Place,
};

/// How finely time goes on.
const TICK_MS: u64 = 4;
/// Places in the network.
const PLACES: usize = 7;
const CLIENTS: u32 = 5;
const ENCODERS: u64 = 2;
/// How long a cluster may take to be made, and to be whole again after the last fault.
const MAKE_LIMIT_MS: u64 = 20_000;
const WHOLE_LIMIT_MS: u64 = 30_000;
/// How long a removed node goes on as if it did not know.
const ZOMBIE_MS: std::ops::RangeInclusive<u64> = 500..=5_000;
/// Placements that the search for an order may make for a key.
const STEPS_MAX: usize = 2_000_000;

/// A run.
pub(crate) struct World {
    pub(crate) now_ms: u64,
    pub(crate) shared: Shared,
    pub(crate) slots: Vec<Slot>,
    /// A membership change is being made.
    pub(crate) changing: bool,
    crowd: Crowd,
    clients: Driven,
    orders: Orders,
    made: bool,
    dice: Dice,
    admins: u64,
}

/// Runs a scenario to its end, or to the first finding.
#[must_use]
pub fn simulate(scenario: &Scenario) -> Report {
    let _kept = panics::Kept::from_now_on();
    World::new(scenario).run(scenario)
}

impl World {
    fn new(scenario: &Scenario) -> Self {
        let net = Net::new(Dice::of(scenario.seed, "net", 0), Trace::new(scenario.events));
        let shared = Shared {
            seed: scenario.seed,
            net: net.clone(),
            disks: crate::server::Disks::default(),
            findings: Findings::new(scenario.planted.histories_only),
            applied: crate::observer::AppliedBook::default(),
            air: crate::air::AirBook::default(),
            planted: scenario.planted,
        };
        Self {
            now_ms: 0,
            shared,
            slots: (0..PLACES).map(Slot::new).collect(),
            changing: false,
            crowd: Crowd::new(net),
            clients: Driven::new(0, &mut Dice::of(scenario.seed, "clients", 0)),
            orders: Orders::default(),
            made: false,
            dice: Dice::of(scenario.seed, "world", 0),
            admins: 0,
        }
    }

    fn run(&mut self, scenario: &Scenario) -> Report {
        let mut nemesis = Nemesis::new(Dice::of(scenario.seed, "nemesis", 0), u64::MAX);
        if self.make() {
            nemesis = Nemesis::new(Dice::of(scenario.seed, "nemesis", 0), self.now_ms + 300);
            let until_ms = self.now_ms + scenario.faults_ms;
            while self.now_ms < until_ms && !self.shared.findings.any() {
                nemesis.act(self);
                self.tick();
            }
            nemesis.heal(self);
            self.become_whole();
            // What was found first says more than what follows, and clients that were cut off have not told all.
            if !self.shared.findings.any() {
                self.check();
            }
        }
        let (events, trace, lines) = self.shared.net.trace();
        let history = self.crowd.history();
        Report {
            seed: scenario.seed,
            findings: self.shared.findings.all(),
            answered: history.iter().filter(|op| op.answered()).count(),
            operations: history.len(),
            faults: nemesis.faults,
            snapshots_taken: self.shared.applied.snapshots_taken(),
            membership_changes: nemesis.membership_changes,
            epochs: self.shared.air.epochs(),
            events,
            trace,
            lines,
        }
    }

    /// Makes a cluster of three or five; clients come when it is made.
    fn make(&mut self) -> bool {
        let count = if self.dice.chance(500) { 3 } else { 5 };
        let voters: Vec<(NodeId, usize)> = (0..count).map(|place| (0x100 + place as NodeId, place)).collect();
        for (id, place) in &voters {
            self.settle(*id, *place);
        }
        let addresses: BTreeMap<_, _> = voters.iter().map(|(id, place)| (*id, address(*place))).collect();
        self.slots[0].bootstrap(addresses, &self.shared.findings);
        let mount = MountName::parse("/live.mp3").expect("a good name");
        let admin = self.admin();
        self.clients.spawn(admin.make(voters, mount.clone()));
        while !self.made && self.now_ms < MAKE_LIMIT_MS && !self.shared.findings.any() {
            self.tick();
        }
        if !self.made {
            self.shared.findings.add(format!("the cluster was not made within {MAKE_LIMIT_MS} ms"));
            return false;
        }
        self.crowd.at_work.store(u64::from(CLIENTS) + ENCODERS, Ordering::Relaxed);
        for number in 0..CLIENTS {
            let dice = Dice::of(self.shared.seed, "client", number.into());
            self.clients.spawn(self.crowd.clone().client(number, dice));
        }
        for number in 0..ENCODERS {
            let dice = Dice::of(self.shared.seed, "encoder", number);
            self.clients.spawn(self.crowd.clone().encoder(mount.clone(), number, dice));
        }
        true
    }

    fn settle(&mut self, id: NodeId, place: usize) {
        self.crowd.directory.lock().expect(UNPOISONED).insert(id, place);
        self.slots[place].settle(id, &self.shared);
        self.start(place);
    }

    fn start(&mut self, place: usize) {
        self.shared.net.note(&("start", place), &[]);
        if let Err(error) = self.slots[place].start(self.now_ms, &self.shared) {
            self.shared.findings.add(format!("node{place} does not start: {error}"));
        }
    }

    fn admin(&mut self) -> Admin {
        self.admins += 1;
        let dice = Dice::of(self.shared.seed, "admin", self.admins);
        Admin { crowd: self.crowd.clone(), orders: self.orders.clone(), dice }
    }

    pub(crate) fn add_member(&mut self, place: usize) {
        self.changing = true;
        let admin = self.admin();
        self.clients.spawn(admin.add(place));
    }

    pub(crate) fn remove_member(&mut self, id: NodeId, place: usize) {
        self.changing = true;
        let admin = self.admin();
        self.clients.spawn(admin.remove(id, place));
    }

    /// Time goes on by one tick, for all.
    fn tick(&mut self) {
        self.now_ms += TICK_MS;
        self.carry_out();
        for slot in 0..self.slots.len() {
            self.due(slot);
        }
        for packet in self.shared.net.arrived(self.now_ms) {
            match packet {
                Packet::Request { to, .. } | Packet::Reply { to: Place::Node(to), .. } => {
                    self.slots[to].deliver(packet, &self.shared.net);
                }
                // Who does not wait any more needs no answer.
                Packet::Reply { reply, answer, .. } => drop(answer.send(*reply)),
                Packet::Lost { .. } => {}
            }
        }
        for slot in self.slots.iter_mut().filter(|slot| !slot.paused()) {
            if let Some(life) = &slot.life {
                life.driven.drive(self.now_ms);
            }
            slot.look(&self.shared.findings);
        }
        self.clients.drive(self.now_ms);
        panics::all().into_iter().for_each(|panic| self.shared.findings.inside(panic));
    }

    /// What the administrator asks for.
    fn carry_out(&mut self) {
        let orders = std::mem::take(&mut *self.orders.lock().expect(UNPOISONED));
        for order in orders {
            self.shared.net.note(&order, &[]);
            match order {
                Order::Made => self.made = true,
                Order::Over => self.changing = false,
                Order::Start { place, id } => self.settle(id, place),
                Order::Stop { place, id } if self.slots[place].id == Some(id) => {
                    let zombie_ms = self.dice.within(ZOMBIE_MS);
                    self.slots[place].stop_ms = Some(self.now_ms + zombie_ms);
                }
                Order::Stop { .. } => {}
            }
        }
    }

    /// Restarts, resumptions and stops that are due.
    fn due(&mut self, place: usize) {
        let (now_ms, slot) = (self.now_ms, &mut self.slots[place]);
        if slot.stop_ms.is_some_and(|at| at <= now_ms) {
            self.shared.net.note(&("stop", place), &[]);
            slot.kill(&self.shared.net);
            if let Some(id) = slot.id {
                self.crowd.directory.lock().expect(UNPOISONED).remove(&id);
            }
            *slot = Slot::new(place);
            return;
        }
        if slot.resume_ms.is_some_and(|at| at <= now_ms) {
            let first_the_clock = self.dice.chance(500);
            self.shared.net.note(&("resume", place, first_the_clock), &[]);
            self.slots[place].resume(now_ms, &self.shared.net, first_the_clock);
        }
        if self.slots[place].restart_ms.is_some_and(|at| at <= now_ms) {
            self.start(place);
        }
    }

    /// Everybody is back, clients finish, and all members come to hold the same.
    fn become_whole(&mut self) {
        self.crowd.stop.store(true, Ordering::Relaxed);
        let until_ms = self.now_ms + WHOLE_LIMIT_MS;
        while !self.is_whole() && !self.shared.findings.any() {
            if self.now_ms >= until_ms {
                let states = self.slots.iter().filter_map(|slot| {
                    let status = slot.life.as_ref()?.server.consensus.status();
                    Some(format!("node{}: {status:?}", slot.place))
                });
                let states: Vec<_> = states.collect();
                self.shared.findings.inside(format!("not whole after {WHOLE_LIMIT_MS} ms: {}", states.join("\n")));
                return;
            }
            self.tick();
        }
    }

    fn is_whole(&self) -> bool {
        let idle = self.crowd.at_work.load(Ordering::Relaxed) == 0;
        if self.shared.planted.histories_only {
            return idle;
        }
        let running = |slot: &Slot| slot.restart_ms.is_none() && slot.resume_ms.is_none() && slot.stop_ms.is_none();
        if !idle || self.changing || !self.slots.iter().all(running) {
            return false;
        }
        let statuses: Vec<_> =
            self.slots.iter().filter_map(|s| Some(s.life.as_ref()?.server.consensus.status())).collect();
        let Some(leader) = statuses.iter().filter(|s| s.role == Role::Leader).max_by_key(|s| s.term) else {
            return false;
        };
        let known = leader.voters.len() + leader.learners.len();
        known == statuses.len() && statuses.iter().all(|s| s.applied_index == leader.last_log_index)
    }

    /// The checkers.
    fn check(&self) {
        let findings = &self.shared.findings;
        let history = self.crowd.history();
        match linearizable(&history, STEPS_MAX) {
            Verdict::Holds { .. } => {}
            Verdict::Violated(violation) => findings.add(violation.to_string()),
            Verdict::Undecided(keys) => findings.add(format!("undecided within {STEPS_MAX} steps: {keys:?}")),
        }
        if let Err(violation) = revisions(&history) {
            findings.add(violation.to_string());
        }
        if self.shared.planted.histories_only {
            return;
        }
        if let Err(violation) = watches(&self.shared.applied.watched(), &history) {
            findings.add(violation.to_string());
        }
        let finals: Vec<_> = self.slots.iter().filter_map(final_state).collect();
        if let Err(violation) = equal_finals(&finals, None) {
            findings.add(violation.to_string());
        }
        let lives = self.slots.iter().filter_map(|slot| slot.life.as_ref());
        let snapshots: Vec<_> = lives.map(|life| life.server.consensus.read(|m| m.to_snapshot())).collect();
        if snapshots.windows(2).any(|pair| pair[0] != pair[1]) && !findings.any() {
            findings.add("machines differ that applied the same entries");
        }
    }
}

fn final_state(slot: &Slot) -> Option<FinalState> {
    let consensus = &slot.life.as_ref()?.server.consensus;
    let all = RangeRequest { key: KEYS.into(), range_end: "key0".into(), ..RangeRequest::default() };
    consensus.read(|machine| {
        let kvs = machine.range(&all).ok()?.kvs;
        let pair = |kv: &autoradio_machine::KeyValue| {
            let key = String::from_utf8_lossy(&kv.key).into_owned();
            Some((key, (value(&kv.value)?, kv.mod_revision)))
        };
        Some(FinalState {
            member: format!("node{}", slot.place),
            revision: machine.revision(),
            hash: machine.hash(0).ok()?,
            keys: kvs.iter().filter_map(pair).collect(),
        })
    })
}
