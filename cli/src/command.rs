//! The commands: what is asked, and what is made of the answer.

use std::{future::Future, time::Duration};

use autoradio_proto::admin::{
    CreateMountReply, CreateMountRequest, DeleteMountRequest, EditMountRequest, GetMountRequest, ListMountsRequest,
    MountInfo, ResetPasswordRequest, SetDrainedRequest, StatusRequest, admin_client::AdminClient,
};
use tokio::time::{Instant, timeout_at};
use tonic::{Response, Status, service::interceptor::InterceptedService, transport::Channel};

use crate::{
    args::{ClusterCommand, Command, Output, Settings},
    clean,
    connect::Target,
    error::{CliError, Effect},
    exit::Exit,
    json,
    login::{Bearer, Login},
    render::{self, Look},
};

/// What a command came to.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// For standard output.
    pub(crate) text: String,
    /// How to end.
    pub(crate) exit: Exit,
}

/// What all commands need to know.
#[derive(Clone, Debug)]
pub(crate) struct Session {
    /// Whom to ask.
    pub(crate) target: Target,
    /// Who asks.
    pub(crate) login: Option<Login>,
    /// The longest to wait, for the connection and the answer together.
    pub(crate) timeout: Duration,
    /// How to write.
    pub(crate) output: Output,
    /// What the output can bear.
    pub(crate) look: Look,
    /// Whether JSON is to be on one line: one of many.
    pub(crate) one_line: bool,
}

impl Session {
    /// Runs a command.
    pub(crate) async fn run(&self, command: &Command) -> Result<Outcome, CliError> {
        match command {
            Command::Status { .. } => self.status().await,
            Command::CreateMount { name, username, settings } => self.create(name, username, settings).await,
            Command::ListMounts => self.list().await,
            Command::ShowMount { name } => self.show(name).await,
            Command::EditMount { name, username, settings, clear } => {
                self.edit(name, username.as_deref(), settings, clear).await
            }
            Command::DeleteMount { name, .. } => self.delete(name).await,
            Command::ResetPassword { name } => self.reset(name).await,
            Command::Drain { node } => self.set_drained(node, true).await,
            Command::Undrain { node } => self.set_drained(node, false).await,
            Command::Node(command) => self.node(command).await,
            Command::Backup => self.backup().await,
            Command::Restore { file } => self.restore(file).await,
            Command::Raft(command) => self.raft(command).await,
            Command::Token { command } => self.token(command).await,
            Command::Cluster { command: ClusterCommand::Secure { wait } } => self.secure(*wait).await,
            Command::User { command } => self.user(command).await,
            Command::Auth { command } => self.auth(*command).await,
            Command::Audit { number } => self.audit(*number).await,
            Command::Version => {
                let version = env!("CARGO_PKG_VERSION");
                Ok(self.done(|| format!("radioctl {version}\n"), || json::Version { version }))
            }
        }
    }

    async fn status(&self) -> Result<Outcome, CliError> {
        let ask = async |mut admin: Admin| admin.status(StatusRequest {}).await;
        let reply = self.ask("status", Effect::Reads, ask).await?;
        let exit = Exit::of_health(&reply.health);
        let outcome = self.done(|| render::status(&reply, self.look), || json::Status::from(reply.clone()));
        Ok(Outcome { exit, ..outcome })
    }

    async fn list(&self) -> Result<Outcome, CliError> {
        let ask = async |mut admin: Admin| admin.list_mounts(ListMountsRequest {}).await;
        let mounts = self.ask("list-mounts", Effect::Reads, ask).await?.mounts;
        let listed = || json::Mounts { mounts: mounts.iter().cloned().map(Into::into).collect() };
        Ok(self.done(|| render::list(&mounts, self.look), listed))
    }

    async fn show(&self, name: &str) -> Result<Outcome, CliError> {
        let request = GetMountRequest { name: name.into() };
        let ask = async |mut admin: Admin| admin.get_mount(request).await;
        let mount = self.ask(&format!("show-mount {name}"), Effect::Reads, ask).await?;
        Ok(self.one_mount(&mount))
    }

    async fn create(&self, name: &str, username: &str, settings: &Settings) -> Result<Outcome, CliError> {
        let settings = Some(settings.to_wire());
        let request = CreateMountRequest { name: name.into(), username: username.into(), settings };
        let what = format!("create-mount {name}");
        let ask = async |mut admin: Admin| admin.create_mount(request).await;
        let reply = self.ask(&what, Effect::Changes, ask).await?;
        self.with_password(&what, reply, render::created)
    }

    async fn edit(
        &self,
        name: &str,
        username: Option<&str>,
        settings: &Settings,
        clear: &[String],
    ) -> Result<Outcome, CliError> {
        settings.check_edit(username, clear).map_err(CliError::Usage)?;
        let request = EditMountRequest {
            name: name.into(),
            settings: Some(settings.to_wire()),
            username: username.map(Into::into),
            clear: clear.to_vec(),
        };
        let ask = async |mut admin: Admin| admin.edit_mount(request).await;
        let mount = self.ask(&format!("edit-mount {name}"), Effect::Changes, ask).await?;
        Ok(self.one_mount(&mount))
    }

