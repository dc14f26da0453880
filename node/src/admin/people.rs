//! The calls of the People service: users with roles, and the audit log. Owners only.

use autoradio_machine::{Access, AuthCommand, AuthRefusal, Command, Machine, ROOT, Refusal, User};
use autoradio_proto::admin::{
    AddUserRequest, AuditEntry, AuditReply, AuditRequest, DeleteUserReply, DeleteUserRequest, ListUsersReply,
    ListUsersRequest, ResetUserPasswordRequest, SetAuthReply, SetAuthRequest, UserInfo, UserReply,
    people_server::People,
};
use tokio::sync::watch;
use tonic::{Request, Response, Status};

use super::{
    error::{from_raft, from_refusal},
    roles::{self, Role},
    service::ready,
};
use crate::{caller::Asker, context::Context, password};

/// How often a change is made anew when somebody else's came between.
const TRIES: usize = 5;

/// The longest name of a person, in bytes: it stands in tables.
const NAME_BYTES_MAX: usize = 64;

/// Users and the audit log.
pub struct PeopleService {
    pub(super) context: watch::Receiver<Option<Context>>,
}

impl PeopleService {
    /// The node, for an owner, with what is true now.
    async fn for_owner(&self, asker: &Asker) -> Result<Context, Status> {
        let context = ready(&self.context)?;
        context.raft.barrier().await.map_err(|error| from_raft(&error))?;
        let permitted = context.raft.read_as(asker, |machine, who| machine.permit(who, Access::Root)).await;
        permitted.map_err(|refusal| from_refusal(&refusal))?;
        Ok(context)
    }
}

/// A name that `etcdctl --user NAME:PASSWORD` can carry.
fn check_name(name: &str) -> Result<(), Status> {
    let plain = name.chars().all(|c| !c.is_control() && !c.is_whitespace() && c != ':');
    if name.is_empty() || name.len() > NAME_BYTES_MAX || !plain {
        let text = format!("a user's name has 1 to {NAME_BYTES_MAX} bytes, without blanks and colons");
        return Err(Status::invalid_argument(text));
    }
    Ok(())
}

fn info(name: &str, user: &User) -> UserInfo {
    let (roles, prefixes) = roles::of(user);
    UserInfo { name: name.to_owned(), roles, prefixes, password: user.password_hash.is_some() }
}

/// A user as it is here: whoever proposed has applied it.
fn user_now(context: &Context, name: &str) -> Option<UserInfo> {
    context.raft.read(|machine| machine.auth_user(name).map(|user| info(name, user)))
}

async fn change(context: &Context, asker: &Asker, command: AuthCommand) -> Result<(), Status> {
    context.raft.propose_as(asker, Command::Auth(command)).await.map(drop).map_err(|error| from_raft(&error))
}

/// What enables auth: the root user that etcd demands is made where there is none, without a password.
fn enable(machine: &Machine) -> AuthCommand {
    let mut commands = Vec::new();
    let root = machine.auth_user(ROOT);
    if root.is_none() {
        commands.push(AuthCommand::UserAdd { name: ROOT.into(), password_hash: None });
    }
    if !root.is_some_and(User::is_root) {
        commands.push(AuthCommand::UserGrant { user: ROOT.into(), role: ROOT.into() });
    }
    commands.push(AuthCommand::Enable);
    AuthCommand::All(commands)
}

#[tonic::async_trait]
impl People for PeopleService {
    async fn add_user(&self, request: Request<AddUserRequest>) -> Result<Response<UserReply>, Status> {
        let asker = Asker::of(&request);
        let AddUserRequest { name, role, prefix } = request.into_inner();
        let context = self.for_owner(&asker).await?;
        check_name(&name)?;
        let role = Role::parse(&role, &prefix).map_err(Status::invalid_argument)?;
        let (password, hash) = password::make().await?;
        for _ in 0..TRIES {
            let mut all = vec![AuthCommand::UserAdd { name: name.clone(), password_hash: Some(hash.clone()) }];
            all.extend(context.raft.read(|machine| role.give(machine, &name)));
            match context.raft.propose_as(&asker, Command::Auth(AuthCommand::All(all))).await {
                Ok(_) => return Ok(Response::new(UserReply { user: user_now(&context, &name), password })),
                // Somebody made the role, or deleted it, a moment ago.
                Err(error)
                    if matches!(
                        error.refusal(),
                        Some(Refusal::Auth(AuthRefusal::RoleExists | AuthRefusal::RoleNotFound))
                    ) => {}
                Err(error) => return Err(from_raft(&error)),
            }
        }
        Err(Status::aborted(format!("roles were changed by others at the same time, {TRIES} times; try again")))
    }

