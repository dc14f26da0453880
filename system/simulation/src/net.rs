//! The network: loses, delays and reorders messages, and is cut.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Debug,
    sync::{Arc, Mutex},
};

use tokio::sync::oneshot;

use crate::{
    dice::Dice,
    trace::Trace,
    wire::{Failure, Place, Reply, Request},
};

pub(crate) const UNPOISONED: &str = "a run is one thread, and a panic in it is found";

/// What most messages take, and how often in a thousand times and how much longer a late one: it is overtaken.
const DELAY_MS: std::ops::RangeInclusive<u64> = 1..=10;
const LATE_PER_MILLE: u64 = 20;
const LATE_MS: std::ops::RangeInclusive<u64> = 30..=400;
/// How long a message that was lost is remembered: longer than anybody waits for its answer.
const FORGOTTEN_MS: u64 = 20_000;

/// Where an answer goes.
pub(crate) type Answer = oneshot::Sender<Reply>;

/// A message that has arrived.
pub(crate) enum Packet {
    Request {
        from: Place,
        to: usize,
        request: Box<Request>,
        answer: Answer,
    },
    Reply {
        from: Place,
        to: Place,
        reply: Box<Reply>,
        answer: Answer,
    },
    /// Lost on its way: who waits for an answer waits until it gives up, and must not see that it was let go.
    Lost {
        _answer: Answer,
    },
}

struct Inner {
    now_ms: u64,
    sequence: u64,
    on_the_way: BTreeMap<(u64, u64), Packet>,
    /// What a node has taken in and not answered yet: by its place, and a number.
    taken_in: BTreeMap<(usize, u64), (Place, Answer)>,
    /// Who does not reach whom.
    cut: BTreeSet<(Place, Place)>,
    loss_per_mille: u64,
    /// Whether what is cut is refused, instead of waiting in vain.
    refuses: bool,
    dice: Dice,
    trace: Trace,
}

/// The network; clones are one.
#[derive(Clone)]
pub(crate) struct Net(Arc<Mutex<Inner>>);

impl Net {
    pub(crate) fn new(dice: Dice, trace: Trace) -> Self {
        Self(Arc::new(Mutex::new(Inner {
            now_ms: 0,
            sequence: 0,
            on_the_way: BTreeMap::new(),
            taken_in: BTreeMap::new(),
            cut: BTreeSet::new(),
            loss_per_mille: 0,
            refuses: false,
            dice,
            trace,
        })))
    }

    fn with<T>(&self, f: impl FnOnce(&mut Inner) -> T) -> T {
        f(&mut self.0.lock().expect(UNPOISONED))
    }

    /// Sends a request; the answer comes by the receiver, or never.
    pub(crate) fn call(&self, from: Place, to: usize, request: Request) -> oneshot::Receiver<Reply> {
        let (answer, receiver) = oneshot::channel();
        self.with(|inner| {
            let refused = inner.refuses && inner.cut.contains(&(from, Place::Node(to)));
            let packet = if refused {
                let reply = Box::new(Reply::Failed(Failure::Unreachable));
                Packet::Reply { from, to: from, reply, answer }
            } else {
                Packet::Request { from, to, request: Box::new(request), answer }
            };
            inner.send(packet);
        });
        receiver
    }

    /// A node has taken a request in; the number by which it answers.
    pub(crate) fn taken_in(&self, at: usize, from: Place, answer: Answer) -> u64 {
        self.with(|inner| {
            inner.sequence += 1;
            inner.taken_in.insert((at, inner.sequence), (from, answer));
            inner.sequence
        })
    }

    /// Sends an answer back to what was taken in.
    pub(crate) fn answer(&self, at: usize, number: u64, reply: Reply) {
        self.with(|inner| {
            if let Some((to, answer)) = inner.taken_in.remove(&(at, number)) {
                inner.send(Packet::Reply { from: Place::Node(at), to, reply: Box::new(reply), answer });
            }
        });
    }

