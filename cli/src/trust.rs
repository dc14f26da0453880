//! Tokens, and the change to TLS.

use std::{
    io::{self, IsTerminal, Write},
    time::Duration,
};

use autoradio_proto::admin::{
    CreateTokenReply, CreateTokenRequest, ListTokensRequest, RevokeTokenRequest, SecureReply, SecureRequest, TokenInfo,
    trust_client::TrustClient,
};
use serde::Serialize;
use tokio::time::{Instant, sleep, timeout_at};
use tonic::{Response, Status, transport::Channel};

use crate::{
    args::{Role, TokenCommand},
    clean,
    command::{Outcome, Session, failed},
    duration,
    error::{CliError, Effect},
    exit::Exit,
    render,
};

/// How often it is looked at how far the change to TLS is.
const LOOK_EVERY: Duration = Duration::from_millis(500);

type Trust = TrustClient<Channel>;

/// A token, as JSON has it.
#[derive(Debug, Serialize)]
struct Token {
    /// Hexadecimal.
    id: String,
    /// `voter` or `learner`.
    role: String,
    /// `open`, `used`, `expired` or `revoked`.
    state: String,
    /// Milliseconds since 1970.
    made_ms: u64,
    /// Milliseconds since 1970.
    ends_ms: u64,
    /// Name of the node.
    used_by: Option<String>,
}

#[derive(Debug, Serialize)]
struct Made {
    token: String,
    #[serde(flatten)]
    info: Token,
}

#[derive(Debug, Serialize)]
struct Tokens {
    tokens: Vec<Token>,
}

#[derive(Debug, Serialize)]
struct Revoked<'a> {
    revoked: &'a str,
}

#[derive(Debug, Serialize)]
struct Secured {
    /// Whether plain connections are refused.
    secured: bool,
    /// Names of the members that are not reached by TLS yet.
    waiting_for: Vec<String>,
}

impl From<TokenInfo> for Token {
    fn from(info: TokenInfo) -> Self {
        let TokenInfo { id, role, state, made_ms, ends_ms, used_by, .. } = info;
        Self { id, role, state, made_ms, ends_ms, used_by: Some(used_by).filter(|name| !name.is_empty()) }
    }
}

impl Session {
    pub(crate) async fn token(&self, command: &TokenCommand) -> Result<Outcome, CliError> {
        match command {
            TokenCommand::Create { ttl, role } => self.create_token(*ttl, *role).await,
            TokenCommand::List => {
                let ask = async |mut trust: Trust| trust.list_tokens(ListTokensRequest {}).await;
                let tokens = self.ask_socket("token list", Effect::Reads, ask).await?.tokens;
                let listed = || Tokens { tokens: tokens.iter().cloned().map(Token::from).collect() };
                Ok(self.done(|| render::tokens(&tokens, self.look), listed))
            }
            TokenCommand::Revoke { id } => {
                let request = RevokeTokenRequest { id: id.clone() };
                let ask = async |mut trust: Trust| trust.revoke_token(request).await;
                self.ask_socket("token revoke", Effect::Changes, ask).await?;
                Ok(self.done(|| "The token is revoked.\n".into(), || Revoked { revoked: id }))
            }
        }
    }

    async fn create_token(&self, ttl: Duration, role: Role) -> Result<Outcome, CliError> {
        let ttl_ms = u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX);
        let request = CreateTokenRequest { ttl_ms, learner: role == Role::Learner };
        let ask = async |mut trust: Trust| trust.create_token(request).await;
        let what = "token create";
        let CreateTokenReply { token, info, host } = self.ask_socket(what, Effect::Changes, ask).await?;
        let info = info.ok_or_else(|| CliError::Incomplete { what: what.into(), lacks: "the token's number" })?;
        if io::stdout().is_terminal() {
            // Beside the word itself, which may go into a file.
            let host = clean::line(&host);
            let valid = duration::show(ttl);
            let hint = format!("Lets one node in, once, within {valid}. There: autoradio-node join {host}");
            let _ = writeln!(io::stderr(), "{hint}");
        }
        Ok(self
            .done(|| format!("{}\n", clean::line(&token)), || Made { token: token.clone(), info: info.clone().into() }))
    }

    pub(crate) async fn secure(&self, wait: Duration) -> Result<Outcome, CliError> {
        let (what, deadline) = ("cluster secure", Instant::now() + wait);
        let mut told = Vec::new();
        loop {
            let ask = async |mut trust: Trust| trust.secure(SecureRequest {}).await;
            let SecureReply { done, waiting_for, members } = self.ask_socket(what, Effect::Changes, ask).await?;
            let late = Instant::now() >= deadline;
            if done || late {
                let text = || if done { secured(members) } else { not_yet(&waiting_for, wait) };
                let outcome = self.done(text, || Secured { secured: done, waiting_for: waiting_for.clone() });
                return Ok(Outcome { exit: if done { Exit::Ok } else { Exit::TimedOut }, ..outcome });
            }
            if waiting_for != told {
                let names = clean::line(&waiting_for.join(", "));
                // Progress is for people; there is nowhere to say that it could not be told.
                let _ = writeln!(io::stderr(), "waiting for: {names}");
                told = waiting_for;
            }
            sleep(LOOK_EVERY).await;
        }
    }

    /// As [`Session::ask`], by the daemon's socket only.
    async fn ask_socket<T, F>(&self, what: &str, effect: Effect, call: impl FnOnce(Trust) -> F) -> Result<T, CliError>
    where
        F: Future<Output = Result<Response<T>, Status>>,
    {
        let deadline = Instant::now() + self.timeout;
        let trust = TrustClient::new(self.target.connect_to_socket(what, deadline).await?);
        match timeout_at(deadline, call(trust)).await {
            Ok(Ok(response)) => Ok(response.into_inner()),
            Ok(Err(status)) => Err(failed(what.into(), effect, status)),
            Err(_) => Err(CliError::TimedOut { what: what.into(), effect, limit: self.timeout }),
        }
    }
}

fn secured(members: u32) -> String {
    format!(
        "All {members} nodes speak TLS with one another; plain connections are refused.\n\
         Next: radioctl token create, to let another node join.\n"
    )
}

fn not_yet(waiting_for: &[String], wait: Duration) -> String {
    format!(
        "Not all nodes within {}: waiting for {}. Both ways are open until then; it goes on by itself. A node that is \
         gone for good holds it up: remove it.\n",
        duration::show(wait),
        clean::line(&waiting_for.join(", "))
    )
}
