//! What the demo shows: pure text from figures.

use std::fmt::Write;

use super::track::Counts;

/// A node's line.
#[derive(Clone, Debug, Default)]
pub struct Line {
    /// Its name.
    pub name: &'static str,
    /// `origin`, `leader`, both, or nothing.
    pub role: String,
    /// `ok`, `drained`, `dead`.
    pub state: &'static str,
    /// Listeners at it.
    pub listeners: u32,
    /// Bytes it sent.
    pub sent_bytes: u64,
    /// What the demo's own listeners at it lost or got twice.
    pub heard: Counts,
}

/// Everything that is shown.
#[derive(Clone, Debug, Default)]
pub struct Picture {
    /// Where to listen.
    pub urls: Vec<String>,
    /// The nodes.
    pub lines: Vec<Line>,
    /// What happened, newest last.
    pub events: Vec<String>,
    /// Whether keys are read.
    pub keys: bool,
}

/// The whole screen, lines parted by `\n`.
#[must_use]
pub fn render(picture: &Picture) -> String {
    let mut text = format!("autoradio {} demo · 3 nodes in one process, loopback only\n\n", env!("CARGO_PKG_VERSION"));
    for (i, url) in picture.urls.iter().enumerate() {
        let label = if i == 0 { "listen" } else { "" };
        let _ = writeln!(text, "  {label:<8}{url}");
    }
    text.push_str("          with mpv, vlc, ffplay or a browser: a voice counts the seconds\n\n");
    let _ = writeln!(
        text,
        "  {:<9}{:<16}{:<9}{:>9}{:>11}{:>8}{:>8}",
        "NODE", "ROLE", "STATE", "LISTENERS", "SENT", "LOST", "TWICE"
    );
    for line in &picture.lines {
        let _ = writeln!(
            text,
            "  {:<9}{:<16}{:<9}{:>9}{:>11}{:>8}{:>8}",
            line.name,
            line.role,
            line.state,
            line.listeners,
            bytes(line.sent_bytes),
            bytes(line.heard.lost_bytes),
            bytes(line.heard.repeated_bytes),
        );
    }
    text.push_str(
        "\n  LOST and TWICE: what the demo's own listeners at that node missed or got twice since the last key\n\n",
    );
    for event in &picture.events {
        let _ = writeln!(text, "  {event}");
    }
    if picture.keys {
        text.push_str("\n  [k] kill the origin   [r] restart the dead   [d] drain the origin   [q] end\n");
    }
    text
}

/// Bytes for people, by 1024.
#[must_use]
pub fn bytes(n: u64) -> String {
    #[allow(clippy::cast_precision_loss, reason = "figures for people")]
    let f = n as f64;
    match n {
        0..1_024 => format!("{n} B"),
        1_024..1_048_576 => format!("{:.0} KiB", f / 1024.0),
        _ => format!("{:.1} MiB", f / 1_048_576.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_screen_fits_eighty_columns_and_shows_what_was_lost() {
        let line = |name, role: &str, state, lost| Line {
            name,
            role: role.into(),
            state,
            listeners: 2,
            sent_bytes: 2_000_000,
            heard: Counts { lost_bytes: lost, ..Counts::default() },
        };
        let text = render(&Picture {
            urls: vec!["http://127.0.0.1:8700/demo.mp3".into(), "http://127.0.0.1:8701/demo.opus".into()],
            lines: vec![line("alpha", "origin, leader", "dead", 0), line("charlie", "", "ok", 209)],
            events: vec!["alpha killed · bravo is origin after 12 ms".into()],
            keys: true,
        });
        assert!(text.lines().all(|l| l.chars().count() <= 110), "{text}");
        assert!(text.contains("charlie") && text.contains("209 B") && text.contains("1.9 MiB"), "{text}");
    }
}
