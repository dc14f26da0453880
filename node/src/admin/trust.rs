//! The calls of the Trust service: join tokens, and the change to TLS. On the admin socket only: who makes tokens
//! decides who owns the cluster.

use autoradio_machine::{Command, Token, TokenState, TrustCommand, hex_id};
use autoradio_proto::admin::{
    CreateTokenReply, CreateTokenRequest, ListTokensReply, ListTokensRequest, RevokeTokenReply, RevokeTokenRequest,
    SecureReply, SecureRequest, TokenInfo,
    trust_server::{Trust, TrustServer},
};
use tokio::sync::watch;
use tonic::{Request, Response, Status};

use super::error::from_raft;
use crate::{
    context::Context,
    peer,
    trust::{JoinToken, TrustError, Wire, now_ms},
};

/// How long a token lasts unless told: the time to walk to the other machine.
const TTL_DEFAULT_MS: u64 = 60 * 60 * 1_000;

/// The service, for the node behind `context`; it refuses while there is none.
#[must_use]
pub fn trust_service(context: watch::Receiver<Option<Context>>) -> TrustServer<impl Trust> {
    TrustServer::new(Service { context })
}

struct Service {
    context: watch::Receiver<Option<Context>>,
}

impl Service {
    fn context(&self) -> Result<Context, Status> {
        super::service::ready(&self.context)
    }
}

fn failed(error: &TrustError) -> Status {
    Status::internal(error.to_string())
}

#[tonic::async_trait]
impl Trust for Service {
    async fn create_token(&self, request: Request<CreateTokenRequest>) -> Result<Response<CreateTokenReply>, Status> {
        let context = self.context()?;
        let CreateTokenRequest { ttl_ms, learner } = request.into_inner();
        let credentials = context.peers.keyring().credentials().filter(|_| context.peers.keyring().wire() == Wire::Tls);
        let credentials = credentials.ok_or_else(|| {
            let text = "this cluster was founded without TLS, and lets in whoever asks; tokens are of use when it has \
                 changed to TLS: radioctl cluster secure";
            Status::failed_precondition(text)
        })?;
        let token = JoinToken::create(credentials.ca()).map_err(|error| failed(&error))?;
        let now_ms = now_ms();
        let ends_ms = now_ms.saturating_add(if ttl_ms == 0 { TTL_DEFAULT_MS } else { ttl_ms });
        let (id, verify_key) = (token.id(), token.verify_key());
        let create = TrustCommand::TokenCreate { id, verify_key, learner, now_ms, ends_ms };
        context.raft.propose(Command::Trust(create)).await.map_err(|error| from_raft(&error))?;
        tracing::info!(token = %format_args!("{id:016x}"), learner, "made a join token");
        let made = Token { verify_key, learner, made_ms: now_ms, ends_ms, state: TokenState::Open };
        Ok(Response::new(CreateTokenReply {
            token: token.reveal(),
            info: Some(info(id, &made, now_ms)),
            host: context.config.name.clone(),
        }))
    }

    async fn list_tokens(&self, _request: Request<ListTokensRequest>) -> Result<Response<ListTokensReply>, Status> {
        let context = self.context()?;
        context.raft.barrier().await.map_err(|error| from_raft(&error))?;
        let now_ms = now_ms();
        let mut tokens = context.raft.read(|machine| {
            let all = machine.trust().tokens.iter();
            all.map(|(id, token)| info(*id, token, now_ms)).collect::<Vec<_>>()
        });
        tokens.sort_by(|a, b| (a.made_ms, &a.id).cmp(&(b.made_ms, &b.id)));
        Ok(Response::new(ListTokensReply { tokens }))
    }

    async fn revoke_token(&self, request: Request<RevokeTokenRequest>) -> Result<Response<RevokeTokenReply>, Status> {
        let context = self.context()?;
        let id = request.into_inner().id;
        // A whole token is understood, too, so that who has only that need not look for its number.
        let number = u64::from_str_radix(id.trim(), 16).ok();
        let number = number.or_else(|| id.parse::<JoinToken>().ok().map(|token| token.id()));
        let number = number.ok_or_else(|| {
            Status::invalid_argument("that is no token's number; radioctl token list shows those there are")
        })?;
        let revoke = TrustCommand::TokenRevoke { id: number, now_ms: now_ms() };
        context.raft.propose(Command::Trust(revoke)).await.map_err(|error| from_raft(&error))?;
        Ok(Response::new(RevokeTokenReply {}))
    }

    async fn secure(&self, _request: Request<SecureRequest>) -> Result<Response<SecureReply>, Status> {
        let context = self.context()?;
        context.raft.barrier().await.map_err(|error| from_raft(&error))?;
        peer::begin_tls(&context.raft).await?;
        let catalog = context.raft.catalog();
        let waits = |urls: &[String]| !urls.iter().all(|url| url.starts_with("https://"));
        let waiting = catalog.members.values().filter(|member| waits(&member.peer_urls));
        let name = |name: &str, id| if name.is_empty() { hex_id(id) } else { name.to_owned() };
        Ok(Response::new(SecureReply {
            done: context.peers.keyring().wire() == Wire::Tls,
            waiting_for: waiting.map(|member| name(&member.name, member.id)).collect(),
            members: u32::try_from(catalog.members.len()).unwrap_or(u32::MAX),
        }))
    }
}

fn info(id: u64, token: &Token, now_ms: u64) -> TokenInfo {
    let (state, used_by, at_ms) = match &token.state {
        TokenState::Used { name, at_ms, .. } => ("used", name.clone(), *at_ms),
        TokenState::Revoked { at_ms } => ("revoked", String::new(), *at_ms),
        TokenState::Open if now_ms >= token.ends_ms => ("expired", String::new(), token.ends_ms),
        TokenState::Open => ("open", String::new(), 0),
    };
    TokenInfo {
        id: format!("{id:016x}"),
        role: if token.learner { "learner" } else { "voter" }.into(),
        state: state.into(),
        made_ms: token.made_ms,
        ends_ms: token.ends_ms,
        used_by,
        at_ms,
        left_ms: token.ends_ms.saturating_sub(now_ms),
    }
}
