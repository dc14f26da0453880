//! Clients that read and write, and remember what they were told; and encoders.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use autoradio_check::{Action, Op, Outcome, Value};
use autoradio_machine::{
    Command, Compare, CompareResult, CompareTarget, DeleteRequest, MountName, NodeId, Op as TxnOp, PutRequest,
    RangeRequest, Response, TxnRequest,
};
use bytes::Bytes;
use tokio::time::{sleep, timeout};

use crate::{
    dice::Dice,
    net::{Net, UNPOISONED},
    wire::{Failure, Place, Reply, Request},
};

/// How the clients' keys begin.
pub(crate) const KEYS: &str = "key/";
/// Keys at a time, and how long: short histories are checked soon.
const KEYS_AT_ONCE: u64 = 3;
const KEYS_FOR_MS: u64 = 2_500;
/// When a client gives up.
const GIVE_UP: Duration = Duration::from_millis(1_500);
const THINK_MS: std::ops::RangeInclusive<u64> = 0..=12;
/// An encoder's pace, and how long it waits for a node that does not take its pieces.
const PIECE_MS: u64 = 80;
/// How often in a thousand pieces it goes elsewhere for no reason.
const ENCODER_LEAVES_PER_MILLE: u64 = 20;
const ENCODER_GIVES_UP: Duration = Duration::from_millis(600);

/// A key's value as clients write it.
pub(crate) fn value(bytes: &[u8]) -> Option<Value> {
    std::str::from_utf8(bytes).ok()?.parse().ok()
}

/// What all clients share; clones are one.
#[derive(Clone)]
pub(crate) struct Crowd {
    pub(crate) net: Net,
    /// Who lives where.
    pub(crate) directory: Arc<Mutex<BTreeMap<NodeId, usize>>>,
    pub(crate) stop: Arc<AtomicBool>,
    /// Those who are still at it.
    pub(crate) at_work: Arc<AtomicU64>,
    history: Arc<Mutex<Vec<Op>>>,
    next_value: Arc<AtomicU64>,
}

/// Whose turn to ask it is: who led last, as far as one knows.
pub(crate) struct Guess {
    pub(crate) place: usize,
}

impl Crowd {
    pub(crate) fn new(net: Net) -> Self {
        Self {
            net,
            directory: Arc::default(),
            stop: Arc::default(),
            at_work: Arc::default(),
            history: Arc::default(),
            next_value: Arc::new(AtomicU64::new(1)),
        }
    }

    pub(crate) fn history(&self) -> Vec<Op> {
        self.history.lock().expect(UNPOISONED).clone()
    }

    pub(crate) fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// Asks a node, and waits no longer than a client does.
    pub(crate) async fn ask(&self, place: usize, request: Request) -> Result<Reply, Failure> {
        match timeout(GIVE_UP, self.net.call(Place::Clients, place, request)).await {
            Ok(Ok(Reply::Failed(failure))) => Err(failure),
            Ok(Ok(reply)) => Ok(reply),
            Ok(Err(_)) | Err(_) => Err(Failure::Unknown),
        }
    }

    /// Who to ask next after a failure.
    pub(crate) fn guess_again(&self, guess: &mut Guess, failure: &Failure, dice: &mut Dice) {
        let told = match failure {
            Failure::NotLeader(Some(leader)) => self.directory.lock().expect(UNPOISONED).get(leader).copied(),
            _ => None,
        };
        guess.place = told.unwrap_or_else(|| self.anybody(dice));
    }

    /// A place where somebody lives.
    pub(crate) fn anybody(&self, dice: &mut Dice) -> usize {
        let places: Vec<usize> = self.directory.lock().expect(UNPOISONED).values().copied().collect();
        dice.pick(&places).unwrap_or(0)
    }

    /// One client, until all are stopped.
    pub(crate) async fn client(self, number: u32, mut dice: Dice) {
        let mut guess = Guess { place: self.anybody(&mut dice) };
        let mut last_seen: BTreeMap<String, Value> = BTreeMap::new();
        while !self.stopped() {
            sleep(Duration::from_millis(dice.within(THINK_MS))).await;
            let now_ms = self.net.now_ms();
            let key = format!("{KEYS}{}-{}", now_ms / KEYS_FOR_MS, dice.below(KEYS_AT_ONCE));
            let action = self.choose(&key, &last_seen, &mut dice);
            let reads_anywhere = action == Action::Read && dice.chance(600);
            let place = if reads_anywhere { self.anybody(&mut dice) } else { guess.place };
            let answer = self.ask(place, request(&key, action)).await;
            if let Err(failure) = &answer {
                self.guess_again(&mut guess, failure, &mut dice);
            }
            let op = told(number, key, action, (now_ms, self.net.now_ms()), answer);
            self.net.note(&op.to_string(), &[]);
            if let Some(value) = op.saw().flatten().or(op.writes().flatten().filter(|_| op.outcome == Outcome::Done)) {
                last_seen.insert(op.key.clone(), value);
            }
            self.history.lock().expect(UNPOISONED).push(op);
        }
        self.at_work.fetch_sub(1, Ordering::Relaxed);
    }

