//! Changes of users, roles and tokens (etcd's `auth/store.go`). What is refused has changed nothing.

use std::collections::BTreeMap;

use super::{Auth, AuthCommand, AuthRefusal, AuthToken, Permission, ROOT, TokenHash, User};
use crate::LogIndex;

/// Users, and roles. etcd has no bound; every change puts all permissions together anew.
const ENTRIES_MAX: usize = 10_000;
/// Permissions of one role.
const PERMISSIONS_MAX: usize = 10_000;
/// Bytes of a name: as long as a mount's, with what stands before it.
const NAME_BYTES_MAX: usize = 512;
/// Tokens at a time; then the one that was not used for the longest ends. etcdctl asks for one with every command, and
/// they live five minutes: 33 commands a second.
const TOKENS_MAX: usize = 10_000;
/// Changes of one [`AuthCommand::All`].
const ALL_MAX: usize = 64;

type Done = Result<(), AuthRefusal>;

fn check_name(name: &str, empty: AuthRefusal) -> Done {
    match name.len() {
        0 => Err(empty),
        1..=NAME_BYTES_MAX => Ok(()),
        _ => Err(AuthRefusal::NameTooLong { max: NAME_BYTES_MAX as u64 }),
    }
}

fn check_room(what: &str, there: usize, max: usize) -> Done {
    if there < max { Ok(()) } else { Err(AuthRefusal::Full { what: what.into(), max: max as u64 }) }
}

impl Auth {
    /// Carries a change out, or refuses it whole.
    pub(crate) fn change(&mut self, index: LogIndex, command: &AuthCommand) -> Done {
        let AuthCommand::All(commands) = command else { return self.one(index, command) };
        if commands.len() > ALL_MAX || commands.iter().any(|command| matches!(command, AuthCommand::All(_))) {
            return Err(AuthRefusal::InvalidManagement);
        }
        let before = self.clone();
        for command in commands {
            if let Err(refusal) = self.one(index, command) {
                *self = before;
                return Err(refusal);
            }
        }
        Ok(())
    }

    fn one(&mut self, index: LogIndex, command: &AuthCommand) -> Done {
        match command {
            AuthCommand::Enable => self.enable(),
            AuthCommand::Disable => {
                if self.state.enabled {
                    self.state.enabled = false;
                    self.state.tokens.clear();
                    self.state.revision += 1;
                }
                Ok(())
            }
            AuthCommand::UserAdd { name, password_hash } => self.add_user(name, password_hash.as_ref()),
            AuthCommand::UserDelete { name } => self.delete_user(name),
            AuthCommand::UserPassword { name, password_hash } => self.change_password(name, password_hash),
            AuthCommand::UserGrant { user, role } => self.grant_role(user, role),
            AuthCommand::UserRevoke { user, role } => self.revoke_role(user, role),
            AuthCommand::RoleAdd { role } => self.add_role(role),
            AuthCommand::RoleDelete { role } => self.delete_role(role),
            AuthCommand::RoleGrant { role, permission } => self.grant(role, permission),
            AuthCommand::RoleRevoke { role, key, range_end } => {
                let permissions = self.state.roles.get_mut(role).ok_or(AuthRefusal::RoleNotFound)?;
                permissions.remove(&(key.clone(), range_end.clone())).ok_or(AuthRefusal::PermissionNotGranted)?;
                self.changed()
            }
            AuthCommand::Authenticate { user, token, checked_revision } => {
                self.authenticate(index, user, token, *checked_revision)
            }
            AuthCommand::TokensUsed { tokens } => {
                for hash in tokens {
                    if let Some(token) = self.state.tokens.get_mut(hash) {
                        token.touched = index;
                    }
                }
                Ok(())
            }
            AuthCommand::TokensExpired { tokens } => {
                for (hash, touched) in tokens {
                    // One that was used meanwhile lives on.
                    if self.state.tokens.get(hash).is_some_and(|token| token.touched == *touched) {
                        self.state.tokens.remove(hash);
                    }
                }
                Ok(())
            }
            AuthCommand::All(_) => Err(AuthRefusal::InvalidManagement),
        }
    }

    /// Counts a change of users and roles.
    #[allow(clippy::unnecessary_wraps, reason = "it ends what may be refused")]
    fn changed(&mut self) -> Done {
        self.state.revision += 1;
        self.merge();
        Ok(())
    }

    /// Does not move the revision, as in etcd.
    fn enable(&mut self) -> Done {
        if self.state.enabled {
            return Ok(());
        }
        let root = self.state.users.get(ROOT).ok_or(AuthRefusal::NoRootUser)?;
        if !root.is_root() {
            return Err(AuthRefusal::NoRootRole);
        }
        self.state.enabled = true;
        Ok(())
    }

