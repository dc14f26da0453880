//! URLs of options: a scheme, a host or address, a port, and nothing else.

use std::net::SocketAddr;

use super::{ConfigError, resolve::wrong};

/// A URL's scheme.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scheme {
    Http,
    Https,
}

impl Scheme {
    pub(super) fn of(self, rest: &str) -> String {
        match self {
            Self::Http => format!("http://{rest}"),
            Self::Https => format!("https://{rest}"),
        }
    }
}

/// Addresses to listen on, each with its scheme, of which there are some only.
pub(super) fn listen_urls(
    option: &'static str,
    given: &[String],
    schemes: &[Scheme],
) -> Result<Vec<(Scheme, SocketAddr)>, ConfigError> {
    let parse = |url: &String| {
        let (scheme, rest) = split(option, url, schemes)?;
        let rest = rest.strip_prefix("localhost").map_or(rest.to_owned(), |port| format!("127.0.0.1{port}"));
        let at = rest.parse().map_err(|_| {
            wrong(option, url, format!("give {} with an address of this machine", scheme.of("ADDR:PORT")))
        })?;
        Ok((scheme, at))
    };
    given.iter().filter(|url| !url.is_empty()).map(parse).collect()
}

/// Scheme, and what follows it without a slash at the end.
fn split<'a>(option: &'static str, url: &'a str, schemes: &[Scheme]) -> Result<(Scheme, &'a str), ConfigError> {
    let found = match url.split_once("://") {
        Some(("http", rest)) => Some((Scheme::Http, rest)),
        Some(("https", rest)) => Some((Scheme::Https, rest)),
        _ => None,
    };
    match found {
        Some((scheme, rest)) if schemes.contains(&scheme) => Ok((scheme, rest.trim_end_matches('/'))),
        Some((Scheme::Https, _)) => Err(wrong(option, url, "TLS is not supported by this version; use http://")),
        _ => Err(wrong(option, url, "give http://HOST:PORT")),
    }
}

pub(super) fn url(option: &'static str, url: &str, schemes: &[Scheme]) -> Result<String, ConfigError> {
    let (scheme, rest) = split(option, url, schemes)?;
    let port = rest.rsplit_once(':').map(|(host, port)| (host, port.parse::<u16>()));
    match port {
        Some((host, Ok(port))) if !host.is_empty() && port != 0 && !rest.contains('/') => Ok(scheme.of(rest)),
        _ => Err(wrong(option, url, format!("give {}", scheme.of("HOST:PORT")))),
    }
}

pub(super) fn urls(option: &'static str, given: &[String], schemes: &[Scheme]) -> Result<Vec<String>, ConfigError> {
    given.iter().filter(|text| !text.is_empty()).map(|text| url(option, text, schemes)).collect()
}
