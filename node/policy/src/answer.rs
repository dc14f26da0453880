//! The heads of answers that are written by hand, as Icecast writes them.

use std::collections::BTreeMap;

use autoradio_machine::Mount;

use crate::head::bounded_text;

/// Bytes of audio between two titles; what Icecast uses, and some players know nothing else.
pub const METAINT_BYTES: u32 = 16_000;
/// The longest value of a header that is written, in bytes: players read lines into small buffers.
const MAX_VALUE_BYTES: usize = 512;
/// When a listener may try again after 503, in seconds.
pub const RETRY_AFTER_S: u32 = 5;
/// The name in `Server`.
const SERVER: &str = "autoradio";

/// The answer to a source that waits for it (`Expect: 100-continue`), as Icecast writes it: both at once.
pub const SOURCE_CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\nContent-Length: 0\r\n\r\nHTTP/1.0 200 OK\r\n\r\n";
/// The answer to a source that does not wait.
pub const SOURCE_OK: &[u8] = b"HTTP/1.0 200 OK\r\n\r\n";

/// What a listener's answer is made of.
#[derive(Clone, Copy, Debug)]
pub struct ListenerAnswer<'a> {
    /// The time, as in HTTP's `Date`.
    pub date: &'a str,
    /// The stream's MIME type.
    pub content_type: &'a str,
    /// What the source said of itself ([`crate::head::RequestHead::ice`]).
    pub ice: &'a BTreeMap<String, String>,
    /// The mount's settings.
    pub mount: &'a Mount,
    /// Whether titles are in the stream, each [`METAINT_BYTES`].
    pub icy_metadata: bool,
}

/// The head of a listener's answer. Always 200 and without a length, also to `Range: bytes=0-`: so does Icecast, and
/// players expect it of a live stream. The same head answers HEAD.
#[must_use]
pub fn listener_head(answer: &ListenerAnswer<'_>) -> Vec<u8> {
    let ListenerAnswer { date, content_type, ice, mount, icy_metadata } = *answer;
    let mut out = format!(
        "HTTP/1.0 200 OK\r\nServer: {SERVER}\r\nConnection: Close\r\nDate: {}\r\nContent-Type: {}\r\n{}",
        clean(date),
        clean(content_type),
        NOT_CACHED
    );
    let said = |name: &str| ice.get(name).map(String::as_str).filter(|v| !v.is_empty());
    let set = |value: &'_ Option<String>| value.clone().filter(|v| !v.is_empty());
    let mut icy = |name: &str, value: Option<String>| {
        if let Some(value) = value.as_deref().map(clean).filter(|v| !v.is_empty()) {
            out.push_str(&format!("icy-{name}: {value}\r\n"));
        }
    };
    icy("br", said("bitrate").map(str::to_owned).or_else(|| audio_info(ice, "bitrate")));
    icy("description", said("description").map(str::to_owned).or_else(|| set(&mount.description)));
    icy("genre", said("genre").map(str::to_owned).or_else(|| set(&mount.genre)));
    icy("name", said("name").map(str::to_owned).or_else(|| set(&mount.title)));
    icy("pub", Some(if mount.public && said("public") != Some("0") { "1" } else { "0" }.to_owned()));
    icy("url", said("url").map(str::to_owned).or_else(|| set(&mount.url)));
    if icy_metadata {
        icy("metadata", Some("1".to_owned()));
        icy("metaint", Some(METAINT_BYTES.to_string()));
    }
    out.push_str("\r\n");
    out.into_bytes()
}

/// The lines that keep proxies and browsers from keeping a stream, and let pages of other sites play it.
const NOT_CACHED: &str = "Cache-Control: no-cache, no-store\r\nExpires: Mon, 26 Jul 1997 05:00:00 GMT\r\nPragma: no-cache\r\n\
                          Access-Control-Allow-Origin: *\r\n";

/// A number from `ice-audio-info` (`ice-bitrate=128;ice-channels=2`, with or without the prefix).
fn audio_info(ice: &BTreeMap<String, String>, wanted: &str) -> Option<String> {
    ice.get("audio-info")?.split(';').find_map(|pair| {
        let (name, value) = pair.split_once('=')?;
        let name = name.trim();
        let name = name.strip_prefix("ice-").unwrap_or(name);
        (name == wanted).then(|| value.trim().to_owned())
    })
}

/// A value for a header: one line, no control characters, bounded.
fn clean(value: &str) -> String {
    bounded_text(value, MAX_VALUE_BYTES).trim().to_owned()
}

/// Why a source or listener is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refuse {
    /// 401: no credentials, or wrong ones.
    Unauthorized,
    /// 403: another source is sending.
    MountInUse,
    /// 404: no such mount.
    UnknownMount,
    /// 404: the mount exists, and nobody sends.
    SilentMount,
    /// 503: full, stopping, or no quorum to claim the mount with; with the reason.
    Busy(String),
    /// Anything else, with its status (400 to 599) and reason.
    Other(u16, String),
}

