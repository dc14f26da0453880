//! Joining by a token, over TLS: both ends of it.

use std::{net::IpAddr, time::Instant};

use autoradio_machine::{
    Command, MemberAdd, Refusal, Response as Answer, Token, TokenJoin, TrustCommand, TrustRefusal,
};
use autoradio_proto::peer::{CertifyReply, JoinReply, JoinRequest, join_client::JoinClient};
use rcgen::KeyPair;
use rustls_pki_types::CertificateDer;
use tonic::Status;

use super::{
    Applicant, JoinError, PeerUrl, certify,
    join::{self, JoinService},
};
use crate::{
    caller::Asker,
    trust::{
        EXPORTER_BYTES, EXPORTER_LABEL, Issued, JoinClaim, JoinToken, JoinVerifier, KeyProof, check_join, check_key,
        distrust, explain, key_hash, now_ms, sign_key,
    },
};

/// What a node that joined was given.
#[derive(Debug)]
pub struct Joined {
    /// Who it is, and who the others are.
    pub reply: JoinReply,
    /// Its certificate.
    pub issued: Issued,
    /// The cluster's CA.
    pub ca: CertificateDer<'static>,
}

/// Asks the member at `url` to make this node a member, by a token. Says nothing before the other side has shown a
/// certificate of the CA that the token knows; the token's secret is not sent.
///
/// # Errors
/// [`JoinError`].
pub async fn join_by_token(
    url: &str,
    applicant: &Applicant,
    token: &JoinToken,
    key: &KeyPair,
) -> Result<Joined, JoinError> {
    let at: PeerUrl = url.parse().map_err(|reason| JoinError::Url { url: url.into(), reason })?;
    let unreachable = |reason: String| JoinError::Unreachable { url: url.into(), reason };
    let refused = |reason: String| JoinError::Refused { url: url.into(), reason };
    let verifier = JoinVerifier::new(token.ca_hash());
    let stream = match at.connect_tls(verifier.client_config()).await {
        Ok(stream) => stream,
        Err(error) if distrust(&error).is_some() => {
            return Err(JoinError::Distrusted { url: url.into(), reason: explain(&error) });
        }
        Err(error) => {
            let plain = join::probe(url).await == Some(true);
            return Err(if plain { JoinError::Plain { url: url.into() } } else { unreachable(explain(&error)) });
        }
    };
    let exporter = stream.get_ref().1.export_keying_material([0; EXPORTER_BYTES], EXPORTER_LABEL, None);
    let exporter = exporter.map_err(|error| unreachable(error.to_string()))?;
    let (name, ca) = verifier.found().ok_or_else(|| unreachable("it showed no certificate".into()))?;
    let public_key = key.public_key_raw();
    let claim = JoinClaim {
        exporter: &exporter,
        cluster_id: name.cluster_id,
        token: token.id(),
        name: &applicant.name,
        peer_urls: &applicant.peer_urls,
        public_key,
    };
    let proof = KeyProof { cluster_id: name.cluster_id, node_id: 0, public_key };
    let key_proof = sign_key(key, &proof).map_err(|error| refused(error.to_string()))?;
    let request = JoinRequest {
        name: applicant.name.clone(),
        peer_urls: applicant.peer_urls.clone(),
        version: env!("CARGO_PKG_VERSION").into(),
        must_be_added: applicant.must_be_added,
        public_key: public_key.to_vec().into(),
        key_proof: key_proof.into(),
        token: token.id(),
        token_proof: token.sign(&claim).into(),
    };
    let channel = at.over(stream).await.map_err(|error| unreachable(error.to_string()))?;
    let mut reply = join::ask(url.into(), JoinClient::new(channel), request).await?;
    let given = reply.certificate.take().ok_or_else(|| refused("it gave no certificate".into()))?;
    let (issued, _) = certify::read(given);
    if reply.cluster_id != name.cluster_id {
        return Err(refused("its certificate and its answer name two clusters".into()));
    }
    Ok(Joined { reply, issued, ca })
}

/// Whether a node is there that speaks TLS; nothing is said to it.
pub(super) async fn speaks_tls(at: &PeerUrl) -> bool {
    // A hash that no CA has: the handshake ends when the other side has shown its certificate.
    let verifier = JoinVerifier::new([0; 16]);
    at.connect_tls(verifier.client_config()).await.is_err_and(|error| distrust(&error).is_some())
}

