//! Checkers of recorded histories: what clients asked, when, and what they were told.
//!
//! Pure: a history goes in, a verdict comes out. Each checker has tests that show it fail on planted histories; three
//! rules hold for all: what is unknown stays unknown, a checker that gives up says so, and what was refused must not
//! have happened.

mod bits;
mod finals;
mod history;
mod linear;
mod list;
mod outage;
mod resolve;
mod revisions;
mod violation;
mod watch;

pub use finals::{FinalState, equal_finals};
pub use history::{Action, Key, Op, Outcome, Revision, TimeUs, Value};
pub use linear::{Verdict, linearizable};
pub use outage::longest_outage_us;
pub use revisions::revisions;
pub use violation::Violation;
pub use watch::{Change, Watched, watches};
