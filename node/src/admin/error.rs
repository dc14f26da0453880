//! What radioctl is told when something cannot be done: a code for programs, a sentence that says what to try.

use autoradio_machine::{AuthRefusal, Refusal};
use autoradio_store::ConsensusError;
use tonic::{Code, Status};

use crate::raft::RaftError;

/// The status for a failed proposal or read.
pub(crate) fn from_raft(error: &RaftError) -> Status {
    if let Some(Refusal::Auth(refusal)) = error.refusal() {
        return from_auth(refusal);
    }
    let code = match error {
        RaftError::Consensus(ConsensusError::Refused(refusal)) => refusal_code(refusal),
        RaftError::Consensus(ConsensusError::Timeout(_)) | RaftError::LeaderReplaced => Code::DeadlineExceeded,
        RaftError::Consensus(ConsensusError::TooLarge { .. }) => Code::InvalidArgument,
        RaftError::Consensus(ConsensusError::NoSpace(_)) => Code::ResourceExhausted,
        RaftError::Consensus(ConsensusError::Membership(_)) => Code::FailedPrecondition,
        RaftError::Busy => Code::ResourceExhausted,
        RaftError::Consensus(_) | RaftError::NoLeader | RaftError::Forward { .. } => Code::Unavailable,
    };
    let hint = match code {
        Code::Unavailable => "; see radioctl status for the nodes that are missing, and try again",
        Code::DeadlineExceeded => "; look with radioctl whether it was, before trying again",
        _ => "",
    };
    Status::new(code, format!("{error}{hint}"))
}

/// The status for what was refused of a read.
pub(super) fn from_refusal(refusal: &Refusal) -> Status {
    match refusal {
        Refusal::Auth(refusal) => from_auth(refusal),
        other => Status::new(refusal_code(other), other.to_string()),
    }
}

/// etcd's words are for its clients: people are told what to do.
fn from_auth(refusal: &AuthRefusal) -> Status {
    match refusal {
        AuthRefusal::UserEmpty => {
            Status::unauthenticated("this cluster asks who you are: radioctl --user NAME, or use the admin socket")
        }
        AuthRefusal::InvalidToken | AuthRefusal::OldRevision => {
            Status::unauthenticated("users or roles were changed a moment ago; try again")
        }
        AuthRefusal::Denied => Status::permission_denied("your role does not permit this; an owner can change that"),
        AuthRefusal::UserNotFound => Status::not_found("no such user; radioctl user list shows those there are"),
        AuthRefusal::UserExists => Status::already_exists("there is a user of that name already"),
        AuthRefusal::RoleExists => Status::aborted("somebody else made the role at the same time; try again"),
        AuthRefusal::InvalidManagement => Status::failed_precondition(
            "the user root and its role stay while auth is enabled; see radioctl auth disable",
        ),
        other => Status::invalid_argument(other.to_string()),
    }
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
