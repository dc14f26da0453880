//! A line to another node: urgent calls over one that stays open.
//!
//! A call on its own costs each side a task or two, and three frames each way. While there is no line (it is being opened,
//! it broke off, or the other side is of an earlier version) calls are made on their own.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use autoradio_proto::peer::{Answer, Call, answer, call};
use tokio::{
    sync::{mpsc, oneshot},
    time::{Instant, timeout},
};
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;

use super::Client;
use crate::raft::{Backoff, wire};

/// Calls that wait to be written; those beyond are made on their own.
const QUEUE_MAX: usize = 256;

/// How long the other side may take to open it.
const OPEN_LIMIT: Duration = Duration::from_secs(2);

/// First and longest wait before it is opened again.
const RETRY: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(10));

const UNPOISONED: &str = "nothing panics while it holds it";

/// Where a line is, or will be; it is hung up when this is dropped.
pub(super) struct Slot(Arc<Mutex<State>>);

enum State {
    Closed { until: Instant, backoff: Backoff },
    Opening(Backoff),
    Open(Line),
}

fn fresh() -> Backoff {
    Backoff::new(RETRY.0, RETRY.1)
}

impl Default for Slot {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(State::Closed { until: Instant::now(), backoff: fresh() })))
    }
}

impl Slot {
    /// The line, if it is open; else it is opened over `client`, for later calls.
    pub(super) fn line(&self, client: impl FnOnce() -> Client) -> Option<Line> {
        let mut state = self.0.lock().expect(UNPOISONED);
        match &mut *state {
            State::Open(line) => return Some(line.clone()),
            State::Closed { until, backoff } if *until <= Instant::now() => {
                *state = State::Opening(std::mem::replace(backoff, fresh()));
                // Ends with the call, which ends with the slot or the connection.
                tokio::spawn(run(client(), Arc::downgrade(&self.0)));
            }
            State::Closed { .. } | State::Opening(_) => {}
        }
        None
    }
}

fn open(slot: &Mutex<State>, line: Line) {
    *slot.lock().expect(UNPOISONED) = State::Open(line);
}

/// It is opened again after a while, which grows where it could not be opened.
fn close(slot: &Mutex<State>) {
    let mut state = slot.lock().expect(UNPOISONED);
    let mut backoff = match std::mem::replace(&mut *state, State::Opening(fresh())) {
        State::Opening(backoff) | State::Closed { backoff, .. } => backoff,
        State::Open(_) => fresh(),
    };
    *state = State::Closed { until: Instant::now() + backoff.step(), backoff };
}

/// Opens the line, and hands on answers until it ends.
async fn run(mut client: Client, slot: std::sync::Weak<Mutex<State>>) {
    let (queue, calls) = mpsc::channel(QUEUE_MAX);
    let opened = timeout(OPEN_LIMIT, client.calls(ReceiverStream::new(calls))).await;
    let asked = Arc::<Asked>::default();
    if let Ok(Ok(opened)) = opened {
        let mut answers = opened.into_inner();
        // The slot alone holds the way to the queue: without it the call ends.
        match slot.upgrade() {
            Some(slot) => open(&slot, Line { queue, asked: asked.clone() }),
            None => return,
        }
        while let Ok(Some(answer)) = answers.message().await {
            asked.answer(answer);
        }
    }
    if let Some(slot) = slot.upgrade() {
        close(&slot);
    }
    asked.hang_up();
}

/// An open line. Cheap to clone.
#[derive(Clone)]
pub(super) struct Line {
    queue: mpsc::Sender<Call>,
    asked: Arc<Asked>,
}

impl Line {
    /// Calls; what is to be called is given back where the line does not take it.
    pub(super) fn call(&self, what: call::What) -> Result<Pending, call::What> {
        let Some((number, answer)) = self.asked.ask() else { return Err(what) };
        let pending = Pending { number, answer, asked: self.asked.clone() };
        match self.queue.try_send(Call { number, what: Some(what) }) {
            Ok(()) => Ok(pending),
            Err(mpsc::error::TrySendError::Full(call) | mpsc::error::TrySendError::Closed(call)) => {
                Err(call.what.expect("it was put in"))
            }
        }
    }
}

/// A call that was made; it is forgotten when this is dropped.
pub(super) struct Pending {
    number: u64,
    answer: oneshot::Receiver<answer::What>,
    asked: Arc<Asked>,
}

