//! Linearizable reads share rounds of heartbeats, as in etcd's `linearizableReadLoop`: one round is in flight, and all
//! who come meanwhile share the next one.

use std::{future::Future, sync::Arc, time::Duration};

use autoradio_machine::LogIndex;
use tokio::sync::{mpsc, oneshot};

use crate::ConsensusError;

/// Readers that may wait at once; more than a node has connections.
const WAITERS_MAX: usize = 65_536;

type Answer = Result<LogIndex, Arc<ConsensusError>>;

/// The way to the shared rounds. Cheap to clone; the task behind it ends with the last clone.
#[derive(Clone)]
pub(crate) struct Barrier {
    waiters: mpsc::Sender<oneshot::Sender<Answer>>,
}

impl Barrier {
    /// `round` confirms leadership and gives the read index.
    pub(crate) fn start<F>(round: impl Fn() -> F + Send + 'static) -> Self
    where
        F: Future<Output = Result<LogIndex, ConsensusError>> + Send,
    {
        let (waiters, mut receiver) = mpsc::channel::<oneshot::Sender<Answer>>(WAITERS_MAX);
        tokio::spawn(async move {
            while let Some(first) = receiver.recv().await {
                // Those that are ready to ask, too, have their turn first: the first of a burst would go alone, and the
                // others wait until it is back.
                tokio::task::yield_now().await;
                let mut waiting = vec![first];
                while let Ok(next) = receiver.try_recv() {
                    waiting.push(next);
                }
                let answer = round().await.map_err(Arc::new);
                for waiter in waiting {
                    // Who does not wait any more needs no answer.
                    drop(waiter.send(answer.clone()));
                }
            }
        });
        Self { waiters }
    }

    pub(crate) async fn pass(&self, timeout: Duration) -> Result<LogIndex, ConsensusError> {
        let (sender, receiver) = oneshot::channel();
        let stopped = || ConsensusError::Stopped("reads are not served any more".into());
        let wait = async {
            self.waiters.send(sender).await.map_err(|_| stopped())?;
            receiver.await.map_err(|_| stopped())?.map_err(|shared| shared.copy())
        };
        tokio::time::timeout(timeout, wait).await.map_err(|_| ConsensusError::Timeout(timeout))?
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    #[tokio::test]
    async fn many_readers_share_few_rounds() {
        let rounds = Arc::new(AtomicU64::new(0));
        let (count, gate) = (rounds.clone(), Arc::new(tokio::sync::Semaphore::new(0)));
        let open = gate.clone();
        let barrier = Barrier::start(move || {
            let (count, gate) = (count.clone(), gate.clone());
            async move {
                gate.acquire().await.expect("never closed").forget();
                Ok(count.fetch_add(1, Ordering::Relaxed))
            }
        });
        let mut readers = tokio::task::JoinSet::new();
        for _ in 0..100 {
            let barrier = barrier.clone();
            readers.spawn(async move { barrier.pass(Duration::from_secs(5)).await });
        }
        tokio::task::yield_now().await;
        open.add_permits(10);
        while let Some(answer) = readers.join_next().await {
            assert!(answer.expect("no panic").is_ok());
        }
        assert!(rounds.load(Ordering::Relaxed) <= 3, "{rounds:?}");
    }

    #[tokio::test]
    async fn a_round_that_never_ends_is_a_timeout() {
        let barrier = Barrier::start(|| async { std::future::pending().await });
        let error = barrier.pass(Duration::from_millis(10)).await.expect_err("no answer");
        assert!(matches!(error, ConsensusError::Timeout(_)));
    }
}
