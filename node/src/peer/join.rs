//! A node that is not a member yet asks to become one.

use std::time::Duration;

use autoradio_machine::{Catalog, ClusterId, Command, Member, MemberAdd, NodeId, Response as Answer, hex_id};
use autoradio_proto::peer::{JoinMember, JoinReply, JoinRequest, join_client::JoinClient, join_server::Join};
use autoradio_store::ConsensusError;
use tonic::{Code, Request, Response, Status, transport::Channel};

use super::{Caller, PeerUrl, gate::Gate, token_join};
use crate::{
    caller::Asker,
    raft::{RaftError, RaftHandle, wire},
};

/// How long the answer to one request may take: a proposal's time and a connection's.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(8);

/// How long a listed peer is given to say that it lives.
const PROBE_TIMEOUT: Duration = Duration::from_secs(1);

/// Why a node was not let in.
#[derive(Debug, thiserror::Error)]
pub enum JoinError {
    /// The address.
    #[error("{url}: {reason}")]
    Url {
        /// The URL.
        url: String,
        /// Why.
        reason: String,
    },
    /// Nobody there, or not now: worth another try.
    #[error("{url} could not be asked ({reason}); is autoradio-node running there, and is the port open?")]
    Unreachable {
        /// The URL.
        url: String,
        /// Why.
        reason: String,
    },
    /// Not who it should be.
    #[error("{url}: {reason}; nothing was said to it")]
    Distrusted {
        /// The URL.
        url: String,
        /// Why.
        reason: String,
    },
    /// A cluster without TLS.
    #[error(
        "{url} speaks plain HTTP: its cluster was founded without TLS. On a member run: radioctl cluster secure; or join \
         it as it is, unencrypted, by naming http:// before the host"
    )]
    Plain {
        /// The URL.
        url: String,
    },
    /// A cluster with TLS.
    #[error(
        "{url} speaks TLS: on a member run radioctl token create, and join by the token, with the host alone: \
         autoradio-node join HOST"
    )]
    Tls {
        /// The URL.
        url: String,
    },
    /// The cluster said no.
    #[error("{url} refused: {reason}")]
    Refused {
        /// The URL.
        url: String,
        /// Why.
        reason: String,
    },
}

/// What a node that wants to become a member says of itself. What it shows to be let in belongs here.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Applicant {
    /// Its name.
    pub name: String,
    /// Where its peers reach it.
    pub peer_urls: Vec<String>,
    /// Whether it wants to be let in only if it was added before by its peer URL, as etcd has it.
    pub must_be_added: bool,
}

/// Asks the member at `url` to make this node a member.
///
/// # Errors
/// [`JoinError`].
pub async fn ask_to_join(url: &str, applicant: &Applicant) -> Result<JoinReply, JoinError> {
    let url = url.to_owned();
    let Applicant { name, peer_urls, must_be_added } = applicant.clone();
    let at: PeerUrl = url.parse().map_err(|reason| JoinError::Url { url: url.clone(), reason })?;
    if at.tls() {
        let reason = "it is reached by TLS, which needs a join token: run autoradio-node join".into();
        return Err(JoinError::Url { url, reason });
    }
    let version = env!("CARGO_PKG_VERSION").into();
    let request = JoinRequest { name, peer_urls, version, must_be_added, ..JoinRequest::default() };
    match ask(url, JoinClient::new(at.plain()), request).await {
        Err(JoinError::Unreachable { url, reason }) => {
            let tls = token_join::speaks_tls(&at).await;
            Err(if tls { JoinError::Tls { url } } else { JoinError::Unreachable { url, reason } })
        }
        asked => asked,
    }
}

/// Asks, and tells refusals from what is worth another try.
pub(super) async fn ask(
    url: String,
    mut client: JoinClient<Channel>,
    request: JoinRequest,
) -> Result<JoinReply, JoinError> {
    match tokio::time::timeout(ANSWER_TIMEOUT, client.join(request)).await {
        Ok(Ok(reply)) => Ok(reply.into_inner()),
        // What has a source was not said by the other side: the connection broke.
        Ok(Err(status))
            if matches!(status.code(), Code::Unavailable | Code::DeadlineExceeded | Code::Unimplemented)
                || std::error::Error::source(&status).is_some() =>
        {
            Err(JoinError::Unreachable { url, reason: status.message().into() })
        }
        Ok(Err(status)) => Err(JoinError::Refused { url, reason: status.message().into() }),
        Err(_) => Err(JoinError::Unreachable { url, reason: format!("no answer in {ANSWER_TIMEOUT:?}") }),
    }
}

