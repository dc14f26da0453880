//! The quota, before a command is proposed (etcd's `quotaAlarmer`): who would pass it is refused, and the first raises the
//! alarm for all.

use autoradio_machine::{Admission, Alarm, AlarmKind, Command, Refusal};
use autoradio_store::ConsensusError;

use super::{RaftError, RaftHandle};

impl RaftHandle {
    /// Refuses a command that this node's quota does not admit.
    pub(super) async fn admit(&self, command: &Command) -> Result<(), RaftError> {
        let quota_bytes = self.quota_bytes();
        match self.read(|machine| machine.admit(command, quota_bytes)) {
            Admission::Admitted => return Ok(()),
            Admission::Refused => {}
            Admission::RaiseAlarm => self.raise_no_space(quota_bytes).await?,
        }
        Err(ConsensusError::Refused(Refusal::NoSpace).into())
    }

    async fn raise_no_space(&self, quota_bytes: u64) -> Result<(), RaftError> {
        let alarm = Alarm { member: self.node_id(), kind: AlarmKind::NoSpace };
        tracing::error!(quota_bytes, "the store has reached its quota: only deletes and compactions are taken now");
        self.propose_admitted(Command::Alarm { alarm, active: true }).await.map(drop)
    }
}
