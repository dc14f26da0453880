//! Who is told of what was applied.

use autoradio_machine::{Event, LogIndex, Machine};

/// Is told of every applied entry, in order, on the task that applies: must be quick and must not block.
pub trait Observer: Send + Sync + 'static {
    /// After one or more entries were applied (batched). `events` in order; the machine is locked for reading.
    fn applied(&self, machine: &Machine, index: LogIndex, events: &[Event]);
    /// After the whole state was replaced by a snapshot: what was known before is void.
    fn restored(&self, machine: &Machine, index: LogIndex);
}
