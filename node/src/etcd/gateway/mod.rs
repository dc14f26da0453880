//! The JSON gateway, `/v3/*` (and `/v3beta/*`): HTTP requests turned into gRPC calls of the same router that gRPC
//! clients use, so that checks, bounds and answers are the same, and back.
//!
//! Behaviour was recorded from etcd 3.4's (<https://etcd.io/docs/v3.5/dev-guide/api_grpc_gateway/>); error bodies and
//! codes are 3.5's. Unlike etcd, what a web page sends is refused: see [`from_a_page`].

mod answer;
mod body;
mod frame;
mod lines;
mod metadata;
mod method;
mod objects;
mod paths;
mod requests;

use std::sync::Arc;

use axum::{
    Router,
    body::Body,
    extract::Request,
    http::{Method as Verb, StatusCode, header},
    response::{IntoResponse, Response},
    routing::any,
};
use http_body_util::BodyExt;
use prost_reflect::{DescriptorPool, DynamicMessage, prost::Message};
use tonic::Status;
use tower::ServiceExt;

use self::{answer::failed, lines::Lines, method::Method, requests::Requests};
use super::limits::REQUEST_MAX_BYTES;

/// What a body may have: a request of the largest size, whose bytes are written in base64, and its words.
const BODY_MAX_BYTES: usize = REQUEST_MAX_BYTES / 3 * 4 + (512 << 10);

/// Versions that paths begin with: etcd 3.5 serves both.
const PREFIXES: [&str; 2] = ["/v3", "/v3beta"];

/// The gateway's paths, which call `grpc`.
pub fn router(grpc: &Router) -> Router {
    let pool = DescriptorPool::decode(autoradio_proto::DESCRIPTORS).expect("the build made the descriptors");
    let mut router = Router::new();
    for (path, name) in paths::PATHS {
        let method = Arc::new(Method::find(&pool, name).expect("the table names methods that there are"));
        for prefix in PREFIXES {
            let (grpc, method) = (grpc.clone(), method.clone());
            let handler = move |request: Request| handle(grpc.clone(), method.clone(), request);
            router = router.route(&format!("{prefix}/{path}"), any(handler));
        }
    }
    router
}

async fn handle(grpc: Router, method: Arc<Method>, request: Request) -> Response {
    if request.method() != Verb::POST {
        return (StatusCode::METHOD_NOT_ALLOWED, [(header::ALLOW, "POST")], "Method Not Allowed\n").into_response();
    }
    if from_a_page(&request) {
        let text = "autoradio: requests from web pages are refused: send none with an Origin";
        return failed(&Status::permission_denied(text));
    }
    let called = if method.client_streaming {
        stream_in(grpc, method, request).await
    } else {
        single_in(grpc, method, request).await
    };
    called.unwrap_or_else(|status| failed(&status))
}

/// Whether a browser sent it for a page: any page could send to this port of the machine of who looks at it, without
/// asking first, and this port serves no pages of its own.
fn from_a_page(request: &Request) -> bool {
    request.headers().contains_key(header::ORIGIN)
}

/// A call with one message.
async fn single_in(grpc: Router, method: Arc<Method>, request: Request) -> Result<Response, Status> {
    let (parts, body) = request.into_parts();
    let json = body::read(body, BODY_MAX_BYTES).await?;
    let message = method.parse(&json)?;
    let call = metadata::call(&method, &parts, Body::from(frame::of(&message)));
    let Ok(answer) = grpc.oneshot(call).await;
    if method.server_streaming { stream_out(method, answer, None).await } else { single_out(&method, answer).await }
}

/// A call with a stream of messages; all of these answer with a stream, too.
async fn stream_in(grpc: Router, method: Arc<Method>, request: Request) -> Result<Response, Status> {
    let (parts, body) = request.into_parts();
    let (requests, fault) = Requests::new(method.clone(), body, BODY_MAX_BYTES);
    let call = metadata::call(&method, &parts, Body::new(requests));
    let Ok(answer) = grpc.oneshot(call).await;
    stream_out(method, answer, Some(fault)).await
}

/// An answer of one message.
async fn single_out(method: &Method, answer: Response) -> Result<Response, Status> {
    refused(&answer)?;
    let collected = answer.into_body().collect().await;
    let collected = collected.map_err(|error| Status::internal(format!("the answer broke off: {error}")))?;
    if let Some(status) = collected.trailers().and_then(Status::from_header_map)
        && status.code() != tonic::Code::Ok
    {
        return Err(status);
    }
    let mut bytes = bytes::BytesMut::from(&collected.to_bytes()[..]);
    let Some(message) = frame::take(&mut bytes)? else { return Err(Status::internal("the answer has no message")) };
    let json = method.show(&message)?;
    Ok(answer::found(Body::from(json)))
}

/// An answer of a stream of messages: a line each.
async fn stream_out(method: Arc<Method>, answer: Response, fault: Option<requests::Fault>) -> Result<Response, Status> {
    refused(&answer)?;
    Ok(answer::found(Body::new(Lines::new(method, answer.into_body(), fault))))
}

/// A refusal that comes in place of an answer.
fn refused(answer: &Response) -> Result<(), Status> {
    match Status::from_header_map(answer.headers()) {
        Some(status) if status.code() != tonic::Code::Ok => Err(status),
        _ => Ok(()),
    }
}

/// A message from its bytes.
fn decode(descriptor: prost_reflect::MessageDescriptor, bytes: &[u8]) -> Result<DynamicMessage, Status> {
    DynamicMessage::decode(descriptor, bytes).map_err(|error| Status::internal(error.to_string()))
}

/// A message's bytes.
fn encode(message: &DynamicMessage) -> Vec<u8> {
    message.encode_to_vec()
}
