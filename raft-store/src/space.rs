//! Whether there is room on the disk: looked at before it runs out, since sled does not survive it when it does.

use std::{
    io,
    path::{Path, PathBuf},
    sync::mpsc::{RecvTimeoutError, SyncSender, sync_channel},
    time::Duration,
};

use tokio::sync::watch;

/// How often it is looked at. A disk that others fill with 300 MB a second loses less than the reserve between two looks.
const TICK: Duration = Duration::from_millis(200);
/// Snapshots that must find room besides: one that is being written, and one to come.
const SNAPSHOTS: u64 = 2;

/// The room on the disk below a node's folder.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Space {
    /// What is left to this process.
    pub available_bytes: u64,
    /// What must be left for changes to be taken.
    pub needed_bytes: u64,
    /// Whether changes are refused for want of room.
    pub full: bool,
}

impl Space {
    /// The next picture: full below what is needed, and until a quarter more is left, so that it does not come and go.
    fn next(self, available_bytes: u64, needed_bytes: u64) -> Self {
        let until = if self.full { needed_bytes.saturating_add(needed_bytes / 4) } else { needed_bytes };
        Self { available_bytes, needed_bytes, full: available_bytes < until }
    }
}

/// Looks at the disk for as long as one of its clones lives.
#[derive(Clone)]
pub(crate) struct SpaceWatch {
    now: watch::Receiver<Space>,
    _end: Option<SyncSender<()>>,
}

impl SpaceWatch {
    /// Watches the disk below `dir`, of which `reserve_bytes` are to stay free.
    pub(crate) fn start(dir: PathBuf, reserve_bytes: u64) -> io::Result<Self> {
        let first = look(&dir, reserve_bytes).map(|(available, needed)| Space::default().next(available, needed))?;
        let (sender, now) = watch::channel(first);
        let (end, ended) = sync_channel(0);
        let run = move || {
            while ended.recv_timeout(TICK) == Err(RecvTimeoutError::Timeout) {
                // Of a disk that cannot be looked at nothing new is known; it fails elsewhere.
                let Ok((available, needed)) = look(&dir, reserve_bytes) else { continue };
                let before = *sender.borrow();
                let next = before.next(available, needed);
                if next.full != before.full {
                    tell(&dir, next);
                }
                sender.send_replace(next);
            }
        };
        std::thread::Builder::new().name("raft-space".into()).spawn(run)?;
        Ok(Self { now, _end: Some(end) })
    }

    /// For storage that is no folder: there is always room.
    pub(crate) fn none() -> Self {
        Self { now: watch::channel(Space::default()).1, _end: None }
    }

    pub(crate) fn now(&self) -> Space {
        *self.now.borrow()
    }
}

fn tell(dir: &Path, space: Space) {
    let (left_mib, needed_mib, dir) = (space.available_bytes >> 20, space.needed_bytes >> 20, dir.display());
    if space.full {
        tracing::error!(%dir, left_mib, needed_mib, "the disk is full: changes are refused until there is room");
    } else {
        tracing::info!(%dir, left_mib, "there is room on the disk again");
    }
}

/// What is available, and what is needed.
fn look(dir: &Path, reserve_bytes: u64) -> io::Result<(u64, u64)> {
    let space = rustix::fs::statvfs(dir)?;
    let largest = match std::fs::read_dir(dir.join("snapshots")) {
        Ok(entries) => entries.flatten().filter_map(|entry| entry.metadata().ok()).map(|meta| meta.len()).max(),
        Err(_) => None,
    };
    let snapshots = largest.unwrap_or(0).saturating_mul(SNAPSHOTS);
    Ok((space.f_bavail.saturating_mul(space.f_frsize), reserve_bytes.saturating_add(snapshots)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_full_below_what_is_needed_and_well_again_a_quarter_above() {
        let at = |before: Space, available| before.next(available, 100);
        let well = at(Space::default(), 100);
        assert!(!well.full);
        let full = at(well, 99);
        assert!(full.full && at(full, 124).full);
        assert!(!at(full, 125).full);
    }

    #[test]
    fn a_folder_is_looked_at_with_its_snapshots() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("snapshots")).unwrap();
        std::fs::write(dir.path().join("snapshots/one.snap"), [0; 1000]).unwrap();
        let (available, needed) = look(dir.path(), 50).unwrap();
        assert!(available > 0);
        assert_eq!(needed, 2050);
        assert!(SpaceWatch::start(dir.path().to_owned(), u64::MAX).unwrap().now().full);
        assert!(!SpaceWatch::none().now().full);
    }
}
