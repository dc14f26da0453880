//! `/v2/members`: etcd 3.4's `members_api.md`. A member that is added here is not counted in the quorum before it has
//! started: the steward brings it into the consensus when it is heard of.

use autoradio_machine::{
    Access, Command, Member, MemberAdd, MemberUpdate, NodeId, Refusal, Response as Answer, hex_id,
};
use axum::{
    Json,
    body::Body,
    extract::{Path, Request, State},
    http::{HeaderMap, Method, StatusCode, header::CONTENT_TYPE},
    response::{IntoResponse, Response},
};

use super::{
    access::Given,
    answer::{Error, not_allowed},
    urls,
};
use crate::{caller::Asker, context::Context};

/// A list of a few URLs is far smaller.
const BODY_BYTES_MAX: usize = 64 << 10;

const METHODS: &str = "GET,POST,DELETE,PUT";

/// `/v2/members`: GET lists, POST adds.
pub(super) async fn all(State(context): State<Context>, request: Request) -> Response {
    match *request.method() {
        Method::GET => match Given::of(&request).check(&context, Access::Known).await {
            Ok(_) => list(&context).into_response(),
            Err(error) => error.into_response(),
        },
        Method::POST => add(&context, request).await,
        _ => not_allowed(METHODS),
    }
}

/// `/v2/members/ID`: PUT changes the peer URLs, DELETE removes; GET knows `leader` only.
pub(super) async fn one(State(context): State<Context>, Path(id): Path<String>, request: Request) -> Response {
    let done = match *request.method() {
        Method::GET if id == "leader" => return leader(&context).into_response(),
        Method::GET => Err(Error::new(StatusCode::NOT_FOUND, "Not found")),
        // etcd does not look at what follows the path.
        Method::POST => return add(&context, request).await,
        Method::PUT => update(&context, &id, request).await,
        Method::DELETE => remove(&context, &id, Given::of(&request)).await,
        _ => return not_allowed(METHODS),
    };
    done.map_or_else(IntoResponse::into_response, |()| StatusCode::NO_CONTENT.into_response())
}

/// A member as etcd shows it, in its order of fields.
#[derive(serde::Serialize)]
struct Shown {
    id: String,
    /// Empty until it has started.
    name: String,
    #[serde(rename = "peerURLs")]
    peer_urls: Vec<String>,
    #[serde(rename = "clientURLs")]
    client_urls: Vec<String>,
}

fn shown(member: &Member) -> Shown {
    Shown {
        id: hex_id(member.id),
        name: if member.started() { member.name.clone() } else { String::new() },
        peer_urls: member.peer_urls.clone(),
        client_urls: member.client_urls.clone(),
    }
}

#[derive(serde::Serialize)]
struct List {
    members: Vec<Shown>,
}

/// All members by id, as this node knows them: etcd does not ask the leader either.
fn list(context: &Context) -> Json<List> {
    Json(List { members: context.raft.catalog().members.values().map(|member| shown(member)).collect() })
}

fn leader(context: &Context) -> Result<Json<Shown>, Error> {
    let during = || Error::new(StatusCode::SERVICE_UNAVAILABLE, "During election");
    let leader = context.raft.status().leader.ok_or_else(during)?;
    context.raft.catalog().members.get(&leader).map(|member| Json(shown(member))).ok_or_else(during)
}

async fn add(context: &Context, request: Request) -> Response {
    match added(context, request).await {
        Ok(member) => (StatusCode::CREATED, Json(shown(&member))).into_response(),
        Err(error) => error.into_response(),
    }
}

async fn added(context: &Context, request: Request) -> Result<Member, Error> {
    let asker = Given::of(&request).check(context, Access::Root).await?;
    let peer_urls = peer_urls(request).await?;
    let add = MemberAdd { name: String::new(), peer_urls, learner: false };
    let proposed =
        context.raft.propose_as(&asker, Command::MemberAdd(add)).await.map_err(|error| Error::from(&error))?;
    match proposed.response {
        Answer::Member(member) => Ok(member),
        other => {
            tracing::error!(?other, "adding a member was answered with something else");
            Err(Error::new(StatusCode::INTERNAL_SERVER_ERROR, "Internal Server Error"))
        }
    }
}

