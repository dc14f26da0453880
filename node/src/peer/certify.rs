//! Certificates for nodes, from whoever has the CA's key; and the key itself, from voter to voter.

use std::{sync::Arc, time::Duration};

use autoradio_machine::NodeId;
use autoradio_policy::host::is_called;
use autoradio_proto::peer::{CertifyReply, CertifyRequest, CertifyServerRequest, HandOverReply, HandOverRequest};
use rcgen::KeyPair;
use rustls_pki_types::CertificateDer;
use tokio::time::timeout;
use tonic::{Code, Status};

use super::{Lane, PeerError, Peers};
use crate::{
    raft::RaftHandle,
    trust::{Authority, CERTIFICATE_LIFE, Issued, KeyProof, PeerName, TrustError, check_key, now_ms, sign_key},
};

/// How long one node is given to answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(3);

fn authority(raft: &RaftHandle) -> Result<Arc<Authority>, Status> {
    let authority = raft.peers().keyring().authority();
    authority.ok_or_else(|| Status::unavailable("this node does not have the CA's key"))
}

/// Answers a request for a certificate. A node asks for itself, or for one that was added and has not started.
pub(super) fn answer(raft: &RaftHandle, from: NodeId, request: &CertifyRequest) -> Result<CertifyReply, Status> {
    let authority = authority(raft)?;
    let members = raft.catalog().members;
    let Some(member) = members.get(&request.node_id) else {
        return Err(Status::not_found(format!("{:x} is not a member", request.node_id)));
    };
    if !members.contains_key(&from) {
        return Err(Status::permission_denied(format!("{from:x} is not a member")));
    }
    if from != request.node_id && member.started() {
        let text = format!("{from:x} asks for a certificate of {:x}, which has started", request.node_id);
        return Err(Status::permission_denied(text));
    }
    let node_id = if from == request.node_id { from } else { 0 };
    let proof = KeyProof { cluster_id: raft.cluster_id(), node_id, public_key: &request.public_key };
    if !check_key(&proof, &request.key_proof) {
        return Err(Status::permission_denied("the request is not signed with its key"));
    }
    issue(&authority, raft, request.node_id, &request.public_key)
}

/// Answers a member that asks for a certificate of its port for clients.
pub(super) fn answer_server(
    raft: &RaftHandle,
    from: NodeId,
    request: &CertifyServerRequest,
) -> Result<CertifyReply, Status> {
    let authority = authority(raft)?;
    let members = raft.catalog().members;
    let member = members.get(&from);
    let member = member.ok_or_else(|| Status::permission_denied(format!("{from:x} is not a member")))?;
    let proof = KeyProof { cluster_id: raft.cluster_id(), node_id: from, public_key: &request.public_key };
    if !check_key(&proof, &request.key_proof) {
        return Err(Status::permission_denied("the request is not signed with its key"));
    }
    let hosts: Vec<_> = request.hosts.iter().filter(|host| is_called(member, host)).cloned().collect();
    if hosts.is_empty() {
        let text = format!("{from:x} is known by none of these: {}", request.hosts.join(", "));
        return Err(Status::permission_denied(text));
    }
    let issued = authority.issue_server(&hosts, &request.public_key, now_ms() / 1_000, CERTIFICATE_LIFE);
    let issued = issued.map_err(|error| Status::invalid_argument(error.to_string()))?;
    tracing::info!(node = %format_args!("{from:x}"), ?hosts, "gave a certificate for clients");
    Ok(reply(issued, &authority))
}

/// Gives a certificate; whether it may was checked.
pub(super) fn issue(
    authority: &Authority,
    raft: &RaftHandle,
    node_id: NodeId,
    public_key: &[u8],
) -> Result<CertifyReply, Status> {
    let name = PeerName { cluster_id: raft.cluster_id(), node_id };
    let issued = authority.issue(name, public_key, now_ms() / 1_000, CERTIFICATE_LIFE);
    let issued = issued.map_err(|error| Status::internal(error.to_string()))?;
    tracing::info!(node = %format_args!("{node_id:x}"), "gave a certificate");
    Ok(reply(issued, authority))
}

fn reply(issued: Issued, authority: &Authority) -> CertifyReply {
    CertifyReply {
        certificate: issued.certificate.to_vec().into(),
        ca: authority.certificate().to_vec().into(),
        not_before_s: issued.not_before_s,
        not_after_s: issued.not_after_s,
    }
}

/// What a reply says.
pub(super) fn read(reply: CertifyReply) -> (Issued, CertificateDer<'static>) {
    let CertifyReply { certificate, ca, not_before_s, not_after_s } = reply;
    let certificate = CertificateDer::from(certificate.to_vec());
    (Issued { certificate, not_before_s, not_after_s }, CertificateDer::from(ca.to_vec()))
}

