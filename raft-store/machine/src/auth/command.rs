//! Who asks, and what can be asked of users and roles.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::Command;

/// Length of [`TokenHash`].
pub const TOKEN_HASH_BYTES: usize = 32;

/// A token's SHA-256: tokens themselves are kept nowhere.
pub type TokenHash = [u8; TOKEN_HASH_BYTES];

/// What a request brings with it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Credentials {
    /// Nothing.
    #[default]
    None,
    /// A token.
    Token(TokenHash),
    /// A client certificate that was checked; the common name is a user's.
    CommonName(String),
    /// The operating system, or the node itself, vouches for who this is: may do everything.
    Trusted(String),
}

/// Who asks, when the entry was proposed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Who {
    /// Somebody without credentials.
    #[default]
    Nobody,
    /// A user.
    User {
        /// Its name.
        name: String,
        /// The auth revision at which it was known to be this one.
        auth_revision: u64,
    },
    /// Somebody whom the operating system or the node vouches for.
    Trusted {
        /// For the audit log.
        name: String,
    },
}

/// Who asks, from where, and when by the clock of the node that was asked: for permissions and the audit log.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Caller {
    /// Who.
    pub who: Who,
    /// From where: an address, or a socket.
    pub from: String,
    /// Unix time in milliseconds; for people only.
    pub at_ms: u64,
}

/// A command that somebody asked for, to be carried out if they may.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asked {
    /// Who.
    pub caller: Caller,
    /// What; not itself a [`Command::As`].
    pub command: Command,
}

/// What a permission allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum PermissionKind {
    /// Reading.
    Read,
    /// Writing.
    Write,
    /// Both.
    ReadWrite,
}

impl PermissionKind {
    pub(super) fn reads(self) -> bool {
        matches!(self, Self::Read | Self::ReadWrite)
    }

    pub(super) fn writes(self) -> bool {
        matches!(self, Self::Write | Self::ReadWrite)
    }
}

/// etcd's `authpb.Permission`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Permission {
    /// What it allows.
    pub kind: PermissionKind,
    /// The first key.
    pub key: Bytes,
    /// As in [`crate::DeleteRequest::range_end`].
    pub range_end: Bytes,
}

/// A change of users, roles and tokens. New variants are added at the end only.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum AuthCommand {
    /// Demand credentials from now on.
    Enable,
    /// Demand none; all tokens end.
    Disable,
    /// Add a user; see [`crate::User::password_hash`].
    UserAdd {
        /// Its name.
        name: String,
        /// Its password's hash.
        password_hash: Option<String>,
    },
    /// Delete a user; its tokens end.
    UserDelete {
        /// Its name.
        name: String,
    },
    /// Give a user another password; its tokens end. A user that has none keeps none.
    UserPassword {
        /// Its name.
        name: String,
        /// The new one's hash.
        password_hash: String,
    },
    /// Give a user a role.
    UserGrant {
        /// The user.
        user: String,
        /// The role.
        role: String,
    },
    /// Take a role from a user.
    UserRevoke {
        /// The user.
        user: String,
        /// The role.
        role: String,
    },
    /// Add a role.
    RoleAdd {
        /// Its name.
        role: String,
    },
    /// Delete a role, and take it from all users.
    RoleDelete {
        /// Its name.
        role: String,
    },
    /// Give a role a permission, in place of one for the same range.
    RoleGrant {
        /// The role.
        role: String,
        /// The permission.
        permission: Permission,
    },
    /// Take a permission from a role.
    RoleRevoke {
        /// The role.
        role: String,
        /// The permission's first key.
        key: Bytes,
        /// Its range end.
        range_end: Bytes,
    },
    /// A user's password was found right at an auth revision: this token stands for it from now on.
    Authenticate {
        /// The user.
        user: String,
        /// The token's hash.
        token: TokenHash,
        /// The auth revision at which the password was looked at.
        checked_revision: u64,
    },
    /// These tokens were used of late.
    TokensUsed {
        /// Their hashes.
        tokens: Vec<TokenHash>,
    },
    /// These tokens were not used for long; each with what [`crate::AuthToken::touched`] was when that was found.
    TokensExpired {
        /// Their hashes.
        tokens: Vec<(TokenHash, u64)>,
    },
    /// All of these or none; not nested.
    All(Vec<AuthCommand>),
}
