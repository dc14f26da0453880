//! From bytes to a [`RequestHead`].

use super::{HeadResult, MAX_HEAD_BYTES, MAX_HEADERS, RequestHead, Version};
use crate::target::{parse_target, to_text};

/// Empty lines that are skipped before the request line (RFC 9112 §2.2 asks for at least one).
const MAX_LEADING_NEWLINES: usize = 4;
/// The longest method; `PROPPATCH` and `SOURCE` are well within.
const MAX_METHOD_BYTES: usize = 24;

type Refused = (u16, &'static str);

/// Reads a head from the start of a connection's bytes. Pure and cheap enough to be called after each read.
///
/// Lenient: any method, `HTTP/1.0`, `HTTP/1.1` and `ICE/1.0`, bare line feeds, blanks inside the target (encoders
/// that do not escape titles), no `Host` from sources. Strict where two readers could disagree on where a message
/// ends: blanks before a colon, bare carriage returns, NUL, two lengths, length and chunks, two hosts.
#[must_use]
pub fn parse_head(bytes: &[u8]) -> HeadResult {
    match read(bytes) {
        Ok(Some((head, body_offset))) => HeadResult::Head { head, body_offset },
        Ok(None) if bytes.len() >= MAX_HEAD_BYTES => {
            HeadResult::Bad { status: 431, reason: "the request's head is longer than 16 KiB" }
        }
        Ok(None) => HeadResult::Incomplete,
        Err((status, reason)) => HeadResult::Bad { status, reason },
    }
}

fn read(bytes: &[u8]) -> Result<Option<(RequestHead, usize)>, Refused> {
    let window = bytes.get(..MAX_HEAD_BYTES).unwrap_or(bytes);
    let blank = window.iter().take_while(|b| matches!(b, b'\r' | b'\n')).take(MAX_LEADING_NEWLINES * 2).count();
    let rest = window.get(blank..).unwrap_or_default();
    check_method_so_far(rest)?;
    let Some(line_end) = rest.iter().position(|b| *b == b'\n') else { return Ok(None) };
    let line = rest.get(..line_end).unwrap_or_default();
    let (method, target, version) = request_line(line.strip_suffix(b"\r").unwrap_or(line))?;
    let after_line = rest.get(line_end + 1..).unwrap_or_default();
    let mut room = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let (length, raw) = match httparse::parse_headers(after_line, &mut room) {
        Ok(httparse::Status::Complete(found)) => found,
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(httparse::Error::TooManyHeaders) => return Err((431, "the request has more than 64 headers")),
        Err(_) => return Err((400, "a header line is malformed")),
    };
    let headers: Vec<(String, String)> =
        raw.iter().map(|h| (h.name.to_ascii_lowercase(), to_text(h.value, false).trim().to_owned())).collect();
    let decoded = parse_target(target).map_err(|reason| (400, reason))?;
    let head = RequestHead {
        method: to_text(method, false),
        target: to_text(target, false),
        path: decoded.path,
        query: decoded.query,
        version,
        headers,
    };
    check_framing(&head)?;
    check_host(&head)?;
    Ok(Some((head, blank + line_end + 1 + length)))
}

/// Refuses what cannot become a request as early as it shows, e.g. a TLS hello on the plain port.
fn check_method_so_far(rest: &[u8]) -> Result<(), Refused> {
    let end = rest.iter().position(|b| *b == b' ');
    let method = rest.get(..end.unwrap_or(rest.len())).unwrap_or_default();
    if rest.first() == Some(&0x16) {
        return Err((400, "TLS was spoken to a plain HTTP port; use http:// here"));
    }
    let well_formed = method.iter().all(|b| is_token_byte(*b)) && !(end.is_some() && method.is_empty());
    if !well_formed || method.len() > MAX_METHOD_BYTES {
        return Err((400, "this is not an HTTP request; sources must speak HTTP (PUT or SOURCE)"));
    }
    Ok(())
}

fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// Splits `METHOD target VERSION`: the method ends at the first blank, the version starts after the last.
fn request_line(line: &[u8]) -> Result<(&[u8], &[u8], Version), Refused> {
    if line.iter().any(|b| *b < 0x20 || *b == 0x7f) {
        return Err((400, "the request line has control characters"));
    }
    let malformed = (400, "the request line must be METHOD /path HTTP/1.x");
    let first = line.iter().position(|b| *b == b' ').ok_or(malformed)?;
    let last = line.iter().rposition(|b| *b == b' ').filter(|last| *last > first).ok_or(malformed)?;
    let (method, target) = (line.get(..first).unwrap_or_default(), line.get(first + 1..last).unwrap_or_default());
    let version = match line.get(last + 1..).unwrap_or_default() {
        b"HTTP/1.0" => Version::Http10,
        b"HTTP/1.1" => Version::Http11,
        b"ICE/1.0" => Version::Ice10,
        other if other.starts_with(b"HTTP/") => {
            return Err((505, "only HTTP/1.0, HTTP/1.1 and ICE/1.0 are spoken here"));
        }
        _ => return Err(malformed),
    };
    Ok((method, target.trim_ascii(), version))
}

/// Refuses heads whose body's end two readers could place differently (RFC 9112 §6.3).
fn check_framing(head: &RequestHead) -> Result<(), Refused> {
    let values = |name: &'static str| head.headers.iter().filter(move |(n, _)| n == name).map(|(_, v)| v.as_str());
    let mut lengths = values("content-length");
    let length = lengths.next();
    if let Some(length) = length {
        if length.is_empty() || !length.bytes().all(|b| b.is_ascii_digit()) || length.parse::<u64>().is_err() {
            return Err((400, "Content-Length is not a number"));
        }
        if lengths.any(|other| other != length) {
            return Err((400, "there are two different Content-Lengths"));
        }
    }
    let mut encodings = values("transfer-encoding");
    if let Some(encoding) = encodings.next() {
        if length.is_some() {
            return Err((400, "there are both Content-Length and Transfer-Encoding"));
        }
        if head.version != Version::Http11 {
            return Err((400, "Transfer-Encoding needs HTTP/1.1"));
        }
        if encodings.next().is_some() || !encoding.eq_ignore_ascii_case("chunked") {
            return Err((501, "the only Transfer-Encoding known here is chunked"));
        }
    }
    Ok(())
}

fn check_host(head: &RequestHead) -> Result<(), Refused> {
    let hosts = head.headers.iter().filter(|(n, _)| n == "host").count();
    if hosts > 1 {
        return Err((400, "there are two Host headers"));
    }
    // RFC 9112 §3.2 asks for it; sources and old players are let off.
    let may_lack = head.version != Version::Http11 || matches!(head.method.as_str(), "SOURCE" | "PUT" | "OPTIONS");
    if hosts == 0 && !may_lack {
        return Err((400, "an HTTP/1.1 request needs a Host header"));
    }
    if head.headers.iter().filter(|(n, _)| n == "authorization").count() > 1 {
        return Err((400, "there are two Authorization headers"));
    }
    Ok(())
}
