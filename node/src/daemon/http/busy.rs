//! What a client is told that finds no place.

use axum::{
    Router,
    extract::Request,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};

use super::super::client_port::is_grpc;

/// Answers every request with the reason.
pub(super) fn router(reason: String) -> Router {
    Router::new().fallback(move |request: Request| {
        let reason = reason.clone();
        async move { answer(&request, &reason) }
    })
}

/// 503, or gRPC's `ResourceExhausted`.
pub(super) fn answer<B>(request: &axum::http::Request<B>, reason: &str) -> Response {
    if is_grpc(request.headers()) {
        return tonic::Status::resource_exhausted(reason).into_http::<axum::body::Body>();
    }
    let mut response = (StatusCode::SERVICE_UNAVAILABLE, format!("{reason}\n")).into_response();
    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("10"));
    response
}
