//! The parts of a node, started in order. They meet in the [`Context`] only.

use std::{collections::BTreeMap, sync::Arc};

use autoradio_policy::Load;

use super::StartError;
use crate::{context::Context, dns, icecast, peer::FabricService, status};

/// Starts all parts; each stops with `context.stop`.
pub(super) async fn start(context: &Context) -> Result<(), StartError> {
    let failed = |part, error: &dyn std::error::Error| StartError::Part { part, reason: error.to_string() };
    let addresses = dns::start(context).await.map_err(|error| failed("DNS", &error))?;
    if !addresses.is_empty() {
        tracing::info!(?addresses, "answering DNS queries");
    }
    icecast::start(context).map_err(|error| failed("Icecast", &error))?;
    Ok(())
}

/// What this node says of itself now.
pub(super) fn load(context: &Context) -> Load {
    status::load::gather(context, BTreeMap::new())
}

/// Who answers other nodes' calls about mount logs.
pub(super) fn fabric_service(_context: &Context) -> Arc<dyn FabricService> {
    Arc::new(crate::peer::NoFabric)
}
