//! The zone: what each question about the domain is answered with.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use autoradio_machine::Member;

use crate::{ClusterView, dice::Dice, fitness::usable, host::node_host};

/// How long addresses may be cached, in seconds: a dead node is out of every cache after it.
pub const ADDRESS_TTL_S: u32 = 10;
/// How long NS records may be cached, in seconds: glue cannot change in real time anyway.
pub const NAMESERVER_TTL_S: u32 = 3600;
/// How long "there is no such name" may be cached, in seconds (SOA minimum, RFC 2308).
pub const NEGATIVE_TTL_S: u32 = 10;
/// Most addresses in one answer: it stays under 512 bytes with room to spare, and no client tries more.
pub const MAX_ADDRESSES: usize = 8;
/// Members that are name servers if none are configured.
pub const DEFAULT_NAMESERVERS: usize = 3;

/// The zone's fixed part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Zone {
    domain: String,
    nameservers: Vec<String>,
}

/// A question, class and type as numbers on the wire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// The name as text in lower case, without the dot at the end. Answers repeat it; the case of the question (0x20)
    /// is the caller's to restore.
    pub name: String,
    /// The type, e.g. [`qtype::A`].
    pub qtype: u16,
    /// The class; 1 is IN.
    pub qclass: u16,
}

/// Types of questions that are known here.
pub mod qtype {
    /// IPv4 address.
    pub const A: u16 = 1;
    /// Name server.
    pub const NS: u16 = 2;
    /// Start of authority.
    pub const SOA: u16 = 6;
    /// Text.
    pub const TXT: u16 = 16;
    /// IPv6 address.
    pub const AAAA: u16 = 28;
    /// Incremental transfer.
    pub const IXFR: u16 = 251;
    /// Whole transfer.
    pub const AXFR: u16 = 252;
    /// All there is.
    pub const ANY: u16 = 255;
}

/// The class IN.
pub const CLASS_IN: u16 = 1;

/// A response code (RFC 1035 §4.1.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Rcode {
    /// The name exists (the answer may be empty all the same: NODATA).
    NoError = 0,
    /// The name does not exist.
    NxDomain = 3,
    /// Not answered here.
    Refused = 5,
}

/// One record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The owner's name, without the dot at the end.
    pub name: String,
    /// How long it may be cached, in seconds.
    pub ttl_s: u32,
    /// What it says.
    pub data: RecordData,
}

/// What a record says. Names are without the dot at the end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RecordData {
    /// An IPv4 address.
    A(Ipv4Addr),
    /// An IPv6 address.
    Aaaa(Ipv6Addr),
    /// A name server's name.
    Ns(String),
    /// The zone's numbers.
    Soa(Soa),
    /// Text.
    Txt(String),
    /// What RFC 8482 gives for ANY.
    Hinfo {
        /// `RFC8482`
        cpu: String,
        /// Empty.
        os: String,
    },
}

/// The zone's numbers (RFC 1035 §3.3.13).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Soa {
    /// The first name server.
    pub mname: String,
    /// Whom to write to: `hostmaster.DOMAIN`.
    pub rname: String,
    /// The store's revision, modulo 2^32.
    pub serial: u32,
    /// Seconds between refreshes by secondaries.
    pub refresh_s: u32,
    /// Seconds between their retries.
    pub retry_s: u32,
    /// Seconds until they give up.
    pub expire_s: u32,
    /// Seconds that a negative answer may be cached.
    pub minimum_s: u32,
}

/// What to answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The response code.
    pub rcode: Rcode,
    /// The AA bit.
    pub authoritative: bool,
    /// Answer section.
    pub answers: Vec<Record>,
    /// Authority section.
    pub authority: Vec<Record>,
    /// Additional section, without OPT.
    pub additional: Vec<Record>,
}

impl Zone {
    /// A zone for a domain. `nameservers` are members' names, or full names; where empty, the first
    /// [`DEFAULT_NAMESERVERS`] members by name are it.
    #[must_use]
    pub fn new(domain: &str, nameservers: &[String]) -> Self {
        let tidy = |name: &str| name.trim().trim_end_matches('.').to_ascii_lowercase();
        Self {
            domain: tidy(domain),
            nameservers: nameservers.iter().map(|n| tidy(n)).filter(|n| !n.is_empty()).collect(),
        }
    }

    /// The domain, in lower case without the dot at the end.
    #[must_use]
    pub fn domain(&self) -> &str {
        &self.domain
    }

    /// Full names of the name servers, in order.
    #[must_use]
    pub fn nameservers(&self, view: &ClusterView) -> Vec<String> {
        if self.nameservers.is_empty() {
            let mut hosts: Vec<String> =
                view.catalog.members.values().filter_map(|m| node_host(m, &self.domain)).collect();
            hosts.sort();
            hosts.truncate(DEFAULT_NAMESERVERS);
            return hosts;
        }
        // A bare word is a member's name; a name with dots stands for itself.
        let full = |name: &String| if name.contains('.') { name.clone() } else { format!("{name}.{}", self.domain) };
        self.nameservers.iter().map(full).collect()
    }

    fn holds(&self, name: &str) -> bool {
        !self.domain.is_empty()
            && (name == self.domain || name.strip_suffix(&self.domain).is_some_and(|rest| rest.ends_with('.')))
    }

