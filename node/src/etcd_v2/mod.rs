//! What `ETCDCTL_API=2` and old scripts need of etcd's v2 API on the client port: members and statistics (etcd 3.4's
//! documents `members_api.md` and `v2/api.md`). There is no v2 key store. Answers were compared with etcd 3.4's.

mod access;
mod answer;
mod duration;
mod members;
mod stats;
mod urls;

use axum::{
    Router,
    extract::State,
    middleware,
    response::{IntoResponse, Response},
    routing::{any, get},
};

use crate::context::Context;

/// The v2 API's paths.
pub fn router(context: Context) -> Router {
    let id = any(members::one);
    Router::new()
        .route("/v2/members", any(members::all))
        .route("/v2/members/", any(members::all))
        .route("/v2/members/{id}", id)
        .layer(middleware::map_response_with_state(context.clone(), answer::with_cluster_id))
        .route("/v2/machines", get(machines).fallback(answer::only_get))
        .route("/v2/stats/self", get(stats::own).fallback(answer::only_get))
        .route("/v2/stats/store", get(stats::store).fallback(answer::only_get))
        .route("/v2/stats/leader", get(stats::leader).fallback(answer::only_get))
        .with_state(context)
}

/// Where all members' clients reach them, as etcd's first clients asked for it.
async fn machines(State(context): State<Context>) -> Response {
    let catalog = context.raft.catalog();
    let urls: Vec<&str> = catalog.members.values().flat_map(|m| m.client_urls.iter().map(String::as_str)).collect();
    urls.join(", ").into_response()
}
