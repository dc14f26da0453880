//! `/v2/stats/*`: who leads since when, and the counts of a v2 key store that nobody can use here, so that they are all
//! 0 as those of an etcd that is used through v3 alone. Delays between members are in `/metrics`, not here.

use std::time::Duration;

use autoradio_machine::hex_id;
use autoradio_store::Role;
use axum::{
    Json,
    extract::State,
    http::{StatusCode, header::CONTENT_TYPE},
    response::{IntoResponse, Response},
};
use serde_json::{Map, json};

use super::{answer::Error, duration};
use crate::context::Context;

/// The counters of etcd's v2 store, in its order.
const STORE: [&str; 16] = [
    "getsSuccess",
    "getsFail",
    "setsSuccess",
    "setsFail",
    "deleteSuccess",
    "deleteFail",
    "updateSuccess",
    "updateFail",
    "createSuccess",
    "createFail",
    "compareAndSwapSuccess",
    "compareAndSwapFail",
    "compareAndDeleteSuccess",
    "compareAndDeleteFail",
    "expireCount",
    "watchers",
];

/// `/v2/stats/self`.
#[derive(serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Own {
    name: String,
    id: String,
    state: &'static str,
    start_time: String,
    leader_info: LeaderInfo,
    recv_append_request_cnt: u64,
    send_append_request_cnt: u64,
}

#[derive(serde::Serialize)]
#[serde(rename_all = "camelCase")]
struct LeaderInfo {
    leader: String,
    uptime: String,
    start_time: String,
}

/// This node and its leader. How long that one leads is not kept: the node's own start stands for it.
pub(super) async fn own(State(context): State<Context>) -> Json<Own> {
    let status = context.raft.status();
    let state = match status.role {
        Role::Leader => "StateLeader",
        Role::Candidate => "StateCandidate",
        Role::Follower | Role::Learner => "StateFollower",
    };
    let started = context.metrics.started_at();
    let up = Duration::try_from(jiff::Timestamp::now().duration_since(started)).unwrap_or_default();
    let (leader, start_time) = (status.leader.map(hex_id).unwrap_or_default(), started.to_string());
    Json(Own {
        name: context.config.name.clone(),
        id: hex_id(context.raft.node_id()),
        state,
        start_time: start_time.clone(),
        leader_info: LeaderInfo { leader, uptime: duration::go(up), start_time },
        recv_append_request_cnt: 0,
        send_append_request_cnt: 0,
    })
}

/// The counters of the v2 store.
pub(super) async fn store() -> Response {
    let counters: Vec<String> = STORE.iter().map(|name| format!("\"{name}\":0")).collect();
    ([(CONTENT_TYPE, "application/json")], format!("{{{}}}", counters.join(","))).into_response()
}

/// The leader's followers; refused by others, as by etcd.
pub(super) async fn leader(State(context): State<Context>) -> Response {
    let status = context.raft.status();
    if status.role != Role::Leader {
        return Error::new(StatusCode::FORBIDDEN, "not current leader").into_response();
    }
    let others = status.voters.iter().chain(&status.learners).filter(|id| **id != status.node_id);
    let unknown = json!({
        "latency": { "current": 0, "average": 0, "standardDeviation": 0, "minimum": 0, "maximum": 0 },
        "counts": { "fail": 0, "success": 0 },
    });
    let followers: Map<_, _> = others.map(|id| (hex_id(*id), unknown.clone())).collect();
    Json(json!({ "leader": hex_id(status.node_id), "followers": followers })).into_response()
}
