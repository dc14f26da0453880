//! Group commit of proposals: all that come while an entry is on its way to the disks share the next one, and with it one
//! fdatasync on each node. openraft (0.9) syncs each entry of its own before it looks at the next.

use std::{future::Future, sync::Arc, time::Duration};

use autoradio_machine::LogIndex;
use bytes::Bytes;
use tokio::sync::{Mutex, OwnedMutexGuard, mpsc, oneshot};

use crate::{ConsensusError, types::Outcome};

/// Proposals that may wait at once; those beyond wait for a place, within their own time limits.
const WAITING_MAX: usize = 4_096;

/// Commands of one entry: enough to carry the busiest second, few enough to apply within a heartbeat.
const COMMANDS_MAX: usize = 128;

/// Bytes of one entry, unless a single command has more: it must reach a follower within a heartbeat.
const BYTES_MAX: usize = 256 * 1024;

/// Where in the log an entry stands, and in which term it was written there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) index: LogIndex,
    pub(crate) term: u64,
}

type Answer = Result<(Place, Outcome), Arc<ConsensusError>>;

struct Waiting {
    command: Bytes,
    answer: oneshot::Sender<Answer>,
}

/// The way into the next entry. Cheap to clone; the task behind it ends with the last clone.
#[derive(Clone)]
pub(crate) struct Proposals {
    queue: mpsc::Sender<Waiting>,
    /// Held while an entry is on its way, and by who wants none to be.
    turn: Arc<Mutex<()>>,
}

