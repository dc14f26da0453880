//! Alarms, as etcd's clients and its `/health` show them.

use autoradio_machine::{Alarm, AlarmKind, Command, Response as Answer};
use autoradio_proto::etcd::etcdserverpb::{
    AlarmMember, AlarmRequest, AlarmResponse, AlarmType, alarm_request::AlarmAction,
};
use tonic::Status;

use super::{
    answer::misfit,
    error::{EtcdError, from_raft},
    header_now,
};
use crate::raft::RaftHandle;

/// The name that etcd gives it.
pub(crate) fn name(kind: AlarmKind) -> &'static str {
    match kind {
        AlarmKind::NoSpace => "NOSPACE",
        AlarmKind::Corrupt => "CORRUPT",
    }
}

/// An alarm as etcd's `Status` tells it (Go's text form of the message, with its blank).
pub(super) fn text(alarm: &Alarm) -> String {
    format!("memberID:{} alarm:{} ", alarm.member, name(alarm.kind))
}

fn to_wire(alarm: &Alarm) -> AlarmMember {
    let kind = match alarm.kind {
        AlarmKind::NoSpace => AlarmType::Nospace,
        AlarmKind::Corrupt => AlarmType::Corrupt,
    };
    AlarmMember { member_id: alarm.member, alarm: kind.into() }
}

/// Lists, raises or disarms.
pub(super) async fn serve(raft: &RaftHandle, request: AlarmRequest) -> Result<AlarmResponse, Status> {
    let action = AlarmAction::try_from(request.action).map_err(|_| EtcdError::UnknownOption)?;
    let kind = match AlarmType::try_from(request.alarm).map_err(|_| EtcdError::UnknownOption)? {
        AlarmType::None => None,
        AlarmType::Nospace => Some(AlarmKind::NoSpace),
        AlarmType::Corrupt => Some(AlarmKind::Corrupt),
    };
    let alarms = match (action, kind) {
        (AlarmAction::Get, kind) => {
            raft.barrier().await.map_err(|error| from_raft(&error))?;
            let all = raft.read(autoradio_machine::Machine::alarms);
            all.into_iter().filter(|alarm| kind.is_none_or(|kind| alarm.kind == kind)).collect()
        }
        // As etcd: what is not named is not changed.
        (AlarmAction::Activate | AlarmAction::Deactivate, None) => Vec::new(),
        (_, Some(kind)) => {
            let alarm = Alarm { member: request.member_id, kind };
            let command = Command::Alarm { alarm, active: action == AlarmAction::Activate };
            let done = raft.propose(command).await.map_err(|error| from_raft(&error))?;
            let Answer::Alarm(changed) = done.response else { return Err(misfit(&done.response)) };
            changed.into_iter().collect()
        }
    };
    Ok(AlarmResponse { header: Some(header_now(raft)), alarms: alarms.iter().map(to_wire).collect() })
}
