//! Whether a log is whole: read through once when it is opened.

use std::io;

use super::{COMMITTED, LogStore, UNPOISONED, VOTE, invalid};
use crate::{
    types::{LogId, Vote},
    witness::Seen,
};

/// What is read at once.
const READ_BYTES: usize = 4 * 1024 * 1024;

impl LogStore {
    /// Reads every record and compares with what was durable once. `InvalidData` says what is wrong.
    pub(crate) fn check(&self) -> io::Result<()> {
        let seen = self.witness.as_ref().map(|witness| witness.lock().expect(UNPOISONED).seen().clone());
        self.check_against(&seen.unwrap_or_default())
    }

    pub(super) fn check_against(&self, seen: &Seen) -> io::Result<()> {
        let purged = self.purged()?;
        let mut last = purged;
        let mut next = purged.map_or(0, |id| id.index + 1);
        // The first entry of a log that was never purged may have any index: it follows a snapshot.
        let mut known = purged.is_some();
        loop {
            let entries = self.read_entries(next.., READ_BYTES)?;
            if entries.is_empty() {
                break;
            }
            for entry in entries {
                let id = entry.log_id;
                if known && id.index != next {
                    return Err(invalid(&format!("entry {next} is missing")));
                }
                if last.is_some_and(|last| last.leader_id > id.leader_id) {
                    return Err(invalid(&format!("entry {} is of an older term than the one before", id.index)));
                }
                (known, last, next) = (true, Some(id), id.index + 1);
            }
        }
        let committed = self.mark::<LogId>(COMMITTED)?;
        if committed > last {
            return Err(invalid("it ends before what was committed"));
        }
        compare(seen, self.mark::<Vote>(VOTE)?, last)
    }
}

fn compare(seen: &Seen, vote: Option<Vote>, last: Option<LogId>) -> io::Result<()> {
    if let Some(durable) = seen.last
        && last.is_none_or(|last| last < durable)
    {
        let found = last.map_or("nothing".into(), |id| format!("entry {}", id.index));
        return Err(invalid(&format!("it was durable up to entry {} once, and ends with {found}", durable.index)));
    }
    if let Some(given) = seen.vote
        && vote.is_none_or(|vote| vote < given)
    {
        return Err(invalid(&format!("the vote {given} was durable once, and is forgotten")));
    }
    Ok(())
}
