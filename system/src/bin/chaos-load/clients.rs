//! Clients that read, write, delete and swap.

use std::{collections::BTreeMap, time::Duration};

use autoradio_check::{Action, Op, Outcome, Revision, Value};
use autoradio_proto::etcd::{
    etcdserverpb::{
        Compare, DeleteRangeRequest, PutRequest, RangeRequest, RequestOp, ResponseHeader, TxnRequest,
        compare::{CompareResult, CompareTarget, TargetUnion},
        kv_client::KvClient,
        request_op::Request as OpRequest,
        response_op::Response as OpResponse,
    },
    mvccpb::KeyValue,
};
use bytes::Bytes;
use tokio::{
    task::JoinSet,
    time::{Instant, sleep, timeout},
};
use tonic::{Status, transport::Channel};

use crate::{KEYS, record::Recorder};

/// When a client gives up; what it asked for may be carried out or not.
const GIVE_UP: Duration = Duration::from_secs(3);
/// Between two operations of a client, at most.
const THINK_MS_MAX: u64 = 40;
/// Keys at a time, and how long: short histories are checked soon.
const KEYS_AT_ONCE: u64 = 4;
const KEYS_FOR_US: u64 = 3_000_000;
const LAST: &str = "chaos/last";
/// How often the cluster is probed; at most sixty probes wait at a time.
const PROBE_EVERY: Duration = Duration::from_millis(50);
/// The number of the client that a probe counts as.
const PROBE: u32 = u32::MAX - 1;

/// The key whose event is the last one.
pub(crate) fn is_last(key: &[u8]) -> bool {
    key == LAST.as_bytes()
}

pub(crate) fn value(bytes: &[u8]) -> Option<Value> {
    std::str::from_utf8(bytes).ok()?.parse().ok()
}

/// An answer: what it says, the store's revision, and the revision of what was seen.
type Told = (Action, Outcome, Option<Revision>, Option<Revision>);

/// The store's revision now, from any endpoint that answers; the first event comes after it.
pub(crate) async fn first_revision(channels: &[Channel]) -> Result<Revision, Status> {
    let mut failed = Status::unavailable("no endpoint");
    for channel in channels {
        match KvClient::new(channel.clone()).range(RangeRequest { key: LAST.into(), ..RangeRequest::default() }).await {
            Ok(reply) => return Ok(reply.into_inner().header.map_or(0, |header| header.revision) + 1),
            Err(status) => failed = status,
        }
    }
    Err(failed)
}

/// One client, for a time: stays with an endpoint until that does not answer.
pub(crate) async fn client(number: usize, channels: Vec<Channel>, recorder: Recorder, duration: Duration) {
    let (begun, mut random) = (Instant::now(), (number as u64 + 1) * 0x9e37_79b9_7f4a_7c15);
    let mut turn = number;
    let mut last_seen: BTreeMap<String, Value> = BTreeMap::new();
    let id = u32::try_from(number).unwrap_or(u32::MAX);
    while begun.elapsed() < duration {
        sleep(Duration::from_millis(roll(&mut random) % THINK_MS_MAX)).await;
        let called_us = recorder.now_us();
        let key = format!("{KEYS}{:05}-{}", called_us / KEYS_FOR_US, roll(&mut random) % KEYS_AT_ONCE);
        let asked = match roll(&mut random) % 100 {
            0..45 => Action::Read,
            45..70 => Action::Write(Some(recorder.fresh())),
            70..75 => Action::Write(None),
            _ => Action::Swap { from: last_seen.get(&key).copied(), to: recorder.fresh() },
        };
        let asking = ask(channels[turn % channels.len()].clone(), &key, asked);
        let answer = timeout(GIVE_UP, asking).await.ok().and_then(Result::ok);
        // Who reads may ask anybody; who was not answered asks another.
        turn += usize::from(answer.is_none() || asked == Action::Read);
        let (action, outcome, revision, written_at) = answer.unwrap_or((asked, Outcome::Unknown, None, None));
        let ended_us = recorder.now_us();
        let op = Op { client: id, key, action, called_us, ended_us, outcome, revision, written_at };
        let held = op.saw().flatten().or_else(|| op.writes().flatten().filter(|_| op.outcome == Outcome::Done));
        last_seen.extend(held.map(|value| (op.key.clone(), value)));
        recorder.push(op);
    }
}