/// Whether a cluster that lives answers at `url`; `None` where nothing is said in time.
pub async fn probe(url: &str) -> Option<bool> {
    let Ok(at) = url.parse::<PeerUrl>() else { return Some(false) };
    let mut client = JoinClient::new(at.plain());
    // A request without a name is refused by a member of a cluster that lives, and changes nothing.
    let answer = tokio::time::timeout(PROBE_TIMEOUT, client.join(JoinRequest::default())).await.ok()?;
    Some(answer.is_err_and(|status| status.code() == Code::InvalidArgument))
}

/// Lets nodes in. Any member does: the proposal finds the leader.
#[derive(Clone)]
pub(super) struct JoinService {
    pub(super) raft: RaftHandle,
    pub(super) gate: Gate,
}

#[tonic::async_trait]
impl Join for JoinService {
    async fn join(&self, request: Request<JoinRequest>) -> Result<Response<JoinReply>, Status> {
        let caller = request.extensions().get::<Caller>().copied();
        let caller = caller.ok_or_else(|| Status::internal("the connection was not looked at"))?;
        let request = request.into_inner();
        if let Some(tls) = caller.tls {
            return self.by_token(request, caller.addr.ip(), &tls.exporter).await.map(Response::new);
        }
        let begun = || self.raft.read(|machine| machine.cluster_id()).is_some();
        // Before the barrier: a cluster that is choosing a leader lives, and a probe must hear so at once.
        let peer_urls = match check(&request) {
            Err(reason) if begun() => return Err(Status::invalid_argument(reason)),
            checked => checked,
        };
        self.raft.barrier().await.map_err(|error| unavailable(&error))?;
        if !begun() {
            return Err(Status::unavailable("this node's cluster has not begun yet; try again in a moment"));
        }
        let peer_urls = peer_urls.map_err(Status::invalid_argument)?;
        let member = match find(&self.raft.catalog(), &request.name, &peer_urls).map_err(Status::already_exists)? {
            Some(id) => (id, true),
            None if request.must_be_added => return Err(not_added(&request, self.raft.cluster_id())),
            None => (self.add(request.name, peer_urls).await?, false),
        };
        Ok(Response::new(self.reply(member.0, member.1)))
    }
}

impl JoinService {
    pub(super) fn reply(&self, node_id: NodeId, already: bool) -> JoinReply {
        let catalog = self.raft.catalog();
        let members = catalog.members.values().filter_map(|member| to_wire(member)).collect();
        JoinReply { cluster_id: self.raft.cluster_id(), node_id, already, members, certificate: None }
    }

    async fn add(&self, name: String, peer_urls: Vec<String>) -> Result<NodeId, Status> {
        let add = MemberAdd { name, peer_urls: peer_urls.clone(), learner: false };
        let asker = Asker::trusted("a node that joins without TLS", peer_urls.join(" "));
        match self.raft.propose_as(&asker, Command::MemberAdd(add)).await {
            Ok(proposed) => match proposed.response {
                Answer::Member(Member { id, .. }) => Ok(id),
                other => Err(Status::internal(format!("adding the member was answered with {other:?}"))),
            },
            Err(error) => match error.refusal() {
                Some(refusal) => Err(Status::already_exists(refusal.to_string())),
                None => Err(unavailable(&error)),
            },
        }
    }
}

fn to_wire(member: &Member) -> Option<JoinMember> {
    let peer_url = member.peer_urls.first()?.clone();
    Some(JoinMember { node_id: member.id, name: member.name.clone(), peer_url })
}

/// etcd's refusal (`ValidateClusterAndAssignIDs`), and the way out.
fn not_added(request: &JoinRequest, cluster_id: ClusterId) -> Status {
    let (name, urls) = (&request.name, request.peer_urls.join(","));
    Status::failed_precondition(format!(
        "error validating peerURLs: member count is unequal: {name} at {urls} has not been added to cluster {}; \
         on one of its members run: etcdctl member add {name} --peer-urls={urls}",
        hex_id(cluster_id)
    ))
}

