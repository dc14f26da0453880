//! Group commit: one thread makes everything durable that was written since its last turn, by one flush and one
//! fdatasync, and only then tells those who wait.

use std::{
    io,
    sync::mpsc::{Receiver, SyncSender, sync_channel},
    thread::JoinHandle,
};

use openraft::storage::LogFlushed;
use tokio::sync::oneshot;

use crate::types::TypeConfig;

/// Appends on their way to the disk; openraft itself has far fewer in flight.
const WAITERS_MAX: usize = 1_024;

/// What makes earlier writes durable.
pub(crate) type Sync = Box<dyn FnMut() -> io::Result<()> + Send>;

pub(crate) enum Waiter {
    Append(LogFlushed<TypeConfig>),
    Other(oneshot::Sender<io::Result<()>>),
}

/// The way to the thread; it ends when the last of these is dropped.
#[derive(Clone)]
pub(crate) struct Flusher {
    waiters: SyncSender<Waiter>,
}

impl Flusher {
    pub(crate) fn start(sync: Sync) -> io::Result<(Self, JoinHandle<()>)> {
        let (waiters, receiver) = sync_channel(WAITERS_MAX);
        let thread = std::thread::Builder::new().name("raft-flush".into()).spawn(move || run(&receiver, sync))?;
        Ok((Self { waiters }, thread))
    }

    /// Tells `callback` when everything written before is durable.
    pub(crate) fn append(&self, callback: LogFlushed<TypeConfig>) {
        if let Err(lost) = self.waiters.send(Waiter::Append(callback))
            && let Waiter::Append(callback) = lost.0
        {
            callback.log_io_completed(Err(gone()));
        }
    }

    /// Waits until everything written before is durable.
    pub(crate) async fn wait(&self) -> io::Result<()> {
        let (sender, receiver) = oneshot::channel();
        self.waiters.send(Waiter::Other(sender)).map_err(|_| gone())?;
        receiver.await.map_err(|_| gone())?
    }
}

fn gone() -> io::Error {
    io::Error::other("the thread that syncs the log has ended")
}

fn run(receiver: &Receiver<Waiter>, mut sync: Sync) {
    while let Ok(first) = receiver.recv() {
        // Whoever waits now has written before now.
        let waiters: Vec<_> = std::iter::once(first).chain(receiver.try_iter()).collect();
        let result = sync();
        if let Err(error) = &result {
            tracing::error!(%error, "the log could not be made durable");
        }
        for waiter in waiters {
            let result = result.as_ref().map(|()| ()).map_err(|e| io::Error::new(e.kind(), e.to_string()));
            match waiter {
                Waiter::Append(callback) => callback.log_io_completed(result),
                // Who does not wait any more needs no answer.
                Waiter::Other(sender) => drop(sender.send(result)),
            }
        }
    }
}
