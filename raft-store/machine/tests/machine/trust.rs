//! Join tokens: once, in time, by one node.

use autoradio_machine::{
    Command, Machine, Member, MemberAdd, Refusal, Response, TOKEN_TTL_MAX_MS, TokenJoin, TrustCommand, TrustRefusal,
};
use bytes::Bytes;

use crate::{Run, cluster};

fn create(id: u64, now_ms: u64, ttl_ms: u64) -> Command {
    let verify_key = [id.to_be_bytes()[7]; 32];
    Command::Trust(TrustCommand::TokenCreate { id, verify_key, learner: id == 9, now_ms, ends_ms: now_ms + ttl_ms })
}

fn join(token: u64, name: &str, key: u8, now_ms: u64) -> Command {
    let peer_urls = vec![format!("https://{name}:2380")];
    let add = MemberAdd { name: name.into(), peer_urls, learner: false };
    Command::Trust(TrustCommand::Join(TokenJoin { token, key_hash: [key; 32], now_ms, add }))
}

fn joined(run: &mut Run, command: Command) -> Member {
    match run.ok(command) {
        Response::Member(member) => member,
        other => panic!("{other:?}"),
    }
}

fn refused(run: &mut Run, command: Command) -> TrustRefusal {
    match run.apply(command).result {
        Err(Refusal::Trust(refusal)) => refusal,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_token_works_once_and_the_same_node_gets_the_same_answer() {
    let mut run = cluster();
    run.ok(create(5, 1_000, 60_000));
    let member = joined(&mut run, join(5, "host3", 1, 2_000));
    assert_eq!(joined(&mut run, join(5, "host3", 1, 3_000)), member, "its answer was lost");
    let again = refused(&mut run, join(5, "host4", 2, 12_000));
    assert_eq!(again, TrustRefusal::TokenUsed { name: "host3".into(), ago_s: 10 });
    assert_eq!(run.machine.catalog().members.len(), 3, "who was refused was not added");
    assert_eq!(refused(&mut run, join(6, "host4", 2, 0)), TrustRefusal::TokenUnknown);
}

#[test]
fn who_cannot_be_added_does_not_use_the_token_up() {
    let mut run = cluster();
    run.ok(create(5, 0, 60_000));
    assert!(matches!(run.apply(join(5, "host1", 1, 1)).result, Err(Refusal::MemberNameExists { .. })));
    joined(&mut run, join(5, "host3", 1, 1));
}

#[test]
fn late_and_revoked_tokens_are_told_apart() {
    let mut run = cluster();
    run.ok(create(5, 0, 60_000));
    run.ok(create(6, 0, 60_000));
    assert_eq!(refused(&mut run, join(5, "host3", 1, 65_000)), TrustRefusal::TokenExpired { ago_s: 5 });
    run.ok(Command::Trust(TrustCommand::TokenRevoke { id: 6, now_ms: 1_000 }));
    assert_eq!(refused(&mut run, join(6, "host3", 1, 3_000)), TrustRefusal::TokenRevoked { ago_s: 2 });
    let twice = Command::Trust(TrustCommand::TokenRevoke { id: 6, now_ms: 3_000 });
    assert_eq!(refused(&mut run, twice), TrustRefusal::TokenRevoked { ago_s: 2 });
    assert_eq!(refused(&mut run, create(7, 0, TOKEN_TTL_MAX_MS + 1)), TrustRefusal::TokenTtl);
    assert_eq!(refused(&mut run, create(7, 1, 0)), TrustRefusal::TokenTtl);
}

#[test]
fn a_tokens_role_and_an_announced_members_id_are_kept() {
    let mut run = cluster();
    run.ok(create(9, 0, 60_000));
    assert!(joined(&mut run, join(9, "host3", 1, 1)).learner);
    let add = MemberAdd { peer_urls: vec!["https://host4:2380".into()], ..MemberAdd::default() };
    let Response::Member(announced) = run.ok(Command::MemberAdd(add)) else { panic!("a member") };
    run.ok(create(5, 0, 60_000));
    assert_eq!(joined(&mut run, join(5, "host4", 1, 1)).id, announced.id);
}

#[test]
fn tokens_are_bounded_and_ended_ones_make_room() {
    let mut run = cluster();
    for id in 100..228 {
        run.ok(create(id, 0, 60_000));
    }
    assert_eq!(refused(&mut run, create(1, 1, 60_000)), TrustRefusal::TooManyTokens);
    run.ok(create(1, 60_000, 60_000));
    assert!(!run.machine.trust().tokens.contains_key(&100), "the oldest made room");
    assert_eq!(refused(&mut run, create(1, 60_000, 60_000)), TrustRefusal::TokenExists);
}

#[test]
fn the_change_to_tls_ends_with_the_ca_that_it_began_with() {
    let mut run = cluster();
    let begin = |ca: &'static [u8]| Command::Trust(TrustCommand::BeginTls { ca: Bytes::from_static(ca), holder: 1 });
    let end = |ca: &'static [u8]| Command::Trust(TrustCommand::EndTls { ca: Bytes::from_static(ca) });
    assert_eq!(refused(&mut run, end(b"a")), TrustRefusal::TlsNotBegun);
    run.ok(begin(b"a"));
    run.ok(begin(b"b"));
    assert_eq!(refused(&mut run, end(b"a")), TrustRefusal::TlsNotBegun);
    run.ok(end(b"b"));
    assert_eq!(refused(&mut run, begin(b"c")), TrustRefusal::TlsAlready);
}

#[test]
fn snapshots_keep_it_and_clients_do_not_see_it() {
    let mut run = cluster();
    run.ok(create(5, 0, 60_000));
    let copy = Machine::from_snapshot(&run.machine.to_snapshot()).unwrap();
    assert_eq!(copy, run.machine);
    assert_eq!(copy.trust().tokens.len(), 1);
    let keys = run.keys(&autoradio_machine::RangeRequest {
        key: Bytes::from_static(b"\0"),
        range_end: Bytes::from_static(b"\0"),
        ..Default::default()
    });
    assert_eq!(keys, ["autoradio/members/host1", "autoradio/members/host2"]);
}
