//! `status`: one screen.

use std::time::Duration;

use autoradio_proto::admin::{NodeInfo, StatusReply};

use super::{
    Colour, Look, mount,
    table::{Column, table},
    units::{count, mbit, plural},
};
use crate::{clean, duration};

/// The whole screen.
pub(crate) fn status(reply: &StatusReply, look: Look) -> String {
    let mut out = headline(reply, look);
    // Without a majority, the first problem says it, and with figures.
    if reply.quorum || reply.problems.is_empty() {
        out += &format!("{}\n", look.wrap(&survival(reply), 0));
    }
    for problem in &reply.problems {
        let sign = if reply.quorum { look.paint(Colour::Poor, "!") } else { look.paint(Colour::Bad, "!") };
        out += &format!("{sign} {}\n", look.wrap(&clean::line(problem), 2));
    }
    out += &format!("\n{}", nodes(&reply.nodes, look));
    out += &format!("\n{}", mount::list(&reply.mounts, look));
    out
}

/// What it is, how it is, and the sums.
fn headline(reply: &StatusReply, look: Look) -> String {
    let name = if reply.domain.is_empty() { format!("cluster {}", reply.cluster_id) } else { reply.domain.clone() };
    let (sign, colour) = match reply.health.as_str() {
        "healthy" => ("●", Colour::Good),
        "unavailable" => ("✗", Colour::Bad),
        _ => ("▲", Colour::Poor),
    };
    let well = reply.nodes.iter().filter(|node| node.state != "silent").count();
    let on_air = reply.mounts.iter().filter(|mount| !mount.origin.is_empty()).count();
    let heard = reply.nodes.iter().filter(|node| node.state != "silent");
    let listeners = heard.map(|node| node.listeners).fold(0, u32::saturating_add);
    let health = look.paint(colour, &format!("{sign} {}", clean::line(&reply.health)));
    let listeners = if listeners == 1 { "1 listener".into() } else { format!("{} listeners", count(listeners)) };
    let nodes = format!("{well} of {} up", plural(reply.nodes.len(), "node"));
    let mounts = format!("{on_air} of {} on air", plural(reply.mounts.len(), "mount"));
    format!(
        "{}  {health}  as {} sees it, revision {}\n{nodes}, {mounts}, {listeners}\n",
        look.paint(Colour::Strong, &clean::line(&name)),
        clean::line(&reply.answered_by),
        reply.revision,
    )
}

/// What the cluster can survive, in a sentence.
pub(super) fn survival(reply: &StatusReply) -> String {
    if !reply.quorum {
        return "No majority: streams that run go on, changes are refused.".into();
    }
    match (reply.voters, reply.can_lose) {
        (0 | 1, _) => "It cannot survive the loss of its only voter: join two more nodes, then it survives one.".into(),
        (2, _) => {
            "It cannot survive the loss of either of its 2 voters: join a third node, then it survives one.".into()
        }
        (voters, 0) => {
            format!("It CANNOT survive the loss of one more of its {voters} voters: mend what is wrong first.")
        }
        (voters, 1) => format!("It survives the loss of any 1 of its {voters} voters."),
        (voters, more) => format!("It survives the loss of any {more} of its {voters} voters."),
    }
}

fn nodes(nodes: &[NodeInfo], look: Look) -> String {
    // Icecast has no column: it runs everywhere or nowhere, and where it crashed is among the problems.
    let columns = [
        ("NODE", Column::Cut),
        ("ROLE", Column::Text),
        ("STATE", Column::Text),
        ("LISTENERS", Column::Number),
        ("Mbit/s", Column::Number),
        ("UP", Column::Text),
        ("VERSION", Column::Text),
    ];
    table(look, &columns, nodes.iter().map(node).collect())
}

fn node(node: &NodeInfo) -> Vec<String> {
    let mut row = vec![node.name.clone(), node.role.clone(), state(node)];
    // What a silent node said last is not so any more.
    row.extend(if node.state == "silent" {
        ["-", "-", "-"].map(String::from)
    } else {
        [
            of(count(node.listeners), node.max_clients),
            of(mbit(node.sent_bytes_per_s), node.bwlimit_mbit_per_s),
            duration::show(Duration::from_secs(node.uptime_s)),
        ]
    });
    row.push(node.version.clone());
    row
}

/// The state; since when, where that matters.
pub(super) fn state(node: &NodeInfo) -> String {
    match node.heard_ms.filter(|_| node.state == "silent") {
        Some(ms) => format!("silent {}", duration::show(Duration::from_secs(ms / 1_000))),
        None => node.state.clone(),
    }
}

/// `66/300`, or `66` where there is no limit.
fn of(is: String, limit: u32) -> String {
    if limit == 0 { is } else { format!("{is}/{}", count(limit)) }
}

#[cfg(test)]
mod tests {
    use super::{super::example, *};

    const TERMINAL: Look = Look { width: Some(80), colour: false };

    fn fits(text: &str) -> bool {
        // Wide characters are in titles only, which are cut by comfy-table itself.
        text.lines().all(|line| line.chars().count() <= 80)
    }

    #[test]
    fn three_healthy_nodes_with_two_mounts() {
        let text = status(&example::healthy(), TERMINAL);
        assert!(fits(&text), "{text}");
        insta::assert_snapshot!(text);
    }

    #[test]
    fn degraded() {
        let text = status(&example::degraded(), TERMINAL);
        assert!(fits(&text), "{text}");
        insta::assert_snapshot!(text);
    }

    #[test]
    fn no_majority() {
        insta::assert_snapshot!(status(&example::no_majority(), TERMINAL));
    }

    #[test]
    fn one_node_without_a_mount() {
        insta::assert_snapshot!(status(&example::alone(), TERMINAL));
    }

    #[test]
    fn long_and_wide_titles_and_escape_sequences() {
        let text = status(&example::wide(), TERMINAL);
        assert!(!text.contains(['\u{1b}', '\u{9b}', '\u{202e}']));
        insta::assert_snapshot!(text);
    }

    #[test]
    fn into_a_file_nothing_is_cut() {
        insta::assert_snapshot!(status(&example::wide(), Look::default()));
    }

    #[test]
    fn colours_are_around_words_and_not_in_tables() {
        let text = status(&example::healthy(), Look { colour: true, ..TERMINAL });
        assert!(text.contains("\u{1b}[32m● healthy\u{1b}[0m"), "{text}");
        assert_eq!(text.matches('\u{1b}').count(), 4);
    }

    #[test]
    fn what_it_survives_is_a_sentence() {
        let said = [(true, 1, 0), (true, 2, 0), (true, 3, 1), (true, 3, 0), (true, 5, 2), (false, 3, 0)].map(
            |(quorum, voters, can_lose)| survival(&StatusReply { quorum, voters, can_lose, ..StatusReply::default() }),
        );
        insta::assert_snapshot!(said.join("\n"));
    }
}
