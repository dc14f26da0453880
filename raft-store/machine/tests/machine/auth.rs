//! Users, roles and permissions: etcd's refusals word for word, and its past holes by name.

use autoradio_machine::*;
use proptest::prelude::*;

use crate::{Run, bytes, cluster, compare, delete, get, put, txn};

/// As `user`, who is known as of now.
fn by(run: &Run, user: &str, command: Command) -> Command {
    let who = Who::User { name: user.into(), auth_revision: run.machine.auth_revision() };
    asked(who, command)
}

fn asked(who: Who, command: Command) -> Command {
    Command::As(Box::new(Asked { caller: Caller { who, from: "test".into(), at_ms: 1 }, command }))
}

fn grant(role: &str, kind: PermissionKind, key: &str, end: &str) -> AuthCommand {
    let permission = Permission { kind, key: bytes(key), range_end: bytes(end) };
    AuthCommand::RoleGrant { role: role.into(), permission }
}

fn add_user(name: &str) -> AuthCommand {
    AuthCommand::UserAdd { name: name.into(), password_hash: Some("$argon2id$".into()) }
}

fn give(user: &str, role: &str) -> AuthCommand {
    AuthCommand::UserGrant { user: user.into(), role: role.into() }
}

fn role(role: &str) -> AuthCommand {
    AuthCommand::RoleAdd { role: role.into() }
}

/// Auth on; `u` reads `[r, s)` and writes `[w, x)`, and does both with `both`.
fn guarded() -> Run {
    let mut run = Run::default();
    for command in [
        add_user("root"),
        give("root", "root"),
        add_user("u"),
        role("mine"),
        give("u", "mine"),
        grant("mine", PermissionKind::Read, "r", "s"),
        grant("mine", PermissionKind::Write, "w", "x"),
        grant("mine", PermissionKind::ReadWrite, "both", ""),
        AuthCommand::Enable,
    ] {
        run.ok(Command::Auth(command));
    }
    run
}

fn refusal(run: &mut Run, command: Command) -> String {
    let (revision, before) = (run.machine.revision(), run.machine.to_snapshot());
    let applied = run.apply(command.clone());
    let Err(refusal) = applied.result else { panic!("{command:?} was carried out") };
    assert_eq!((applied.events, applied.revision), (vec![], revision));
    assert_eq!(run.machine.to_snapshot(), before, "what is refused changes nothing");
    refusal.to_string().trim_start_matches("etcdserver: ").to_owned()
}

#[test]
fn refusals_are_etcds_word_for_word() {
    let mut run = Run::default();
    let mut refused = |command| refusal(&mut run, Command::Auth(command));
    assert_eq!(refused(AuthCommand::Enable), "root user does not exist");
    assert_eq!(refused(add_user("")), "user name is empty");
    assert_eq!(refused(role("")), "role name is empty");
    assert_eq!(refused(AuthCommand::UserDelete { name: "u".into() }), "user name not found");
    assert_eq!(refused(give("u", "r")), "user name not found");
    assert_eq!(refused(grant("r", PermissionKind::Read, "a", "")), "role name not found");
    assert_eq!(refused(grant("r", PermissionKind::Read, "", "\0")), "invalid auth management");
    assert_eq!(refused(grant("r", PermissionKind::Read, "b", "a")), "invalid auth management");
    run.ok(Command::Auth(add_user("root")));
    run.ok(Command::Auth(role("r")));
    let mut refused = |command| refusal(&mut run, Command::Auth(command));
    assert_eq!(refused(AuthCommand::Enable), "root user does not have root role");
    assert_eq!(refused(add_user("root")), "user name already exists");
    assert_eq!(refused(role("r")), "role name already exists");
    assert_eq!(refused(give("root", "nope")), "role name not found");
    let revoke = AuthCommand::UserRevoke { user: "root".into(), role: "r".into() };
    assert_eq!(refused(revoke), "role is not granted to the user");
    let revoke = AuthCommand::RoleRevoke { role: "r".into(), key: bytes("a"), range_end: bytes("") };
    assert_eq!(refused(revoke), "permission is not granted to the role");
    let authenticate = AuthCommand::Authenticate { user: "root".into(), token: [1; 32], checked_revision: 3 };
    assert_eq!(refused(authenticate), "authentication is not enabled");
}

