//! What each member holds in the end.

use std::time::Duration;

use autoradio_check::{FinalState, Revision};
use autoradio_proto::etcd::etcdserverpb::{
    HashKvRequest, RangeRequest, kv_client::KvClient, maintenance_client::MaintenanceClient,
};
use tokio::time::sleep;
use tonic::{Status, transport::Channel};

use crate::{KEYS, clients::value};

const AGAIN: Duration = Duration::from_millis(200);

/// All members at one revision; waits until each has come so far.
pub(crate) async fn of_all(endpoints: &[String], channels: &[Channel], revision: Revision) -> Vec<FinalState> {
    let mut finals = Vec::new();
    for (endpoint, channel) in endpoints.iter().zip(channels) {
        finals.push(loop {
            match of_one(endpoint, channel, revision).await {
                Ok(state) => break state,
                Err(_) => sleep(AGAIN).await,
            }
        });
    }
    finals
}

/// From the member itself: no other is asked.
async fn of_one(endpoint: &str, channel: &Channel, revision: Revision) -> Result<FinalState, Status> {
    let mut end = KEYS.as_bytes().to_vec();
    if let Some(byte) = end.last_mut() {
        *byte += 1;
    }
    let request = RangeRequest {
        key: KEYS.into(),
        range_end: end.into(),
        revision,
        serializable: true,
        ..RangeRequest::default()
    };
    let found = KvClient::new(channel.clone()).range(request).await?.into_inner();
    let hash = MaintenanceClient::new(channel.clone()).hash_kv(HashKvRequest { revision }).await?.into_inner();
    let pair = |kv: &autoradio_proto::etcd::mvccpb::KeyValue| {
        Some((String::from_utf8_lossy(&kv.key).into_owned(), (value(&kv.value)?, kv.mod_revision)))
    };
    let keys = found.kvs.iter().filter_map(pair).collect();
    Ok(FinalState { member: endpoint.to_owned(), revision, hash: hash.hash, keys })
}
