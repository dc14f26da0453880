//! Linearizable reads of one node ask the leader together: one round is under way, and all who come meanwhile share the
//! next one. A follower so asks once for hundreds of readers, and the leader's heartbeats serve all nodes.

use std::sync::Arc;

use autoradio_store::ConsensusError;
use tokio::sync::{mpsc, oneshot};

use super::{PROPOSE_TIMEOUT, RaftError, RaftHandle};

/// Readers that may wait at once: more than a node has connections; those beyond wait for a place.
const WAITERS_MAX: usize = 65_536;

type Answer = Result<(), Arc<RaftError>>;

/// The way into the next round. The task behind it ends with the last handle.
pub(super) struct Reads {
    waiters: mpsc::Sender<oneshot::Sender<Answer>>,
}

impl Reads {
    /// `handle` gives the handle that the rounds go by, for as long as there is one.
    pub(super) fn start(handle: impl Fn() -> Option<RaftHandle> + Send + 'static) -> Self {
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
                let Some(raft) = handle() else { return };
                let answer = raft.read_round().await.map_err(Arc::new);
                for waiter in waiting {
                    // Who does not wait any more needs no answer.
                    drop(waiter.send(answer.clone()));
                }
            }
        });
        Self { waiters }
    }

    /// Waits until what this node has may be read.
    pub(super) async fn pass(&self) -> Result<(), RaftError> {
        let (sender, receiver) = oneshot::channel();
        let stopped = || RaftError::from(ConsensusError::Stopped("reads are not served any more".into()));
        let wait = async {
            self.waiters.send(sender).await.map_err(|_| stopped())?;
            receiver.await.map_err(|_| stopped())?.map_err(|shared| shared.copy())
        };
        tokio::time::timeout(PROPOSE_TIMEOUT, wait).await.map_err(|_| RaftError::NoLeader)?
    }
}
