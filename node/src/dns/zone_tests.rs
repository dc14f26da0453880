//! The real zone: through the handler's trait, and served to `dig`.

use std::{
    net::{IpAddr, SocketAddr},
    process::Command,
    sync::Arc,
};

use autoradio_machine::{Member, PublicFace};
use autoradio_policy::{ClusterView, Heard, Load};
use hickory_proto::rr::RData;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::*;
use crate::{
    dns::{handler::Handler, server::Server, sockets},
    metrics::Metrics,
};

/// Three fit nodes at 192.0.2.N and 2001:db8::N.
fn view() -> ClusterView {
    let mut view = ClusterView { me: 1, leader: Some(1), quorum: true, ..ClusterView::default() };
    view.catalog.revision = 41;
    let members = Arc::make_mut(&mut view.catalog.members);
    for id in 1..=3_u8 {
        let ips = vec![IpAddr::from([192, 0, 2, id]), IpAddr::from([0x2001, 0xdb8, 0, 0, 0, 0, 0, u16::from(id)])];
        let public = PublicFace { ips, http_port: 80, ..PublicFace::default() };
        let member = Member { id: id.into(), name: format!("host{id}"), public, ..Member::default() };
        members.insert(id.into(), Arc::new(member));
        let load = Arc::new(Load { ready: true, ..Load::default() });
        view.loads.insert(id.into(), Heard { age_ms: 0, load });
    }
    view
}

fn zone() -> ClusterZone {
    // The sender may go: the picture stays.
    ClusterZone::new("radio.test", &[], ViewHandle::channel(view()).1)
}

fn ask(name: &str, kind: RecordType) -> Reply {
    zone().reply(&Name::from_ascii(name).unwrap(), kind, DNSClass::IN)
}

#[test]
fn addresses_of_the_apex_in_the_case_of_the_question() {
    let reply = ask("rAdIo.TeSt.", RecordType::A);
    assert_eq!((reply.code, reply.authoritative, reply.answers.len()), (ResponseCode::NoError, true, 3));
    for record in &reply.answers {
        assert_eq!(record.name.to_string(), "rAdIo.TeSt.");
        assert!(record.ttl <= 10 && matches!(record.data, RData::A(_)), "{record}");
    }
    assert_eq!(ask("radio.test.", RecordType::AAAA).answers.len(), 3);
    assert_eq!(ask("HOST2.radio.test.", RecordType::A).answers.len(), 1);
}

#[test]
fn name_servers_come_with_glue() {
    let reply = ask("radio.test.", RecordType::NS);
    assert_eq!((reply.answers.len(), reply.additionals.len()), (3, 6));
    let hosts: Vec<String> = reply.additionals.iter().map(|r| r.name.to_string()).collect();
    assert!(hosts.contains(&"host1.radio.test.".to_owned()), "{hosts:?}");
}

#[test]
fn what_is_not_there_is_said_with_the_soa() {
    for (name, kind, code) in [
        ("nobody.radio.test.", RecordType::A, ResponseCode::NXDomain),
        ("radio.test.", RecordType::MX, ResponseCode::NoError),
        ("host1.radio.test.", RecordType::TXT, ResponseCode::NoError),
    ] {
        let reply = ask(name, kind);
        assert_eq!((reply.code, reply.answers.len()), (code, 0), "{name} {kind}");
        let [soa] = &reply.authorities[..] else { panic!("{name}: {:?}", reply.authorities) };
        let RData::SOA(data) = &soa.data else { panic!("{soa}") };
        assert_eq!((soa.name.to_string().as_str(), data.serial), ("radio.test.", 41));
    }
    let reply = ask("example.org.", RecordType::A);
    assert_eq!((reply.code, reply.authoritative), (ResponseCode::Refused, false));
}

#[test]
fn strange_names_are_only_names() {
    let raw = Name::from_labels([&b"\0\xff."[..], b"radio", b"test"]).unwrap();
    let texts =
        [".", "a\\.b.radio.test.", "xn--4ca.radio.test.", "*.radio.test."].map(|n| Name::from_ascii(n).unwrap());
    for name in texts.into_iter().chain([raw]) {
        let reply = zone().reply(&name, RecordType::A, DNSClass::IN);
        assert!(matches!(reply.code, ResponseCode::NXDomain | ResponseCode::Refused), "{name}: {:?}", reply.code);
    }
    let chaos = zone().reply(&Name::from_ascii("version.bind.").unwrap(), RecordType::TXT, DNSClass::CH);
    assert_eq!(chaos.code, ResponseCode::Refused);
}

fn dig(server: SocketAddr, question: &[&str]) -> String {
    let mut dig = Command::new("dig");
    dig.args([&format!("@{}", server.ip()), "-p", &server.port().to_string(), "+norecurse", "+time=2", "+tries=1"]);
    let output = dig.args(question).output().expect("dig is installed");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs dig"]
async fn dig_likes_the_answers() {
    let sockets = sockets::bind(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
    let (address, stop, tasks) = (sockets.address, CancellationToken::new(), TaskTracker::new());
    let metrics = Arc::new(Metrics::default());
    Server::new(Handler::new(zone()), metrics, stop.clone(), tasks.clone()).serve(sockets);
    for (question, wanted) in [
        (
            &["radio.test", "A"][..],
            &["status: NOERROR", "flags: qr aa;", "ANSWER: 3", "192.0.2.2", "EDNS: version: 0"][..],
        ),
        (&["radio.test", "AAAA"], &["ANSWER: 3", "2001:db8::3"]),
        (&["RaDiO.tEsT", "A"], &["RaDiO.tEsT.\t\t10\tIN\tA\t192.0.2.1"]),
        (&["host3.radio.test", "A"], &["ANSWER: 1", "192.0.2.3"]),
        (&["radio.test", "NS"], &["ANSWER: 3", "host2.radio.test.", "ADDITIONAL: 7", "192.0.2.2"]),
        (&["radio.test", "SOA"], &["hostmaster.radio.test. 41 "]),
        (&["nobody.radio.test", "A"], &["status: NXDOMAIN", "IN\tSOA"]),
        (&["radio.test", "MX"], &["status: NOERROR", "ANSWER: 0", "IN\tSOA"]),
        (&["example.org", "A"], &["status: REFUSED"]),
        (&["radio.test", "AXFR", "+tcp"], &["Transfer failed"]),
        (&["radio.test", "A", "+tcp"], &["ANSWER: 3"]),
        (&["radio.test", "A", "+noedns"], &["ANSWER: 3"]),
        (&["radio.test", "A", "+edns=7", "+noednsneg"], &["status: BADVERS"]),
        (&["radio.test", "A", "+dnssec"], &["flags: do; udp: 1232"]),
        (&["radio.test", "ANY", "+notcp"], &["RFC8482"]),
        (&["radio.test", "A", "+opcode=NOTIFY"], &["status: NOTIMP"]),
    ] {
        let said = tokio::task::spawn_blocking(move || dig(address, question)).await.unwrap();
        for part in wanted {
            assert!(said.contains(part), "{question:?}: {part:?} is missing in\n{said}");
        }
        assert!(!said.contains("Warning") && !said.contains("malformed"), "{question:?}:\n{said}");
    }
    stop.cancel();
    tasks.close();
    tasks.wait().await;
}
