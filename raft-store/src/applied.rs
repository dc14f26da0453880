//! Who waits until this node has applied an entry is told as soon as it is, and once: a channel of the whole status would
//! wake all who wait with every entry.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
};

use autoradio_machine::LogIndex;
use tokio::sync::oneshot;

/// Waiters that may have given up meanwhile, until those that have are looked for.
const GIVEN_UP_MAX: usize = 4_096;

/// How far this node has applied its log. Clones are one.
#[derive(Clone, Debug, Default)]
pub(crate) struct Applied {
    inner: Arc<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    index: AtomicU64,
    waiting: Mutex<Waiting>,
}

#[derive(Debug, Default)]
struct Waiting {
    by_index: BTreeMap<LogIndex, Vec<oneshot::Sender<()>>>,
    count: usize,
    closed: bool,
}

impl Applied {
    fn waiting(&self) -> std::sync::MutexGuard<'_, Waiting> {
        self.inner.waiting.lock().expect("nothing panics while it holds the waiters")
    }

    pub(crate) fn index(&self) -> LogIndex {
        self.inner.index.load(Ordering::Acquire)
    }

    /// Everything up to `index` is applied.
    pub(crate) fn reached(&self, index: LogIndex) {
        let due = {
            let mut waiting = self.waiting();
            self.inner.index.fetch_max(index, Ordering::Release);
            let later = waiting.by_index.split_off(&index.saturating_add(1));
            let due = std::mem::replace(&mut waiting.by_index, later);
            waiting.count -= due.values().map(Vec::len).sum::<usize>();
            due
        };
        // Who does not wait any more need not be told.
        for waiter in due.into_values().flatten() {
            let _told = waiter.send(());
        }
    }

    /// Nothing more will be applied.
    pub(crate) fn close(&self) {
        let mut waiting = self.waiting();
        *waiting = Waiting { closed: true, ..Waiting::default() };
    }

    /// Waits until `index` is applied; whether it is: nothing more may be.
    pub(crate) async fn wait(&self, index: LogIndex) -> bool {
        if self.index() >= index {
            return true;
        }
        let told = {
            let mut waiting = self.waiting();
            // Reached meanwhile: the index moves under this lock.
            if self.index() >= index || waiting.closed {
                return self.index() >= index;
            }
            let (sender, told) = oneshot::channel();
            if waiting.count >= GIVEN_UP_MAX {
                waiting.by_index.values_mut().for_each(|waiters| waiters.retain(|waiter| !waiter.is_closed()));
                waiting.count = waiting.by_index.values().map(Vec::len).sum();
            }
            waiting.by_index.entry(index).or_default().push(sender);
            waiting.count += 1;
            told
        };
        told.await.is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn each_is_told_when_its_own_entry_is_applied() {
        let applied = Applied::default();
        applied.reached(3);
        assert!(applied.wait(3).await, "it is already");
        let wait = |index| {
            let applied = applied.clone();
            tokio::spawn(async move { applied.wait(index).await })
        };
        let (five, nine) = (wait(5), wait(9));
        while applied.waiting().count < 2 {
            tokio::task::yield_now().await;
        }
        applied.reached(4);
        applied.reached(6);
        assert!(five.await.expect("no panic"));
        assert_eq!(applied.waiting().count, 1, "the other waits on");
        applied.close();
        assert!(!nine.await.expect("no panic"), "nothing more comes");
        assert!(applied.wait(6).await && !applied.wait(7).await);
    }

    #[tokio::test]
    async fn who_has_given_up_takes_no_room() {
        let applied = Applied::default();
        for _ in 0..=GIVEN_UP_MAX {
            let given_up = tokio::time::timeout(std::time::Duration::ZERO, applied.wait(1)).await;
            assert!(given_up.is_err());
        }
        assert!(applied.waiting().count <= 1);
    }
}
