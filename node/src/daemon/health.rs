//! `/health`, as etcd answers it: whether a linearizable read can be had, or with `?serializable=true` whether this node
//! alone is well.

use axum::{
    Json,
    extract::{RawQuery, State},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde_json::json;

use crate::{context::Context, etcd, raft::RaftError};

/// What is asked.
#[derive(Debug, Default, PartialEq, Eq)]
struct Asked {
    serializable: bool,
    /// Alarms that do not count, by etcd's names.
    exclude: Vec<String>,
}

impl Asked {
    /// As etcd reads it: words that it does not know are no fault.
    fn of(query: &str) -> Self {
        let words = || query.split('&');
        let exclude = words().filter_map(|word| word.strip_prefix("exclude=")).map(str::to_owned).collect();
        Self { serializable: words().any(|word| word == "serializable=true"), exclude }
    }
}

pub(super) async fn health(State(context): State<Context>, RawQuery(query): RawQuery) -> Response {
    let asked = Asked::of(&query.unwrap_or_default());
    let reason = reason(&context, &asked).await;
    let (code, healthy) = if reason.is_empty() {
        (StatusCode::OK, "true")
    } else {
        tracing::debug!(reason, "/health says no");
        (StatusCode::SERVICE_UNAVAILABLE, "false")
    };
    (code, Json(json!({ "health": healthy, "reason": reason }))).into_response()
}

/// What is wrong, in etcd's words; empty when nothing is.
async fn reason(context: &Context, asked: &Asked) -> String {
    const NO_LEADER: &str = "RAFT NO LEADER";
    let status = context.raft.status();
    if let Some(fatal) = status.fatal {
        return format!("RANGE ERROR:{fatal}");
    }
    let alarms = context.raft.read(autoradio_machine::Machine::alarms);
    // This node's own disk, as long as it has no room; no alarm that somebody has to disarm.
    let full = context.raft.space().full.then(|| etcd::alarms::name(autoradio_machine::AlarmKind::NoSpace));
    let mut standing = full.into_iter().chain(alarms.iter().map(|alarm| etcd::alarms::name(alarm.kind)));
    if let Some(name) = standing.find(|name| !asked.exclude.iter().any(|excluded| excluded == name)) {
        return format!("ALARM {name}");
    }
    if asked.serializable {
        return String::new();
    }
    if status.leader.is_none() {
        return NO_LEADER.into();
    }
    match context.raft.barrier().await {
        Ok(()) => String::new(),
        Err(RaftError::NoLeader) => NO_LEADER.into(),
        Err(error) => format!("RANGE ERROR:{error}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_true_is_true() {
        let two = Asked::of("exclude=NOSPACE&x&exclude=CORRUPT");
        assert_eq!((two.serializable, two.exclude), (false, vec!["NOSPACE".into(), "CORRUPT".into()]));
        assert!(Asked::of("exclude=NOSPACE&serializable=true").serializable);
        for other in ["", "serializable=1", "serializable=", "serializable", "x=serializable=true"] {
            assert!(!Asked::of(other).serializable, "{other}");
        }
    }
}