    fn user_mut(&mut self, name: &str) -> Result<&mut User, AuthRefusal> {
        self.state.users.get_mut(name).ok_or(AuthRefusal::UserNotFound)
    }

    fn add_user(&mut self, name: &str, password_hash: Option<&String>) -> Done {
        check_name(name, AuthRefusal::UserEmpty)?;
        if self.state.users.contains_key(name) {
            return Err(AuthRefusal::UserExists);
        }
        check_room("users", self.state.users.len(), ENTRIES_MAX)?;
        let user = User { password_hash: password_hash.cloned(), ..User::default() };
        self.state.users.insert(name.to_owned(), user);
        self.changed()
    }

    fn delete_user(&mut self, name: &str) -> Done {
        if self.state.enabled && name == ROOT {
            return Err(AuthRefusal::InvalidManagement);
        }
        self.state.users.remove(name).ok_or(AuthRefusal::UserNotFound)?;
        self.end_tokens_of(name);
        self.changed()
    }

    fn change_password(&mut self, name: &str, password_hash: &str) -> Done {
        if let Some(hash) = &mut self.user_mut(name)?.password_hash {
            password_hash.clone_into(hash);
        }
        self.end_tokens_of(name);
        self.changed()
    }

    fn end_tokens_of(&mut self, name: &str) {
        self.state.tokens.retain(|_, token| token.user != name);
    }

    fn grant_role(&mut self, user: &str, role: &str) -> Done {
        // The role root need not have been added.
        let is_there = role == ROOT || self.state.roles.contains_key(role);
        let user = self.user_mut(user)?;
        if !is_there {
            return Err(AuthRefusal::RoleNotFound);
        }
        if user.roles.insert(role.to_owned()) { self.changed() } else { Ok(()) }
    }

    fn revoke_role(&mut self, user: &str, role: &str) -> Done {
        if self.state.enabled && user == ROOT && role == ROOT {
            return Err(AuthRefusal::InvalidManagement);
        }
        if !self.user_mut(user)?.roles.remove(role) {
            return Err(AuthRefusal::RoleNotGranted);
        }
        self.changed()
    }

    fn add_role(&mut self, role: &str) -> Done {
        check_name(role, AuthRefusal::RoleEmpty)?;
        if self.state.roles.contains_key(role) {
            return Err(AuthRefusal::RoleExists);
        }
        check_room("roles", self.state.roles.len(), ENTRIES_MAX)?;
        self.state.roles.insert(role.to_owned(), BTreeMap::new());
        self.changed()
    }

    fn delete_role(&mut self, role: &str) -> Done {
        if self.state.enabled && role == ROOT {
            return Err(AuthRefusal::InvalidManagement);
        }
        self.state.roles.remove(role).ok_or(AuthRefusal::RoleNotFound)?;
        for user in self.state.users.values_mut() {
            user.roles.remove(role);
        }
        self.changed()
    }

    fn grant(&mut self, role: &str, permission: &Permission) -> Done {
        let Permission { kind, key, range_end } = permission;
        let is_range = range_end.is_empty() || range_end[..] == [0] || key < range_end;
        if key.is_empty() || !is_range {
            return Err(AuthRefusal::InvalidManagement);
        }
        let permissions = self.state.roles.get_mut(role).ok_or(AuthRefusal::RoleNotFound)?;
        let place = (key.clone(), range_end.clone());
        if !permissions.contains_key(&place) {
            check_room("permissions of the role", permissions.len(), PERMISSIONS_MAX)?;
        }
        permissions.insert(place, *kind);
        self.changed()
    }

    fn authenticate(&mut self, index: LogIndex, user: &str, token: &TokenHash, checked_revision: u64) -> Done {
        if !self.state.enabled {
            return Err(AuthRefusal::NotEnabled);
        }
        // The password may be another by now.
        if checked_revision != self.state.revision {
            return Err(AuthRefusal::OldRevision);
        }
        if self.state.users.get(user).is_none_or(|user| user.password_hash.is_none()) {
            return Err(AuthRefusal::Failed);
        }
        if self.state.tokens.len() >= TOKENS_MAX {
            let oldest = self.state.tokens.iter().min_by_key(|(hash, token)| (token.touched, **hash));
            if let Some(oldest) = oldest.map(|(hash, _)| *hash) {
                self.state.tokens.remove(&oldest);
            }
        }
        self.state.tokens.insert(*token, AuthToken { user: user.to_owned(), touched: index });
        Ok(())
    }
}
