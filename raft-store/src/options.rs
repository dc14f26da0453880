//! How the consensus runs.

use std::{path::PathBuf, time::Duration};

/// How the consensus runs. Times are for a LAN with fsyncing disks.
#[derive(Clone, Debug)]
pub struct Options {
    /// Folder of log and snapshots; made if missing.
    pub dir: PathBuf,
    /// The leader's heartbeat (default 200 ms).
    pub heartbeat: Duration,
    /// Election timeout, least and most (default 600 to 1,000 ms). A leader that is gone is replaced after the most (its
    /// lease) and a time between the two.
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
            heartbeat: Duration::from_millis(200),
            election: (Duration::from_millis(600), Duration::from_millis(1_000)),
            snapshot_every_entries: 5_000,
            keep_entries: 2_000,
        }
    }
}