#[test]
fn the_root_user_and_its_role_stay_while_auth_is_enabled() {
    let mut run = guarded();
    run.ok(Command::Auth(role("root")));
    for command in [
        AuthCommand::UserDelete { name: "root".into() },
        AuthCommand::UserRevoke { user: "root".into(), role: "root".into() },
        AuthCommand::RoleDelete { role: "root".into() },
    ] {
        assert_eq!(refusal(&mut run, Command::Auth(command.clone())), "invalid auth management");
        let mut off = guarded();
        off.ok(Command::Auth(role("root")));
        off.ok(Command::Auth(AuthCommand::Disable));
        off.ok(Command::Auth(command));
    }
}

#[test]
fn the_auth_revision_moves_as_etcds_and_the_stores_does_not() {
    let mut run = Run::default();
    let moves = [
        (add_user("root"), 2),
        (give("root", "root"), 3),
        (give("root", "root"), 3),
        (role("r"), 4),
        (grant("r", PermissionKind::Read, "a", ""), 5),
        (grant("r", PermissionKind::Write, "a", ""), 6),
        (AuthCommand::Enable, 6),
        (AuthCommand::Enable, 6),
        (AuthCommand::UserPassword { name: "root".into(), password_hash: "h".into() }, 7),
        (AuthCommand::Authenticate { user: "root".into(), token: [1; 32], checked_revision: 7 }, 7),
        (AuthCommand::RoleDelete { role: "r".into() }, 8),
        (AuthCommand::Disable, 9),
        (AuthCommand::Disable, 9),
    ];
    for (command, revision) in moves {
        run.ok(Command::Auth(command.clone()));
        assert_eq!(run.machine.auth_revision(), revision, "after {command:?}");
    }
    assert_eq!(run.machine.revision(), 1);
}

#[test]
fn a_role_that_is_deleted_is_taken_from_its_users_and_a_permission_is_replaced() {
    let mut run = guarded();
    run.ok(Command::Auth(grant("mine", PermissionKind::Read, "w", "x")));
    assert_eq!(run.machine.auth_role("mine").unwrap().len(), 3);
    let write = by(&run, "u", Command::Put(put("w", "")));
    assert_eq!(refusal(&mut run, write), "permission denied");
    run.ok(Command::Auth(AuthCommand::RoleDelete { role: "mine".into() }));
    assert!(run.machine.auth_user("u").unwrap().roles.is_empty());
    let read = run.machine.permit(&Who::User { name: "u".into(), auth_revision: 99 }, Access::Read(b"r", b""));
    assert!(read.is_err());
}

#[test]
fn keys_are_guarded_in_every_command() {
    let mut run = guarded();
    let denied = |run: &mut Run, command| {
        let command = by(run, "u", command);
        assert_eq!(refusal(run, command.clone()), "permission denied", "{command:?}");
    };
    let allowed = |run: &mut Run, command| {
        let command = by(run, "u", command);
        run.ok(command);
    };
    allowed(&mut run, Command::Put(put("w1", "")));
    denied(&mut run, Command::Put(put("r1", "")));
    denied(&mut run, Command::Put(PutRequest { prev_kv: true, ..put("w1", "") }));
    allowed(&mut run, Command::Put(PutRequest { prev_kv: true, ..put("both", "") }));
    allowed(&mut run, Command::Delete(DeleteRequest { prev_kv: false, ..delete("w", "x") }));
    denied(&mut run, Command::Delete(delete("w", "x")));
    denied(&mut run, Command::Delete(DeleteRequest { prev_kv: false, ..delete("w", "\0") }));
    denied(&mut run, Command::Compact { revision: 1 });
    denied(&mut run, Command::MemberRemove { id: 1 });
    denied(&mut run, Command::Auth(role("x")));
    let holds = |key: &str| compare(key, CompareResult::Equal, CompareTarget::Create(0));
    allowed(&mut run, txn(vec![holds("r1")], vec![Op::Put(put("w", "1"))], vec![Op::Range(get("r", "s"))]));
    denied(&mut run, txn(vec![holds("w1")], vec![], vec![]));
    // Whichever way it goes.
    denied(&mut run, txn(vec![], vec![Op::Put(put("w", ""))], vec![Op::Put(put("z", ""))]));
    let nobody = asked(Who::Nobody, Command::Put(put("w1", "")));
    assert_eq!(refusal(&mut run, nobody), "user name is empty");
    let unknown = by(&run, "ghost", Command::Put(put("w1", "")));
    assert_eq!(refusal(&mut run, unknown), "permission denied");
    // What makes no sense is said before what is not permitted, as in etcd.
    let nonsense = by(&run, "u", Command::Put(put("", "")));
    assert_eq!(refusal(&mut run, nonsense), "key is not provided");
}

