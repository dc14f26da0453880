//! Counts gRPC calls by method and code, under the names that Go's servers have: etcd's alerts are made of them.

use std::{
    collections::HashMap,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    task::{Context, Poll},
};

use axum::{
    body::Body,
    extract::{Request, State},
    middleware::Next,
    response::Response,
};
use hyper::body::{Body as HttpBody, Bytes, Frame, SizeHint};
use prometheus_client::{
    metrics::{counter::Counter, family::Family},
    registry::Registry,
};
use prost_reflect::{DescriptorPool, MethodDescriptor};
use tonic::{Code, Status};

use super::words;

/// gRPC's codes, from 0.
const CODES: [&str; 17] = [
    "OK",
    "Canceled",
    "Unknown",
    "InvalidArgument",
    "DeadlineExceeded",
    "NotFound",
    "AlreadyExists",
    "PermissionDenied",
    "ResourceExhausted",
    "FailedPrecondition",
    "Aborted",
    "OutOfRange",
    "Unimplemented",
    "Internal",
    "Unavailable",
    "DataLoss",
    "Unauthenticated",
];

type Labels = Vec<(&'static str, String)>;

/// Calls of every method that there is; others are not counted, so that labels are bounded.
#[derive(Debug, Default)]
pub struct Calls {
    methods: HashMap<String, Arc<Counts>>,
}

/// Calls of a method.
#[derive(Debug)]
struct Counts {
    labels: Labels,
    started: AtomicU64,
    handled: [AtomicU64; CODES.len()],
}

impl Calls {
    /// None yet, of the methods that clients see.
    #[must_use]
    pub fn new() -> Self {
        let pool = DescriptorPool::decode(autoradio_proto::DESCRIPTORS).expect("the build made the descriptors");
        let methods = pool.services().flat_map(|service| service.methods().collect::<Vec<_>>());
        let counted = methods.map(|method| {
            let service = method.parent_service().full_name().to_owned();
            (format!("/{service}/{}", method.name()), Arc::new(Counts::of(&method, service)))
        });
        Self { methods: counted.collect() }
    }

    /// Adds what was counted to a registry. Methods that were never called are left out.
    pub fn register(&self, registry: &mut Registry) {
        let (started, handled) = (Family::<Labels, Counter>::default(), Family::<Labels, Counter>::default());
        for counts in self.methods.values().filter(|counts| counts.started.load(Relaxed) > 0) {
            started.get_or_create(&counts.labels).inc_by(counts.started.load(Relaxed));
            for (code, count) in CODES.iter().zip(&counts.handled) {
                let count = count.load(Relaxed);
                if count > 0 {
                    let labels = [&counts.labels[..], &[("grpc_code", (*code).to_owned())]].concat();
                    handled.get_or_create(&labels).inc_by(count);
                }
            }
        }
        registry.register("grpc_server_started", "Calls that began, by method", started);
        registry.register("grpc_server_handled", "Calls that ended, by method and code", handled);
    }
}

impl Counts {
    fn of(method: &MethodDescriptor, service: String) -> Self {
        let kind = match (method.is_client_streaming(), method.is_server_streaming()) {
            (false, false) => "unary",
            (true, false) => "client_stream",
            (false, true) => "server_stream",
            (true, true) => "bidi_stream",
        };
        let name = method.name().to_owned();
        let labels = vec![("grpc_type", kind.to_owned()), ("grpc_service", service), ("grpc_method", name)];
        Self { labels, started: AtomicU64::new(0), handled: Default::default() }
    }

    fn end(&self, code: Code) {
        let index = usize::try_from(i32::from(code)).unwrap_or(0);
        if let Some(count) = self.handled.get(index) {
            count.fetch_add(1, Relaxed);
        }
    }
}

/// Counts a call, and says its refusal in etcd's words.
pub async fn count(State(calls): State<Arc<Calls>>, request: Request, next: Next) -> Response {
    let Some(counts) = calls.methods.get(request.uri().path()).cloned() else {
        return words::translate(next.run(request).await);
    };
    counts.started.fetch_add(1, Relaxed);
    let ending = Ending { counts, code: None };
    let answer = words::translate(next.run(request).await);
    let code = Status::from_header_map(answer.headers()).map(|status| status.code());
    match code {
        Some(code) => {
            ending.with(code);
            answer
        }
        None => answer.map(|body| Body::new(Counted { body, ending })),
    }
}

/// A call that has not ended yet. Dropped before its end, it was cancelled.
struct Ending {
    counts: Arc<Counts>,
    code: Option<Code>,
}

impl Ending {
    fn with(mut self, code: Code) {
        self.code = Some(code);
    }
}

impl Drop for Ending {
    fn drop(&mut self) {
        self.counts.end(self.code.unwrap_or(Code::Cancelled));
    }
}

/// An answer's body, whose trailers say how the call ended.
struct Counted {
    body: Body,
    ending: Ending,
}

impl HttpBody for Counted {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        if let Poll::Ready(Some(Ok(frame))) = &polled
            && let Some(status) = frame.trailers_ref().and_then(Status::from_header_map)
        {
            self.ending.code = Some(status.code());
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use prometheus_client::encoding::text::encode;

    use super::*;

    fn shown(calls: &Calls) -> String {
        let (mut registry, mut text) = (Registry::default(), String::new());
        calls.register(&mut registry);
        encode(&mut text, &registry).expect("writing to a String cannot fail");
        text
    }

    #[test]
    fn calls_are_told_by_method_and_code() {
        let calls = Calls::new();
        let counts = calls.methods["/etcdserverpb.KV/Range"].clone();
        counts.started.fetch_add(3, Relaxed);
        Ending { counts: counts.clone(), code: None }.with(Code::Ok);
        Ending { counts: counts.clone(), code: None }.with(Code::OutOfRange);
        drop(Ending { counts, code: None });
        let text = shown(&calls);
        let labels = r#"grpc_type="unary",grpc_service="etcdserverpb.KV",grpc_method="Range""#;
        for line in [
            format!("grpc_server_started_total{{{labels}}} 3"),
            format!(r#"grpc_server_handled_total{{{labels},grpc_code="OK"}} 1"#),
            format!(r#"grpc_server_handled_total{{{labels},grpc_code="OutOfRange"}} 1"#),
            format!(r#"grpc_server_handled_total{{{labels},grpc_code="Canceled"}} 1"#),
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is missing in\n{text}");
        }
        assert!(!text.contains("LeaseGrant"), "it was never called");
    }
}
