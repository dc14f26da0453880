//! Alarms, as etcd's: raised for a member, replicated, and while one stands some commands are refused (etcd's
//! `applierV3Capped` and `applierV3Corrupt`). What is the cluster's own goes on: streams must not stop for them.

use serde::{Deserialize, Serialize};

use crate::{Command, Machine, NodeId, Op, Refusal, TxnRequest, quota, schema};

/// What an alarm says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum AlarmKind {
    /// The store has reached its quota: nothing is added but what is the cluster's own.
    NoSpace,
    /// Members do not have the same: clients change nothing.
    Corrupt,
}

/// An alarm that stands until it is disarmed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Alarm {
    /// The member that raised it, or that it was raised for.
    pub member: NodeId,
    /// What it says.
    pub kind: AlarmKind,
}

impl Machine {
    /// The alarms that stand, by member.
    #[must_use]
    pub fn alarms(&self) -> Vec<Alarm> {
        self.alarms.iter().copied().collect()
    }

    /// Whether an alarm of this kind stands, for whichever member.
    #[must_use]
    pub fn is_alarmed(&self, kind: AlarmKind) -> bool {
        self.alarms.iter().any(|alarm| alarm.kind == kind)
    }

    /// Refuses what may not be done while alarms stand.
    pub(crate) fn check_alarms(&self, command: &Command) -> Result<(), Refusal> {
        if self.alarms.is_empty() || is_own(command) {
            return Ok(());
        }
        // Leases run out whatever is wrong: a lock must not be held for ever.
        let changes = matches!(
            command,
            Command::Put(_)
                | Command::Delete(_)
                | Command::Txn(_)
                | Command::Compact { .. }
                | Command::LeaseGrant { .. }
        );
        if changes && self.is_alarmed(AlarmKind::Corrupt) {
            return Err(Refusal::Corrupt);
        }
        if quota::cost(command) > 0 && self.is_alarmed(AlarmKind::NoSpace) {
            return Err(Refusal::NoSpace);
        }
        Ok(())
    }

    /// Raises or disarms an alarm; whether that changed anything.
    pub(crate) fn set_alarm(&mut self, alarm: Alarm, active: bool) -> bool {
        if active { self.alarms.insert(alarm) } else { self.alarms.remove(&alarm) }
    }
}

/// Whether a command touches nothing but what is the cluster's own: keys under `autoradio/`, members, nodes' leases.
pub(crate) fn is_own(command: &Command) -> bool {
    match command {
        Command::Put(put) => is_own_key(&put.key),
        Command::Delete(delete) => is_own_key(&delete.key) && is_own_end(&delete.range_end),
        Command::Txn(txn) => is_own_txn(txn),
        Command::Compact { .. } | Command::LeaseGrant { .. } | Command::LeaseRevoke { .. } => false,
        Command::Init(_)
        | Command::MemberAdd(_)
        | Command::MemberUpdate(_)
        | Command::MemberRemove { .. }
        | Command::Alarm { .. }
        | Command::NodeLease { .. }
        | Command::Trust(_)
        | Command::Auth(_) => true,
        Command::As(asked) => is_own(&asked.command),
    }
}

fn is_own_txn(txn: &TxnRequest) -> bool {
    txn.success.iter().chain(&txn.failure).all(|op| match op {
        Op::Range(_) => true,
        Op::Put(put) => is_own_key(&put.key),
        Op::Delete(delete) => is_own_key(&delete.key) && is_own_end(&delete.range_end),
        Op::Txn(inner) => is_own_txn(inner),
    })
}

pub(crate) fn is_own_key(key: &[u8]) -> bool {
    key.starts_with(schema::ROOT.as_bytes())
}

/// The end of a range that begins with one of our keys; none for a single key.
fn is_own_end(end: &[u8]) -> bool {
    end.is_empty() || is_own_key(end) || end == schema::ROOT_END
}
