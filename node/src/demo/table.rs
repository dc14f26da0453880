//! The live table, as lines of text.

use std::time::Duration;

use super::tally::Counts;

/// A kill, and what it cost.
#[derive(Clone, Debug)]
pub(super) struct Kill {
    pub(super) node: String,
    /// How long the MP3 mount had no living origin; `None` while it has none.
    pub(super) gap: Option<Duration>,
    /// Each listener's mount, and its counts when the node was killed.
    pub(super) before: Vec<(String, Counts)>,
}

/// What the table shows.
#[derive(Clone, Debug, Default)]
pub(super) struct Table {
    /// Name, and how the node is.
    pub(super) nodes: Vec<(String, String)>,
    /// Mount, origin's name, the listener's counts and its connections.
    pub(super) mounts: Vec<(String, Option<String>, Counts, u64)>,
    pub(super) kills: Vec<Kill>,
}

impl Table {
    /// The lines.
    pub(super) fn lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        for (name, state) in &self.nodes {
            lines.push(format!("{name:<8} {state}"));
        }
        lines.push(String::new());
        for (mount, origin, counts, connections) in &self.mounts {
            let Counts { heard, lost, repeated, .. } = counts;
            let again = connections.saturating_sub(1);
            lines.push(format!(
                "{mount:<12} from {:<8} heard {heard:>9} B  lost {lost} B  twice {repeated} B  reconnected {again}x",
                origin.as_deref().unwrap_or("nobody"),
            ));
        }
        if !self.kills.is_empty() {
            lines.push(String::new());
        }
        lines.extend(self.kills.iter().map(|kill| self.kill(kill)));
        lines
    }

    fn kill(&self, kill: &Kill) -> String {
        let gap =
            kill.gap.map_or("no origin yet".to_owned(), |gap| format!("no origin for {:.1} s", gap.as_secs_f64()));
        let mut line = format!("killed {}: {gap}", kill.node);
        for (mount, before) in &kill.before {
            let now = self.mounts.iter().find(|(name, ..)| name == mount).map_or(*before, |(_, _, counts, _)| *counts);
            let (lost, twice) = (now.lost.saturating_sub(before.lost), now.repeated.saturating_sub(before.repeated));
            line.push_str(&format!("; {mount} lost {lost} B, twice {twice} B"));
        }
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kill_shows_what_it_cost() {
        let counts = |lost| Counts { heard: 8_000, lost, ..Counts::default() };
        let kill = |gap| Kill { node: "node1".into(), gap, before: vec![("/demo.mp3".into(), counts(192))] };
        let table = Table {
            nodes: vec![("node1".into(), "dead".into())],
            mounts: vec![("/demo.mp3".into(), Some("node2".into()), counts(576), 1)],
            kills: vec![kill(Some(Duration::from_millis(640))), kill(None)],
        };
        assert_eq!(
            table.lines(),
            [
                "node1    dead",
                "",
                "/demo.mp3    from node2    heard      8000 B  lost 576 B  twice 0 B  reconnected 0x",
                "",
                "killed node1: no origin for 0.6 s; /demo.mp3 lost 384 B, twice 0 B",
                "killed node1: no origin yet; /demo.mp3 lost 384 B, twice 0 B",
            ]
        );
    }
}
