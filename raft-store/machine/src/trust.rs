//! Who may become a member: join tokens, and the change of a cluster from plain connections to TLS.
//!
//! None of it stands under a key, so that no client of the etcd API reads it. What is kept of a token is a public key:
//! it tells who has the token, and gives nobody the token.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::{LogIndex, Machine, Member, MemberAdd, NodeId, Refusal, Response, member};

/// A token's number, random.
pub type TokenId = u64;

/// Tokens that are kept, ended ones among them, which are forgotten first.
const TOKENS_MAX: usize = 128;

/// A token is for a person who is about to use it: a week at most.
pub const TOKEN_TTL_MAX_MS: u64 = 7 * 24 * 3_600 * 1_000;

/// A command about trust.
///
/// New variants are added at the end only: entries are encoded by position.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum TrustCommand {
    /// Make a token valid.
    TokenCreate {
        /// Its number.
        id: TokenId,
        /// What its holder's signature is checked with (Ed25519).
        verify_key: [u8; 32],
        /// Whether who joins by it stays a learner.
        learner: bool,
        /// The proposer's time, in milliseconds since 1970.
        now_ms: u64,
        /// When it ends, by the same clock.
        ends_ms: u64,
    },
    /// Make a token invalid.
    TokenRevoke {
        /// The token.
        id: TokenId,
        /// The proposer's time.
        now_ms: u64,
    },
    /// “Token used, node added”: both or neither.
    Join(TokenJoin),
    /// A plain cluster begins to change to TLS.
    BeginTls {
        /// The certificate of the CA that was made for it (DER).
        ca: Bytes,
        /// The node that has the CA's key first.
        holder: NodeId,
    },
    /// All members speak TLS: plain connections are refused from now on.
    EndTls {
        /// The CA that they have their certificates from.
        ca: Bytes,
    },
}

/// A node that joins by a token. Its signature was checked before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenJoin {
    /// The token.
    pub token: TokenId,
    /// Hash of the node's public key: the same node that asks again gets the same answer.
    pub key_hash: [u8; 32],
    /// The proposer's time, in milliseconds since 1970.
    pub now_ms: u64,
    /// The member to be.
    pub add: MemberAdd,
}

/// A join token as it is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Token {
    /// What its holder's signature is checked with.
    pub verify_key: [u8; 32],
    /// Whether who joins by it stays a learner.
    pub learner: bool,
    /// When it was made, in milliseconds since 1970.
    pub made_ms: u64,
    /// When it ends.
    pub ends_ms: u64,
    /// What became of it.
    pub state: TokenState,
}

/// What became of a token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum TokenState {
    /// Nobody has used it.
    Open,
    /// Used.
    Used {
        /// By this node.
        node: NodeId,
        /// Which was to be named so.
        name: String,
        /// With this public key's hash.
        key_hash: [u8; 32],
        /// At this time.
        at_ms: u64,
    },
    /// Revoked at this time.
    Revoked {
        /// When.
        at_ms: u64,
    },
}

/// A change from plain to TLS.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TlsChange {
    /// The CA's certificate (DER).
    pub ca: Bytes,
    /// The node that has the CA's key first.
    pub holder: NodeId,
    /// Whether plain connections are refused.
    pub done: bool,
}

/// What is kept of trust.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trust {
    /// Join tokens.
    pub tokens: BTreeMap<TokenId, Token>,
    /// The change to TLS, in a cluster that was founded plain.
    pub change: Option<TlsChange>,
}

/// Why a command about trust was refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum TrustRefusal {
    /// Not there.
    #[error("this cluster knows no such join token; make one on a member: radioctl token create")]
    TokenUnknown,
    /// Used.
    #[error(
        "the join token was used {ago_s} s before, by {name}; a token works once: make another with radioctl token create"
    )]
    TokenUsed {
        /// By whom.
        name: String,
        /// How long before.
        ago_s: u64,
    },
    /// Its time is over.
    #[error("the join token ended {ago_s} s before; make another on a member: radioctl token create")]
    TokenExpired {
        /// How long before.
        ago_s: u64,
    },
    /// Revoked.
    #[error("the join token was revoked {ago_s} s before; make another on a member: radioctl token create")]
    TokenRevoked {
        /// How long before.
        ago_s: u64,
    },
    /// Too many that are open.
    #[error("there are {TOKENS_MAX} open join tokens; revoke some: radioctl token list, radioctl token revoke ID")]
    TooManyTokens,
    /// By chance, or a proposal that was repeated.
    #[error("there is a join token with this number already; try again")]
    TokenExists,
    /// Too long, or ended before it began.
    #[error("a join token lasts up to seven days")]
    TokenTtl,
    /// Twice.
    #[error("this cluster speaks TLS already")]
    TlsAlready,
    /// Another CA, or no change.
    #[error("the change to TLS that was to end is not under way; look again: radioctl cluster secure")]
    TlsNotBegun,
}