    fn soa(&self, view: &ClusterView) -> Record {
        let mname = self.nameservers(view).into_iter().next().unwrap_or_else(|| self.domain.clone());
        let serial = u32::try_from(view.catalog.revision.rem_euclid(1 << 32)).unwrap_or(0);
        let rname = format!("hostmaster.{}", self.domain);
        let soa = Soa { mname, rname, serial, refresh_s: 60, retry_s: 10, expire_s: 3600, minimum_s: NEGATIVE_TTL_S };
        Record { name: self.domain.clone(), ttl_s: NEGATIVE_TTL_S, data: RecordData::Soa(soa) }
    }
}

/// Answers a question. `seed` decides the order of addresses.
#[must_use]
pub fn answer(zone: &Zone, view: &ClusterView, question: &Question, seed: u64) -> Answer {
    let name = question.name.trim_end_matches('.').to_ascii_lowercase();
    let transfer = matches!(question.qtype, qtype::AXFR | qtype::IXFR);
    if question.qclass != CLASS_IN || transfer || !zone.holds(&name) {
        return Answer {
            rcode: Rcode::Refused,
            authoritative: false,
            answers: Vec::new(),
            authority: Vec::new(),
            additional: Vec::new(),
        };
    }
    let answers = if name == zone.domain {
        apex(zone, view, question.qtype, seed)
    } else {
        node(zone, view, &name, question.qtype)
    };
    let (rcode, answers) = match answers {
        Some(_) if question.qtype == qtype::ANY => (Rcode::NoError, vec![minimal_any(&name)]),
        Some(answers) => (Rcode::NoError, answers),
        None => (Rcode::NxDomain, Vec::new()),
    };
    let authority = if answers.is_empty() { vec![zone.soa(view)] } else { Vec::new() };
    let wants_glue = answers.iter().any(|r| matches!(r.data, RecordData::Ns(_)));
    let additional = if wants_glue { glue(zone, view) } else { Vec::new() };
    Answer { rcode, authoritative: true, answers, authority, additional }
}

fn apex(zone: &Zone, view: &ClusterView, kind: u16, seed: u64) -> Option<Vec<Record>> {
    Some(match kind {
        qtype::A | qtype::AAAA => {
            let of_kind = |ip: &IpAddr| is_kind(ip, kind);
            // By family: a fit node with IPv6 only must not hide the others from listeners with IPv4 only.
            let nodes = usable(view, |member| member.public.ips.iter().any(of_kind));
            let mut ips: Vec<IpAddr> = Vec::new();
            for member in nodes.iter().filter_map(|id| view.catalog.members.get(id)) {
                for ip in member.public.ips.iter().filter(|ip| of_kind(ip)) {
                    if !ips.contains(ip) {
                        ips.push(*ip);
                    }
                }
            }
            Dice::new(seed).shuffle(&mut ips);
            ips.truncate(MAX_ADDRESSES);
            ips.into_iter().map(|ip| address(&zone.domain, ip)).collect()
        }
        qtype::NS => nameserver_records(zone, view),
        qtype::SOA => vec![zone.soa(view)],
        _ => Vec::new(),
    })
}

/// Records of a name below the apex; `None` where there is no such name.
fn node(zone: &Zone, view: &ClusterView, name: &str, kind: u16) -> Option<Vec<Record>> {
    let below = format!(".{name}");
    // Certificates by DNS come later; the name is there, without records.
    let mut exists = name.strip_suffix(&zone.domain) == Some("_acme-challenge.");
    let mut records = Vec::new();
    for member in view.catalog.members.values() {
        let Some(host) = node_host(member, &zone.domain) else { continue };
        // A name on the way to another exists, but has no records (RFC 8020, RFC 4592 §2.2.2).
        exists |= host == name || host.ends_with(&below);
        if host == name {
            records.extend(addresses(member, name).into_iter().filter(|r| record_is_kind(r, kind)));
        }
    }
    records.truncate(MAX_ADDRESSES);
    exists.then_some(records)
}

fn nameserver_records(zone: &Zone, view: &ClusterView) -> Vec<Record> {
    let record = |host| Record { name: zone.domain.clone(), ttl_s: NAMESERVER_TTL_S, data: RecordData::Ns(host) };
    zone.nameservers(view).into_iter().map(record).collect()
}

fn glue(zone: &Zone, view: &ClusterView) -> Vec<Record> {
    let hosts = zone.nameservers(view);
    let of = |host: &String| {
        let members = view.catalog.members.values().filter(|m| node_host(m, &zone.domain).as_ref() == Some(host));
        members.flat_map(|member| addresses(member, host)).collect::<Vec<_>>()
    };
    hosts.iter().flat_map(of).collect()
}

fn addresses(member: &Member, name: &str) -> Vec<Record> {
    member.public.ips.iter().take(MAX_ADDRESSES).map(|ip| address(name, *ip)).collect()
}

fn address(name: &str, ip: IpAddr) -> Record {
    let data = match ip {
        IpAddr::V4(ip) => RecordData::A(ip),
        IpAddr::V6(ip) => RecordData::Aaaa(ip),
    };
    Record { name: name.to_owned(), ttl_s: ADDRESS_TTL_S, data }
}

fn is_kind(ip: &IpAddr, kind: u16) -> bool {
    ip.is_ipv4() && kind == qtype::A || ip.is_ipv6() && kind == qtype::AAAA
}

fn record_is_kind(record: &Record, kind: u16) -> bool {
    match &record.data {
        RecordData::A(_) => kind == qtype::A,
        RecordData::Aaaa(_) => kind == qtype::AAAA,
        _ => false,
    }
}

fn minimal_any(name: &str) -> Record {
    let data = RecordData::Hinfo { cpu: "RFC8482".into(), os: String::new() };
    Record { name: name.to_owned(), ttl_s: ADDRESS_TTL_S, data }
}

#[cfg(test)]
mod tests;
