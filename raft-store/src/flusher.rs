//! Group commit: one thread makes everything durable that was written since its last turn, by one write and one fdatasync,
//! and only then tells those who wait.

use std::{
    io,
    sync::mpsc::{Receiver, SyncSender, sync_channel},
    thread::JoinHandle,
};

use crate::disk::Done;

/// Appends on their way to the disk; openraft itself has far fewer in flight.
const WAITERS_MAX: usize = 1_024;

/// What makes earlier writes durable.
pub(crate) type Sync = Box<dyn FnMut() -> io::Result<()> + Send>;

/// The way to the thread; it ends when the last of these is dropped.
#[derive(Clone)]
pub(crate) struct Flusher {
    waiters: SyncSender<Done>,
}

impl Flusher {
    pub(crate) fn start(sync: Sync) -> io::Result<(Self, JoinHandle<()>)> {
        let (waiters, receiver) = sync_channel(WAITERS_MAX);
        let thread = std::thread::Builder::new().name("raft-flush".into()).spawn(move || run(&receiver, sync))?;
        Ok((Self { waiters }, thread))
    }

    /// Tells `done` when everything written before is durable.
    pub(crate) fn wait(&self, done: Done) {
        if let Err(lost) = self.waiters.send(done) {
            (lost.0)(Err(gone()));
        }
    }
}

fn gone() -> io::Error {
    io::Error::other("the thread that syncs the log has ended")
}

fn run(receiver: &Receiver<Done>, mut sync: Sync) {
    // After a failure the kernel takes the pages that were not written for clean, and says that all is well the next time:
    // nothing is durable any more until the log was opened anew.
    let mut failed: Option<io::Error> = None;
    while let Ok(first) = receiver.recv() {
        // Whoever waits now has written before now.
        let waiters: Vec<_> = std::iter::once(first).chain(receiver.try_iter()).collect();
        if failed.is_none()
            && let Err(error) = sync()
        {
            tracing::error!(%error, "the log could not be made durable");
            failed = Some(error);
        }
        for waiter in waiters {
            let result = failed.as_ref().map_or(Ok(()), |e| Err(io::Error::new(e.kind(), e.to_string())));
            waiter(result);
        }
    }
    // Nobody waits for what was written since, which makes a start after this one shorter.
    if failed.is_none()
        && let Err(error) = sync()
    {
        tracing::warn!(%error, "what was written last could not be made durable");
    }
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
        (Flusher::start(Box::new(sync)).unwrap().0, syncs)
    }

    fn wait(flusher: &Flusher) -> io::Result<()> {
        let (sender, receiver) = sync_channel(1);
        flusher.wait(Box::new(move |result| sender.send(result).expect("it is waited for")));
        receiver.recv().expect("an answer")
    }

    #[test]
    fn a_disk_that_failed_once_is_never_believed_again() {
        let (flusher, syncs) = disk(vec![Ok(()), Err(io::Error::other("no space"))]);
        assert!(wait(&flusher).is_ok());
        assert!(wait(&flusher).is_err());
        assert!(wait(&flusher).unwrap_err().to_string().contains("no space"));
        assert_eq!(*syncs.lock().unwrap(), 2);
    }
}