fn ago_s(now_ms: u64, then_ms: u64) -> u64 {
    now_ms.saturating_sub(then_ms) / 1_000
}

impl Token {
    /// Whether a node may join by it at a time.
    ///
    /// # Errors
    /// Why not.
    pub fn check(&self, now_ms: u64) -> Result<(), TrustRefusal> {
        match &self.state {
            TokenState::Used { name, at_ms, .. } => {
                Err(TrustRefusal::TokenUsed { name: name.clone(), ago_s: ago_s(now_ms, *at_ms) })
            }
            TokenState::Revoked { at_ms } => Err(TrustRefusal::TokenRevoked { ago_s: ago_s(now_ms, *at_ms) }),
            TokenState::Open if now_ms >= self.ends_ms => {
                Err(TrustRefusal::TokenExpired { ago_s: ago_s(now_ms, self.ends_ms) })
            }
            TokenState::Open => Ok(()),
        }
    }

    fn is_open(&self, now_ms: u64) -> bool {
        self.check(now_ms).is_ok()
    }
}

impl Machine {
    /// Tokens, and the change to TLS.
    #[must_use]
    pub fn trust(&self) -> &Trust {
        &self.trust
    }

    pub(crate) fn carry_out_trust(&mut self, index: LogIndex, command: &TrustCommand) -> Result<Response, Refusal> {
        match command {
            TrustCommand::TokenCreate { id, verify_key, learner, now_ms, ends_ms } => {
                let token = Token {
                    verify_key: *verify_key,
                    learner: *learner,
                    made_ms: *now_ms,
                    ends_ms: *ends_ms,
                    state: TokenState::Open,
                };
                self.trust.create(*id, token)?;
                Ok(Response::Done)
            }
            TrustCommand::TokenRevoke { id, now_ms } => {
                let token = self.trust.tokens.get_mut(id).ok_or(TrustRefusal::TokenUnknown)?;
                token.check(*now_ms)?;
                token.state = TokenState::Revoked { at_ms: *now_ms };
                Ok(Response::Done)
            }
            TrustCommand::Join(join) => self.join(index, join),
            TrustCommand::BeginTls { ca, holder } => {
                if self.trust.change.as_ref().is_some_and(|change| change.done) {
                    return Err(TrustRefusal::TlsAlready.into());
                }
                self.trust.change = Some(TlsChange { ca: ca.clone(), holder: *holder, done: false });
                Ok(Response::Done)
            }
            TrustCommand::EndTls { ca } => {
                let change = self.trust.change.as_mut().filter(|change| change.ca == *ca);
                change.ok_or(TrustRefusal::TlsNotBegun)?.done = true;
                Ok(Response::Done)
            }
        }
    }

    fn join(&mut self, index: LogIndex, join: &TokenJoin) -> Result<Response, Refusal> {
        let members = member::all(&self.store);
        let token = self.trust.tokens.get(&join.token).ok_or(TrustRefusal::TokenUnknown)?;
        if let TokenState::Used { node, key_hash, .. } = &token.state
            && *key_hash == join.key_hash
            && let Some(member) = members.iter().find(|member| member.id == *node && !member.started())
        {
            // The answer to its first request was lost.
            return Ok(Response::Member(member.clone()));
        }
        token.check(join.now_ms)?;
        let learner = token.learner;
        let (name, urls) = (&join.add.name, &join.add.peer_urls);
        let announced = members.iter().find(|member| {
            !member.started()
                && (member.name.is_empty() || member.name == *name)
                && member.peer_urls.iter().any(|url| urls.contains(url))
        });
        let member: Member = match announced {
            Some(member) => member.clone(),
            None => self.insert_member(index, &MemberAdd { learner, ..join.add.clone() })?,
        };
        let token = self.trust.tokens.get_mut(&join.token).expect("it was there a moment ago");
        token.state =
            TokenState::Used { node: member.id, name: name.clone(), key_hash: join.key_hash, at_ms: join.now_ms };
        Ok(Response::Member(member))
    }
}

impl Trust {
    fn create(&mut self, id: TokenId, token: Token) -> Result<(), TrustRefusal> {
        if self.tokens.contains_key(&id) {
            return Err(TrustRefusal::TokenExists);
        }
        if token.ends_ms <= token.made_ms || token.ends_ms - token.made_ms > TOKEN_TTL_MAX_MS {
            return Err(TrustRefusal::TokenTtl);
        }
        if self.tokens.len() >= TOKENS_MAX {
            let ended = self.tokens.iter().filter(|(_, token_then)| !token_then.is_open(token.made_ms));
            let oldest = ended.min_by_key(|(id, token)| (token.made_ms, **id)).map(|(id, _)| *id);
            self.tokens.remove(&oldest.ok_or(TrustRefusal::TooManyTokens)?);
        }
        self.tokens.insert(id, token);
        Ok(())
    }
}

impl From<TrustRefusal> for Refusal {
    fn from(refusal: TrustRefusal) -> Self {
        Self::Trust(refusal)
    }
}
