//! What a leader has appended, and not yet on its own disk.
//!
//! Raft lets a leader send entries to its followers while it writes them itself, which takes a disk's time out of each
//! write (Ongaro's dissertation, §10.2.1). openraft 0.9 waits for the leader's disk first, so its log is told at once that
//! a leader's entries are written, and what may follow from that waits here: nothing is applied, and no follower is told
//! that anything is committed, before the entries are durable on this node too. What openraft makes of its early word
//! stays within it, and is forgotten with it in a crash: the vote it is bound to is not committed when read back.

use std::{collections::BTreeSet, io};

use autoradio_machine::LogIndex;
use tokio::sync::watch;

#[derive(Debug, Default)]
struct State {
    /// The first entry of each append that is on its way to the disk.
    firsts: BTreeSet<LogIndex>,
    /// Why one did not get there: nothing does any more.
    failed: Option<(io::ErrorKind, String)>,
}

impl State {
    fn is_settled(&self, upto: LogIndex) -> bool {
        self.firsts.first().is_none_or(|first| *first > upto)
    }
}

/// A leader's appends on their way to its disk. Clones are one.
#[derive(Clone, Debug, Default)]
pub(crate) struct Unsynced(watch::Sender<State>);

impl Unsynced {
    /// Entries from `first` on are on their way.
    pub(crate) fn begin(&self, first: LogIndex) {
        self.0.send_modify(|state| {
            state.firsts.insert(first);
        });
    }

    /// They are durable, or never will be.
    pub(crate) fn end(&self, first: LogIndex, result: io::Result<()>) {
        match result {
            Ok(()) => self.0.send_modify(|state| {
                state.firsts.remove(&first);
            }),
            Err(error) => self.fail(&error),
        }
    }

    /// Nothing gets there any more.
    pub(crate) fn fail(&self, error: &io::Error) {
        self.0.send_modify(|state| state.failed = Some((error.kind(), error.to_string())));
    }

    /// Fails where an append failed.
    pub(crate) fn check(&self) -> io::Result<()> {
        self.0.borrow().failed.clone().map_or(Ok(()), |(kind, text)| Err(io::Error::new(kind, text)))
    }

    /// Waits until nothing up to `upto` is on its way.
    ///
    /// # Errors
    /// Those of the disk.
    pub(crate) async fn settled(&self, upto: LogIndex) -> io::Result<()> {
        if self.0.borrow().is_settled(upto) {
            return Ok(());
        }
        let mut state = self.0.subscribe();
        // This holds the sender: the channel is never closed.
        let _ended = state.wait_for(|state| state.failed.is_some() || state.is_settled(upto)).await;
        if self.0.borrow().is_settled(upto) { Ok(()) } else { self.check() }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    async fn settles(unsynced: &Unsynced, upto: LogIndex) -> Option<io::Result<()>> {
        tokio::time::timeout(Duration::from_millis(5), unsynced.settled(upto)).await.ok()
    }

    #[tokio::test]
    async fn what_is_before_the_first_on_its_way_is_settled() {
        let unsynced = Unsynced::default();
        assert!(matches!(settles(&unsynced, 9).await, Some(Ok(()))));
        unsynced.begin(5);
        unsynced.begin(7);
        assert!(matches!(settles(&unsynced, 4).await, Some(Ok(()))));
        assert!(settles(&unsynced, 5).await.is_none());
        let waits = tokio::spawn({
            let unsynced = unsynced.clone();
            async move { unsynced.settled(6).await }
        });
        unsynced.end(5, Ok(()));
        waits.await.expect("no panic").expect("it is durable");
        assert!(settles(&unsynced, 7).await.is_none());
    }

    #[tokio::test]
    async fn what_failed_never_settles() {
        let unsynced = Unsynced::default();
        unsynced.begin(5);
        unsynced.end(5, Err(io::Error::from(io::ErrorKind::StorageFull)));
        let error = settles(&unsynced, 5).await.expect("it does not wait").expect_err("it failed");
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
        assert!(unsynced.check().is_err());
        assert!(matches!(settles(&unsynced, 4).await, Some(Ok(()))));
    }
}