async fn update(context: &Context, text: &str, request: Request) -> Result<(), Error> {
    let asker = Given::of(&request).check(context, Access::Root).await?;
    let id = parse(text)?;
    let peer_urls = Some(peer_urls(request).await?);
    let command = Command::MemberUpdate(MemberUpdate { id, peer_urls, ..MemberUpdate::default() });
    change(context, &asker, id, text, command).await
}

async fn remove(context: &Context, text: &str, given: Given) -> Result<(), Error> {
    let asker = given.check(context, Access::Root).await?;
    let id = parse(text)?;
    let checked = autoradio_policy::membership::check_removal(&context.view.now(), id);
    if let Err(refused @ autoradio_policy::membership::UnsafeRemoval::Quorum { .. }) = checked {
        return Err(Error::new(StatusCode::INTERNAL_SERVER_ERROR, refused.to_string()));
    }
    change(context, &asker, id, text, Command::MemberRemove { id }).await
}

async fn change(context: &Context, asker: &Asker, id: NodeId, text: &str, command: Command) -> Result<(), Error> {
    let removes = matches!(command, Command::MemberRemove { .. });
    match context.raft.propose_as(asker, command).await {
        Ok(_) => Ok(()),
        Err(error) if matches!(error.refusal(), Some(Refusal::MemberNotFound)) => {
            // A member that another one removed a moment ago may not be known as such here yet; then it is unknown.
            if removes && context.raft.read(|machine| machine.was_removed(id)) {
                return Err(Error::new(StatusCode::GONE, format!("Member permanently removed: {text}")));
            }
            Err(Error::no_member(text))
        }
        Err(error) => Err(Error::from(&error)),
    }
}

/// An id is hex, without a sign.
fn parse(text: &str) -> Result<NodeId, Error> {
    let is_hex = text.bytes().all(|byte| byte.is_ascii_hexdigit());
    NodeId::from_str_radix(text, 16).ok().filter(|_| is_hex).ok_or_else(|| Error::no_member(text))
}

async fn peer_urls(request: Request) -> Result<Vec<String>, Error> {
    check_type(request.headers())?;
    let body = axum::body::to_bytes(Body::new(request.into_body()), BODY_BYTES_MAX).await;
    let body = body.map_err(|error| Error::new(StatusCode::BAD_REQUEST, error.to_string()))?;
    urls::from_body(&body).map_err(|reason| Error::new(StatusCode::BAD_REQUEST, reason))
}

/// JSON only, said so: a web page of another site cannot send that to this port without being asked first.
fn check_type(headers: &HeaderMap) -> Result<(), Error> {
    let kind = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    // Parameters, as `; charset=utf-8`, do no harm.
    if kind.split(';').next().is_some_and(|kind| kind.trim() == "application/json") {
        return Ok(());
    }
    let message = format!("Bad Content-Type {kind}, accept application/json");
    Err(Error::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, message))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_hex_and_nothing_else() {
        assert_eq!(parse("667880157b8812c8"), Ok(0x6678_8015_7b88_12c8));
        for bad in ["zz", "", "+1", "-1", "0x1", "1ffffffffffffffff", "leader"] {
            assert_eq!(parse(bad), Err(Error::no_member(bad)), "{bad}");
        }
    }

    #[test]
    fn json_is_told_with_or_without_its_charset() {
        let checked = |kind: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(CONTENT_TYPE, kind.parse().unwrap());
            check_type(&headers)
        };
        assert_eq!(checked("application/json"), Ok(()));
        assert_eq!(checked("application/json; charset=utf-8"), Ok(()));
        assert!(checked("text/plain").is_err() && checked("application/jsonx").is_err());
    }

    #[test]
    fn a_member_that_has_not_started_has_no_name() {
        let member = Member { id: 0xab, peer_urls: vec!["http://a:1".into()], name: "a".into(), ..Member::default() };
        let text = serde_json::to_string(&shown(&member)).unwrap();
        assert_eq!(text, r#"{"id":"ab","name":"","peerURLs":["http://a:1"],"clientURLs":[]}"#);
    }
}