impl Proposals {
    /// `write` makes the commands one entry, and gives its place and the outcome of each when it is applied.
    pub(crate) fn start<F>(write: impl Fn(Vec<Bytes>) -> F + Send + 'static) -> Self
    where
        F: Future<Output = Result<(Place, Vec<Outcome>), ConsensusError>> + Send,
    {
        let (queue, mut receiver) = mpsc::channel::<Waiting>(WAITING_MAX);
        let turn = Arc::new(Mutex::new(()));
        let turns = turn.clone();
        tokio::spawn(async move {
            let mut left_over = None;
            while let Some(first) = next(&mut left_over, &mut receiver).await {
                let _turn = turns.lock().await;
                let batch = fill(first, &mut left_over, &mut receiver);
                let (commands, answers): (Vec<_>, Vec<_>) = batch.into_iter().map(|w| (w.command, w.answer)).unzip();
                answer(answers, write(commands).await);
            }
        });
        Self { queue, turn }
    }

    /// Waits until no entry is on its way; none is sent for as long as the answer is kept.
    pub(crate) async fn hold(&self) -> OwnedMutexGuard<()> {
        self.turn.clone().lock_owned().await
    }

    /// Waits until the command is applied here. One that is given up before its turn is not proposed at all.
    pub(crate) async fn propose(&self, command: Bytes, limit: Duration) -> Result<(Place, Outcome), ConsensusError> {
        let (answer, receiver) = oneshot::channel();
        let stopped = || ConsensusError::Stopped("proposals are not taken any more".into());
        let wait = async {
            self.queue.send(Waiting { command, answer }).await.map_err(|_| stopped())?;
            receiver.await.map_err(|_| stopped())?.map_err(|shared| shared.copy())
        };
        tokio::time::timeout(limit, wait).await.map_err(|_| ConsensusError::Timeout(limit))?
    }
}

/// The next proposal that somebody still waits for.
async fn next(left_over: &mut Option<Waiting>, receiver: &mut mpsc::Receiver<Waiting>) -> Option<Waiting> {
    loop {
        let found = match left_over.take() {
            Some(waiting) => waiting,
            None => receiver.recv().await?,
        };
        if !found.answer.is_closed() {
            return Some(found);
        }
    }
}

/// All that wait now, as far as they fit.
fn fill(first: Waiting, left_over: &mut Option<Waiting>, receiver: &mut mpsc::Receiver<Waiting>) -> Vec<Waiting> {
    let mut bytes = first.command.len();
    let mut batch = vec![first];
    while batch.len() < COMMANDS_MAX
        && let Ok(found) = receiver.try_recv()
    {
        if found.answer.is_closed() {
            continue;
        }
        bytes = bytes.saturating_add(found.command.len());
        if bytes > BYTES_MAX {
            *left_over = Some(found);
            break;
        }
        batch.push(found);
    }
    batch
}

/// Tells each. Who does not wait any more needs no answer.
fn answer(answers: Vec<oneshot::Sender<Answer>>, written: Result<(Place, Vec<Outcome>), ConsensusError>) {
    match written {
        Ok((place, outcomes)) => {
            for (answer, outcome) in answers.into_iter().zip(outcomes) {
                drop(answer.send(Ok((place, outcome))));
            }
        }
        Err(error) => {
            let error = Arc::new(error);
            for answer in answers {
                drop(answer.send(Err(error.clone())));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use autoradio_machine::{Refusal, Response};
    use tokio::sync::Semaphore;

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(5);

    type Entries = Arc<Mutex<Vec<Vec<Bytes>>>>;

    /// Entries, as the commands of each; one is written for each permit of the gate.
    fn scripted() -> (Proposals, Entries, Arc<Semaphore>) {
        let (entries, gate) = (Entries::default(), Arc::new(Semaphore::new(0)));
        let (written, pass) = (entries.clone(), gate.clone());
        let proposals = Proposals::start(move |commands: Vec<Bytes>| {
            let (written, pass) = (written.clone(), pass.clone());
            async move {
                pass.acquire().await.expect("never closed").forget();
                let outcome = |command: &Bytes| {
                    let refused = command.starts_with(b"bad").then_some(Refusal::EmptyKey);
                    Outcome { revision: 1, result: refused.map_or(Ok(Response::Done), Err) }
                };
                let outcomes = commands.iter().map(outcome).collect();
                let mut all = written.lock().unwrap();
                all.push(commands);
                Ok((Place { index: all.len() as u64, term: 1 }, outcomes))
            }
        });
        (proposals, entries, gate)
    }

    #[tokio::test]
    async fn those_who_come_meanwhile_share_an_entry_and_each_gets_its_own_answer() {
        let (proposals, entries, gate) = scripted();
        let mut writers = tokio::task::JoinSet::new();
        for i in 0..50 {
            let (proposals, command) = (proposals.clone(), if i == 7 { "bad" } else { "good" });
            writers.spawn(async move { proposals.propose(command.into(), PATIENCE).await.unwrap().1.result.is_err() });
        }
        tokio::task::yield_now().await;
        gate.add_permits(50);
        assert_eq!(writers.join_all().await.into_iter().filter(|refused| *refused).count(), 1);
        assert!(entries.lock().unwrap().len() <= 3);
    }

    #[tokio::test]
    async fn what_was_given_up_before_its_turn_is_not_proposed_and_large_ones_go_alone() {
        let (proposals, entries, gate) = scripted();
        let first = proposals.propose("first".into(), PATIENCE);
        let later = tokio::time::sleep(Duration::from_millis(10));
        let given_up = async {
            later.await;
            proposals.propose("given up".into(), Duration::from_millis(10)).await
        };
        let large = async || {
            tokio::time::sleep(Duration::from_millis(10)).await;
            proposals.propose(vec![0; BYTES_MAX].into(), PATIENCE).await
        };
        let open = async {
            tokio::time::sleep(Duration::from_millis(60)).await;
            gate.add_permits(10);
        };
        let (first, given_up, one, two, ()) = tokio::join!(first, given_up, large(), large(), open);
        assert!(first.is_ok() && one.is_ok() && two.is_ok());
        assert!(matches!(given_up, Err(ConsensusError::Timeout(_))));
        assert_eq!(entries.lock().unwrap().iter().map(Vec::len).collect::<Vec<_>>(), [1, 1, 1]);
    }
}
