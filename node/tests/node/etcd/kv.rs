//! The KV service.

use autoradio_proto::etcd::etcdserverpb::{
    CompactionRequest, Compare, DeleteRangeRequest, PutRequest, RangeRequest, RequestOp, TxnRequest,
    compare::{CompareResult, CompareTarget, TargetUnion},
    range_request::{SortOrder, SortTarget},
    request_op::Request,
    response_op::Response,
};
use tonic::Code;

use super::{bytes, kv, put, range, seen};
use crate::support::Cluster;

fn op(request: Request) -> RequestOp {
    RequestOp { request: Some(request) }
}

fn equal(key: &str, target: CompareTarget, union: TargetUnion) -> Compare {
    Compare {
        result: CompareResult::Equal.into(),
        target: target.into(),
        key: bytes(key),
        target_union: Some(union),
        ..Compare::default()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn puts_ranges_and_deletes_on_any_node_carry_whole_headers() {
    let cluster = Cluster::start(3).await;
    let mut revision = 0;
    for index in 0..3 {
        let mut client = kv(&cluster, index);
        let header = client.put(put(&format!("k{index}"), "v")).await.unwrap().into_inner().header.unwrap();
        let raft = &cluster.context(index).raft;
        assert_eq!((header.cluster_id, header.member_id), (raft.cluster_id(), raft.node_id()));
        assert!(header.raft_term > 0 && header.revision > revision);
        revision = header.revision;
    }
    let mut client = kv(&cluster, 0);
    let all = client.range(range("k", "l")).await.unwrap().into_inner();
    assert_eq!((all.kvs.len(), all.count, all.more), (3, 3, false));
    assert!(all.header.unwrap().revision >= revision);
    let request = RangeRequest {
        limit: 2,
        keys_only: true,
        serializable: true,
        sort_order: SortOrder::Descend.into(),
        sort_target: SortTarget::Create.into(),
        ..range("k", "l")
    };
    let cut = client.range(request).await.unwrap().into_inner();
    let keys: Vec<_> = cut.kvs.iter().map(|kv| String::from_utf8_lossy(&kv.key)).collect();
    assert_eq!((keys, cut.count, cut.more), (vec!["k2".into(), "k1".into()], 3, true));
    assert!(cut.kvs.iter().all(|kv| kv.value.is_empty() && kv.version == 1));
    let counted = client.range(RangeRequest { count_only: true, ..range("k", "\0") }).await.unwrap().into_inner();
    assert_eq!((counted.kvs.len(), counted.count), (0, 3));
    let newer = client.range(RangeRequest { min_mod_revision: revision, ..range("k", "l") }).await.unwrap();
    assert_eq!(newer.into_inner().kvs.len(), 1);
    let before = client.put(PutRequest { prev_kv: true, ..put("k0", "w") }).await.unwrap().into_inner();
    assert_eq!(before.prev_kv.unwrap().value, "v");
    let delete = DeleteRangeRequest { key: bytes("k"), range_end: bytes("l"), prev_kv: true };
    let gone = client.delete_range(delete).await.unwrap().into_inner();
    assert_eq!((gone.deleted, gone.prev_kvs.len()), (3, 3));
    let past = client.range(RangeRequest { revision, ..range("k", "l") }).await.unwrap().into_inner();
    assert_eq!((past.count, &past.kvs[0].value[..]), (3, &b"v"[..]));
    cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_have_etcds_codes_and_texts() {
    let cluster = Cluster::start(1).await;
    let mut client = kv(&cluster, 0);
    client.put(put("a", "1")).await.unwrap();
    let invalid = |text: &str| (Code::InvalidArgument, text.to_owned());
    assert_eq!(seen(client.range(range("", "")).await), invalid("etcdserver: key is not provided"));
    assert_eq!(seen(client.put(put("", "x")).await), invalid("etcdserver: key is not provided"));
    let keep = PutRequest { ignore_value: true, ..put("none", "") };
    assert_eq!(seen(client.put(keep.clone()).await), invalid("etcdserver: key not found"));
    let both = PutRequest { value: bytes("x"), ..keep };
    assert_eq!(seen(client.put(both).await), invalid("etcdserver: value is provided"));
    let both = PutRequest { ignore_lease: true, lease: 7, ..put("a", "1") };
    assert_eq!(seen(client.put(both).await), invalid("etcdserver: lease is provided"));
    let no_lease = (Code::NotFound, "etcdserver: requested lease not found".to_owned());
    assert_eq!(seen(client.put(PutRequest { lease: 7, ..put("a", "1") }).await), no_lease);
    let future = (Code::OutOfRange, "etcdserver: mvcc: required revision is a future revision".to_owned());
    assert_eq!(seen(client.range(RangeRequest { revision: 999, ..range("a", "") }).await), future);
    let sorted = RangeRequest { sort_target: 9, ..range("a", "\0") };
    assert_eq!(seen(client.range(sorted).await), invalid("etcdserver: invalid sort option"));
    let large = put("a", &"x".repeat(1_572_864));
    assert_eq!(seen(client.put(large).await), invalid("etcdserver: request is too large"));
    let foreign = seen(client.put(put("autoradio/members/x", "{}")).await);
    assert!(foreign.0 == Code::InvalidArgument && foreign.1.contains("radioctl"), "{foreign:?}");
    let many = TxnRequest { success: vec![op(Request::RequestPut(put("a", "1"))); 129], ..TxnRequest::default() };
    assert_eq!(seen(client.txn(many).await), invalid("etcdserver: too many operations in txn request"));
    let twice = TxnRequest { success: vec![op(Request::RequestPut(put("a", "1"))); 2], ..TxnRequest::default() };
    assert_eq!(seen(client.txn(twice).await), invalid("etcdserver: duplicate key given in txn request"));
    let mut deep = TxnRequest::default();
    for _ in 0..20 {
        deep = TxnRequest { success: vec![op(Request::RequestTxn(deep))], ..TxnRequest::default() };
    }
    assert_eq!(seen(client.txn(deep).await).0, Code::InvalidArgument);
    cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn transactions_compare_nest_and_answer_in_order() {
    let cluster = Cluster::start(1).await;
    let mut client = kv(&cluster, 0);
    client.put(put("a", "1")).await.unwrap();
    let inner = TxnRequest {
        compare: vec![equal("none", CompareTarget::Create, TargetUnion::CreateRevision(0))],
        success: vec![op(Request::RequestPut(put("c", "3"))), op(Request::RequestRange(range("c", "")))],
        ..TxnRequest::default()
    };
    let request = TxnRequest {
        compare: vec![
            equal("a", CompareTarget::Value, TargetUnion::Value(bytes("1"))),
            equal("a", CompareTarget::Version, TargetUnion::Version(1)),
            equal("a", CompareTarget::Lease, TargetUnion::Lease(0)),
        ],
        success: vec![
            op(Request::RequestPut(PutRequest { prev_kv: true, ..put("a", "2") })),
            op(Request::RequestTxn(inner)),
            op(Request::RequestRange(range("b", "d"))),
        ],
        failure: vec![op(Request::RequestDeleteRange(DeleteRangeRequest { key: bytes("a"), ..Default::default() }))],
    };
    let done = client.txn(request.clone()).await.unwrap().into_inner();
    let revision = done.header.unwrap().revision;
    assert!(done.succeeded);
    let answers: Vec<_> = done.responses.into_iter().map(|response| response.response.unwrap()).collect();
    let [Response::ResponsePut(first), Response::ResponseTxn(second), Response::ResponseRange(third)] = &answers[..]
    else {
        panic!("{answers:?}")
    };
    assert_eq!(first.prev_kv.as_ref().unwrap().value, "1");
    assert!(second.succeeded && second.responses.len() == 2);
    assert_eq!((third.kvs.len(), third.kvs[0].mod_revision), (1, revision));
    let failed = client.txn(request).await.unwrap().into_inner();
    assert!(!failed.succeeded && failed.header.unwrap().revision == revision + 1);
    // Only reads: no revision, and no entry.
    let reads = TxnRequest { success: vec![op(Request::RequestRange(range("c", "")))], ..TxnRequest::default() };
    let read = client.txn(reads).await.unwrap().into_inner();
    assert!(read.succeeded && read.header.unwrap().revision == revision + 1);
    cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn compaction_forgets_and_says_so() {
    let cluster = Cluster::start(1).await;
    let mut client = kv(&cluster, 0);
    client.put(put("a", "1")).await.unwrap();
    let revision = client.put(put("a", "2")).await.unwrap().into_inner().header.unwrap().revision;
    client.compact(CompactionRequest { revision, physical: true }).await.unwrap();
    let gone = (Code::OutOfRange, "etcdserver: mvcc: required revision has been compacted".to_owned());
    assert_eq!(seen(client.range(RangeRequest { revision: revision - 1, ..range("a", "") }).await), gone);
    assert_eq!(seen(client.compact(CompactionRequest { revision, physical: false }).await), gone);
    let future = (Code::OutOfRange, "etcdserver: mvcc: required revision is a future revision".to_owned());
    assert_eq!(seen(client.compact(CompactionRequest { revision: 9_999, physical: false }).await), future);
    assert_eq!(client.range(RangeRequest { revision, ..range("a", "") }).await.unwrap().into_inner().count, 1);
    cluster.shutdown().await;
}
