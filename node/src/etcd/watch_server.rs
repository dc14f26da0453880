//! How the Watch service is served: as the generated server would, but for its answers, which are encoded here, so that
//! all watches of an event share its bytes.

use std::{
    convert::Infallible,
    future::{Ready, ready},
    task::{Context, Poll},
};

use autoradio_proto::{
    codec::FittingCodec,
    etcd::etcdserverpb::{WatchRequest, WatchResponse},
};
use axum::http::{self, HeaderMap, HeaderValue, header::CONTENT_TYPE};
use bytes::Bytes;
use hyper::body::Body as HttpBody;
use tonic::{Request, Status, Streaming, body::Body, codec::Codec, metadata::MetadataMap, server::NamedService};
use tower::{BoxError, Service};

use super::{limits::MESSAGE_MAX_BYTES, watch::WatchService};

const PATH: &str = "/etcdserverpb.Watch/Watch";
const ENCODING: &str = "grpc-encoding";
const ENCODINGS: &str = "grpc-accept-encoding";
/// Not compressed.
const IDENTITY: HeaderValue = HeaderValue::from_static("identity");

/// Serves it. Cheap to clone.
#[derive(Clone)]
pub(super) struct WatchServer {
    service: WatchService,
}

impl WatchServer {
    pub(super) fn new(service: WatchService) -> Self {
        Self { service }
    }

    fn answer<B>(&self, request: http::Request<B>) -> Result<http::Response<Body>, Status>
    where
        B: HttpBody<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError> + Send,
    {
        if request.uri().path() != PATH {
            return Err(Status::unimplemented(""));
        }
        check_encoding(request.headers())?;
        let (parts, body) = request.into_parts();
        let decoder = FittingCodec::<WatchResponse, WatchRequest>::default().decoder();
        let requests = Streaming::new_request(decoder, body, None, Some(MESSAGE_MAX_BYTES));
        let metadata = MetadataMap::from_headers(parts.headers);
        let answers = self.service.watch(Request::from_parts(metadata, parts.extensions, requests));
        let mut response = http::Response::new(Body::new(answers));
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
        Ok(response)
    }
}

/// Requests are not compressed, unless their client was told to.
fn check_encoding(headers: &HeaderMap) -> Result<(), Status> {
    match headers.get(ENCODING) {
        Some(encoding) if encoding != IDENTITY => {
            let encoding = String::from_utf8_lossy(encoding.as_bytes());
            let mut status =
                Status::unimplemented(format!("requests that are compressed with {encoding} are not read"));
            status.metadata_mut().as_mut().insert(ENCODINGS, IDENTITY);
            Err(status)
        }
        _ => Ok(()),
    }
}

impl NamedService for WatchServer {
    const NAME: &'static str = "etcdserverpb.Watch";
}

impl<B> Service<http::Request<B>> for WatchServer
where
    B: HttpBody<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError> + Send,
{
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<B>) -> Self::Future {
        ready(Ok(self.answer(request).unwrap_or_else(Status::into_http)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_not_compressed_is_read() {
        let with = |encoding: Option<&'static str>| {
            let named = encoding.map(|encoding| (ENCODING.parse().unwrap(), HeaderValue::from_static(encoding)));
            check_encoding(&named.into_iter().collect())
        };
        assert!(with(None).is_ok() && with(Some("identity")).is_ok());
        let refused = with(Some("gzip")).unwrap_err();
        assert_eq!(refused.metadata().get(ENCODINGS).unwrap(), "identity");
    }
}
