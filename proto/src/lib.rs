//! The wire of autoradio: services between nodes, and the administrator's. Generated from `proto/*.proto`.
#![allow(missing_docs, clippy::all, clippy::too_many_lines, unreachable_pub)]

/// Between nodes.
pub mod peer {
    tonic::include_proto!("autoradio.peer.v1");
}

/// For radioctl.
pub mod admin {
    tonic::include_proto!("autoradio.admin.v1");
}
