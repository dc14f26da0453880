//! etcd's users, roles and permissions, and the tokens that stand for users
//! (<https://etcd.io/docs/v3.5/op-guide/authentication/rbac/>).
//!
//! `revision` is etcd's auth revision: it moves with every change of users and roles, not with tokens, and the store's
//! revision does not move with it. A command that comes with an older one was judged by what is no longer true, and is
//! refused; who proposed it looks again.

mod change;
mod check;
mod command;
mod ranges;
mod refusal;

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use serde::{Deserialize, Serialize};

pub use check::Access;
pub use command::{
    Asked, AuthCommand, Caller, Credentials, Permission, PermissionKind, TOKEN_HASH_BYTES, TokenHash, Who,
};
pub use refusal::AuthRefusal;

use self::ranges::Ranges;
use crate::{LogIndex, Machine};

/// The user that there must be before auth is enabled, and the role that may do everything, whoever has it.
pub const ROOT: &str = "root";

/// etcd's auth revision of a store that nothing was done to.
const FIRST_REVISION: u64 = 1;

/// A user. Roles are names, as etcd has them: a role that is deleted is taken from its users.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct User {
    /// The password's argon2id hash as a PHC string; empty for one that nothing matches; `None` for a user that logs in
    /// by certificate only.
    pub password_hash: Option<String>,
    /// Roles, by name.
    pub roles: BTreeSet<String>,
}

impl User {
    /// Whether the user may do everything.
    #[must_use]
    pub fn is_root(&self) -> bool {
        self.roles.contains(ROOT)
    }
}

/// Permissions by key and range end.
type Role = BTreeMap<(Bytes, Bytes), PermissionKind>;

/// A token that was given out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuthToken {
    /// Whose it is.
    pub user: String,
    /// The log index at which it was given out or last told to be in use: those who count its time begin anew when it
    /// moves.
    pub touched: LogIndex,
}

/// What is kept in snapshots.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct AuthState {
    pub(crate) enabled: bool,
    pub(crate) revision: u64,
    pub(crate) users: BTreeMap<String, User>,
    pub(crate) roles: BTreeMap<String, Role>,
    pub(crate) tokens: BTreeMap<TokenHash, AuthToken>,
}

impl Default for AuthState {
    fn default() -> Self {
        Self {
            enabled: false,
            revision: FIRST_REVISION,
            users: BTreeMap::new(),
            roles: BTreeMap::new(),
            tokens: BTreeMap::new(),
        }
    }
}

/// What a user may read and write, all roles together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Merged {
    read: Ranges,
    write: Ranges,
}

/// The state with what follows from it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Auth {
    state: AuthState,
    merged: BTreeMap<String, Merged>,
}

impl Auth {
    pub(crate) fn new(state: AuthState) -> Self {
        let mut auth = Self { state, merged: BTreeMap::new() };
        auth.merge();
        auth
    }

    pub(crate) fn state(&self) -> &AuthState {
        &self.state
    }

    /// Puts every user's roles together anew.
    fn merge(&mut self) {
        let roles = &self.state.roles;
        let of = |user: &User| {
            let (mut read, mut write) = (Vec::new(), Vec::new());
            for ((key, end), kind) in user.roles.iter().filter_map(|name| roles.get(name)).flatten() {
                if kind.reads() {
                    read.push((key, end));
                }
                if kind.writes() {
                    write.push((key, end));
                }
            }
            Merged { read: Ranges::of(read), write: Ranges::of(write) }
        };
        self.merged = self.state.users.iter().map(|(name, user)| (name.clone(), of(user))).collect();
    }
}

impl Machine {
    /// Whether auth is enabled.
    #[must_use]
    pub fn auth_enabled(&self) -> bool {
        self.auth.state.enabled
    }

    /// etcd's auth revision.
    #[must_use]
    pub fn auth_revision(&self) -> u64 {
        self.auth.state.revision
    }

    /// A user.
    #[must_use]
    pub fn auth_user(&self, name: &str) -> Option<&User> {
        self.auth.state.users.get(name)
    }

    /// All users, by name.
    pub fn auth_users(&self) -> impl Iterator<Item = (&String, &User)> {
        self.auth.state.users.iter()
    }

    /// All roles' names, in order.
    pub fn auth_roles(&self) -> impl Iterator<Item = &String> {
        self.auth.state.roles.keys()
    }

    /// A role's permissions by key; that of `root` is for everything.
    #[must_use]
    pub fn auth_role(&self, name: &str) -> Option<Vec<Permission>> {
        let role = self.auth.state.roles.get(name)?;
        if name == ROOT {
            let (key, range_end) = (Bytes::new(), Bytes::from_static(b"\0"));
            return Some(vec![Permission { kind: PermissionKind::ReadWrite, key, range_end }]);
        }
        let one = |((key, range_end), kind): (&(Bytes, Bytes), &PermissionKind)| Permission {
            kind: *kind,
            key: key.clone(),
            range_end: range_end.clone(),
        };
        Some(role.iter().map(one).collect())
    }

    /// All tokens, by hash.
    pub fn auth_tokens(&self) -> impl Iterator<Item = (&TokenHash, &AuthToken)> {
        self.auth.state.tokens.iter()
    }
}
