//! A leader sends entries to the others while its own disk is still busy with them, as Raft allows (section 10.2.1 of
//! Ongaro's dissertation). openraft (0.9) would sync first and send afterwards; so it is told at once that the entries
//! are there, and what must not happen before they are durable waits here:
//! - the state machine applies no entry of them, so that nobody is answered, and no watcher told;
//! - no other node hears that one of them is committed.
//!
//! So nothing is done about a commit that a leader's own disk does not back, and whoever loses power before that loses
//! nothing that anybody was told of. A vote is saved by a sync of its own, after all that was written before it: who
//! votes for another, or follows it, has no such entries any more.

use std::{collections::VecDeque, io, sync::Arc};

use autoradio_machine::LogIndex;
use tokio::sync::watch;

/// Appends of this node as leader that are on their way to its disk. Clones are one.
#[derive(Clone, Debug)]
pub(crate) struct Durable {
    state: Arc<watch::Sender<State>>,
}

#[derive(Debug, Default)]
struct State {
    /// The first entry of each such append, in order: they become durable in that order, too.
    pending: VecDeque<LogIndex>,
    /// The disk failed: nothing is durable any more.
    failed: Option<String>,
}

impl State {
    fn covers(&self, index: LogIndex) -> bool {
        self.pending.front().is_none_or(|first| index < *first)
    }
}

impl Default for Durable {
    fn default() -> Self {
        Self { state: Arc::new(watch::Sender::new(State::default())) }
    }
}

impl Durable {
    /// An append that begins with `first` was written, and is to be synced.
    ///
    /// # Errors
    /// The disk has failed before.
    pub(crate) fn begun(&self, first: LogIndex) -> io::Result<()> {
        if let Some(failed) = &self.state.borrow().failed {
            return Err(io::Error::other(failed.clone()));
        }
        self.state.send_modify(|state| state.pending.push_back(first));
        Ok(())
    }

    /// The oldest of them is durable, or never will be.
    pub(crate) fn ended(&self, result: &io::Result<()>) {
        self.state.send_modify(|state| match result {
            Ok(()) => {
                state.pending.pop_front();
            }
            Err(error) => state.failed = Some(error.to_string()),
        });
    }

    /// Waits until no entry up to `index` is only on its way to the disk.
    ///
    /// # Errors
    /// The disk failed.
    pub(crate) async fn through(&self, index: LogIndex) -> io::Result<()> {
        if self.state.borrow().covers(index) {
            return Ok(());
        }
        let mut news = self.state.subscribe();
        let state = news.wait_for(|state| state.failed.is_some() || state.covers(index)).await;
        let failed = match state {
            Ok(state) if state.covers(index) => return Ok(()),
            Ok(state) => state.failed.clone(),
            Err(_) => None,
        };
        Err(io::Error::other(failed.unwrap_or_else(|| "the log was closed".into())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_on_its_way_is_waited_for_and_nothing_else() {
        let durable = Durable::default();
        durable.through(9).await.expect("nothing is on its way");
        durable.begun(5).unwrap();
        durable.begun(7).unwrap();
        durable.through(4).await.expect("before what is on its way");
        let wait = |index| {
            let durable = durable.clone();
            tokio::spawn(async move { durable.through(index).await })
        };
        let (six, seven) = (wait(6), wait(7));
        tokio::task::yield_now().await;
        assert!(!six.is_finished());
        durable.ended(&Ok(()));
        six.await.unwrap().expect("the first is durable");
        assert!(!seven.is_finished());
        durable.ended(&Err(io::Error::other("no space")));
        assert!(seven.await.unwrap().unwrap_err().to_string().contains("no space"));
        assert!(durable.begun(8).is_err(), "a disk that failed is not believed again");
    }
}
