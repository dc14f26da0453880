//! The call that a request becomes: what its headers mean for the service.

use axum::{
    body::Body,
    http::{HeaderMap, HeaderName, HeaderValue, Request, header, request::Parts},
};

use super::method::Method;
use crate::tls::PeerAddress;

/// Headers with this prefix are metadata without it.
const PREFIX: &str = "grpc-metadata-";

/// Where etcd's clients put the token that they got from Authenticate; web clients write `Authorization`.
const TOKEN: HeaderName = HeaderName::from_static("token");

/// Marks a call that came by the gateway, as grpc-gateway does. Its client's certificate does not count as a name:
/// a browser presents it for any page.
const MARK: HeaderName = HeaderName::from_static("grpcgateway-accept");

/// The call with this body.
pub(super) fn call(method: &Method, parts: &Parts, body: Body) -> Request<Body> {
    let mut call = Request::new(body);
    *call.method_mut() = axum::http::Method::POST;
    *call.uri_mut() = method.path.parse().expect("methods' names are paths");
    *call.version_mut() = axum::http::Version::HTTP_2;
    *call.headers_mut() = headers(&parts.headers);
    if let Some(address) = parts.extensions.get::<PeerAddress>() {
        call.extensions_mut().insert(*address);
    }
    call
}

fn headers(from: &HeaderMap) -> HeaderMap {
    let mut to = HeaderMap::new();
    for (name, value) in from {
        let Some(name) = name.as_str().strip_prefix(PREFIX) else { continue };
        // What belongs to the protocol is not the client's to say.
        let ours = name.starts_with("grpc-") || name.starts_with("grpcgateway-");
        if let Ok(name) = HeaderName::try_from(name)
            && !ours
            && ![header::CONTENT_TYPE, header::TE, header::HOST, header::CONTENT_LENGTH].contains(&name)
        {
            to.append(name, value.clone());
        }
    }
    if let Some(token) = from.get(header::AUTHORIZATION) {
        to.insert(header::AUTHORIZATION, token.clone());
        to.insert(TOKEN, token.clone());
    }
    if let Some(limit) = from.get("grpc-timeout") {
        to.insert("grpc-timeout", limit.clone());
    }
    to.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    to.insert(header::TE, HeaderValue::from_static("trailers"));
    to.insert(MARK, HeaderValue::from_static("*/*"));
    to
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_and_metadata_go_along_and_nothing_else() {
        let mut from = HeaderMap::new();
        for (name, value) in [
            ("authorization", "secret.7"),
            ("grpc-metadata-hasleader", "true"),
            ("grpc-metadata-content-type", "text/plain"),
            ("grpc-metadata-grpcgateway-accept", "x"),
            ("cookie", "a=b"),
            ("content-type", "application/json"),
            ("grpc-timeout", "5S"),
        ] {
            from.insert(name, HeaderValue::from_static(value));
        }
        let to = headers(&from);
        assert_eq!(to["authorization"], "secret.7");
        assert_eq!(to["token"], "secret.7");
        assert_eq!((&to["hasleader"], &to["grpc-timeout"]), (&"true".parse().unwrap(), &"5S".parse().unwrap()));
        assert_eq!(to["content-type"], "application/grpc");
        assert_eq!(to["grpcgateway-accept"], "*/*");
        assert_eq!(to.len(), 7, "{to:?}");
    }
}
