//! Request targets: the path and the query of a request line, decoded.

/// Most parameters that are read from a query; metadata needs at most six, the rest is noise or an attack.
pub const MAX_QUERY_PARAMETERS: usize = 64;

/// A decoded target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    pub(crate) path: String,
    pub(crate) query: Vec<(String, String)>,
}

/// Takes a raw target apart. Accepts the origin form (`/a?b`), the absolute form (`http://host/a`) and `*`.
///
/// # Errors
/// What is wrong, as a short sentence for the client.
pub(crate) fn parse_target(raw: &[u8]) -> Result<Target, &'static str> {
    if raw == b"*" {
        return Ok(Target { path: "*".into(), query: Vec::new() });
    }
    let raw = origin_form(raw)?;
    // A fragment never belongs on the wire; some hand-written clients send it all the same.
    let raw = raw.split(|b| *b == b'#').next().unwrap_or_default();
    let (path, query) = match raw.iter().position(|b| *b == b'?') {
        Some(at) => (raw.get(..at).unwrap_or_default(), raw.get(at + 1..).unwrap_or_default()),
        None => (raw, &b""[..]),
    };
    let path = percent_decode(path).ok_or("the path has a % that is not followed by two hex digits")?;
    let path = String::from_utf8(path).map_err(|_| "the path is not UTF-8")?;
    if path.chars().any(char::is_control) {
        return Err("the path has control characters");
    }
    Ok(Target { path, query: parse_query(query) })
}

/// Cuts `http://host` off, if it is there (RFC 9112 §3.2.2: servers must take the absolute form).
fn origin_form(raw: &[u8]) -> Result<&[u8], &'static str> {
    if raw.first() == Some(&b'/') {
        return Ok(raw);
    }
    for scheme in [&b"http://"[..], b"https://"] {
        let (Some(start), Some(rest)) = (raw.get(..scheme.len()), raw.get(scheme.len()..)) else { continue };
        if start.eq_ignore_ascii_case(scheme) {
            return match rest.iter().position(|b| *b == b'/') {
                Some(at) => Ok(rest.get(at..).unwrap_or_default()),
                None => Ok(b"/"),
            };
        }
    }
    Err("the request target must be a path that starts with /")
}

/// Undoes `%XX`. `None` for a `%` without two hex digits.
fn percent_decode(raw: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(raw.len());
    let mut bytes = raw.iter();
    while let Some(byte) = bytes.next() {
        out.push(if *byte == b'%' { hex(*bytes.next()?)? << 4 | hex(*bytes.next()?)? } else { *byte });
    }
    Some(out)
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|v| u8::try_from(v).ok())
}

/// Splits a query at `&`, undoes `+` and `%XX`. A broken `%` stays as it is: titles with a bare per cent sign come
/// from encoders that do not escape. The parameter `charset` decides how bytes that are not UTF-8 are read.
fn parse_query(raw: &[u8]) -> Vec<(String, String)> {
    let pairs: Vec<(Vec<u8>, Vec<u8>)> = raw
        .split(|b| *b == b'&')
        .filter(|piece| !piece.is_empty())
        .take(MAX_QUERY_PARAMETERS)
        .map(|piece| {
            let at = piece.iter().position(|b| *b == b'=').unwrap_or(piece.len());
            let (name, value) = piece.split_at(at);
            (decode_form(name), decode_form(value.get(1..).unwrap_or_default()))
        })
        .collect();
    let latin1 = pairs.iter().any(|(name, value)| name == b"charset" && is_latin1(value));
    pairs.into_iter().map(|(name, value)| (to_text(&name, false), to_text(&value, latin1))).collect()
}

fn is_latin1(charset: &[u8]) -> bool {
    [&b"iso-8859-1"[..], b"iso8859-1", b"latin1", b"latin-1"].iter().any(|n| charset.eq_ignore_ascii_case(n))
}

fn decode_form(raw: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(raw.len());
    let mut at = 0;
    while let Some(byte) = raw.get(at) {
        let escaped = match (byte, raw.get(at + 1), raw.get(at + 2)) {
            (b'%', Some(high), Some(low)) => hex(*high).zip(hex(*low)).map(|(high, low)| high << 4 | low),
            _ => None,
        };
        out.push(escaped.unwrap_or(if *byte == b'+' { b' ' } else { *byte }));
        at += if escaped.is_some() { 3 } else { 1 };
    }
    out
}

/// Bytes of a client as text: UTF-8 where it is, else (or where the client says so) ISO 8859-1, which is what old
/// encoders and Icecast mean by "no charset".
pub(crate) fn to_text(bytes: &[u8], latin1: bool) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) if !latin1 => text.to_owned(),
        _ => bytes.iter().map(|b| char::from(*b)).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ok(raw: &str) -> (String, Vec<(String, String)>) {
        let target = parse_target(raw.as_bytes()).unwrap();
        (target.path, target.query)
    }

    #[test]
    fn targets_are_decoded() {
        assert_eq!(ok("/live.ogg"), ("/live.ogg".into(), vec![]));
        assert_eq!(ok("*"), ("*".into(), vec![]));
        assert_eq!(ok("http://radio.example/a%20b?x=1#f"), ("/a b".into(), vec![("x".into(), "1".into())]));
        assert_eq!(ok("HTTP://radio.example").0, "/");
        assert_eq!(ok("/caf%C3%A9.mp3").0, "/café.mp3");
        let query = vec![("song".to_owned(), "A+B & 100% é".to_owned()), ("mode".into(), "updinfo".into())];
        assert_eq!(ok("/a?song=A%2BB+%26+100%+%E9&&mode=updinfo").1, query);
        assert_eq!(ok("/a?charset=ISO-8859-1&song=%C3%A9").1[1].1, "Ã©");
        assert_eq!(ok("/a?flag&song=").1, vec![("flag".into(), String::new()), ("song".into(), String::new())]);
    }

    #[test]
    fn bad_targets_are_refused() {
        for raw in [&b""[..], b"live", b"/a%", b"/a%2", b"/a%zz", b"/%ff", b"/a%00", b"/a%0d%0a", b"ftp://x/", b"x:80"]
        {
            assert!(parse_target(raw).is_err(), "{raw:?}");
        }
    }

    #[test]
    fn parameters_are_bounded() {
        let many = format!("/a?{}", "x=1&".repeat(1000));
        assert_eq!(ok(&many).1.len(), MAX_QUERY_PARAMETERS);
    }

    proptest::proptest! {
        #[test]
        fn never_panics(raw in proptest::collection::vec(proptest::num::u8::ANY, 0..200)) {
            let _ = parse_target(&raw);
            let _ = parse_query(&raw);
        }
    }
}
