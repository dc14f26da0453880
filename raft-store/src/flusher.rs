//! Group commit: one thread makes everything durable that was written since its last turn, by one flush and one
//! fdatasync, and only then tells those who wait.

use std::{
    io,
    sync::mpsc::{Receiver, SyncSender, sync_channel},
    thread::JoinHandle,
};

use openraft::storage::LogFlushed;
use tokio::sync::oneshot;

use crate::{
    types::{LogId, TypeConfig, Vote},
    witness::Witness,
};

/// Appends on their way to the disk; openraft itself has far fewer in flight.
const WAITERS_MAX: usize = 1_024;

/// What makes earlier writes durable.
pub(crate) type Sync = Box<dyn FnMut() -> io::Result<()> + Send>;

pub(crate) enum Waiter {
    /// The last entry of those appended.
    Append(Option<LogId>, LogFlushed<TypeConfig>),
    Vote(Vote, oneshot::Sender<io::Result<()>>),
    /// Entries are about to be removed: the witness must not speak of them any more.
    Truncate(oneshot::Sender<io::Result<()>>),
    Other(oneshot::Sender<io::Result<()>>),
}

/// The way to the thread; it ends when the last of these is dropped.
#[derive(Clone)]
pub(crate) struct Flusher {
    waiters: SyncSender<Waiter>,
}

impl Flusher {
    /// `witness` is told of what became durable.
    pub(crate) fn start(sync: Sync, witness: Witness) -> io::Result<(Self, JoinHandle<()>)> {
        let (waiters, receiver) = sync_channel(WAITERS_MAX);
        let run = move || run(&receiver, sync, witness);
        let thread = std::thread::Builder::new().name("raft-flush".into()).spawn(run)?;
        Ok((Self { waiters }, thread))
    }

    /// Tells `callback` when everything written before, up to the entry `last`, is durable.
    pub(crate) fn append(&self, last: Option<LogId>, callback: LogFlushed<TypeConfig>) {
        if let Err(lost) = self.waiters.send(Waiter::Append(last, callback))
            && let Waiter::Append(_, callback) = lost.0
        {
            callback.log_io_completed(Err(gone()));
        }
    }

    /// Waits until everything written before, and with it this vote, is durable.
    pub(crate) async fn vote(&self, vote: Vote) -> io::Result<()> {
        self.ask(|sender| Waiter::Vote(vote, sender)).await
    }

    /// Waits until entries may be removed.
    pub(crate) async fn truncating(&self) -> io::Result<()> {
        self.ask(Waiter::Truncate).await
    }

    /// Waits until everything written before is durable.
    pub(crate) async fn wait(&self) -> io::Result<()> {
        self.ask(Waiter::Other).await
    }

    async fn ask(&self, waiter: impl FnOnce(oneshot::Sender<io::Result<()>>) -> Waiter) -> io::Result<()> {
        let (sender, receiver) = oneshot::channel();
        self.waiters.send(waiter(sender)).map_err(|_| gone())?;
        receiver.await.map_err(|_| gone())?
    }
}

fn gone() -> io::Error {
    io::Error::other("the thread that syncs the log has ended")
}

fn run(receiver: &Receiver<Waiter>, mut sync: Sync, mut witness: Witness) {
    // After a failure the kernel takes the pages that were not written for clean, and says that all is well the next time:
    // nothing is durable any more until the log was opened anew.
    let mut failed: Option<io::Error> = None;
    while let Ok(first) = receiver.recv() {
        // Whoever waits now has written before now.
        let waiters: Vec<_> = std::iter::once(first).chain(receiver.try_iter()).collect();
        if failed.is_none()
            && let Err(error) = sync().and_then(|()| testify(&mut witness, &waiters))
        {
            tracing::error!(%error, "the log could not be made durable");
            failed = Some(error);
        }
        for waiter in waiters {
            let result = failed.as_ref().map_or(Ok(()), |e| Err(io::Error::new(e.kind(), e.to_string())));
            match waiter {
                Waiter::Append(_, callback) => callback.log_io_completed(result),
                // Who does not wait any more needs no answer.
                Waiter::Vote(_, sender) | Waiter::Truncate(sender) | Waiter::Other(sender) => drop(sender.send(result)),
            }
        }
    }
}

/// Tells the witness what became durable, in order.
fn testify(witness: &mut Witness, waiters: &[Waiter]) -> io::Result<()> {
    let (mut vote, mut last) = (None, None);
    for waiter in waiters {
        match waiter {
            Waiter::Append(entry, _) => last = entry.or(last),
            Waiter::Vote(given, _) => vote = Some(*given),
            Waiter::Truncate(_) => {
                last = None;
                witness.forget_entries()?;
            }
            Waiter::Other(_) => {}
        }
    }
    if vote.is_some() || last.is_some() { witness.note(vote, last) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    /// A disk that does what it is told, in order; then all is well.
    fn disk(mut script: Vec<io::Result<()>>) -> (Flusher, Arc<Mutex<u32>>) {
        let syncs = Arc::new(Mutex::new(0));
        let count = syncs.clone();
        script.reverse();
        let sync = move || {
            *count.lock().unwrap() += 1;
            script.pop().unwrap_or(Ok(()))
        };
        let dir = tempfile::tempdir().unwrap();
        let witness = Witness::open(&dir.path().join("witness")).unwrap();
        (Flusher::start(Box::new(sync), witness).unwrap().0, syncs)
    }

    #[tokio::test]
    async fn a_disk_that_failed_once_is_never_believed_again() {
        let (flusher, syncs) = disk(vec![Ok(()), Err(io::Error::other("no space"))]);
        assert!(flusher.wait().await.is_ok());
        assert!(flusher.wait().await.is_err());
        assert!(flusher.wait().await.unwrap_err().to_string().contains("no space"));
        assert_eq!(*syncs.lock().unwrap(), 2);
    }
}
