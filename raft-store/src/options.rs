//! How the consensus runs.

use std::{path::PathBuf, time::Duration};

/// How the consensus runs. Times are for a LAN with fsyncing disks.
#[derive(Clone, Debug)]
pub struct Options {
    /// Folder of log and snapshots; made if missing.
    pub dir: PathBuf,
    /// The leader's heartbeat (default [`Options::HEARTBEAT`]).
    pub heartbeat: Duration,
    /// Election timeout, least and most (default [`Options::ELECTION`]).
    pub election: (Duration, Duration),
    /// Entries between snapshots (default 5,000).
    pub snapshot_every_entries: u64,
    /// Entries kept behind a snapshot for followers that lag (default 2,000).
    pub keep_entries: u64,
    /// What must stay free on the disk, besides room for two snapshots, for changes to be taken (default
    /// [`Options::SPACE_RESERVE_BYTES`]).
    pub space_reserve_bytes: u64,
}

impl Options {
    /// The leader's heartbeat unless another is set: twice what a slow disk's sync takes, since an append must be
    /// answered within it.
    pub const HEARTBEAT: Duration = Duration::from_millis(200);
    /// The election timeout unless another is set. A leader is given up after the longer of the two (its lease) *and* a
    /// time between them, looked at every one and a half heartbeats: 1.2 to 1.9 s here.
    pub const ELECTION: (Duration, Duration) = (Duration::from_millis(400), Duration::from_millis(800));

    /// What stays free unless something else is set: more than a disk that others fill loses between two looks, and than
    /// this node's own vote, marks and segments need while changes are refused.
    pub const SPACE_RESERVE_BYTES: u64 = 64 * 1024 * 1024;

    /// The defaults for a folder.
    #[must_use]
    pub fn new(dir: PathBuf) -> Self {
        Self {
            dir,
            heartbeat: Self::HEARTBEAT,
            election: Self::ELECTION,
            snapshot_every_entries: 5_000,
            keep_entries: 2_000,
            space_reserve_bytes: Self::SPACE_RESERVE_BYTES,
        }
    }
}
