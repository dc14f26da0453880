use super::*;
use crate::example::Example;

fn zone() -> Zone {
    Zone::new("Radio.Test.", &[])
}

fn ask_of(it: &Example, zone: &Zone, name: &str, kind: u16, seed: u64) -> Answer {
    answer(zone, &it.view(), &Question { name: name.into(), qtype: kind, qclass: CLASS_IN }, seed)
}

fn ask(it: &Example, name: &str, kind: u16) -> Answer {
    ask_of(it, &zone(), name, kind, 1)
}

fn ips(answer: &Answer) -> Vec<String> {
    let mut found: Vec<String> = answer
        .answers
        .iter()
        .map(|r| match &r.data {
            RecordData::A(ip) => ip.to_string(),
            RecordData::Aaaa(ip) => ip.to_string(),
            other => format!("{other:?}"),
        })
        .collect();
    found.sort();
    found
}

fn is_nodata(answer: &Answer) -> bool {
    answer.rcode == Rcode::NoError
        && answer.answers.is_empty()
        && matches!(answer.authority[..], [Record { data: RecordData::Soa(_), ttl_s, .. }] if ttl_s <= 10)
}

#[test]
fn the_apex_gives_fit_nodes() {
    let mut it = Example::nodes(4);
    it.heard(2).age_ms = 5_000;
    it.member(3).drained = true;
    let found = ask(&it, "radio.test", qtype::A);
    assert!(found.authoritative && found.authority.is_empty() && found.additional.is_empty());
    assert_eq!(ips(&found), ["192.0.2.1", "192.0.2.4"]);
    assert!(found.answers.iter().all(|r| r.ttl_s <= 10 && r.name == "radio.test"));
    assert_eq!(ips(&ask(&it, "RADIO.test.", qtype::AAAA)), ["2001:db8::1", "2001:db8::4"]);
}

#[test]
fn the_apex_is_never_empty() {
    let mut it = Example::nodes(3);
    for id in 1..=3 {
        it.heard(id).age_ms = 60_000;
    }
    assert_eq!(ask(&it, "radio.test", qtype::A).answers.len(), 3);
    // One family being out must not leave its listeners without an answer.
    let mut it = Example::nodes(2);
    it.member(1).public.ips.remove(0);
    it.heard(2).age_ms = 60_000;
    assert_eq!(ips(&ask(&it, "radio.test", qtype::A)), ["192.0.2.2"]);
    assert_eq!(ips(&ask(&it, "radio.test", qtype::AAAA)), ["2001:db8::1"]);
}

#[test]
fn orders_differ_and_are_bounded() {
    let it = Example::nodes(20);
    let mut firsts = std::collections::BTreeSet::new();
    for seed in 0..400 {
        let found = ask_of(&it, &zone(), "radio.test", qtype::A, seed);
        assert_eq!(found.answers.len(), MAX_ADDRESSES);
        assert_eq!(found, ask_of(&it, &zone(), "radio.test", qtype::A, seed));
        firsts.insert(format!("{:?}", found.answers[0].data));
    }
    assert_eq!(firsts.len(), 20);
}

#[test]
fn every_member_has_a_name() {
    let mut it = Example::nodes(3);
    it.heard(2).age_ms = 60_000;
    assert_eq!(ips(&ask(&it, "host2.radio.test", qtype::A)), ["192.0.2.2"]);
    assert_eq!(ips(&ask(&it, "host2.radio.test", qtype::AAAA)), ["2001:db8::2"]);
    assert!(is_nodata(&ask(&it, "host2.radio.test", qtype::TXT)));
    assert!(is_nodata(&ask(&it, "_acme-challenge.radio.test", qtype::TXT)));
    for none in ["host9.radio.test", "a.host2.radio.test", "_acme-challenge.host2.radio.test"] {
        let found = ask(&it, none, qtype::A);
        assert_eq!((found.rcode, found.authoritative, found.authority.len()), (Rcode::NxDomain, true, 1), "{none}");
    }
    it.member(2).name = "a.b".into();
    assert_eq!(ips(&ask(&it, "a.b.radio.test", qtype::A)), ["192.0.2.2"]);
    assert!(is_nodata(&ask(&it, "b.radio.test", qtype::A)));
    it.member(2).public.ips.clear();
    assert!(is_nodata(&ask(&it, "a.b.radio.test", qtype::A)));
}

