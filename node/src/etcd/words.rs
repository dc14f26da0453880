//! Refusals of the gRPC library in the words of etcd's, which clients and test suites know.

use axum::{body::Body, response::Response};
use tonic::{Code, Status};

/// How tonic begins to say that a message is too large.
const TOO_LARGE: &str = "Error, decoded message length too large: found ";

/// The status in etcd's words; others as they are.
pub(super) fn in_etcds(status: Status) -> Status {
    let sizes = |rest: &str| {
        let (found, limit) = rest.strip_suffix(" bytes")?.split_once(" bytes, the limit is: ")?;
        Some((found.parse::<u64>().ok()?, limit.parse::<u64>().ok()?))
    };
    match status.message().strip_prefix(TOO_LARGE).and_then(sizes) {
        Some((found, limit)) => {
            let text = format!("grpc: received message larger than max ({found} vs. {limit})");
            Status::new(Code::ResourceExhausted, text)
        }
        None => status,
    }
}

/// An answer, in etcd's words where it is such a refusal.
pub(super) fn translate(answer: Response) -> Response {
    // Answers that are no refusals have their status in the trailers.
    if !answer.headers().contains_key(Status::GRPC_STATUS) {
        return answer;
    }
    match Status::from_header_map(answer.headers()) {
        Some(status) if status.message().starts_with(TOO_LARGE) => in_etcds(status).into_http::<Body>(),
        _ => answer,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_kept_and_other_words_too() {
        let library = Status::out_of_range(format!("{TOO_LARGE}3000000 bytes, the limit is: 2097152 bytes"));
        let ours = in_etcds(library);
        assert_eq!(ours.code(), Code::ResourceExhausted);
        assert_eq!(ours.message(), "grpc: received message larger than max (3000000 vs. 2097152)");
        assert_eq!(in_etcds(Status::not_found("x")).message(), "x");
        assert_eq!(in_etcds(Status::out_of_range(format!("{TOO_LARGE}?"))).code(), Code::OutOfRange);
    }
}