    async fn list_users(&self, request: Request<ListUsersRequest>) -> Result<Response<ListUsersReply>, Status> {
        let context = self.for_owner(&Asker::of(&request)).await?;
        let (users, enabled) = context.raft.read(|machine| {
            let users = machine.auth_users().map(|(name, user)| info(name, user)).collect();
            (users, machine.auth_enabled())
        });
        Ok(Response::new(ListUsersReply { users, enabled }))
    }

    async fn delete_user(&self, request: Request<DeleteUserRequest>) -> Result<Response<DeleteUserReply>, Status> {
        let (asker, name) = (Asker::of(&request), request.into_inner().name);
        let context = self.for_owner(&asker).await?;
        change(&context, &asker, AuthCommand::UserDelete { name }).await?;
        Ok(Response::new(DeleteUserReply {}))
    }

    async fn reset_user_password(
        &self,
        request: Request<ResetUserPasswordRequest>,
    ) -> Result<Response<UserReply>, Status> {
        let (asker, name) = (Asker::of(&request), request.into_inner().name);
        let context = self.for_owner(&asker).await?;
        let user = user_now(&context, &name);
        if user.as_ref().is_some_and(|user| !user.password) {
            let text = format!("{name} logs in by certificate only; delete it and add it anew to give it a password");
            return Err(Status::failed_precondition(text));
        }
        let (password, password_hash) = password::make().await?;
        change(&context, &asker, AuthCommand::UserPassword { name, password_hash }).await?;
        Ok(Response::new(UserReply { user, password }))
    }

    async fn set_auth(&self, request: Request<SetAuthRequest>) -> Result<Response<SetAuthReply>, Status> {
        let (asker, enabled) = (Asker::of(&request), request.into_inner().enabled);
        let context = self.for_owner(&asker).await?;
        let command = if enabled { context.raft.read(enable) } else { AuthCommand::Disable };
        change(&context, &asker, command).await?;
        Ok(Response::new(SetAuthReply {}))
    }

    async fn audit(&self, request: Request<AuditRequest>) -> Result<Response<AuditReply>, Status> {
        let (asker, limit) = (Asker::of(&request), request.into_inner().limit);
        let context = self.for_owner(&asker).await?;
        let limit = if limit == 0 { usize::MAX } else { usize::try_from(limit).unwrap_or(usize::MAX) };
        let shown = |entry: &autoradio_machine::AuditEntry| {
            let autoradio_machine::AuditEntry { seq, at_ms, who, from, action, target, old, new } = entry.clone();
            AuditEntry { seq, at_ms, who, from, action, target, old, new }
        };
        let entries = context.raft.read(|machine| machine.audit().take(limit).map(shown).collect());
        Ok(Response::new(AuditReply { entries }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_plain() {
        assert!(check_name("anna@example.org").is_ok());
        for bad in ["", "a b", "a:b", "a\n", &"x".repeat(65)] {
            assert!(check_name(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn auth_is_enabled_with_a_root_that_has_no_password() {
        let mut machine = Machine::default();
        let command = enable(&machine);
        machine.apply(1, &Command::Auth(command)).result.unwrap();
        assert!(machine.auth_enabled() && machine.auth_user(ROOT).unwrap().password_hash.is_none());
        let again = enable(&machine);
        machine.apply(2, &Command::Auth(again)).result.unwrap();
    }
}
