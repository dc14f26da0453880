//! The audit log.

use autoradio_machine::*;

use crate::{Run, bytes, cluster, delete, put};

fn by(name: &str, at_ms: u64, command: Command) -> Command {
    let who = Who::Trusted { name: name.into() };
    Command::As(Box::new(Asked { caller: Caller { who, from: "10.0.0.9:1".into(), at_ms }, command }))
}

const MOUNT: &str = r#"{"username":"source","password_hash":"$argon2id$v=19$m=8,t=1,p=1$c2FsdHNhbHQ$aGFzaA"}"#;

fn newest(run: &Run) -> AuditEntry {
    run.machine.audit().next().expect("there is an entry").clone()
}

#[test]
fn changes_are_written_down_with_who_where_and_when_and_no_secret() {
    let mut run = cluster();
    run.ok(by("anna", 5, Command::Put(put("autoradio/mounts/live", MOUNT))));
    let entry = newest(&run);
    assert_eq!((entry.who.as_str(), entry.from.as_str(), entry.at_ms, entry.seq), ("anna", "10.0.0.9:1", 5, 1));
    assert_eq!((entry.action.as_str(), entry.target.as_str()), ("mount created", "/live"));
    let titled = MOUNT.replace('}', r#","title":"One"}"#).replace("aGFzaA", "YW5vdGhlcg");
    run.ok(by("anna", 4, Command::Put(put("autoradio/mounts/live", &titled))));
    let entry = newest(&run);
    assert_eq!(entry.at_ms, 5, "time does not go back");
    assert_eq!(entry.action, "mount changed");
    assert!(entry.new.contains("One") && entry.new.contains("changed") && !entry.new.contains("source"), "{entry:?}");
    run.ok(by("anna", 6, Command::Delete(delete("autoradio/mounts/live", ""))));
    assert_eq!(newest(&run).action, "mount deleted");
    let text = format!("{:?}", run.machine.audit().collect::<Vec<_>>());
    assert!(!text.contains("argon2"), "{text}");
    // Members, whoever changes them.
    run.ok(by("anna", 7, Command::MemberRemove { id: 2 }));
    assert_eq!(newest(&run).action, "member deleted");
    // What is refused, what is others', and what nodes do by themselves is not in it.
    let entries = run.machine.audit().count();
    assert!(run.apply(by("anna", 8, Command::Put(put("autoradio/mounts/live", "{}")))).result.is_err());
    run.ok(by("anna", 8, Command::Put(put("theirs", "x"))));
    run.ok(Command::MemberUpdate(MemberUpdate { id: 1, drained: Some(true), ..MemberUpdate::default() }));
    assert_eq!(run.machine.audit().count(), entries);
    let again = Machine::from_snapshot(&run.machine.to_snapshot()).unwrap();
    assert_eq!(again, run.machine);
}

#[test]
fn users_and_roles_are_written_down_without_hashes() {
    let mut run = cluster();
    let permission = |kind| Permission { kind, key: bytes("a"), range_end: bytes("\0") };
    let all = [
        AuthCommand::UserAdd { name: "root".into(), password_hash: Some("$argon2id$secret".into()) },
        AuthCommand::UserGrant { user: "root".into(), role: "root".into() },
        AuthCommand::RoleAdd { role: "r".into() },
        AuthCommand::RoleGrant { role: "r".into(), permission: permission(PermissionKind::Read) },
        AuthCommand::RoleGrant { role: "r".into(), permission: permission(PermissionKind::ReadWrite) },
        AuthCommand::Enable,
        AuthCommand::Enable,
        AuthCommand::UserPassword { name: "root".into(), password_hash: "$argon2id$other".into() },
    ];
    for command in all {
        run.ok(by("anna", 1, Command::Auth(command)));
    }
    let lines: Vec<_> =
        run.machine.audit().map(|e| format!("{} | {} | {} | {}", e.action, e.target, e.old, e.new)).collect();
    let wanted = [
        "user's password changed | root |  | ",
        "auth enabled |  |  | ",
        "permission given to role | r | read [a, open) | readwrite [a, open)",
        "permission given to role | r |  | read [a, open)",
        "role added | r |  | ",
        "role given to user | root |  | root",
        "user added | root |  | ",
    ];
    assert_eq!(lines, wanted);
}

#[test]
fn the_log_is_bounded_in_entries_and_in_each() {
    let mut run = cluster();
    let mount = |title: &str| MOUNT.replace('}', &format!(r#","title":"{title}"}}"#));
    for n in 0..1_200 {
        run.ok(by("anna", n, Command::Put(put("autoradio/mounts/live", &mount(&n.to_string())))));
    }
    assert_eq!(run.machine.audit().count(), 1_000);
    assert_eq!((newest(&run).seq, run.machine.audit().last().unwrap().seq), (1_200, 201));
    let job = "x".repeat(1 << 20);
    run.ok(by(&"é".repeat(10_000), 0, Command::Put(put("autoradio/jobs/a", &format!(r#"{{"a":"{job}"}}"#)))));
    let entry = newest(&run);
    assert!(entry.new.len() < 1_100 && entry.who.len() < 1_100, "{}", entry.new.len());
    // One command does not push all others out.
    for n in 0..200 {
        run.ok(Command::Put(put(&format!("autoradio/jobs/b{n}"), "x")));
    }
    run.ok(by("anna", 0, Command::Delete(delete("autoradio/jobs/", "autoradio/jobs0"))));
    assert_eq!(newest(&run).action, "and 151 more changes by the same command");
    assert_eq!(newest(&run).seq, 1_200 + 1 + 51);
}
