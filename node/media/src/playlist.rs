//! Playlists that name several nodes, so that a player goes to the next one when a node dies.

/// `.m3u` (audio/x-mpegurl): the URLs in order of preference. `title` names the stream.
#[must_use]
pub fn m3u(title: &str, urls: &[String]) -> String {
    let _ = (title, urls);
    String::new()
}

/// `.pls` (audio/x-scpls).
#[must_use]
pub fn pls(title: &str, urls: &[String]) -> String {
    let _ = (title, urls);
    String::new()
}

/// `.xspf` (application/xspf+xml).
#[must_use]
pub fn xspf(title: &str, urls: &[String]) -> String {
    let _ = (title, urls);
    String::new()
}