    /// The node is dead: who waits for its answers sees the connections break, one after the other. (Left to the
    /// runtime that ends, the order would be tokio's secret.)
    pub(crate) fn reset(&self, at: usize) {
        self.with(|inner| inner.taken_in.retain(|(place, _), _| *place != at));
    }

    /// Time goes on; what has arrived.
    pub(crate) fn arrived(&self, now_ms: u64) -> Vec<Packet> {
        self.with(|inner| {
            inner.now_ms = now_ms;
            let later = inner.on_the_way.split_off(&(now_ms + 1, 0));
            let due = std::mem::replace(&mut inner.on_the_way, later);
            due.into_values().filter_map(|packet| inner.arrive(packet)).collect()
        })
    }

    pub(crate) fn set_loss(&self, per_mille: u64) {
        self.with(|inner| inner.loss_per_mille = per_mille);
    }

    /// Cuts these ways, one by one direction; what was cut before is whole again.
    pub(crate) fn cut(&self, ways: BTreeSet<(Place, Place)>, refuses: bool) {
        self.with(|inner| (inner.cut, inner.refuses) = (ways, refuses));
    }

    pub(crate) fn now_ms(&self) -> u64 {
        self.with(|inner| inner.now_ms)
    }

    /// Takes an event into the trace.
    pub(crate) fn note(&self, what: &impl Debug, bytes: &[u8]) {
        self.with(|inner| inner.trace.note(inner.now_ms, what, bytes));
    }

    /// How many events there were, their hash, and those that were kept.
    pub(crate) fn trace(&self) -> (u64, u64, Vec<String>) {
        self.with(|inner| (inner.trace.events(), inner.trace.hash(), inner.trace.lines()))
    }
}

impl Inner {
    fn send(&mut self, packet: Packet) {
        let late = self.dice.chance(LATE_PER_MILLE);
        let mut delay_ms = self.dice.within(if late { LATE_MS } else { DELAY_MS });
        let lost = self.dice.chance(self.loss_per_mille);
        let packet = match packet {
            Packet::Request { answer, .. } | Packet::Reply { answer, .. } if lost => {
                delay_ms = FORGOTTEN_MS;
                Packet::Lost { _answer: answer }
            }
            packet => packet,
        };
        self.sequence += 1;
        self.on_the_way.insert((self.now_ms + delay_ms, self.sequence), packet);
    }

    /// A way that was cut meanwhile lets nothing through.
    fn arrive(&mut self, packet: Packet) -> Option<Packet> {
        let (from, to) = match &packet {
            Packet::Request { from, to, .. } => (*from, Place::Node(*to)),
            Packet::Reply { from, to, .. } => (*from, *to),
            Packet::Lost { .. } => return None,
        };
        if self.cut.contains(&(from, to)) {
            if let Packet::Request { answer, .. } | Packet::Reply { answer, .. } = packet {
                self.sequence += 1;
                self.on_the_way.insert((self.now_ms + FORGOTTEN_MS, self.sequence), Packet::Lost { _answer: answer });
            }
            return None;
        }
        self.note(&packet);
        Some(packet)
    }

    fn note(&mut self, packet: &Packet) {
        match packet {
            Packet::Request { from, to, request, .. } => match request.as_ref() {
                Request::Raft { envelope, kind, payload } => {
                    self.trace.note(self.now_ms, &(from, to, envelope, kind, payload.len()), payload);
                }
                other => self.trace.note(self.now_ms, &(from, to, other), &[]),
            },
            Packet::Reply { from, to, reply, .. } => match reply.as_ref() {
                Reply::Raft(payload) => self.trace.note(self.now_ms, &(from, to, payload.len()), payload),
                other => self.trace.note(self.now_ms, &(from, to, other), &[]),
            },
            Packet::Lost { .. } => {}
        }
    }
}
