//! The machine from outside: etcd's semantics, its past faults by name, and a simple model to compare with.
#![allow(clippy::unwrap_used, reason = "a test")]

mod alarms;
mod audit;
mod auth;
mod catalog;
mod faults;
mod model;
mod random;
mod reborn;
mod semantics;
mod trust;

use autoradio_machine::{
    Applied, Command, Compare, CompareResult, CompareTarget, DeleteRequest, InitRequest, Machine, Member, Op,
    PutRequest, RangeRequest, Response, TxnRequest,
};
use bytes::Bytes;

fn bytes(text: &str) -> Bytes {
    Bytes::copy_from_slice(text.as_bytes())
}

fn put(key: &str, value: &str) -> PutRequest {
    PutRequest { key: bytes(key), value: bytes(value), ..PutRequest::default() }
}

fn delete(key: &str, end: &str) -> DeleteRequest {
    DeleteRequest { key: bytes(key), range_end: bytes(end), prev_kv: true }
}

fn get(key: &str, end: &str) -> RangeRequest {
    RangeRequest { key: bytes(key), range_end: bytes(end), ..RangeRequest::default() }
}

fn compare(key: &str, result: CompareResult, target: CompareTarget) -> Compare {
    Compare { key: bytes(key), range_end: Bytes::new(), result, target }
}

fn txn(compare: Vec<Compare>, success: Vec<Op>, failure: Vec<Op>) -> Command {
    Command::Txn(TxnRequest { compare, success, failure })
}

/// A machine that counts its log itself.
#[derive(Default)]
struct Run {
    machine: Machine,
    index: u64,
}

impl Run {
    fn apply(&mut self, command: Command) -> Applied {
        self.index += 1;
        // As through the log.
        let command = Command::decode(&command.encode()).expect("what was encoded can be decoded");
        self.machine.apply(self.index, &command)
    }

    fn ok(&mut self, command: Command) -> Response {
        self.apply(command.clone()).result.unwrap_or_else(|e| panic!("{command:?}: {e}"))
    }

    fn keys(&self, request: &RangeRequest) -> Vec<String> {
        let found = self.machine.range(request).expect("the range can be read");
        found.kvs.iter().map(|kv| String::from_utf8_lossy(&kv.key).into_owned()).collect()
    }
}

fn member(id: u64, name: &str) -> Member {
    Member { id, name: name.into(), peer_urls: vec![format!("http://{name}:2380")], ..Member::default() }
}

fn cluster() -> Run {
    let mut run = Run::default();
    let members = vec![member(1, "host1"), member(2, "host2")];
    run.ok(Command::Init(InitRequest { cluster_id: 7, members }));
    run
}