/// Answers a voter that asks for the CA's key.
pub(super) fn answer_hand_over(raft: &RaftHandle, from: NodeId, is_tls: bool) -> Result<HandOverReply, Status> {
    if !is_tls {
        return Err(Status::permission_denied("the CA's key is handed over by TLS only"));
    }
    if !raft.status().voters.contains(&from) {
        return Err(Status::permission_denied(format!("{from:x} is no voter; voters alone have the CA's key")));
    }
    let authority = authority(raft)?;
    tracing::info!(to = %format_args!("{from:x}"), "handed the CA's key over to a voter");
    Ok(HandOverReply { ca_key: authority.key_pem().into_bytes().into() })
}

/// Why nobody gave what was asked for.
#[derive(Debug, thiserror::Error)]
#[error("no member could do it; the last said: {0}")]
pub struct NobodyDid(String);

/// Asks the members in turn, `first` of all.
async fn ask_in_turn<T, F>(
    peers: &Peers,
    first: Option<NodeId>,
    ask: impl Fn(super::Client) -> F,
) -> Result<T, NobodyDid>
where
    F: Future<Output = Result<T, Status>>,
{
    let mut last = "nothing: there is nobody to ask".to_owned();
    let all = peers.urls();
    let first = first.filter(|first| all.contains_key(first));
    for node in first.into_iter().chain(all.into_keys().filter(|node| Some(*node) != first)) {
        let client: Result<_, PeerError> = peers.client_on(node, Lane::Control);
        let client = match client {
            Ok(client) => client,
            Err(error) => {
                last = error.to_string();
                continue;
            }
        };
        match timeout(ANSWER_TIMEOUT, ask(client)).await {
            Ok(Ok(reply)) => return Ok(reply),
            Ok(Err(status)) if status.code() == Code::PermissionDenied => {
                return Err(NobodyDid(status.message().to_owned()));
            }
            Ok(Err(status)) => last = format!("{node:x}: {}", status.message()),
            Err(_) => last = format!("{node:x}: no answer in {ANSWER_TIMEOUT:?}"),
        }
    }
    Err(NobodyDid(last))
}

/// Has a certificate made by one of the members, `first` of all: the certificate, and the CA's.
///
/// # Errors
/// [`NobodyDid`].
pub(super) async fn certify(
    peers: &Peers,
    first: Option<NodeId>,
    node_id: NodeId,
    public_key: Vec<u8>,
    key_proof: Vec<u8>,
) -> Result<(Issued, CertificateDer<'static>), NobodyDid> {
    let request = CertifyRequest { node_id, public_key: public_key.into(), key_proof: key_proof.into() };
    let ask = |mut client: super::Client| {
        let request = request.clone();
        async move { client.certify(request).await }
    };
    ask_in_turn(peers, first, ask).await.map(|reply| read(reply.into_inner()))
}

/// Why this node has no certificate for clients.
#[derive(Debug, thiserror::Error)]
pub enum ServerCertificateError {
    /// Nobody made one.
    #[error(transparent)]
    Nobody(#[from] NobodyDid),
    /// No request could be made.
    #[error(transparent)]
    Trust(#[from] TrustError),
}

/// Has a certificate for a server of clients made for a key of this node's by one of the members, the leader first of all:
/// the certificate, and the CA's.
///
/// # Errors
/// [`ServerCertificateError`].
pub async fn certify_server(
    raft: &RaftHandle,
    key: &KeyPair,
    hosts: &[String],
) -> Result<(Issued, CertificateDer<'static>), ServerCertificateError> {
    let public_key = key.public_key_raw();
    let proof = KeyProof { cluster_id: raft.cluster_id(), node_id: raft.node_id(), public_key };
    let key_proof = sign_key(key, &proof)?.into();
    let request = CertifyServerRequest { public_key: public_key.to_vec().into(), key_proof, hosts: hosts.to_vec() };
    let ask = |mut client: super::Client| {
        let request = request.clone();
        async move { client.certify_server(request).await }
    };
    Ok(ask_in_turn(raft.peers(), raft.status().leader, ask).await.map(|reply| read(reply.into_inner()))?)
}

/// Asks the members for the CA's key, as a voter (PEM).
///
/// # Errors
/// [`NobodyDid`].
pub(super) async fn hand_over(peers: &Peers, first: Option<NodeId>) -> Result<String, NobodyDid> {
    let ask = |mut client: super::Client| async move { client.hand_over(HandOverRequest {}).await };
    let reply = ask_in_turn(peers, first, ask).await?.into_inner();
    String::from_utf8(reply.ca_key.to_vec()).map_err(|_| NobodyDid("a key that is no text".into()))
}