    async fn delete(&self, name: &str) -> Result<Outcome, CliError> {
        let request = DeleteMountRequest { name: name.into() };
        let ask = async |mut admin: Admin| admin.delete_mount(request).await;
        self.ask(&format!("delete-mount {name}"), Effect::Changes, ask).await?;
        let said = || format!("{} is deleted.\n", clean::line(name));
        Ok(self.done(said, || json::Deleted { deleted: name.into() }))
    }

    async fn reset(&self, name: &str) -> Result<Outcome, CliError> {
        let what = format!("reset-password {name}");
        let request = ResetPasswordRequest { name: name.into() };
        let ask = async |mut admin: Admin| admin.reset_password(request).await;
        let reply = self.ask(&what, Effect::Changes, ask).await?;
        self.with_password(&what, reply, render::reset)
    }

    async fn set_drained(&self, node: &str, drained: bool) -> Result<Outcome, CliError> {
        let request = SetDrainedRequest { node: node.into(), drained };
        let verb = if drained { "drain" } else { "undrain" };
        let ask = async |mut admin: Admin| admin.set_drained(request).await;
        self.ask(&format!("{verb} {node}"), Effect::Changes, ask).await?;
        let said = || match (clean::line(node), drained) {
            (node, true) => format!(
                "{node} is drained: no new listeners or sources there; those it has stay. Undo: radioctl undrain {node}\n"
            ),
            (node, false) => format!("{node} takes listeners and sources again.\n"),
        };
        Ok(self.done(said, || json::Drained { node: node.into(), drained }))
    }

    fn one_mount(&self, mount: &MountInfo) -> Outcome {
        self.done(|| render::show(mount), || json::OneMount { mount: mount.clone().into(), password: None })
    }

    fn with_password(
        &self,
        what: &str,
        reply: CreateMountReply,
        render: impl Fn(&MountInfo, &str) -> String,
    ) -> Result<Outcome, CliError> {
        let CreateMountReply { mount, password } = reply;
        let mount = mount.ok_or_else(|| CliError::Incomplete { what: what.into(), lacks: "the mount" })?;
        let written = || json::OneMount { mount: mount.clone().into(), password: Some(password.clone()) };
        Ok(self.done(|| render(&mount, &password), written))
    }

    /// The outcome in the form that was asked for.
    pub(crate) fn done<J: serde::Serialize>(
        &self,
        table: impl FnOnce() -> String,
        json: impl FnOnce() -> J,
    ) -> Outcome {
        let text = match self.output {
            Output::Table => table(),
            Output::Json => json::text(&json(), self.one_line) + "\n",
        };
        Outcome { text, exit: Exit::Ok }
    }

    /// Connects and asks, all within the time limit.
    pub(crate) async fn ask<T, F>(
        &self,
        what: &str,
        effect: Effect,
        call: impl FnOnce(Admin) -> F,
    ) -> Result<T, CliError>
    where
        F: Future<Output = Result<Response<T>, Status>>,
    {
        let deadline = Instant::now() + self.timeout;
        let service = self.connect(deadline).await?;
        self.within(what, effect, deadline, call(AdminClient::new(service).max_decoding_message_size(ANSWER_MAX))).await
    }

    /// A connection on which calls say who asks.
    pub(crate) async fn connect(&self, deadline: Instant) -> Result<Connection, CliError> {
        let channel = self.target.connect(deadline).await?;
        let bearer = match (&self.login, &self.target) {
            // The socket knows who asks.
            (Some(login), Target::Servers(..)) => {
                self.within("logging in", Effect::Reads, deadline, login.log_in(channel.clone())).await?
            }
            _ => Bearer::default(),
        };
        Ok(InterceptedService::new(channel, bearer))
    }

    /// The answer, by `deadline` at the latest.
    pub(crate) async fn within<T>(
        &self,
        what: &str,
        effect: Effect,
        deadline: Instant,
        call: impl Future<Output = Result<Response<T>, Status>>,
    ) -> Result<T, CliError> {
        match timeout_at(deadline, call).await {
            Ok(Ok(response)) => Ok(response.into_inner()),
            Ok(Err(status)) => Err(failed(what.into(), effect, status)),
            Err(_) => Err(CliError::TimedOut { what: what.into(), effect, limit: self.timeout }),
        }
    }
}

/// A connection with who asks.
pub(crate) type Connection = InterceptedService<Channel, Bearer>;

pub(crate) type Admin = AdminClient<Connection>;

/// The largest answer: some tens of thousands of mounts.
pub(crate) const ANSWER_MAX: usize = 64 << 20;

/// Tells what the server answered from what this side made of a lost connection: only the latter has a source.
pub(crate) fn failed(what: String, effect: Effect, status: Status) -> CliError {
    match std::error::Error::source(&status) {
        Some(source) => {
            let root = std::iter::successors(Some(source), |error| (*error).source()).last();
            CliError::Broken { what, effect, reason: root.map_or_else(String::new, ToString::to_string) }
        }
        None => CliError::Refused { what, status },
    }
}

#[cfg(test)]
#[path = "command_tests.rs"]
mod tests;