#[test]
fn name_servers_have_glue() {
    let it = Example::nodes(5);
    let found = ask(&it, "radio.test", qtype::NS);
    let names: Vec<_> = found.answers.iter().map(|r| r.data.clone()).collect();
    let ns = |n: &str| RecordData::Ns(n.to_owned());
    assert_eq!(names, [ns("host1.radio.test"), ns("host2.radio.test"), ns("host3.radio.test")]);
    assert_eq!(found.additional.len(), 6);
    assert!(found.additional.iter().all(|r| r.ttl_s <= 10));
    let fixed = Zone::new("radio.test", &["host5".into(), "ns.example.org.".into()]);
    let found = ask_of(&it, &fixed, "radio.test", qtype::NS, 0);
    let names: Vec<_> = found.answers.iter().map(|r| r.data.clone()).collect();
    assert_eq!(names, [ns("host5.radio.test"), ns("ns.example.org")]);
    assert_eq!(found.additional.len(), 2);
}

#[test]
fn the_soa() {
    let mut it = Example::nodes(3);
    it.view.catalog.revision = (1 << 32) + 7;
    let found = ask(&it, "radio.test", qtype::SOA);
    let [Record { data: RecordData::Soa(soa), .. }] = &found.answers[..] else { panic!("{found:?}") };
    assert_eq!((soa.serial, soa.mname.as_str(), soa.rname.as_str()), (7, "host1.radio.test", "hostmaster.radio.test"));
    assert!(soa.minimum_s <= 10);
}

#[test]
fn what_is_refused() {
    let it = Example::nodes(3);
    let question = |name: &str, qtype, qclass| Question { name: name.into(), qtype, qclass };
    for q in [
        question("example.org", qtype::A, 1),
        question("test", qtype::A, 1),
        question("", qtype::NS, 1),
        question("xradio.test", qtype::A, 1),
        question("radio.test", qtype::A, 3),
        question("radio.test", qtype::AXFR, 1),
        question("radio.test", qtype::IXFR, 1),
    ] {
        let found = answer(&zone(), &it.view(), &q, 0);
        assert_eq!((found.rcode, found.authoritative), (Rcode::Refused, false), "{q:?}");
        assert!(found.answers.is_empty() && found.authority.is_empty() && found.additional.is_empty());
    }
    assert_eq!(answer(&Zone::new("", &[]), &it.view(), &question("", qtype::A, 1), 0).rcode, Rcode::Refused);
}

#[test]
fn any_is_minimal() {
    let it = Example::nodes(3);
    for name in ["radio.test", "host1.radio.test"] {
        let found = ask(&it, name, qtype::ANY);
        assert!(matches!(&found.answers[..], [Record { data: RecordData::Hinfo { cpu, .. }, .. }] if cpu == "RFC8482"));
    }
    assert_eq!(ask(&it, "nobody.radio.test", qtype::ANY).rcode, Rcode::NxDomain);
}

#[test]
fn an_empty_cluster_answers_all_the_same() {
    let it = Example::nodes(0);
    assert!(is_nodata(&ask(&it, "radio.test", qtype::A)));
    assert!(is_nodata(&ask(&it, "radio.test", qtype::NS)));
    assert_eq!(ask(&it, "host1.radio.test", qtype::A).rcode, Rcode::NxDomain);
}

proptest::proptest! {
    #[test]
    fn sections_are_never_without_sense(name in "[a-z0-9._-]{0,30}", inside in proptest::bool::ANY, kind in 0u16..260, nodes in 0u8..9) {
        let name = if inside { format!("{name}.radio.test") } else { name };
        let found = ask(&Example::nodes(nodes), &name, kind);
        match found.rcode {
            Rcode::NoError => proptest::prop_assert_ne!(found.answers.is_empty(), found.authority.is_empty()),
            Rcode::NxDomain => proptest::prop_assert!(found.answers.is_empty() && found.authority.len() == 1),
            Rcode::Refused => proptest::prop_assert!(found.answers.is_empty() && found.authority.is_empty()),
        }
    }
}
