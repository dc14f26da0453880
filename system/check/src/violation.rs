//! What was found that must not be.

use crate::{Key, Op, Revision, Value};

/// A promise that a history shows to be broken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
    /// No order of the operations explains what clients were told.
    #[error(
        "{key} is not linearizable: of {total} operations an order was found for {placed}, after which it held \
         {held:?} and none of these could follow:\n{stuck}"
    )]
    NotLinearizable {
        /// The key.
        key: Key,
        /// Operations of the key that were answered.
        total: usize,
        /// Of those, how many the longest order holds.
        placed: usize,
        /// What the key held after that order.
        held: Option<Value>,
        /// Those that were running then, one a line.
        stuck: String,
    },
    /// The revision ran back, or stood still over a write.
    #[error("the revision did not grow as it must:\n{earlier}\nended before\n{later}")]
    RevisionBack {
        /// Who ended first.
        earlier: Box<Op>,
        /// Who was called later.
        later: Box<Op>,
    },
    /// Two writes have one revision.
    #[error("two writes have revision {revision}:\n{one}\n{other}")]
    RevisionTwice {
        /// The revision.
        revision: Revision,
        /// One.
        one: Box<Op>,
        /// The other.
        other: Box<Op>,
    },
    /// A read says of a value that it was written at another revision than its write was told.
    #[error(
        "a read saw a write at another revision than the write was told:\n{write}\n{read} (written at {written_at})"
    )]
    RevisionOther {
        /// The write.
        write: Box<Op>,
        /// The read.
        read: Box<Op>,
        /// What the read was told.
        written_at: Revision,
    },
    /// A watcher's events are not in order, or one came twice.
    #[error("watcher {watcher}: {what} at revision {revision}, {key}")]
    WatchOrder {
        /// The watcher.
        watcher: String,
        /// What is wrong.
        what: &'static str,
        /// At which event.
        revision: Revision,
        /// Of which key.
        key: Key,
    },
    /// Two watchers differ in what both have seen.
    #[error("watchers {one} and {other} differ at revision {revision}: {differ}")]
    WatchDiffers {
        /// One.
        one: String,
        /// The other.
        other: String,
        /// The first revision that differs.
        revision: Revision,
        /// Both events.
        differ: String,
    },
    /// A write that was acknowledged is missing in a watcher's events, or is another there.
    #[error("watcher {watcher} saw {saw} instead of\n{op}")]
    WatchMissed {
        /// The watcher.
        watcher: String,
        /// The write.
        op: Box<Op>,
        /// What it saw.
        saw: String,
    },
    /// A watcher saw what nobody wrote, or what was refused.
    #[error("watcher {watcher} saw {value} at {key}, revision {revision}, which {why}")]
    WatchInvented {
        /// The watcher.
        watcher: String,
        /// The key.
        key: Key,
        /// The value.
        value: Value,
        /// The revision.
        revision: Revision,
        /// Why that cannot be.
        why: &'static str,
    },
    /// Members differ when all is quiet.
    #[error("{one} and {other} differ: {differ}")]
    FinalDiffers {
        /// One member.
        one: String,
        /// The other.
        other: String,
        /// In what.
        differ: String,
    },
}
