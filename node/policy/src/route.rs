//! What a request is for.

use autoradio_machine::MountName;

use crate::head::{RequestHead, bounded_text};

/// The longest mount name, in bytes (as the store's validation has it).
const MAX_MOUNT_BYTES: usize = 255;
/// The longest title that is taken, in bytes: ICY metadata blocks hold 4,080.
pub const MAX_TITLE_BYTES: usize = 1024;
/// Where mounts are served without ever a redirect.
pub const STREAM_PREFIX: &str = "/_stream";
/// Paths that the front answers itself, whole.
const OWN_PATHS: [&str; 10] = [
    "/",
    "/admin.cgi",
    "/status.json",
    "/status-json.xsl",
    "/status.xsl",
    "/metrics",
    "/healthz",
    "/readyz",
    "/favicon.ico",
    "/robots.txt",
];
/// Folders that the front answers itself, with all below them.
const OWN_FOLDERS: [&str; 5] = ["/admin", "/static", "/debug", "/_stream", "/.well-known"];

/// Kinds of playlists.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum PlaylistKind {
    /// `.m3u`
    M3u,
    /// `.pls`
    Pls,
    /// `.xspf`
    Xspf,
}

/// What a request is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Route {
    /// A source wants to send (`PUT`, `SOURCE`).
    Source {
        /// The mount.
        mount: MountName,
        /// Whether it came below `/_stream`: never to be redirected.
        passthrough: bool,
    },
    /// A player wants to hear (`GET`, `HEAD`).
    Listen {
        /// The mount.
        mount: MountName,
        /// Whether only the head is wanted.
        head_only: bool,
        /// Whether it came below `/_stream`: never to be redirected.
        passthrough: bool,
    },
    /// A playlist of the mount's nodes.
    Playlist {
        /// The mount.
        mount: MountName,
        /// The kind of file.
        kind: PlaylistKind,
        /// Whether only the head is wanted.
        head_only: bool,
    },
    /// A new title (`mode=updinfo`).
    Metadata {
        /// The mount.
        mount: MountName,
        /// The title: `song`, or `artist - title`. Without control characters, at most [`MAX_TITLE_BYTES`].
        title: String,
        /// The password of `pass=` (Shoutcast's `/admin.cgi`), where there is one.
        password: Option<String>,
    },
    /// `OPTIONS`: of the server, of a path, or a browser's question before a request from another site.
    Options,
    /// libshout's `GET /admin/!POKE`: wants a 400 to see who we are.
    Poke,
    /// Everything else: hyper's.
    Http,
    /// Refuse.
    Bad {
        /// The status.
        status: u16,
        /// Why, as a sentence.
        reason: String,
    },
}

/// Decides what a request is for. Says nothing on whether the mount exists.
#[must_use]
pub fn route(head: &RequestHead) -> Route {
    let method = head.method.as_str();
    if method == "OPTIONS" {
        return Route::Options;
    }
    if method == "CONNECT" || head.path == "*" {
        return bad(400, "this request is for proxies; nothing is forwarded here");
    }
    match method {
        "PUT" | "SOURCE" => source(&head.path),
        "GET" | "HEAD" => get(head, method == "HEAD"),
        _ if is_own(&head.path) => Route::Http,
        _ => bad(405, "only GET, HEAD, PUT, SOURCE and OPTIONS are served here"),
    }
}

fn bad(status: u16, reason: impl Into<String>) -> Route {
    Route::Bad { status, reason: reason.into() }
}

fn source(path: &str) -> Route {
    let (path, passthrough) = strip_stream(path);
    if is_own(path) || split_playlist(path).1.is_some() {
        return bad(403, format!("{path} is the server's own path and cannot be a mount; use another name"));
    }
    match mount_name(path) {
        Ok(mount) => Route::Source { mount, passthrough },
        Err(reason) => bad(404, format!("this cannot be a mount: {reason}")),
    }
}

fn get(head: &RequestHead, head_only: bool) -> Route {
    match head.path.as_str() {
        "/admin/!POKE" => return Route::Poke,
        "/admin/metadata" | "/admin/metadata.xsl" | "/admin.cgi" => return metadata(head),
        _ => {}
    }
    let (path, passthrough) = strip_stream(&head.path);
    if is_own(path) {
        return if passthrough { bad(404, "the file you requested could not be found") } else { Route::Http };
    }
    let (stem, kind) = split_playlist(path);
    match (mount_name(stem), kind) {
        (Ok(mount), Some(kind)) => Route::Playlist { mount, kind, head_only },
        (Ok(mount), None) => Route::Listen { mount, head_only, passthrough },
        (Err(_), _) => bad(404, "the file you requested could not be found"),
    }
}

fn metadata(head: &RequestHead) -> Route {
    if head.parameter("mode") != Some("updinfo") {
        return bad(400, "mode= must be updinfo");
    }
    let Some(mount) = head.parameter("mount") else {
        return bad(400, "mount= is missing: say which mount the title is for");
    };
    let (mount, _) = strip_stream(mount);
    let Ok(mount) = mount_name(mount) else { return bad(400, "Source does not exist") };
    let named = |name| head.parameter(name).map(str::trim).filter(|v| !v.is_empty());
    let title = match (named("song"), named("artist"), named("title")) {
        (Some(song), ..) => song.to_owned(),
        (None, Some(artist), Some(title)) => format!("{artist} - {title}"),
        (None, one, other) => one.or(other).unwrap_or_default().to_owned(),
    };
    let title = bounded_text(&title, MAX_TITLE_BYTES);
    Route::Metadata { mount, title, password: head.parameter("pass").map(str::to_owned) }
}

/// Cuts `/_stream` off.
fn strip_stream(path: &str) -> (&str, bool) {
    match path.strip_prefix(STREAM_PREFIX) {
        Some(rest) if rest.starts_with('/') => (rest, true),
        _ => (path, false),
    }
}

fn split_playlist(path: &str) -> (&str, Option<PlaylistKind>) {
    for (suffix, kind) in [(".m3u", PlaylistKind::M3u), (".pls", PlaylistKind::Pls), (".xspf", PlaylistKind::Xspf)] {
        if let Some(stem) = path.strip_suffix(suffix) {
            return (stem, Some(kind));
        }
    }
    (path, None)
}

fn is_own(path: &str) -> bool {
    OWN_PATHS.contains(&path)
        || OWN_FOLDERS
            .iter()
            .any(|folder| path.strip_prefix(folder).is_some_and(|rest| rest.is_empty() || rest.starts_with('/')))
}

/// A path as a mount's name. Checked here for what would be dangerous anywhere, then by the store's own rules.
fn mount_name(path: &str) -> Result<MountName, String> {
    if path.len() > MAX_MOUNT_BYTES {
        return Err("it is longer than 255 bytes".into());
    }
    if path.chars().any(char::is_control) || path.split('/').any(|segment| segment == "..") {
        return Err("it has control characters or `..`".into());
    }
    MountName::parse(path)
}

#[cfg(test)]
mod tests;