/// CVE-2026-33343: operations of transactions inside of transactions were not looked at.
#[test]
fn cve_2026_33343_nested_transactions_are_guarded_at_every_depth() {
    let mut run = guarded();
    let mut inner = TxnRequest { success: vec![Op::Put(put("z", "stolen"))], ..TxnRequest::default() };
    for depth in 0..5 {
        let nested = by(&run, "u", Command::Txn(TxnRequest { success: vec![Op::Txn(inner.clone())], ..inner.clone() }));
        assert_eq!(refusal(&mut run, nested), "permission denied", "at depth {depth}");
        inner = TxnRequest { failure: vec![Op::Txn(inner)], ..TxnRequest::default() };
    }
    let spying = TxnRequest { success: vec![Op::Range(get("z", ""))], ..TxnRequest::default() };
    let outer = TxnRequest { success: vec![Op::Txn(spying)], ..TxnRequest::default() };
    let user = Who::User { name: "u".into(), auth_revision: 99 };
    assert!(run.machine.permit(&user, Access::Txn(&outer)).is_err(), "reads are guarded, too");
}

/// CVE-2026-73499: a range with an open end was looked at as one key.
#[test]
fn cve_2026_73499_an_open_end_takes_an_open_permission() {
    let run = guarded();
    let user = Who::User { name: "u".into(), auth_revision: 99 };
    assert!(run.machine.permit(&user, Access::Read(b"r", b"")).is_ok());
    assert!(run.machine.permit(&user, Access::Read(b"r", b"\0")).is_err());
    assert!(run.machine.permit(&user, Access::Read(b"r", b"s\0")).is_err());
}

/// CVE-2026-33413: compaction, members and alarms were open to who had no permission. Whatever there is besides keys and
/// leases takes root.
#[test]
fn cve_2026_33413_all_other_commands_take_root() {
    let mut run = guarded();
    for command in [
        Command::Compact { revision: 1 },
        Command::MemberAdd(MemberAdd { peer_urls: vec!["http://x:1".into()], ..MemberAdd::default() }),
        Command::MemberUpdate(MemberUpdate::default()),
        Command::MemberRemove { id: 1 },
        Command::Auth(AuthCommand::Disable),
    ] {
        let (denied, nobody) = (by(&run, "u", command.clone()), asked(Who::Nobody, command));
        assert_eq!(refusal(&mut run, denied), "permission denied");
        assert_eq!(refusal(&mut run, nobody), "user name is empty");
    }
    let grant = asked(Who::Nobody, Command::LeaseGrant { id: 1, ttl_s: 60 });
    assert_eq!(refusal(&mut run, grant), "user name is empty");
    let root = by(&run, "root", Command::Compact { revision: 1 });
    run.ok(root);
}

