//! How the consensus runs.

use std::{path::PathBuf, time::Duration};

/// How the consensus runs. Times are for a LAN with fsyncing disks.
#[derive(Clone, Debug)]
pub struct Options {
    /// Folder of log and snapshots; made if missing.
    pub dir: PathBuf,
    /// The leader's heartbeat (default 250 ms).
    pub heartbeat: Duration,
    /// Election timeout, least and most (default 1,000 to 2,000 ms).
    pub election: (Duration, Duration),
    /// Entries between snapshots (default 5,000).
    pub snapshot_every_entries: u64,
    /// Entries kept behind a snapshot for followers that lag (default 2,000).
    pub keep_entries: u64,
}

impl Options {
    /// The defaults for a folder.
    #[must_use]
    pub fn new(dir: PathBuf) -> Self {
        Self {
            dir,
            heartbeat: Duration::from_millis(250),
            election: (Duration::from_millis(1_000), Duration::from_millis(2_000)),
            snapshot_every_entries: 5_000,
            keep_entries: 2_000,
        }
    }
}
