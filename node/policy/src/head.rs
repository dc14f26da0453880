//! Request heads as sources and players send them: read leniently, refused where leniency would be dangerous.

use std::collections::BTreeMap;

use base64::{
    Engine, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};

use crate::target::to_text;

mod parse;
pub use parse::parse_head;

/// The longest head that is read: hyper's and nginx's bound is near; encoders send under 1 KiB.
pub const MAX_HEAD_BYTES: usize = 16 * 1024;
/// Most header lines in a head; browsers send about 20.
pub const MAX_HEADERS: usize = 64;
/// The longest `Authorization` value that is decoded; names and passwords are far shorter.
pub const MAX_AUTHORIZATION_BYTES: usize = 1024;
/// The longest value of an `ice-*` header that is kept, in bytes: it goes into the store with the source's claim.
pub const MAX_ICE_VALUE_BYTES: usize = 512;
/// Most `ice-*` headers that are kept.
pub const MAX_ICE_HEADERS: usize = 24;

/// What the bytes read so far are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HeadResult {
    /// Read on.
    Incomplete,
    /// A whole head.
    Head {
        /// The head.
        head: RequestHead,
        /// Where the body starts in the bytes given.
        body_offset: usize,
    },
    /// Not a head that is served: answer with this status and close.
    Bad {
        /// The HTTP status: 400, 413, 431, 501 or 505.
        status: u16,
        /// What is wrong, as a sentence for the client.
        reason: &'static str,
    },
}

/// The protocol version of a request line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// `HTTP/1.0`
    Http10,
    /// `HTTP/1.1`
    Http11,
    /// `ICE/1.0`: old sources.
    Ice10,
}

/// A request head that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestHead {
    /// The method as sent (`GET`, `PUT`, `SOURCE`, …).
    pub method: String,
    /// The target as sent, bytes that are not UTF-8 read as ISO 8859-1.
    pub target: String,
    /// The path, percent-decoded; without control characters. `*` for `OPTIONS *`.
    pub path: String,
    /// The query's parameters in order, decoded.
    pub query: Vec<(String, String)>,
    /// The version.
    pub version: Version,
    /// The headers in order, names in lower case, values trimmed.
    pub headers: Vec<(String, String)>,
}

impl RequestHead {
    /// The first header of this (lower-case) name.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }

    /// The first query parameter of this name.
    #[must_use]
    pub fn parameter(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }

    /// User and password of an `Authorization: Basic` header (RFC 7617). `None` where there is none, or where it is
    /// not readable: both are answered with 401.
    #[must_use]
    pub fn basic_auth(&self) -> Option<(String, String)> {
        let value = self.header("authorization").filter(|v| v.len() <= MAX_AUTHORIZATION_BYTES)?;
        let (scheme, encoded) = value.split_once(' ')?;
        if !scheme.eq_ignore_ascii_case("basic") {
            return None;
        }
        // Embedded encoders leave the padding off.
        let config = GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
        let bytes = GeneralPurpose::new(&alphabet::STANDARD, config).decode(encoded.trim()).ok()?;
        let text = to_text(&bytes, false);
        if text.chars().any(char::is_control) {
            return None;
        }
        text.split_once(':').map(|(user, password)| (user.to_owned(), password.to_owned()))
    }

    /// Whether the player asked for titles in the stream (`Icy-MetaData: 1`).
    #[must_use]
    pub fn wants_icy_metadata(&self) -> bool {
        self.header("icy-metadata").is_some_and(|v| v.parse::<u32>().is_ok_and(|n| n > 0))
    }

    /// Whether the client waits for `100 Continue` before it sends its body.
    #[must_use]
    pub fn expects_continue(&self) -> bool {
        self.version == Version::Http11 && self.has_token("expect", "100-continue")
    }

    /// Whether the body comes in chunks.
    #[must_use]
    pub fn is_chunked(&self) -> bool {
        self.header("transfer-encoding").is_some()
    }

    /// The body's length in bytes, where the client says one.
    #[must_use]
    pub fn content_length(&self) -> Option<u64> {
        self.header("content-length").and_then(|v| v.parse().ok())
    }

    /// The `User-Agent`, or nothing.
    #[must_use]
    pub fn user_agent(&self) -> &str {
        self.header("user-agent").unwrap_or_default()
    }

    /// The body's MIME type without parameters, in lower case.
    #[must_use]
    pub fn content_type(&self) -> Option<String> {
        self.header("content-type")
            .map(|v| v.split(';').next().unwrap_or_default().trim().to_ascii_lowercase())
            .filter(|v| !v.is_empty())
    }

    /// What a source says of itself: `ice-*` and `icy-*` headers, names in lower case with the prefix cut
    /// (`ice-name` → `name`), control characters removed, bounded. `ice-` wins over `icy-`; `icy-br` is
    /// called `bitrate` and `icy-pub` `public`, as their `ice-` twins are.
    #[must_use]
    pub fn ice(&self) -> BTreeMap<String, String> {
        let mut found = BTreeMap::new();
        for prefix in ["ice-", "icy-"] {
            for (name, value) in &self.headers {
                let Some(name) = name.strip_prefix(prefix).filter(|n| !n.is_empty() && *n != "metadata") else {
                    continue;
                };
                let name = match name {
                    "br" => "bitrate",
                    "pub" => "public",
                    other => other,
                };
                if found.len() < MAX_ICE_HEADERS && !found.contains_key(name) {
                    found.insert(name.to_owned(), bounded_text(value, MAX_ICE_VALUE_BYTES));
                }
            }
        }
        found
    }

    /// Whether the client asked for a part of the stream (`Range`). A live stream has none: it is answered whole.
    #[must_use]
    pub fn wants_range(&self) -> bool {
        self.header("range").is_some()
    }

    /// Whether the client says in `Accept` that it takes this type (also by `type/*` or `*/*`, or by saying nothing).
    #[must_use]
    pub fn accepts(&self, mime: &str) -> bool {
        let Some(accept) = self.header("accept") else { return true };
        let family = mime.split('/').next().unwrap_or_default();
        accept.split(',').map(|item| item.split(';').next().unwrap_or_default().trim()).any(|item| {
            item == "*/*"
                || item.eq_ignore_ascii_case(mime)
                || item.strip_suffix("/*").is_some_and(|f| f.eq_ignore_ascii_case(family))
        })
    }

    /// Whether a comma-separated header has this token.
    #[must_use]
    pub fn has_token(&self, name: &str, token: &str) -> bool {
        self.headers
            .iter()
            .filter(|(n, _)| n == name)
            .any(|(_, value)| value.split(',').any(|item| item.trim().eq_ignore_ascii_case(token)))
    }
}

/// Text from outside on one line: without control characters, cut at `limit` bytes on a character's edge.
pub(crate) fn bounded_text(text: &str, limit: usize) -> String {
    let mut out = String::with_capacity(text.len().min(limit));
    for c in text.chars().filter(|c| !c.is_control()) {
        if out.len() + c.len_utf8() > limit {
            break;
        }
        out.push(c);
    }
    out
}

#[cfg(test)]
mod tests;
