//! Who is told that there is news for watches, and in which order.
//!
//! All streams at once would keep the processors busy for milliseconds before the first connection is written to, and
//! clients that could have begun to read wait. So streams are told by turns, those of one connection one after the other
//! (what they have to say goes out together), and some at a time, between which others have their turn.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard},
};

use tokio::sync::Notify;

/// Streams that are told at a time: some hundred microseconds' work, so that the consensus, which has to tell the other
/// nodes of what they are told here, never waits long for its turn.
const AT_A_TIME: usize = 16;

/// The connection and a number: the order in which streams are told.
type Place = (Option<SocketAddr>, u64);

/// The bells of all streams.
#[derive(Debug, Default)]
pub(super) struct Bells {
    news: Notify,
    hung: Mutex<Hung>,
}

#[derive(Debug, Default)]
struct Hung {
    bells: BTreeMap<Place, Arc<Notify>>,
    next: u64,
}

/// One stream's bell, until it is dropped.
#[derive(Debug)]
pub(super) struct Bell {
    bells: Arc<Bells>,
    place: Place,
    rung: Arc<Notify>,
}

impl Bells {
    /// A bell for a stream of this connection.
    pub(super) fn hang(self: &Arc<Self>, connection: Option<SocketAddr>) -> Bell {
        let rung = Arc::new(Notify::new());
        let mut hung = self.hung();
        let place = (connection, hung.next);
        hung.next += 1;
        hung.bells.insert(place, rung.clone());
        Bell { bells: self.clone(), place, rung }
    }

    /// There is news: all bells are to be rung.
    pub(super) fn ring(&self) {
        self.news.notify_one();
    }

    /// Rings them all whenever there is news, for as long as it is polled.
    pub(super) async fn keep_ringing(&self) {
        loop {
            self.news.notified().await;
            // The other nodes are to hear of it, too: that is under way.
            tokio::task::yield_now().await;
            let bells: Vec<_> = self.hung().bells.values().cloned().collect();
            for some in bells.chunks(AT_A_TIME) {
                some.iter().for_each(|bell| bell.notify_one());
                tokio::task::yield_now().await;
            }
        }
    }

    fn hung(&self) -> MutexGuard<'_, Hung> {
        self.hung.lock().expect("nothing panics while it holds the bells")
    }
}

impl Bell {
    /// Waits until it is rung; returns at once where that was after it had returned last.
    pub(super) async fn rung(&self) {
        self.rung.notified().await;
    }
}

impl Drop for Bell {
    fn drop(&mut self) {
        self.bells.hung().bells.remove(&self.place);
    }
}

#[cfg(test)]
mod tests {
    use std::{
        task::{Context, Waker},
        time::Duration,
    };

    use tokio::{sync::mpsc, time::timeout};

    use super::*;

    const LIMIT: Duration = Duration::from_secs(10);

    #[tokio::test]
    async fn all_hear_of_it_those_of_a_connection_together() {
        let bells = Arc::new(Bells::default());
        let (sender, mut heard) = mpsc::unbounded_channel();
        let at = |port| Some(SocketAddr::from(([127, 0, 0, 1], port)));
        for number in 0..300_u16 {
            // As a client that takes its connections by turns.
            let (connection, sender) = (number % 3, sender.clone());
            let bell = bells.hang(at(connection));
            tokio::spawn(async move {
                loop {
                    bell.rung().await;
                    if sender.send((connection, number)).is_err() {
                        return;
                    }
                }
            });
        }
        let ringing = bells.clone();
        let ringer = tokio::spawn(async move { ringing.keep_ringing().await });
        for _ in 0..2 {
            bells.ring();
            let mut order = Vec::new();
            while order.len() < 300 {
                order.push(timeout(LIMIT, heard.recv()).await.expect("all are rung").expect("they live"));
            }
            assert!(order.is_sorted(), "{order:?}");
        }
        ringer.abort();
    }

    #[tokio::test]
    async fn a_ring_that_nobody_waited_for_is_heard_later_and_dropped_bells_are_gone() {
        let bells = Arc::new(Bells::default());
        let bell = bells.hang(None);
        drop(bells.hang(None));
        assert_eq!(bells.hung().bells.len(), 1);
        bells.ring();
        bells.ring();
        let heard = async {
            tokio::select! {
                () = bells.keep_ringing() => unreachable!("it goes on"),
                () = bell.rung() => {}
            }
        };
        timeout(LIMIT, heard).await.expect("it was rung before");
        let again = std::pin::pin!(bell.rung()).poll(&mut Context::from_waker(Waker::noop()));
        assert!(again.is_pending(), "once for both");
    }
}