/// The keys of a lease say what others do (GHSA of 2023), and ending a lease deletes them.
#[test]
fn a_lease_is_guarded_by_the_keys_that_hang_on_it() {
    let mut run = guarded();
    let command = by(&run, "u", Command::LeaseGrant { id: 7, ttl_s: 60 });
    run.ok(command);
    let command = by(&run, "u", Command::Put(PutRequest { lease: 7, ..put("w1", "") }));
    run.ok(command);
    let user = Who::User { name: "u".into(), auth_revision: 99 };
    assert!(run.machine.permit(&user, Access::LeaseChange(7)).is_ok());
    assert!(run.machine.permit(&user, Access::LeaseKeys(7)).is_err(), "it may not read w1");
    assert!(run.machine.permit(&user, Access::AllLeases).is_err());
    run.ok(Command::Put(PutRequest { lease: 7, ..put("roots", "") }));
    let revoke = by(&run, "u", Command::LeaseRevoke { id: 7 });
    assert_eq!(refusal(&mut run, revoke), "permission denied");
    let hang = by(&run, "u", Command::Put(PutRequest { lease: 7, ..put("w2", "") }));
    assert_eq!(refusal(&mut run, hang), "permission denied");
    assert!(run.machine.permit(&user, Access::LeaseChange(7)).is_err());
    assert_eq!(
        run.machine.permit(&Who::Nobody, Access::LeaseChange(1)).unwrap_err().to_string(),
        "etcdserver: user name is empty"
    );
}

#[test]
fn what_was_judged_by_an_older_state_of_auth_is_refused() {
    let mut run = guarded();
    let write = by(&run, "u", Command::Put(put("w1", "")));
    run.ok(Command::Auth(role("other")));
    assert_eq!(refusal(&mut run, write), "revision of auth store is old");
    let write = by(&run, "u", Command::Put(put("w1", "")));
    run.ok(write);
}

#[test]
fn tokens_end_with_the_password_the_user_auth_and_time() {
    let mut run = guarded();
    let hash = |n: u8| [n; TOKEN_HASH_BYTES];
    let authenticate = |run: &mut Run, user: &str, n| {
        let checked_revision = run.machine.auth_revision();
        run.ok(Command::Auth(AuthCommand::Authenticate { user: user.into(), token: hash(n), checked_revision }));
    };
    let valid = |run: &Run, n| run.machine.identify(&Credentials::Token(hash(n))).is_ok();
    authenticate(&mut run, "u", 1);
    authenticate(&mut run, "root", 2);
    assert!(valid(&run, 1) && valid(&run, 2) && !valid(&run, 3));
    run.ok(Command::Auth(AuthCommand::UserPassword { name: "u".into(), password_hash: "h".into() }));
    assert!(!valid(&run, 1) && valid(&run, 2), "another's stays");
    authenticate(&mut run, "u", 3);
    run.ok(Command::Auth(AuthCommand::UserDelete { name: "u".into() }));
    assert!(!valid(&run, 3));
    // One that was used meanwhile lives on.
    let (_, token) = run.machine.auth_tokens().next().unwrap();
    let touched = token.touched;
    run.ok(Command::Auth(AuthCommand::TokensUsed { tokens: vec![hash(2)] }));
    run.ok(Command::Auth(AuthCommand::TokensExpired { tokens: vec![(hash(2), touched)] }));
    assert!(valid(&run, 2));
    let again = Machine::from_snapshot(&run.machine.to_snapshot()).unwrap();
    assert_eq!(again, run.machine);
    let (_, token) = again.auth_tokens().next().unwrap();
    run.ok(Command::Auth(AuthCommand::TokensExpired { tokens: vec![(hash(2), token.touched)] }));
    let refused = run.machine.identify(&Credentials::Token(hash(2))).unwrap_err();
    assert_eq!(refused.to_string(), "etcdserver: invalid auth token");
    authenticate(&mut run, "root", 4);
    run.ok(Command::Auth(AuthCommand::Disable));
    assert_eq!(run.machine.identify(&Credentials::Token(hash(4))), Ok(Who::Nobody));
    assert_eq!(run.machine.auth_tokens().count(), 0);
}

