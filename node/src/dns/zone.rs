//! The cluster's zone for the wire: questions into policy's words, and its answers into records.

use autoradio_policy::dns::{self, Answer, Question, Rcode, RecordData};
use hickory_proto::{
    op::ResponseCode,
    rr::{
        DNSClass, Name, RData, Record, RecordType,
        rdata::{A, AAAA, HINFO, NS, SOA, TXT},
    },
};

use super::handler::{Reply, Zone};
use crate::view::ViewHandle;

/// The domain, as the view has it at the moment of the question.
pub(super) struct ClusterZone {
    zone: dns::Zone,
    view: ViewHandle,
}

impl ClusterZone {
    pub(super) fn new(domain: &str, nameservers: &[String], view: ViewHandle) -> Self {
        Self { zone: dns::Zone::new(domain, nameservers), view }
    }
}

impl Zone for ClusterZone {
    fn reply(&self, asked: &Name, kind: RecordType, class: DNSClass) -> Reply {
        let lower = asked.to_lowercase();
        let question = Question {
            name: lower.to_ascii().trim_end_matches('.').to_owned(),
            qtype: kind.into(),
            qclass: class.into(),
        };
        reply_of(asked, &lower, dns::answer(&self.zone, &self.view.now(), &question, seed()))
    }
}

/// Decides the order of addresses only; without randomness they come in one order.
fn seed() -> u64 {
    getrandom::u64().unwrap_or_default()
}

fn reply_of(asked: &Name, lower: &Name, answer: Answer) -> Reply {
    let records = |section: Vec<dns::Record>| section.iter().map(|r| record(asked, lower, r)).collect::<Option<_>>();
    let all = (records(answer.answers), records(answer.authority), records(answer.additional));
    let (Some(answers), Some(authorities), Some(additionals)) = all else {
        tracing::warn!(name = %asked, "a name in the zone cannot be written on the wire; check --domain and --nameservers");
        return Reply::error(ResponseCode::ServFail);
    };
    let code = match answer.rcode {
        Rcode::NoError => ResponseCode::NoError,
        Rcode::NxDomain => ResponseCode::NXDomain,
        Rcode::Refused => ResponseCode::Refused,
    };
    Reply { code, authoritative: answer.authoritative, answers, authorities, additionals }
}

fn record(asked: &Name, lower: &Name, record: &dns::Record) -> Option<Record> {
    let owner = name(&record.name)?;
    // 0x20: the owner is in the case of the question.
    let owner = if owner == *lower { asked.clone() } else { owner };
    let data = match &record.data {
        RecordData::A(ip) => RData::A(A(*ip)),
        RecordData::Aaaa(ip) => RData::AAAA(AAAA(*ip)),
        RecordData::Ns(host) => RData::NS(NS(name(host)?)),
        RecordData::Txt(text) => RData::TXT(TXT::new(text.as_bytes().chunks(255).map(text_chunk).collect())),
        RecordData::Hinfo { cpu, os } => RData::HINFO(HINFO::new(cpu.clone(), os.clone())),
        RecordData::Soa(soa) => RData::SOA(SOA::new(
            name(&soa.mname)?,
            name(&soa.rname)?,
            soa.serial,
            seconds(soa.refresh_s),
            seconds(soa.retry_s),
            seconds(soa.expire_s),
            soa.minimum_s,
        )),
    };
    Some(Record::from_rdata(owner, record.ttl_s, data))
}

/// A character string of TXT holds 255 bytes at most.
fn text_chunk(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn seconds(value: u32) -> i32 {
    i32::try_from(value).unwrap_or(i32::MAX)
}

fn name(text: &str) -> Option<Name> {
    let mut name = Name::from_ascii(text).ok()?;
    name.set_fqdn(true);
    Some(name)
}

#[cfg(test)]
#[path = "zone_tests.rs"]
mod tests;