/// Writes all the time, to every endpoint in turn, without waiting for the answers: so the time between two
/// acknowledgements is the cluster's and not that of clients which wait for a dead node.
pub(crate) async fn probe(channels: Vec<Channel>, recorder: Recorder, duration: Duration) {
    let (begun, mut asking) = (Instant::now(), JoinSet::new());
    for turn in 0usize.. {
        if begun.elapsed() >= duration {
            break;
        }
        sleep(PROBE_EVERY).await;
        while asking.try_join_next().is_some() {}
        let (channel, recorder) = (channels[turn % channels.len()].clone(), recorder.clone());
        asking.spawn(async move {
            let (called_us, asked) = (recorder.now_us(), Action::Write(Some(recorder.fresh())));
            let key = format!("{KEYS}probe-{:05}", called_us / KEYS_FOR_US);
            let answer = timeout(GIVE_UP, ask(channel, &key, asked)).await.ok().and_then(Result::ok);
            let (action, outcome, revision, written_at) = answer.unwrap_or((asked, Outcome::Unknown, None, None));
            let (client, ended_us) = (PROBE, recorder.now_us());
            recorder.push(Op { client, key, action, called_us, ended_us, outcome, revision, written_at });
        });
    }
    asking.join_all().await;
}

/// xorshift.
fn roll(random: &mut u64) -> u64 {
    *random ^= *random << 13;
    *random ^= *random >> 7;
    *random ^= *random << 17;
    *random
}

/// Puts the key that ends every watch; its revision.
pub(crate) async fn put_the_last(channels: &[Channel], recorder: &Recorder) -> Revision {
    for turn in 0.. {
        let (called_us, asked) = (recorder.now_us(), Action::Write(Some(recorder.fresh())));
        let asking = ask(channels[turn % channels.len()].clone(), LAST, asked);
        let answer = timeout(GIVE_UP, asking).await.ok().and_then(Result::ok);
        let (action, outcome, revision, written_at) = answer.unwrap_or((asked, Outcome::Unknown, None, None));
        let (client, key, ended_us) = (u32::MAX, LAST.to_owned(), recorder.now_us());
        recorder.push(Op { client, key, action, called_us, ended_us, outcome, revision, written_at });
        if let Some(revision) = revision {
            return revision;
        }
        sleep(Duration::from_millis(200)).await;
    }
    unreachable!("the caller limits the time")
}

async fn ask(channel: Channel, key: &str, action: Action) -> Result<Told, Status> {
    let (mut client, name) = (KvClient::new(channel), || Bytes::from(key.to_owned()));
    let revision = |header: Option<ResponseHeader>| header.map(|header| header.revision);
    match action {
        Action::Read => {
            let reply = client.range(RangeRequest { key: name(), ..RangeRequest::default() }).await?.into_inner();
            let (saw, written_at) = seen(reply.kvs.first());
            Ok((action, Outcome::Saw(saw), revision(reply.header), written_at))
        }
        Action::Write(Some(value)) => {
            let reply = client.put(put(name(), value)).await?.into_inner();
            Ok((action, Outcome::Done, revision(reply.header), None))
        }
        Action::Write(None) => {
            let request = DeleteRangeRequest { key: name(), ..DeleteRangeRequest::default() };
            let reply = client.delete_range(request).await?.into_inner();
            // Who deletes nothing has read that nothing is there.
            let told = if reply.deleted == 0 { (Action::Read, Outcome::Saw(None)) } else { (action, Outcome::Done) };
            Ok((told.0, told.1, revision(reply.header), None))
        }
        Action::Swap { from, to } => {
            let reply = client.txn(swap(&name(), from, to)).await?.into_inner();
            if reply.succeeded {
                return Ok((action, Outcome::Done, revision(reply.header), None));
            }
            let found = reply.responses.into_iter().next().and_then(|op| op.response);
            let Some(OpResponse::ResponseRange(found)) = found else {
                return Err(Status::internal("a swap that failed does not say what it found"));
            };
            let (saw, written_at) = seen(found.kvs.first());
            Ok((action, Outcome::NotSwapped(saw), revision(reply.header), written_at))
        }
    }
}

fn seen(kv: Option<&KeyValue>) -> (Option<Value>, Option<Revision>) {
    (kv.and_then(|kv| value(&kv.value)), kv.map(|kv| kv.mod_revision))
}

fn put(key: Bytes, value: Value) -> PutRequest {
    PutRequest { key, value: value.to_string().into(), ..PutRequest::default() }
}

fn swap(key: &Bytes, from: Option<Value>, to: Value) -> TxnRequest {
    let (target, union) = match from {
        Some(from) => (CompareTarget::Value, TargetUnion::Value(from.to_string().into())),
        None => (CompareTarget::Create, TargetUnion::CreateRevision(0)),
    };
    let compare = Compare {
        result: CompareResult::Equal.into(),
        target: target.into(),
        key: key.clone(),
        target_union: Some(union),
        ..Compare::default()
    };
    let op = |request| vec![RequestOp { request: Some(request) }];
    let range = RangeRequest { key: key.clone(), ..RangeRequest::default() };
    TxnRequest {
        compare: vec![compare],
        success: op(OpRequest::RequestPut(put(key.clone(), to))),
        failure: op(OpRequest::RequestRange(range)),
    }
}
