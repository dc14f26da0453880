//! Bounds on the client port that clients of gRPC meet; those of connections are tested in `daemon/http`.

use bytes::Bytes;
use tonic::Code;

use super::{Watching, kv, put, seen, watch};
use crate::support::Cluster;

/// etcd's `--max-request-bytes`.
const REQUEST_MAX_BYTES: usize = 1_572_864;

#[tokio::test(flavor = "multi_thread")]
async fn requests_are_bounded_in_etcds_words() {
    let cluster = Cluster::start(1).await;
    let sized = |bytes: usize| {
        let mut request = put("a", "");
        request.value = Bytes::from(vec![b'x'; bytes]);
        request
    };
    kv(&cluster, 0).put(sized(REQUEST_MAX_BYTES - 1_000)).await.unwrap();
    let large = seen(kv(&cluster, 0).put(sized(REQUEST_MAX_BYTES + 1)).await);
    assert_eq!(large, (Code::InvalidArgument, "etcdserver: request is too large".into()));
    let (code, text) = seen(kv(&cluster, 0).put(sized(3 << 20)).await);
    assert_eq!(code, Code::ResourceExhausted, "{text}");
    assert!(
        text.starts_with("grpc: received message larger than max (31457") && text.ends_with(" vs. 2097152)"),
        "{text}"
    );

    let mut watching = Watching::open(&cluster, 0).await;
    let mut request = watch("a", "", 0);
    request.key = Bytes::from(vec![b'x'; 3 << 20]);
    watching.ask(autoradio_proto::etcd::etcdserverpb::watch_request::RequestUnion::CreateRequest(request)).await;
    let ended = tokio::time::timeout(crate::support::LIMIT, watching.answers.message()).await.unwrap();
    assert_eq!(seen(ended).0, Code::ResourceExhausted);
    cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn watches_of_a_stream_are_bounded() {
    const MOST: usize = 10_000;
    let cluster = Cluster::start(1).await;
    let mut watching = Watching::open(&cluster, 0).await;
    let Watching { requests, .. } = &watching;
    let requests = requests.clone();
    let asking = tokio::spawn(async move {
        for _ in 0..=MOST {
            let create =
                autoradio_proto::etcd::etcdserverpb::watch_request::RequestUnion::CreateRequest(watch("w", "", 0));
            let request = autoradio_proto::etcd::etcdserverpb::WatchRequest { request_union: Some(create) };
            requests.send(request).await.expect("the stream lives");
        }
    });
    for _ in 0..MOST {
        let created = watching.next().await;
        assert!(created.created && !created.canceled, "{created:?}");
    }
    let refused = watching.next().await;
    assert!(refused.created && refused.canceled && refused.watch_id == -1, "{refused:?}");
    assert!(refused.cancel_reason.contains("too many watches"), "{refused:?}");
    asking.await.unwrap();
    cluster.shutdown().await;
}