impl JoinService {
    /// Lets a node in that has a token.
    pub(super) async fn by_token(
        &self,
        request: JoinRequest,
        from: IpAddr,
        exporter: &[u8; EXPORTER_BYTES],
    ) -> Result<JoinReply, Status> {
        let peer_urls = join::check(&request).map_err(Status::invalid_argument)?;
        if let Some(plain) = peer_urls.iter().find(|url| !url.starts_with("https://")) {
            let text = format!("{plain}: nodes of this cluster are reached by TLS; say https://");
            return Err(Status::invalid_argument(text));
        }
        if request.token_proof.is_empty() {
            let text = "this cluster lets nodes in by a join token; make one on a member: radioctl token create";
            return Err(Status::failed_precondition(text));
        }
        let _permit = self.gate.enter(from, Instant::now())?;
        self.raft.barrier().await.map_err(|error| join::unavailable(&error))?;
        if let Err(status) = self.check_proofs(&request, exporter) {
            self.gate.failed(from, Instant::now());
            tracing::warn!(%from, name = %request.name.escape_debug(), "a node was not let in: {}", status.message());
            return Err(status);
        }
        // For the better words; what counts is decided when the entry is applied.
        join::find(&self.raft.catalog(), &request.name, &peer_urls).map_err(Status::already_exists)?;
        let (public_key, key_proof) = (request.public_key.clone(), request.key_proof.clone());
        let join = TokenJoin {
            token: request.token,
            key_hash: key_hash(&request.public_key),
            now_ms: now_ms(),
            add: MemberAdd { name: request.name, peer_urls, learner: false },
        };
        let asker = Asker::trusted(format!("join token {:016x}", join.token), from.to_string());
        let node_id = match self.raft.propose_as(&asker, Command::Trust(TrustCommand::Join(join))).await {
            Ok(proposed) => match proposed.response {
                Answer::Member(member) => member.id,
                other => return Err(Status::internal(format!("joining was answered with {other:?}"))),
            },
            Err(error) => {
                return Err(match error.refusal() {
                    Some(Refusal::Trust(refusal)) => denied(refusal),
                    Some(refusal) => Status::already_exists(refusal.to_string()),
                    None => join::unavailable(&error),
                });
            }
        };
        let certificate = self.certificate(node_id, &public_key, &key_proof).await?;
        Ok(JoinReply { certificate: Some(certificate), ..self.reply(node_id, false) })
    }

    fn check_proofs(&self, request: &JoinRequest, exporter: &[u8; EXPORTER_BYTES]) -> Result<(), Status> {
        let token: Option<Token> = self.raft.read(|machine| machine.trust().tokens.get(&request.token).cloned());
        let token = token.ok_or_else(|| denied(&TrustRefusal::TokenUnknown))?;
        let cluster_id = self.raft.cluster_id();
        let claim = JoinClaim {
            exporter,
            cluster_id,
            token: request.token,
            name: &request.name,
            peer_urls: &request.peer_urls,
            public_key: &request.public_key,
        };
        if !check_join(&claim, &token.verify_key, &request.token_proof) {
            return Err(Status::permission_denied(
                "the join token's secret is wrong, or the request was made for another connection",
            ));
        }
        let proof = KeyProof { cluster_id, node_id: 0, public_key: &request.public_key };
        if !check_key(&proof, &request.key_proof) {
            return Err(Status::permission_denied("the request is not signed with its key"));
        }
        Ok(())
    }

    /// By this node where it has the CA's key, else by another.
    async fn certificate(&self, node_id: u64, public_key: &[u8], key_proof: &[u8]) -> Result<CertifyReply, Status> {
        let peers = self.raft.peers();
        if let Some(authority) = peers.keyring().authority() {
            return certify::issue(&authority, &self.raft, node_id, public_key);
        }
        let leader = self.raft.status().leader;
        let made = certify::certify(peers, leader, node_id, public_key.to_vec(), key_proof.to_vec()).await;
        let (issued, ca) = made.map_err(|error| Status::unavailable(error.to_string()))?;
        Ok(CertifyReply {
            certificate: issued.certificate.to_vec().into(),
            ca: ca.to_vec().into(),
            not_before_s: issued.not_before_s,
            not_after_s: issued.not_after_s,
        })
    }
}

fn denied(refusal: &TrustRefusal) -> Status {
    Status::permission_denied(refusal.to_string())
}
