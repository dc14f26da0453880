//! Who may do what (etcd's `auth/store.go` and `apply_auth.go`). Checked in `apply`, with the command itself, so that
//! what is revoked before a write in the log does not count for it.

use super::{Auth, AuthRefusal, Credentials, User, Who};
use crate::{Command, DeleteRequest, LeaseId, Machine, Op, PutRequest, Refusal, TxnRequest};

/// What somebody wants to do, besides commands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access<'a> {
    /// Anything that a user may, whoever it is.
    Known,
    /// Anything that takes the role `root`.
    Root,
    /// Read `[key, range_end)`; see [`crate::DeleteRequest::range_end`].
    Read(&'a [u8], &'a [u8]),
    /// Write `[key, range_end)`.
    Write(&'a [u8], &'a [u8]),
    /// Learn the keys that hang on a lease.
    LeaseKeys(LeaseId),
    /// Keep a lease alive, end it, or hang a key on it.
    LeaseChange(LeaseId),
    /// Learn which leases there are.
    AllLeases,
    /// Read a user's roles: its own, or as root.
    User(&'a str),
    /// Read a role's permissions: of one that the user has, or as root.
    Role(&'a str),
    /// Carry out a transaction, whichever way it goes, with all inside.
    Txn(&'a TxnRequest),
}

fn denied(refusal: AuthRefusal) -> Refusal {
    Refusal::Auth(refusal)
}

impl Auth {
    fn user(&self, name: &str) -> Option<&User> {
        self.state.users.get(name)
    }

    fn key_range(&self, who: &Who, key: &[u8], end: &[u8], write: bool) -> Result<(), Refusal> {
        let name = match who {
            _ if !self.state.enabled => return Ok(()),
            Who::Trusted { .. } => return Ok(()),
            Who::Nobody => return Err(denied(AuthRefusal::UserEmpty)),
            Who::User { auth_revision, .. } if *auth_revision < self.state.revision => {
                return Err(denied(AuthRefusal::OldRevision));
            }
            Who::User { name, .. } => name,
        };
        let user = self.user(name).ok_or(denied(AuthRefusal::Denied))?;
        let covered = |write: bool| {
            let merged = self.merged.get(name);
            merged.is_some_and(|merged| if write { &merged.write } else { &merged.read }.cover(key, end))
        };
        if user.is_root() || covered(write) { Ok(()) } else { Err(denied(AuthRefusal::Denied)) }
    }

    fn root(&self, who: &Who) -> Result<(), Refusal> {
        let name = match who {
            _ if !self.state.enabled => return Ok(()),
            Who::Trusted { .. } => return Ok(()),
            Who::Nobody => return Err(denied(AuthRefusal::UserEmpty)),
            Who::User { name, .. } => name,
        };
        let user = self.user(name).ok_or(denied(AuthRefusal::UserNotFound))?;
        if user.is_root() { Ok(()) } else { Err(denied(AuthRefusal::Denied)) }
    }

    fn known(&self, who: &Who) -> Result<(), Refusal> {
        match who {
            _ if !self.state.enabled => Ok(()),
            Who::Trusted { .. } => Ok(()),
            Who::Nobody => Err(denied(AuthRefusal::UserEmpty)),
            // A certificate's name need not be a user's.
            Who::User { name, .. } if self.user(name).is_none() => Err(denied(AuthRefusal::Denied)),
            Who::User { .. } => Ok(()),
        }
    }
}

impl Machine {
    /// Who this is, now.
    ///
    /// # Errors
    /// `InvalidToken`, where auth is enabled.
    pub fn identify(&self, credentials: &Credentials) -> Result<Who, Refusal> {
        let state = &self.auth.state;
        let user = |name: &String| Who::User { name: name.clone(), auth_revision: state.revision };
        match credentials {
            Credentials::None => Ok(Who::Nobody),
            Credentials::Trusted(name) => Ok(Who::Trusted { name: name.clone() }),
            Credentials::CommonName(name) => Ok(user(name)),
            // As in etcd: old tokens do no harm when auth was disabled.
            Credentials::Token(_) if !state.enabled => Ok(Who::Nobody),
            Credentials::Token(hash) => {
                let token = state.tokens.get(hash).ok_or(denied(AuthRefusal::InvalidToken))?;
                Ok(user(&token.user))
            }
        }
    }

    /// Refuses what somebody may not do.
    ///
    /// # Errors
    /// [`AuthRefusal`].
    pub fn permit(&self, who: &Who, access: Access<'_>) -> Result<(), Refusal> {
        let auth = &self.auth;
        match access {
            Access::Known => auth.known(who),
            Access::Root => auth.root(who),
            Access::Read(key, end) => auth.key_range(who, key, end, false),
            Access::Write(key, end) => auth.key_range(who, key, end, true),
            Access::LeaseKeys(id) => {
                auth.known(who)?;
                self.permit_keys(who, id, false)
            }
            Access::LeaseChange(id) => {
                auth.known(who)?;
                self.permit_keys(who, id, true)
            }
            Access::AllLeases => {
                auth.known(who)?;
                self.leases.keys().try_for_each(|id| self.permit_keys(who, *id, false))
            }
            Access::User(user) => match (auth.root(who), who) {
                (Err(_), Who::User { name, .. }) if name == user => Ok(()),
                (root, _) => root,
            },
            Access::Role(role) => match (auth.root(who), who) {
                (Err(_), Who::User { name, .. }) if auth.user(name).is_some_and(|user| user.roles.contains(role)) => {
                    Ok(())
                }
                (root, _) => root,
            },
            Access::Txn(txn) => self.permit_txn(who, txn),
        }
    }

    /// Refuses a command that somebody may not have carried out.
    pub(crate) fn permit_command(&self, who: &Who, command: &Command) -> Result<(), Refusal> {
        if !self.auth.state.enabled {
            return Ok(());
        }
        match command {
            Command::Put(put) => self.permit_put(who, put),
            Command::Delete(delete) => self.permit_delete(who, delete),
            Command::Txn(txn) => self.permit_txn(who, txn),
            Command::LeaseGrant { .. } => self.auth.known(who),
            Command::LeaseRevoke { id } => self.permit(who, Access::LeaseChange(*id)),
            // Whatever there is besides, and will be.
            _ => self.auth.root(who),
        }
    }

    /// A key may be hung only on a lease that its writer could end: else it would hang on another's mercy.
    fn permit_put(&self, who: &Who, put: &PutRequest) -> Result<(), Refusal> {
        self.auth.key_range(who, &put.key, b"", true)?;
        self.permit_keys(who, put.lease, true)?;
        if put.prev_kv { self.auth.key_range(who, &put.key, b"", false) } else { Ok(()) }
    }

    fn permit_delete(&self, who: &Who, delete: &DeleteRequest) -> Result<(), Refusal> {
        self.auth.key_range(who, &delete.key, &delete.range_end, true)?;
        if delete.prev_kv { self.auth.key_range(who, &delete.key, &delete.range_end, false) } else { Ok(()) }
    }

    /// Both ways, at every depth.
    fn permit_txn(&self, who: &Who, txn: &TxnRequest) -> Result<(), Refusal> {
        if !self.auth.state.enabled {
            return Ok(());
        }
        for compare in &txn.compare {
            self.auth.key_range(who, &compare.key, &compare.range_end, false)?;
        }
        txn.success.iter().chain(&txn.failure).try_for_each(|op| match op {
            Op::Range(range) => self.auth.key_range(who, &range.key, &range.range_end, false),
            Op::Put(put) => self.permit_put(who, put),
            Op::Delete(delete) => self.permit_delete(who, delete),
            Op::Txn(inner) => self.permit_txn(who, inner),
        })
    }

    /// All keys of a lease. One that there is not has none.
    fn permit_keys(&self, who: &Who, id: LeaseId, write: bool) -> Result<(), Refusal> {
        if self.auth.root(who).is_ok() {
            return Ok(());
        }
        let keys = self.leases.get(&id).into_iter().flat_map(|lease| &lease.keys);
        keys.into_iter().try_for_each(|key| self.auth.key_range(who, key, b"", write))
    }
}
