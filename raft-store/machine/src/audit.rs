//! The audit log: what somebody changed, who it was, from where and when. The last [`ENTRIES_MAX`] changes, replicated.
//!
//! Written by `apply` for every [`crate::Command::As`] that was carried out; what nodes do by themselves is not in it.
//! No secret is: neither passwords nor their hashes.

mod describe;
mod redact;

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use crate::{Caller, Machine, Who};

/// Entries kept: some months of a station, and at most some megabytes.
const ENTRIES_MAX: usize = 1_000;
/// Entries of one command: a delete of all mounts must not push everything else out.
const ENTRIES_PER_COMMAND: usize = 50;
/// Bytes of each text; the rest is cut off.
const TEXT_BYTES_MAX: usize = 1_024;

/// One change.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditEntry {
    /// Counts all entries there ever were, from 1.
    pub seq: u64,
    /// Unix time in milliseconds by the clock of the node that was asked; never before the entry's before it.
    pub at_ms: u64,
    /// Who: a user, the system's user at the admin socket, or `nobody` where no credentials were demanded.
    pub who: String,
    /// From where.
    pub from: String,
    /// What was done: `mount created`.
    pub action: String,
    /// To what: `/live.ogg`.
    pub target: String,
    /// What changed, as it was; empty where there was nothing.
    pub old: String,
    /// What changed, as it is; empty where there is nothing any more.
    pub new: String,
}

/// A change without who, where and when.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Change {
    pub(crate) action: String,
    pub(crate) target: String,
    pub(crate) old: String,
    pub(crate) new: String,
}

/// The last entries, oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Audit {
    seq: u64,
    entries: VecDeque<AuditEntry>,
}

impl Audit {
    pub(crate) fn record(&mut self, caller: &Caller, changes: Vec<Change>) {
        let more = changes.len().saturating_sub(ENTRIES_PER_COMMAND);
        for change in changes.into_iter().take(ENTRIES_PER_COMMAND) {
            self.push(caller, change);
        }
        if more > 0 {
            let action = format!("and {more} more changes by the same command");
            self.push(caller, Change { action, ..Change::default() });
        }
    }

    fn push(&mut self, caller: &Caller, change: Change) {
        self.seq += 1;
        let last = self.entries.back().map_or(0, |entry| entry.at_ms);
        let who = match &caller.who {
            Who::Nobody => "nobody",
            Who::User { name, .. } | Who::Trusted { name } => name,
        };
        if self.entries.len() >= ENTRIES_MAX {
            self.entries.pop_front();
        }
        self.entries.push_back(AuditEntry {
            seq: self.seq,
            at_ms: caller.at_ms.max(last),
            who: cut(who),
            from: cut(&caller.from),
            action: cut(&change.action),
            target: cut(&change.target),
            old: cut(&change.old),
            new: cut(&change.new),
        });
    }
}

/// The text, no longer than what is kept.
fn cut(text: &str) -> String {
    if text.len() <= TEXT_BYTES_MAX {
        return text.to_owned();
    }
    let end = (0..=TEXT_BYTES_MAX).rev().find(|&end| text.is_char_boundary(end)).unwrap_or(0);
    format!("{}…", &text[..end])
}

impl Machine {
    /// The audit log, newest first.
    pub fn audit(&self) -> impl Iterator<Item = &AuditEntry> {
        self.audit.entries.iter().rev()
    }
}
