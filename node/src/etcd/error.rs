//! What clients are told when something fails: etcd's codes and texts (etcd's `api/v3rpc/rpctypes/error.go`). Its Go
//! client turns texts back into errors, so that they must be exact.

use autoradio_machine::{AuthRefusal, Refusal};
use autoradio_store::ConsensusError;
use tonic::{Code, Status};

use crate::raft::RaftError;

/// What is refused before the machine is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum EtcdError {
    InvalidSortOption,
    RequestTooLarge,
    TxnTooDeep,
    UnknownOption,
    NotLearner,
    LearnerNotReady,
    MemberNotFound,
    BadPeerUrls,
    HashGiven,
    NotLeader,
    BadTransferee,
    TransferTooLong,
    UnhealthyCluster,
    EmptyKey,
    TooManyRequests,
    LockLost,
    ElectionNotLeader,
    ElectionNoLeader,
    MissingLeaderKey,
}

impl EtcdError {
    fn entry(self) -> (Code, &'static str) {
        match self {
            Self::InvalidSortOption => (Code::InvalidArgument, "etcdserver: invalid sort option"),
            Self::RequestTooLarge => (Code::InvalidArgument, "etcdserver: request is too large"),
            Self::TxnTooDeep => (Code::InvalidArgument, "etcdserver: transactions are nested too deeply"),
            Self::UnknownOption => (Code::InvalidArgument, "etcdserver: a value of the request is not known here"),
            Self::NotLearner => (Code::FailedPrecondition, "etcdserver: can only promote a learner member"),
            Self::LearnerNotReady => {
                (Code::FailedPrecondition, "etcdserver: can only promote a learner member which is in sync with leader")
            }
            Self::MemberNotFound => (Code::NotFound, "etcdserver: member not found"),
            Self::BadPeerUrls => (Code::InvalidArgument, "etcdserver: given member URLs are invalid"),
            Self::HashGiven => {
                (Code::InvalidArgument, "etcdserver: hashes of passwords are not taken; give the password itself")
            }
            Self::NotLeader => (Code::FailedPrecondition, "etcdserver: not leader"),
            Self::UnhealthyCluster => (Code::Unavailable, "etcdserver: unhealthy cluster"),
            Self::TransferTooLong => {
                (Code::Unavailable, "etcdserver: request timed out, leader transfer took too long")
            }
            Self::BadTransferee => (Code::FailedPrecondition, "etcdserver: bad leader transferee"),
            Self::EmptyKey => (Code::InvalidArgument, "etcdserver: key is not provided"),
            Self::TooManyRequests => (Code::ResourceExhausted, "etcdserver: too many requests"),
            // The texts of etcd's `client/v3/concurrency` and `v3election`, which have no codes.
            Self::LockLost => (Code::Unknown, "mutex: session is expired"),
            Self::ElectionNotLeader => (Code::Unknown, "election: not leader"),
            Self::ElectionNoLeader => (Code::Unknown, "election: no leader"),
            Self::MissingLeaderKey => (Code::Unknown, "\"leader\" field must be provided"),
        }
    }
}

impl From<EtcdError> for Status {
    fn from(error: EtcdError) -> Self {
        let (code, text) = error.entry();
        Self::new(code, text)
    }
}

/// The status for a failed proposal or read.
pub(super) fn from_raft(error: &RaftError) -> Status {
    match error {
        RaftError::Consensus(ConsensusError::Refused(refusal)) => from_refusal(refusal),
        // Without a majority etcd says this, too: it waits for one until the time is up.
        RaftError::Consensus(ConsensusError::Timeout(_) | ConsensusError::NoQuorum) | RaftError::NoLeader => {
            Status::unavailable("etcdserver: request timed out")
        }
        RaftError::Busy => EtcdError::TooManyRequests.into(),
        RaftError::Consensus(ConsensusError::NotLeader { .. })
        | RaftError::Forward { .. }
        | RaftError::LeaderReplaced => Status::unavailable("etcdserver: leader changed"),
        // In etcd's words: there, too, it is room on a disk that is missing.
        RaftError::Consensus(ConsensusError::NoSpace(_)) => from_refusal(&Refusal::NoSpace),
        RaftError::Consensus(ConsensusError::TooLarge { .. }) => EtcdError::RequestTooLarge.into(),
        RaftError::Consensus(ConsensusError::Stopped(_)) => Status::unavailable("etcdserver: server stopped"),
        RaftError::Consensus(ConsensusError::Membership(reason)) => Status::failed_precondition(reason.clone()),
    }
}

/// The status for what the machine refused; the texts are its own.
pub(super) fn from_refusal(refusal: &Refusal) -> Status {
    let code = match refusal {
        Refusal::EmptyKey
        | Refusal::KeyNotFound
        | Refusal::ValueProvided
        | Refusal::LeaseProvided
        | Refusal::TooManyOps
        | Refusal::DuplicateKey
        | Refusal::BadPeerUrls
        | Refusal::Invalid { .. } => Code::InvalidArgument,
        Refusal::Compacted { .. } | Refusal::FutureRevision | Refusal::LeaseTtlTooLarge => Code::OutOfRange,
        Refusal::LeaseNotFound | Refusal::MemberNotFound => Code::NotFound,
        Refusal::LeaseExists
        | Refusal::PeerUrlsExist
        | Refusal::MemberNameExists { .. }
        | Refusal::AlreadyInitialised
        | Refusal::Trust(_)
        | Refusal::TooManyLearners => Code::FailedPrecondition,
        Refusal::NoSpace => Code::ResourceExhausted,
        // etcd's server sends this one so, whatever its table says.
        Refusal::NotEnoughStarted => Code::Unknown,
        Refusal::NotReadOnly => Code::Internal,
        Refusal::Corrupt => Code::DataLoss,
        Refusal::Auth(refusal) => auth_code(refusal),
    };
    Status::new(code, refusal.to_string())
}

fn auth_code(refusal: &AuthRefusal) -> Code {
    match refusal {
        AuthRefusal::NoRootUser
        | AuthRefusal::NoRootRole
        | AuthRefusal::UserExists
        | AuthRefusal::UserNotFound
        | AuthRefusal::RoleExists
        | AuthRefusal::RoleNotFound
        | AuthRefusal::RoleNotGranted
        | AuthRefusal::PermissionNotGranted
        | AuthRefusal::NotEnabled => Code::FailedPrecondition,
        AuthRefusal::UserEmpty
        | AuthRefusal::RoleEmpty
        | AuthRefusal::Failed
        | AuthRefusal::PermissionNotGiven
        | AuthRefusal::InvalidManagement
        | AuthRefusal::OldRevision
        | AuthRefusal::NameTooLong { .. } => Code::InvalidArgument,
        AuthRefusal::Denied => Code::PermissionDenied,
        AuthRefusal::InvalidToken => Code::Unauthenticated,
        AuthRefusal::Full { .. } => Code::ResourceExhausted,
        AuthRefusal::NoPasswordUser => Code::Unknown,
    }
}

/// What a watch is told that is refused: etcd sends the whole error as Go writes it.
pub(super) fn cancel_reason(refusal: &Refusal) -> String {
    let code = match refusal {
        Refusal::Auth(AuthRefusal::InvalidToken) => "Unauthenticated",
        Refusal::Auth(AuthRefusal::OldRevision | AuthRefusal::UserEmpty) => "InvalidArgument",
        _ => "PermissionDenied",
    };
    format!("rpc error: code = {code} desc = {refusal}")
}
