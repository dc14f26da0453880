//! Users, auth and the audit log.

use std::future::Future;

use autoradio_proto::admin::{
    AddUserRequest, AuditEntry, AuditRequest, DeleteUserRequest, ListUsersRequest, ResetUserPasswordRequest,
    SetAuthRequest, UserInfo, UserReply, people_client::PeopleClient,
};
use serde::Serialize;
use tokio::time::Instant;
use tonic::{Response, Status};

use crate::{
    args::{AuthCommand, UserCommand},
    clean,
    command::{ANSWER_MAX, Connection, Outcome, Session},
    error::{CliError, Effect},
    render,
};

type People = PeopleClient<Connection>;

/// A user, as JSON has it.
#[derive(Debug, Serialize)]
struct User {
    name: String,
    /// `owner`, `operator`, `viewer`, or the names of etcd's roles.
    roles: Vec<String>,
    /// What an operator's mounts begin with.
    prefixes: Vec<String>,
    /// Whether it has a password; else it logs in by certificate only.
    has_password: bool,
    /// A new password, this once.
    #[serde(skip_serializing_if = "Option::is_none")]
    password: Option<String>,
}

#[derive(Debug, Serialize)]
struct OneUser {
    user: User,
}

#[derive(Debug, Serialize)]
struct Users {
    users: Vec<User>,
    /// Whether clients on port 2379 must say who they are.
    auth_enabled: bool,
}

#[derive(Debug, Serialize)]
struct Deleted<'a> {
    deleted: &'a str,
}

#[derive(Debug, Serialize)]
struct Auth {
    auth_enabled: bool,
}

/// A change, as JSON has it.
#[derive(Debug, Serialize)]
struct Entry {
    seq: u64,
    /// Milliseconds since 1970.
    at_ms: u64,
    who: String,
    from: String,
    action: String,
    target: Option<String>,
    old: Option<String>,
    new: Option<String>,
}

#[derive(Debug, Serialize)]
struct Log {
    entries: Vec<Entry>,
}

impl User {
    fn new(info: UserInfo, password: Option<String>) -> Self {
        let UserInfo { name, roles, prefixes, password: has_password } = info;
        Self { name, roles, prefixes, has_password, password }
    }
}

impl From<AuditEntry> for Entry {
    fn from(entry: AuditEntry) -> Self {
        let given = |text: String| (!text.is_empty()).then_some(text);
        let AuditEntry { seq, at_ms, who, from, action, target, old, new } = entry;
        Self { seq, at_ms, who, from, action, target: given(target), old: given(old), new: given(new) }
    }
}

impl Session {
    pub(crate) async fn user(&self, command: &UserCommand) -> Result<Outcome, CliError> {
        match command {
            UserCommand::Add { name, role, prefix } => {
                let prefix = prefix.clone().unwrap_or_default();
                let request = AddUserRequest { name: name.clone(), role: role.clone(), prefix };
                let ask = async |mut people: People| people.add_user(request).await;
                let what = format!("user add {name}");
                let reply = self.ask_people(&what, Effect::Changes, ask).await?;
                self.with_user_password(&what, reply, render::added)
            }
            UserCommand::List => {
                let ask = async |mut people: People| people.list_users(ListUsersRequest {}).await;
                let reply = self.ask_people("user list", Effect::Reads, ask).await?;
                let listed = || Users {
                    users: reply.users.iter().cloned().map(|user| User::new(user, None)).collect(),
                    auth_enabled: reply.enabled,
                };
                Ok(self.done(|| render::users(&reply.users, reply.enabled, self.look), listed))
            }
            UserCommand::Delete { name } => {
                let request = DeleteUserRequest { name: name.clone() };
                let ask = async |mut people: People| people.delete_user(request).await;
                self.ask_people(&format!("user delete {name}"), Effect::Changes, ask).await?;
                let said = || format!("{} is deleted, and logged out everywhere.\n", clean::line(name));
                Ok(self.done(said, || Deleted { deleted: name }))
            }
            UserCommand::ResetPassword { name } => {
                let request = ResetUserPasswordRequest { name: name.clone() };
                let ask = async |mut people: People| people.reset_user_password(request).await;
                let what = format!("user reset-password {name}");
                let reply = self.ask_people(&what, Effect::Changes, ask).await?;
                self.with_user_password(&what, reply, render::renewed)
            }
        }
    }

    pub(crate) async fn auth(&self, command: AuthCommand) -> Result<Outcome, CliError> {
        let enabled = matches!(command, AuthCommand::Enable);
        let ask = async |mut people: People| people.set_auth(SetAuthRequest { enabled }).await;
        let verb = if enabled { "auth enable" } else { "auth disable" };
        self.ask_people(verb, Effect::Changes, ask).await?;
        let said = || {
            if enabled {
                "Clients on port 2379 must say who they are: radioctl --user NAME, etcdctl --user NAME:PASSWORD.\n\
                 The admin socket stays as it is. Users: radioctl user add NAME --role owner|operator|viewer\n"
            } else {
                "Whoever reaches port 2379 may do everything there.\n"
            }
        };
        Ok(self.done(|| said().into(), || Auth { auth_enabled: enabled }))
    }

    pub(crate) async fn audit(&self, number: u32) -> Result<Outcome, CliError> {
        let ask = async |mut people: People| people.audit(AuditRequest { limit: number }).await;
        let entries = self.ask_people("audit", Effect::Reads, ask).await?.entries;
        let log = || Log { entries: entries.iter().cloned().map(Into::into).collect() };
        Ok(self.done(|| render::audit(&entries), log))
    }

    fn with_user_password(
        &self,
        what: &str,
        reply: UserReply,
        render: impl Fn(&UserInfo, &str) -> String,
    ) -> Result<Outcome, CliError> {
        let UserReply { user, password } = reply;
        let user = user.ok_or_else(|| CliError::Incomplete { what: what.into(), lacks: "the user" })?;
        let written = || OneUser { user: User::new(user.clone(), Some(password.clone())) };
        Ok(self.done(|| render(&user, &password), written))
    }

    async fn ask_people<T, F>(&self, what: &str, effect: Effect, call: impl FnOnce(People) -> F) -> Result<T, CliError>
    where
        F: Future<Output = Result<Response<T>, Status>>,
    {
        let deadline = Instant::now() + self.timeout;
        let people = PeopleClient::new(self.connect(deadline).await?).max_decoding_message_size(ANSWER_MAX);
        self.within(what, effect, deadline, call(people)).await
    }
}