pub(super) fn unavailable(error: &RaftError) -> Status {
    match error {
        RaftError::Consensus(ConsensusError::Refused(_)) => Status::internal(error.to_string()),
        RaftError::Consensus(error) => wire::to_status(error),
        _ => Status::unavailable(error.to_string()),
    }
}

/// The peer URLs of a request that is fit.
pub(super) fn check(request: &JoinRequest) -> Result<Vec<String>, String> {
    if request.name.is_empty() {
        return Err("a node that joins must have a name; give it one by --name".into());
    }
    if request.peer_urls.is_empty() {
        return Err("a node that joins must say where its peers reach it; see --initial-advertise-peer-urls".into());
    }
    for url in &request.peer_urls {
        url.parse::<PeerUrl>().map_err(|reason| format!("{url:?} is no peer URL: {reason}"))?;
    }
    Ok(request.peer_urls.clone())
}

/// The id that a node has already, because the answer to its first request was lost, or because it was announced by
/// its peer URL. One that has started once is never let in again under the same id: what it acknowledged is gone.
pub(super) fn find(catalog: &Catalog, name: &str, peer_urls: &[String]) -> Result<Option<NodeId>, String> {
    let same_urls = |member: &&std::sync::Arc<Member>| peer_urls.iter().any(|url| member.peer_urls.contains(url));
    let by_url = catalog.members.values().find(same_urls);
    let by_name = catalog.members.values().find(|member| member.name == name);
    match (by_url, by_name) {
        (None, None) => Ok(None),
        (Some(member), _) if !member.client_urls.is_empty() => Err(format!(
            "member {} has already been bootstrapped: {} at {} has run; if its data is lost, remove it from the cluster \
             and join anew",
            hex_id(member.id),
            member.name,
            member.peer_urls.join(", ")
        )),
        (Some(member), None) if member.name.is_empty() => Ok(Some(member.id)),
        (Some(member), Some(named)) if member.id == named.id => Ok(Some(member.id)),
        (Some(member), _) => Err(format!("{} is expected at {}; choose --name={0}", member.name, peer_urls.join(", "))),
        (None, Some(member)) => Err(format!(
            "a member named {name} exists already, at {}; choose another --name",
            member.peer_urls.join(", ")
        )),
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, sync::Arc};

    use super::*;

    fn catalog() -> Catalog {
        let member = |id, name: &str, started: bool| Member {
            id,
            name: name.into(),
            peer_urls: vec![format!("http://host{id}:2380")],
            client_urls: if started { vec![format!("http://host{id}:2379")] } else { vec![] },
            ..Member::default()
        };
        let members = [member(1, "host1", true), member(2, "host2", false), member(3, "", false)];
        let members: BTreeMap<_, _> = members.into_iter().map(|m| (m.id, Arc::new(m))).collect();
        Catalog { members: Arc::new(members), ..Catalog::default() }
    }

    fn ask(name: &str, host: &str) -> Result<Option<NodeId>, String> {
        find(&catalog(), name, &[format!("http://{host}:2380")])
    }

    #[test]
    fn a_request_repeated_before_the_first_start_gets_the_same_id() {
        assert_eq!(ask("host4", "host4"), Ok(None));
        assert_eq!(ask("host2", "host2"), Ok(Some(2)));
        assert_eq!(ask("host3", "host3"), Ok(Some(3)), "announced by its URL only");
    }

    #[test]
    fn names_and_urls_in_use_are_refused_with_a_way_out() {
        let run = ask("host1", "host1").unwrap_err();
        assert!(run.starts_with("member 1 has already been bootstrapped") && run.contains("remove it"), "{run}");
        assert!(ask("host1", "host9").unwrap_err().contains("choose another --name"));
        assert!(ask("other", "host2").unwrap_err().contains("--name=host2"));
    }

    #[test]
    fn a_request_must_be_whole() {
        let request = |name: &str, url: &str| JoinRequest {
            name: name.into(),
            peer_urls: vec![url.into()],
            ..JoinRequest::default()
        };
        assert!(check(&request("a", "http://a:2380")).is_ok());
        assert!(check(&request("", "http://a:2380")).is_err());
        assert!(check(&request("a", "a:2380")).unwrap_err().contains("http://"));
        assert!(check(&JoinRequest { name: "a".into(), ..JoinRequest::default() }).is_err());
    }
}
