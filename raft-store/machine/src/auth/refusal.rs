//! Why auth refused. The texts are etcd's (`rpctypes/error.go`); its clients tell errors apart by them.

use serde::{Deserialize, Serialize};

/// Refused by auth.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum AuthRefusal {
    /// FAILED_PRECONDITION
    #[error("etcdserver: root user does not exist")]
    NoRootUser,
    /// FAILED_PRECONDITION
    #[error("etcdserver: root user does not have root role")]
    NoRootRole,
    /// FAILED_PRECONDITION
    #[error("etcdserver: user name already exists")]
    UserExists,
    /// INVALID_ARGUMENT; also where no credentials were given.
    #[error("etcdserver: user name is empty")]
    UserEmpty,
    /// FAILED_PRECONDITION
    #[error("etcdserver: user name not found")]
    UserNotFound,
    /// FAILED_PRECONDITION
    #[error("etcdserver: role name already exists")]
    RoleExists,
    /// FAILED_PRECONDITION
    #[error("etcdserver: role name not found")]
    RoleNotFound,
    /// INVALID_ARGUMENT
    #[error("etcdserver: role name is empty")]
    RoleEmpty,
    /// INVALID_ARGUMENT
    #[error("etcdserver: authentication failed, invalid user ID or password")]
    Failed,
    /// INVALID_ARGUMENT
    #[error("etcdserver: permission not given")]
    PermissionNotGiven,
    /// PERMISSION_DENIED
    #[error("etcdserver: permission denied")]
    Denied,
    /// FAILED_PRECONDITION
    #[error("etcdserver: role is not granted to the user")]
    RoleNotGranted,
    /// FAILED_PRECONDITION
    #[error("etcdserver: permission is not granted to the role")]
    PermissionNotGranted,
    /// FAILED_PRECONDITION
    #[error("etcdserver: authentication is not enabled")]
    NotEnabled,
    /// UNAUTHENTICATED
    #[error("etcdserver: invalid auth token")]
    InvalidToken,
    /// INVALID_ARGUMENT
    #[error("etcdserver: invalid auth management")]
    InvalidManagement,
    /// INVALID_ARGUMENT; what was asked is looked at anew with what is true now.
    #[error("etcdserver: revision of auth store is old")]
    OldRevision,
    /// RESOURCE_EXHAUSTED; ours.
    #[error("there are {max} {what} already, and there can be no more; delete some first")]
    Full {
        /// Of what.
        what: String,
        /// How many there can be.
        max: u64,
    },
    /// INVALID_ARGUMENT; ours: etcd takes names of any length.
    #[error("a name of a user or role has at most {max} bytes")]
    NameTooLong {
        /// How long it can be.
        max: u64,
    },
    /// UNKNOWN, as etcd sends it.
    #[error("auth: authentication failed, password was given for no password user")]
    NoPasswordUser,
}
