//! The parts of a node, started in order. They meet in the [`Context`] only.

use std::sync::Arc;

use autoradio_policy::Load;

use super::StartError;
use crate::{
    backup,
    context::Context,
    dns,
    fabric::{self, Fabric},
    front, icecast,
    onair::{self, LogTap},
    peer::FabricService,
    status,
};

/// Starts all parts; each stops with `context.stop`.
pub(super) async fn start(context: &Context) -> Result<(), StartError> {
    let failed = |part, error: &dyn std::error::Error| StartError::Part { part, reason: error.to_string() };
    let addresses = dns::start(context).await.map_err(|error| failed("DNS", &error))?;
    if !addresses.is_empty() {
        tracing::info!(?addresses, "answering DNS queries");
    }
    let addresses =
        front::start(context, Arc::new(Fabric::new(context.clone()))).map_err(|error| failed("the front", &error))?;
    tracing::info!(?addresses, "taking sources and listeners");
    onair::start(context);
    context.tasks.spawn(backup::keep_nightly(context.clone()));
    fabric::start(context);
    if let Some(icecast) = icecast::start(context).map_err(|error| failed("Icecast", &error))? {
        let ctx = context.clone();
        icecast.feed(context, context.on_air.watch_names(), move |name| {
            Some(LogTap::new(ctx.clone(), ctx.on_air.get(name)?))
        });
    }
    Ok(())
}

/// What this node says of itself now.
pub(super) fn load(context: &Context) -> Load {
    status::load::gather(context, context.on_air.loads())
}

/// Who answers other nodes' calls about mount logs.
pub(super) fn fabric_service(context: &Context) -> Arc<dyn FabricService> {
    Arc::new(Fabric::new(context.clone()))
}
