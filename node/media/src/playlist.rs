//! Playlists that name several nodes, so that a player goes to the next one when a node dies.

use std::fmt::Write;

use crate::text::on_one_line;

#[cfg(test)]
mod tests;

/// Writing into a `String`.
const NEVER_FAILS: &str = "a string takes all that is written";

/// `.m3u` (audio/x-mpegurl): the URLs in order of preference. `title` names the stream.
#[must_use]
pub fn m3u(title: &str, urls: &[String]) -> String {
    let title = on_one_line(title);
    let mut list = String::from("#EXTM3U\n");
    for url in urls {
        // -1: it has no end.
        writeln!(list, "#EXTINF:-1,{title}\n{}", clean_url(url)).expect(NEVER_FAILS);
    }
    list
}

/// `.pls` (audio/x-scpls).
#[must_use]
pub fn pls(title: &str, urls: &[String]) -> String {
    let title = on_one_line(title);
    let mut list = format!("[playlist]\nNumberOfEntries={}\n", urls.len());
    for (n, url) in (1..).zip(urls) {
        writeln!(list, "File{n}={}\nTitle{n}={title}\nLength{n}=-1", clean_url(url)).expect(NEVER_FAILS);
    }
    list.push_str("Version=2\n");
    list
}

/// `.xspf` (application/xspf+xml).
#[must_use]
pub fn xspf(title: &str, urls: &[String]) -> String {
    let title = escape(&on_one_line(title));
    let mut list = String::from(concat!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n",
        "<playlist version=\"1\" xmlns=\"http://xspf.org/ns/0/\">\n"
    ));
    writeln!(list, "  <title>{title}</title>\n  <trackList>").expect(NEVER_FAILS);
    for url in urls {
        let location = escape(&clean_url(url));
        writeln!(list, "    <track><location>{location}</location><title>{title}</title></track>").expect(NEVER_FAILS);
    }
    list.push_str("  </trackList>\n</playlist>\n");
    list
}

/// A URL has no blanks and no control characters; if one has, it must not begin a line of its own.
fn clean_url(url: &str) -> String {
    url.chars().filter(|c| !c.is_control() && !c.is_whitespace()).collect()
}

/// For XML's text and attributes. Control characters are gone already; what else XML 1.0 cannot say is left out.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&apos;"),
            '\u{fffe}' | '\u{ffff}' => {}
            c => escaped.push(c),
        }
    }
    escaped
}
