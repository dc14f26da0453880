//! `node`, `backup`, `restore` and `raft`: what was done, and what to do next.

use std::time::Duration;

use autoradio_proto::{
    admin::{NodeInfo, StatusReply},
    keep::{RecoverReply, RemoveNodeReply, RestoreReply, Voter},
};

use super::{
    Look,
    status::state,
    table::{Column, table},
    units::plural,
};
use crate::{clean, duration};

/// The nodes, and what their number is good for.
pub(crate) fn nodes(reply: &StatusReply, look: Look) -> String {
    let columns = [
        ("NODE", Column::Cut),
        ("ID", Column::Text),
        ("ROLE", Column::Text),
        ("STATE", Column::Text),
        ("PEERS REACH IT AT", Column::Text),
        ("VERSION", Column::Text),
    ];
    let row = |node: &NodeInfo| {
        let urls = node.peer_urls.join(",");
        vec![node.name.clone(), node.id.clone(), node.role.clone(), state(node), urls, node.version.clone()]
    };
    let mut out = table(look, &columns, reply.nodes.iter().map(row).collect());
    out += &format!("\n{}\n", look.wrap(&super::status::survival(reply), 0));
    if let Some(silent) = reply.nodes.iter().find(|node| node.state == "silent") {
        let name = clean::line(&silent.name);
        out += &format!("If {name} is gone for good: radioctl node remove {name}\n");
    }
    out
}

/// A node was removed.
pub(crate) fn removed(reply: &RemoveNodeReply) -> String {
    let name = label(reply);
    format!(
        "{name} is removed; {}. Should it come back, it is told so and serves nothing; to let it in again, on it: \
         autoradio-node join HOST\n",
        left_over(reply.voters_left)
    )
}

/// This node left.
pub(crate) fn left(reply: &RemoveNodeReply) -> String {
    format!(
        "{} leaves its cluster; {}. It stops when the others have let go of it. To join again, under a new id: \
         autoradio-node join HOST\n",
        label(reply),
        left_over(reply.voters_left)
    )
}

fn label(reply: &RemoveNodeReply) -> String {
    clean::line(if reply.name.is_empty() { &reply.id } else { &reply.name })
}

/// What those who are left can bear.
fn left_over(voters: u32) -> String {
    match voters {
        0 | 1 => "1 voter is left, and its loss would be the cluster's".into(),
        2 => "2 voters are left, and the loss of either would stop changes".into(),
        more => format!("{more} voters are left, and the loss of any {} can be borne", (more - 1) / 2),
    }
}

/// A cluster was made of a backup.
pub(crate) fn restored(reply: &RestoreReply) -> String {
    let mounts = plural(usize::try_from(reply.mounts).unwrap_or(usize::MAX), "mount");
    format!(
        "cluster {} is made of the backup: {mounts}, revision {}; this node is its first.\n\
         Next, on each other host: autoradio-node join HOST (move what its data folder has away first)\n",
        reply.cluster_id, reply.revision
    )
}

/// What a recovery would do, or has done.
pub(crate) fn recovery(reply: &RecoverReply, look: Look) -> String {
    if reply.done {
        return format!(
            "cluster {} is given up. Cluster {} begins with what {} had, as revision {}; {} is its only node.\n\
             What was there is kept in {}\n\
             Next: radioctl status, then on each other host, with its data folder moved away: autoradio-node join {}\n",
            reply.cluster_id,
            reply.new_cluster_id,
            clean::line(&reply.name),
            reply.revision,
            clean::line(&reply.name),
            clean::line(&reply.kept_in),
            clean::line(&reply.name),
        );
    }
    let mut out = format!("Cluster {} has no majority. Its voters, as this node hears them:\n\n", reply.cluster_id);
    let columns = [("VOTER", Column::Cut), ("STATE", Column::Text)];
    out += &table(look, &columns, reply.voters.iter().map(voter).collect());
    let name = clean::line(&reply.name);
    let answering = reply.voters.iter().filter(|voter| voter.answers).count();
    let warnings = [
        format!(
            "Wait, and bring the others back, if there is any way: {} of {} answer, and all is as it was once {} do.",
            answering,
            plural(reply.voters.len(), "voter"),
            reply.voters.len() / 2 + 1
        ),
        format!(
            "What others acknowledged and {name} has not got is lost for good. It has entry {}, revision {}. Do this on \
             the node that has most: compare radioctl raft recover on each that is left.",
            reply.last_index, reply.revision
        ),
        format!("{name} stops, and begins a new cluster with a new id; its listeners and sources connect anew."),
        "The others, should they come back, are of the old cluster, and can neither join nor disturb the new one. To let \
         one in: stop it, move its data folder away, and run autoradio-node join there."
            .into(),
    ];
    for warning in warnings {
        out += &format!("\n! {}\n", look.wrap(&warning, 2));
    }
    out + &format!("\nNext, if it must be: radioctl raft recover --confirm {}\n", reply.cluster_id)
}

fn voter(voter: &Voter) -> Vec<String> {
    let state = match (voter.answers, voter.heard_ms) {
        (true, _) => "answers".into(),
        (false, Some(ms)) => format!("silent {}", duration::show(Duration::from_secs(ms / 1_000))),
        (false, None) => "never heard".into(),
    };
    vec![voter.name.clone(), state]
}

#[cfg(test)]
mod tests {
    use super::{super::example, *};

    const TERMINAL: Look = Look { width: Some(80), colour: false };

    fn recover() -> RecoverReply {
        let voter = |name: &str, answers, heard_ms| Voter { name: name.into(), answers, heard_ms };
        RecoverReply {
            cluster_id: "c1a0".into(),
            name: "host1".into(),
            voters: vec![
                voter("host1", true, Some(0)),
                voter("host2", false, Some(7_300_000)),
                voter("host3\u{1b}[2J", false, None),
            ],
            last_index: 9_118,
            revision: 412,
            ..RecoverReply::default()
        }
    }

    #[test]
    fn nodes_with_a_silent_one() {
        insta::assert_snapshot!(nodes(&example::degraded(), TERMINAL));
    }

    #[test]
    fn removals_say_what_is_left_and_what_is_next() {
        let reply = |name: &str, voters_left| RemoveNodeReply { id: "ab12".into(), name: name.into(), voters_left };
        let said = [
            removed(&reply("host3", 4)),
            removed(&reply("", 2)),
            left(&reply("host2", 1)),
            restored(&RestoreReply {
                cluster_id: "c2".into(),
                node_id: "1".into(),
                revision: 1_000_000_412,
                mounts: 2,
            }),
        ];
        insta::assert_snapshot!(said.join("\n"));
    }

    #[test]
    fn a_recovery_is_told_before_it_is_done() {
        let text = recovery(&recover(), TERMINAL);
        assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
        insta::assert_snapshot!(text);
    }

    #[test]
    fn a_recovery_that_is_done_says_what_is_next() {
        let reply = RecoverReply {
            done: true,
            new_cluster_id: "c2".into(),
            new_node_id: "5".into(),
            revision: 1_000_000_413,
            kept_in: "/var/lib/autoradio/raft.lost-1790000000".into(),
            ..recover()
        };
        insta::assert_snapshot!(recovery(&reply, TERMINAL));
    }
}