impl Pending {
    /// Waits for the answer.
    ///
    /// # Errors
    /// The other side's, or `Unavailable` where the line broke off: whether the call arrived is not known then.
    pub(super) async fn answer(mut self) -> Result<answer::What, Status> {
        match (&mut self.answer).await {
            Ok(answer::What::Refused(refused)) => Err(wire::from_refused(refused)),
            Ok(what) => Ok(what),
            Err(_) => Err(Status::unavailable("the line to the node broke off")),
        }
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        self.asked.forget(self.number);
    }
}

/// Who waits for an answer, by the call's number; `None` after the line broke off.
struct Asked {
    next: AtomicU64,
    waiting: Mutex<Option<HashMap<u64, oneshot::Sender<answer::What>>>>,
}

impl Default for Asked {
    fn default() -> Self {
        Self { next: AtomicU64::new(1), waiting: Mutex::new(Some(HashMap::new())) }
    }
}

impl Asked {
    fn ask(&self) -> Option<(u64, oneshot::Receiver<answer::What>)> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let (sender, receiver) = oneshot::channel();
        self.waiting.lock().expect(UNPOISONED).as_mut()?.insert(number, sender);
        Some((number, receiver))
    }

    fn take(&self, number: u64) -> Option<oneshot::Sender<answer::What>> {
        self.waiting.lock().expect(UNPOISONED).as_mut()?.remove(&number)
    }

    fn forget(&self, number: u64) {
        drop(self.take(number));
    }

    /// Hands an answer on. Nobody waits any more for one that came too late.
    fn answer(&self, answer: Answer) {
        if let (Some(waiter), Some(what)) = (self.take(answer.number), answer.what) {
            let _late = waiter.send(what);
        }
    }

    fn hang_up(&self) {
        *self.waiting.lock().expect(UNPOISONED) = None;
    }
}

#[cfg(test)]
mod tests {
    use autoradio_proto::peer::{RaftReply, RaftRequest};

    use super::*;

    fn line() -> (Line, mpsc::Receiver<Call>) {
        let (queue, calls) = mpsc::channel(2);
        (Line { queue, asked: Arc::default() }, calls)
    }

    fn what(payload: &'static str) -> call::What {
        call::What::Raft(RaftRequest { kind: 1, payload: payload.into() })
    }

    fn reply(number: u64, payload: &'static str) -> Answer {
        Answer { number, what: Some(answer::What::Raft(RaftReply { payload: payload.into() })) }
    }

    #[tokio::test]
    async fn each_gets_its_own_answer_in_whatever_order_they_come() {
        let (line, mut calls) = line();
        let (first, second) = (line.call(what("a")).ok().unwrap(), line.call(what("b")).ok().unwrap());
        let numbers = [calls.recv().await.unwrap().number, calls.recv().await.unwrap().number];
        line.asked.answer(reply(numbers[1], "to b"));
        line.asked.answer(reply(99, "to nobody"));
        line.asked.answer(reply(numbers[0], "to a"));
        let text = |answer| match answer {
            Ok(answer::What::Raft(reply)) => reply.payload,
            other => panic!("{other:?}"),
        };
        assert_eq!((text(first.answer().await), text(second.answer().await)), ("to a".into(), "to b".into()));
    }

    #[tokio::test]
    async fn what_a_line_does_not_take_is_given_back_and_what_it_took_may_have_arrived() {
        let (line, calls) = line();
        let pending: Vec<_> = (0..2).map(|_| line.call(what("x")).ok().unwrap()).collect();
        assert_eq!(line.call(what("full")).err(), Some(what("full")));
        assert_eq!(line.asked.waiting.lock().unwrap().as_ref().map(HashMap::len), Some(2), "nobody waits in vain");
        line.asked.hang_up();
        drop(calls);
        for pending in pending {
            let status = pending.answer().await.unwrap_err();
            assert!(status.code() == tonic::Code::Unavailable && !wire::was_never_sent(&status), "{status}");
        }
        assert_eq!(line.call(what("later")).err(), Some(what("later")));
    }

    #[tokio::test]
    async fn who_gives_up_is_forgotten() {
        let (line, _calls) = line();
        let pending = line.call(what("x")).ok().unwrap();
        drop(pending);
        assert_eq!(line.asked.waiting.lock().unwrap().as_ref().map(HashMap::len), Some(0));
    }
}
