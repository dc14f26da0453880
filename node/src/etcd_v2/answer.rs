//! The forms of answers: JSON, and errors as etcd 3.4's `httptypes.HTTPError` writes them.

use autoradio_machine::{Refusal, hex_id};
use axum::{
    Json,
    extract::State,
    http::{HeaderName, HeaderValue, StatusCode, header::ALLOW},
    response::{IntoResponse, Response},
};
use serde_json::json;

use crate::{context::Context, raft::RaftError};

const CLUSTER_ID: HeaderName = HeaderName::from_static("x-etcd-cluster-id");

/// `{"message": …}` with a status.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Error {
    pub(super) code: StatusCode,
    pub(super) message: String,
}

impl Error {
    pub(super) fn new(code: StatusCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }

    /// No member has that id, or what stands there is no id.
    pub(super) fn no_member(id: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, format!("No such member: {id}"))
    }
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        (self.code, Json(json!({ "message": self.message }))).into_response()
    }
}

impl From<&RaftError> for Error {
    /// etcd has no other words for what is not the request's fault; its clients take them for “no leader”.
    fn from(error: &RaftError) -> Self {
        match error.refusal() {
            Some(Refusal::PeerUrlsExist) => Self::new(StatusCode::CONFLICT, "membership: peerURL exists"),
            Some(Refusal::Auth(_)) => Self::new(StatusCode::UNAUTHORIZED, "Insufficient credentials"),
            Some(refusal @ (Refusal::BadPeerUrls | Refusal::Invalid { .. })) => {
                Self::new(StatusCode::BAD_REQUEST, refusal.to_string())
            }
            _ => {
                tracing::warn!(%error, "a request of etcd's v2 API could not be carried out");
                Self::new(StatusCode::INTERNAL_SERVER_ERROR, "Internal Server Error")
            }
        }
    }
}

/// On each answer about members.
pub(super) async fn with_cluster_id(State(context): State<Context>, mut response: Response) -> Response {
    let id = HeaderValue::try_from(hex_id(context.raft.cluster_id())).expect("hex digits are a header value");
    response.headers_mut().insert(CLUSTER_ID, id);
    response
}

/// Another method on a path that has one only.
pub(super) async fn only_get() -> Response {
    not_allowed("GET")
}

pub(super) fn not_allowed(allow: &'static str) -> Response {
    (StatusCode::METHOD_NOT_ALLOWED, [(ALLOW, allow)], "Method Not Allowed\n").into_response()
}