    fn choose(&self, key: &str, last_seen: &BTreeMap<String, Value>, dice: &mut Dice) -> Action {
        let fresh = || self.next_value.fetch_add(1, Ordering::Relaxed);
        match dice.below(100) {
            0..45 => Action::Read,
            45..70 => Action::Write(Some(fresh())),
            70..75 => Action::Write(None),
            _ => Action::Swap { from: last_seen.get(key).copied(), to: fresh() },
        }
    }

    /// A source that sends pieces to a node, and goes to another when they are not taken.
    pub(crate) async fn encoder(self, mount: MountName, number: u64, mut dice: Dice) {
        let mut guess = Guess { place: self.anybody(&mut dice) };
        let mut piece = 0u64;
        while !self.stopped() {
            sleep(Duration::from_millis(PIECE_MS)).await;
            piece += 1;
            let data = Bytes::from(format!("{number}-{piece}"));
            let request = Request::Source { mount: mount.clone(), piece: data };
            let answer = timeout(ENCODER_GIVES_UP, self.net.call(Place::Clients, guess.place, request)).await;
            if !matches!(answer, Ok(Ok(Reply::Source(true)))) || dice.chance(ENCODER_LEAVES_PER_MILLE) {
                guess.place = self.anybody(&mut dice);
                sleep(Duration::from_millis(dice.within(100..=500))).await;
            }
        }
        self.at_work.fetch_sub(1, Ordering::Relaxed);
    }
}

fn request(key: &str, action: Action) -> Request {
    let bytes = || Bytes::from(key.to_owned());
    let put = |value: Value| PutRequest { key: bytes(), value: value.to_string().into(), ..PutRequest::default() };
    let command = match action {
        Action::Read => return Request::Read { key: key.to_owned() },
        Action::Write(Some(value)) => Command::Put(put(value)),
        Action::Write(None) => Command::Delete(DeleteRequest { key: bytes(), ..DeleteRequest::default() }),
        Action::Swap { from, to } => {
            let target = match from {
                Some(from) => CompareTarget::Value(from.to_string().into()),
                None => CompareTarget::Create(0),
            };
            let range = RangeRequest { key: bytes(), ..RangeRequest::default() };
            Command::Txn(TxnRequest {
                compare: vec![Compare { key: bytes(), range_end: Bytes::new(), result: CompareResult::Equal, target }],
                success: vec![TxnOp::Put(put(to))],
                failure: vec![TxnOp::Range(range)],
            })
        }
    };
    Request::Propose(Box::new(command))
}

/// What a client was told, as the checkers take it.
fn told(client: u32, key: String, asked: Action, ms: (u64, u64), answer: Result<Reply, Failure>) -> Op {
    let (mut action, mut revision, mut written_at) = (asked, None, None);
    let outcome = match answer {
        Ok(Reply::Read { value, written_at: at, revision: r }) => {
            (revision, written_at) = (Some(r), at);
            Outcome::Saw(value)
        }
        Ok(Reply::Proposed { revision: r, response }) => {
            revision = Some(r);
            match response {
                // Who deletes nothing has read that nothing is there.
                Response::Delete { deleted: 0, .. } => {
                    action = Action::Read;
                    Outcome::Saw(None)
                }
                Response::Txn { succeeded: false, responses } => {
                    let found = match responses.into_iter().next() {
                        Some(Response::Range(found)) => found.kvs.into_iter().next(),
                        _ => None,
                    };
                    written_at = found.as_ref().map(|kv| kv.mod_revision);
                    Outcome::NotSwapped(found.and_then(|kv| value(&kv.value)))
                }
                _ => Outcome::Done,
            }
        }
        // Nothing was sent, or the node said that it surely did nothing.
        Err(Failure::Unreachable | Failure::NotLeader(_) | Failure::NoQuorum | Failure::Refused(_)) => Outcome::Refused,
        _ => Outcome::Unknown,
    };
    Op { client, key, action, called_us: ms.0 * 1_000, ended_us: ms.1 * 1_000, outcome, revision, written_at }
}
