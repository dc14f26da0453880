//! The forms of answers. Codes are those that grpc-gateway gives
//! (<https://github.com/googleapis/googleapis/blob/master/google/rpc/code.proto> tells them beside each code).

use axum::{
    body::Body,
    http::{HeaderValue, StatusCode, header::CONTENT_TYPE},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use serde_json::json;
use tonic::{Code, Status};

/// HTTP's code for one of gRPC's.
fn http_code(code: Code) -> StatusCode {
    match code {
        Code::Ok => StatusCode::OK,
        Code::Cancelled => StatusCode::REQUEST_TIMEOUT,
        Code::InvalidArgument | Code::FailedPrecondition | Code::OutOfRange => StatusCode::BAD_REQUEST,
        Code::DeadlineExceeded => StatusCode::GATEWAY_TIMEOUT,
        Code::NotFound => StatusCode::NOT_FOUND,
        Code::AlreadyExists | Code::Aborted => StatusCode::CONFLICT,
        Code::PermissionDenied => StatusCode::FORBIDDEN,
        Code::Unauthenticated => StatusCode::UNAUTHORIZED,
        Code::ResourceExhausted => StatusCode::TOO_MANY_REQUESTS,
        Code::Unimplemented => StatusCode::NOT_IMPLEMENTED,
        Code::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        Code::Unknown | Code::Internal | Code::DataLoss => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

#[derive(serde::Serialize)]
struct Failure<'a> {
    error: &'a str,
    code: i32,
    message: &'a str,
}

/// An answer without a result.
pub(super) fn failed(status: &Status) -> Response {
    let failure = Failure { error: status.message(), code: i32::from(status.code()), message: status.message() };
    (http_code(status.code()), axum::Json(failure)).into_response()
}

/// An answer with a result, or with lines of them.
pub(super) fn found(body: Body) -> Response {
    let mut response = Response::new(body);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response.headers_mut().insert("grpc-metadata-content-type", HeaderValue::from_static("application/grpc"));
    response
}

/// The last line of a stream that does not end well.
pub(super) fn error_line(status: &Status) -> Bytes {
    let http = http_code(status.code());
    let error = json!({
        "grpc_code": i32::from(status.code()),
        "http_code": http.as_u16(),
        "message": status.message(),
        "http_status": http.canonical_reason().unwrap_or_default(),
    });
    format!("{}\n", json!({ "error": error })).into()
}