#[test]
fn tokens_are_bounded_and_the_one_unused_for_longest_goes() {
    let mut run = guarded();
    let checked_revision = run.machine.auth_revision();
    let hash = |n: u32| {
        let mut hash = [0; 32];
        hash[..4].copy_from_slice(&n.to_be_bytes());
        hash
    };
    for n in 0..10_001 {
        let command = AuthCommand::Authenticate { user: "u".into(), token: hash(n), checked_revision };
        run.ok(Command::Auth(command));
        if n == 5 {
            run.ok(Command::Auth(AuthCommand::TokensUsed { tokens: vec![hash(0)] }));
        }
    }
    assert_eq!(run.machine.auth_tokens().count(), 10_000);
    assert!(run.machine.identify(&Credentials::Token(hash(0))).is_ok(), "it was used after the next");
    assert!(run.machine.identify(&Credentials::Token(hash(1))).is_err());
}

#[test]
fn several_changes_are_made_together_or_not_at_all() {
    let mut run = guarded();
    let all = vec![add_user("op"), role("operator"), give("op", "operator")];
    run.ok(Command::Auth(AuthCommand::All(all.clone())));
    assert!(run.machine.auth_user("op").unwrap().roles.contains("operator"));
    let mut more = vec![add_user("other")];
    more.extend(all);
    assert_eq!(refusal(&mut run, Command::Auth(AuthCommand::All(more))), "user name already exists");
    let nested = AuthCommand::All(vec![AuthCommand::All(vec![])]);
    assert_eq!(refusal(&mut run, Command::Auth(nested)), "invalid auth management");
}

#[test]
fn nobody_asks_in_anothers_name() {
    let mut run = guarded();
    let inner = asked(Who::Trusted { name: "root".into() }, Command::Put(put("z", "")));
    let outer = by(&run, "u", inner);
    assert_eq!(refusal(&mut run, outer), "permission denied");
}

fn commands() -> impl Strategy<Value = AuthCommand> {
    let name = || prop::sample::select(vec!["root", "a", "b", ""]).prop_map(String::from);
    let key = || prop::sample::select(vec!["", "k", "m", "z"]).prop_map(bytes);
    let end = || prop::sample::select(vec!["", "\0", "l", "n"]).prop_map(bytes);
    let kind = prop::sample::select(vec![PermissionKind::Read, PermissionKind::Write, PermissionKind::ReadWrite]);
    prop_oneof![
        Just(AuthCommand::Enable),
        Just(AuthCommand::Disable),
        (name(), any::<bool>())
            .prop_map(|(name, with)| AuthCommand::UserAdd { name, password_hash: with.then(|| "h".into()) }),
        name().prop_map(|name| AuthCommand::UserDelete { name }),
        name().prop_map(|name| AuthCommand::UserPassword { name, password_hash: "i".into() }),
        (name(), name()).prop_map(|(user, role)| AuthCommand::UserGrant { user, role }),
        (name(), name()).prop_map(|(user, role)| AuthCommand::UserRevoke { user, role }),
        name().prop_map(|role| AuthCommand::RoleAdd { role }),
        name().prop_map(|role| AuthCommand::RoleDelete { role }),
        (name(), kind, key(), end()).prop_map(|(role, kind, key, range_end)| AuthCommand::RoleGrant {
            role,
            permission: Permission { kind, key, range_end }
        }),
        (name(), key(), end()).prop_map(|(role, key, range_end)| AuthCommand::RoleRevoke { role, key, range_end }),
        (name(), any::<u8>(), 0..30u64).prop_map(|(user, n, checked_revision)| AuthCommand::Authenticate {
            user,
            token: [n; 32],
            checked_revision
        }),
    ]
}

proptest! {
    /// A snapshot taken anywhere gives the same state, and enabled auth can always be managed by its root user.
    #[test]
    fn any_changes_leave_a_root_and_a_whole_snapshot(all in prop::collection::vec(commands(), 1..60)) {
        let mut run = cluster();
        let mut revision = run.machine.auth_revision();
        for command in all {
            let _ = run.apply(Command::Auth(command));
            prop_assert!(run.machine.auth_revision() >= revision);
            revision = run.machine.auth_revision();
            if run.machine.auth_enabled() {
                prop_assert!(run.machine.auth_user(ROOT).is_some_and(User::is_root));
            }
        }
        let again = Machine::from_snapshot(&run.machine.to_snapshot()).unwrap();
        prop_assert_eq!(again, run.machine);
    }
}
