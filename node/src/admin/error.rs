//! What radioctl is told when something cannot be done: a code for programs, a sentence that says what to try.

use autoradio_machine::Refusal;
use autoradio_store::ConsensusError;
use tonic::{Code, Status};

use crate::raft::RaftError;

/// The status for a failed proposal or read.
pub(super) fn from_raft(error: &RaftError) -> Status {
    let code = match error {
        RaftError::Consensus(ConsensusError::Refused(refusal)) => refusal_code(refusal),
        RaftError::Consensus(ConsensusError::Timeout(_)) | RaftError::LeaderReplaced => Code::DeadlineExceeded,
        RaftError::Consensus(ConsensusError::TooLarge { .. }) => Code::InvalidArgument,
        RaftError::Consensus(ConsensusError::NoSpace(_)) => Code::ResourceExhausted,
        RaftError::Consensus(ConsensusError::Membership(_)) => Code::FailedPrecondition,
        RaftError::Consensus(_) | RaftError::NoLeader | RaftError::Forward { .. } => Code::Unavailable,
    };
    let hint = match code {
        Code::Unavailable => "; see radioctl status for the nodes that are missing, and try again",
        Code::DeadlineExceeded => "; look with radioctl whether it was, before trying again",
        _ => "",
    };
    Status::new(code, format!("{error}{hint}"))
}

fn refusal_code(refusal: &Refusal) -> Code {
    match refusal {
        Refusal::LeaseNotFound | Refusal::MemberNotFound => Code::NotFound,
        Refusal::LeaseExists
        | Refusal::PeerUrlsExist
        | Refusal::MemberNameExists { .. }
        | Refusal::Trust(_)
        | Refusal::AlreadyInitialised => Code::FailedPrecondition,
        Refusal::Compacted { .. } | Refusal::FutureRevision | Refusal::LeaseTtlTooLarge => Code::OutOfRange,
        Refusal::NoSpace => Code::ResourceExhausted,
        Refusal::Corrupt => Code::FailedPrecondition,
        _ => Code::InvalidArgument,
    }
}

/// There is no such mount.
pub(super) fn no_mount(name: &str) -> Status {
    Status::not_found(format!("no mount {name}; radioctl list-mounts shows those there are"))
}
