//! A snapshot of every night, kept by each node for itself: what an administrator who never thought of backups can go back
//! to.

use std::{
    io::{self, Write},
    path::Path,
    time::Duration,
};

use autoradio_machine::Machine;
use jiff::{Timestamp, civil::DateTime, tz::TimeZone};

use super::file;
use crate::{backoff::jittered, context::Context};

/// The folder within the data folder.
pub const FOLDER: &str = "backups";

/// How often it is looked whether one is due: missing it by so much does no harm.
const LOOK_EVERY: Duration = Duration::from_secs(600);

/// The first look: when a node that has just started has caught up.
const FIRST_LOOK: Duration = Duration::from_secs(20);

/// The hour, in UTC, from which on the day's is due: the small hours in most of Europe.
const HOUR: i8 = 2;

const PREFIX: &str = "autoradio-";
const SUFFIX: &str = ".snapshot";

/// Keeps `config.keeping.nightly_snapshots` files, a night each, until the node stops.
pub async fn keep_nightly(context: Context) {
    let keep = usize::try_from(context.config.keeping.nightly_snapshots).unwrap_or(usize::MAX);
    if keep == 0 {
        return;
    }
    let mut wait = FIRST_LOOK;
    while context.stop.run_until_cancelled(tokio::time::sleep(jittered(wait))).await.is_some() {
        wait = LOOK_EVERY;
        if !context.metrics.ready() {
            continue;
        }
        let (raft, dir) = (context.raft.clone(), context.config.data_dir.join(FOLDER));
        let written = tokio::task::spawn_blocking(move || {
            let now = TimeZone::UTC.to_datetime(Timestamp::now());
            if !is_due(&names(&dir)?, now) {
                return Ok(None);
            }
            let state = raft.read(Machine::to_snapshot);
            write(&dir, &name(now), &file::make(&state), keep).map(Some)
        });
        match written.await {
            Ok(Ok(None)) => {}
            Ok(Ok(Some(bytes))) => tracing::info!(bytes, "the night's snapshot is written"),
            Ok(Err(error)) => tracing::warn!(%error, "the night's snapshot could not be written; trying again"),
            Err(error) => tracing::error!(%error, "writing the night's snapshot broke off"),
        }
    }
}

fn name(now: DateTime) -> String {
    format!("{PREFIX}{}{SUFFIX}", now.strftime("%Y%m%d-%H%M%SZ"))
}

/// The files that are kept, oldest first: their names sort by time.
fn names(dir: &Path) -> io::Result<Vec<String>> {
    let entries = match std::fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let names: io::Result<Vec<String>> =
        entries.map(|entry| entry.map(|entry| entry.file_name().to_string_lossy().into_owned())).collect();
    let mut names = names?;
    names.retain(|name| name.starts_with(PREFIX) && name.ends_with(SUFFIX));
    names.sort();
    Ok(names)
}

/// Whether none was written since the last time that it was [`HOUR`].
fn is_due(names: &[String], now: DateTime) -> bool {
    let today = now.date().at(HOUR, 0, 0, 0);
    // The first of all days has no yesterday.
    let before = now.date().yesterday().map_or(today, |day| day.at(HOUR, 0, 0, 0));
    let since = if now >= today { today } else { before };
    names.last().is_none_or(|newest| *newest < name(since))
}

/// Writes the file, whole or not at all, readable by nobody else, and removes what is too old; its bytes.
fn write(dir: &Path, name: &str, bytes: &[u8], keep: usize) -> io::Result<usize> {
    std::fs::create_dir_all(dir)?;
    // Such files have the mode 0600 from the beginning.
    let mut file = tempfile::NamedTempFile::new_in(dir)?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    file.persist(dir.join(name)).map_err(|error| error.error)?;
    std::fs::File::open(dir)?.sync_all()?;
    let names = names(dir)?;
    for old in names.iter().take(names.len().saturating_sub(keep)) {
        std::fs::remove_file(dir.join(old))?;
    }
    Ok(bytes.len())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn at(text: &str) -> DateTime {
        text.parse().unwrap()
    }

    #[test]
    fn one_is_due_each_night_however_long_the_node_was_off() {
        let of = |text: &str| vec![name(at(text))];
        assert!(is_due(&[], at("2026-11-28T12:00:00")));
        assert!(!is_due(&of("2026-11-28T02:05:00"), at("2026-11-28T23:59:00")));
        assert!(!is_due(&of("2026-11-28T12:00:00"), at("2026-11-29T01:59:59")));
        assert!(is_due(&of("2026-11-28T12:00:00"), at("2026-11-29T02:00:00")));
        assert!(is_due(&of("2026-10-01T02:00:00"), at("2026-11-29T01:00:00")));
        assert!(!is_due(&of("2026-11-28T02:00:00"), at("2026-11-28T02:00:00")));
    }

    #[test]
    fn files_are_private_bounded_and_others_are_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join(FOLDER);
        std::fs::create_dir(&folder).unwrap();
        std::fs::write(folder.join("by-hand.snapshot"), "mine").unwrap();
        for day in 1..=5 {
            write(&folder, &name(at(&format!("2026-11-0{day}T02:00:00"))), b"state", 3).unwrap();
        }
        let kept = names(&folder).unwrap();
        assert_eq!(kept.len(), 3);
        assert_eq!(kept[0], "autoradio-20261103-020000Z.snapshot");
        let mode = std::fs::metadata(folder.join(&kept[0])).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert!(folder.join("by-hand.snapshot").exists());
        assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 4, "nothing is left behind");
    }
}
