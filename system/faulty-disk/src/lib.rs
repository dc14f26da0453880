//! A disk for tests, in memory and bounded: a FUSE filesystem that tells what was fsynced from what was not, and on
//! command loses the rest ([`Loss`]), fails, fills up, rots or takes its time.
//!
//! [`Disk`] is the disk and needs no FUSE; [`Mounted`] shows it to programs; [`History`] is what was done to it, from
//! which every moment's power failure can be looked at afterwards ([`History::cuts`]).

mod dice;
mod disk;
mod fuse;
mod history;
mod loss;
mod mounted;
mod state;

pub use dice::Dice;
pub use disk::{Disk, Faults};
pub use history::{Cut, History};
pub use loss::Loss;
pub use mounted::{Mounted, missing};
pub use state::State;