impl Refuse {
    /// The HTTP status.
    #[must_use]
    pub fn status(&self) -> u16 {
        match self {
            Self::Unauthorized => 401,
            Self::MountInUse => 403,
            Self::UnknownMount | Self::SilentMount => 404,
            Self::Busy(_) => 503,
            Self::Other(status, _) => *status,
        }
    }

    /// What people read.
    #[must_use]
    pub fn text(&self) -> String {
        match self {
            Self::Unauthorized => "You need to authenticate with the mount's username and password".into(),
            Self::MountInUse => "Mountpoint in use: another source is sending to it".into(),
            Self::UnknownMount => "The file you requested could not be found: there is no such mount".into(),
            Self::SilentMount => "The mount exists, but no source is sending to it now; try again later".into(),
            Self::Busy(reason) | Self::Other(_, reason) => bounded_text(reason, MAX_VALUE_BYTES),
        }
    }
}

/// A whole refusal; the connection is closed after it. `with_body` is false for HEAD.
#[must_use]
pub fn refusal(refuse: &Refuse, date: &str, with_body: bool) -> Vec<u8> {
    // Encoders show the reason phrase to people, so it says what Icecast's says.
    let phrase = if *refuse == Refuse::MountInUse { "Mountpoint in use" } else { reason_phrase(refuse.status()) };
    let extra = match refuse {
        Refuse::Unauthorized => format!("WWW-Authenticate: Basic realm=\"{SERVER}\"\r\n"),
        Refuse::Busy(_) => format!("Retry-After: {RETRY_AFTER_S}\r\n"),
        Refuse::Other(405, _) => format!("Allow: {ALLOW}\r\n"),
        _ => String::new(),
    };
    whole(
        refuse.status(),
        phrase,
        date,
        &extra,
        "text/plain; charset=utf-8",
        &format!("{}\n", refuse.text()),
        with_body,
    )
}

/// The answer to libshout's `GET /admin/!POKE`: a 400, as Icecast gives it.
#[must_use]
pub fn poke(date: &str) -> Vec<u8> {
    refusal(&Refuse::Other(400, "unknown admin command".into()), date, true)
}

const ALLOW: &str = "GET, HEAD, PUT, SOURCE, OPTIONS";

/// The answer to OPTIONS: what is served, also to pages of other sites (CORS).
#[must_use]
pub fn options(date: &str) -> Vec<u8> {
    let extra = format!(
        "Allow: {ALLOW}\r\nAccess-Control-Allow-Methods: GET, HEAD, OPTIONS\r\n\
         Access-Control-Allow-Headers: Origin, Accept, X-Requested-With, Content-Type, Icy-MetaData, Range\r\n\
         Access-Control-Max-Age: 600\r\n"
    );
    whole(200, "OK", date, &extra, "text/plain; charset=utf-8", "", true)
}

/// Icecast's answer to a title that was taken, or was not (`return` is 1 then, too: so does Icecast).
#[must_use]
pub fn metadata(message: &str, date: &str) -> Vec<u8> {
    let message = quick_xml::escape::escape(bounded_text(message, MAX_VALUE_BYTES)).into_owned();
    let body =
        format!("<?xml version=\"1.0\"?>\n<iceresponse><message>{message}</message><return>1</return></iceresponse>\n");
    whole(200, "OK", date, "", "text/xml; charset=utf-8", &body, true)
}

/// What [`metadata`] says of a title that was taken.
pub const METADATA_TAKEN: &str = "Metadata update successful";

/// Sends a listener to another node. 302, which is all that Icecast's relays and old players follow.
#[must_use]
pub fn redirect(location: &str, date: &str) -> Vec<u8> {
    whole(302, "Found", date, &format!("Location: {}\r\n", clean(location)), "text/plain; charset=utf-8", "", true)
}

/// Any small whole answer with a body, e.g. a playlist; `with_body` is false for HEAD.
#[must_use]
pub fn document(date: &str, content_type: &str, body: &str, with_body: bool) -> Vec<u8> {
    whole(200, "OK", date, "", content_type, body, with_body)
}

fn whole(status: u16, phrase: &str, date: &str, extra: &str, mime: &str, body: &str, with_body: bool) -> Vec<u8> {
    let mut out =
        format!("HTTP/1.0 {status} {phrase}\r\nServer: {SERVER}\r\nConnection: Close\r\nDate: {}\r\n", clean(date));
    out.push_str(&format!(
        "{extra}Content-Type: {}\r\nContent-Length: {}\r\n{NOT_CACHED}\r\n",
        clean(mime),
        body.len()
    ));
    if with_body {
        out.push_str(body);
    }
    out.into_bytes()
}

fn reason_phrase(status: u16) -> &'static str {
    match status {
        400 => "Bad Request",
        401 => "Authentication Required",
        403 => "Forbidden",
        404 => "File Not Found",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        413 => "Content Too Large",
        415 => "Unsupported Media Type",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        503 => "Service Unavailable",
        505 => "HTTP Version Not Supported",
        _ => "Error",
    }
}

#[cfg(test)]
mod tests;
