//! The local Icecast: an attachment of the mount logs. Where `icecast2` is installed, the node runs its own as a child
//! with a generated configuration, and feeds it the live mounts, so that `http://node:8000/PATH` plays on every node.

mod child;
mod feed;
mod feeds;
mod log;
mod program;
mod request;
mod secrets;
mod state;

#[cfg(test)]
mod live_tests;

pub use feed::{Beginning, Next, Tap};
pub use state::{SharedState, State};

use std::{
    collections::BTreeSet,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    path::Path,
};

use autoradio_machine::MountName;
use autoradio_policy::{
    ClusterView,
    icecast_xml::{IcecastConfig, icecast_xml},
};
use tokio::sync::watch;

use self::{child::Supervisor, feed::Target, program::Program, secrets::Secrets};
use crate::{config::Config, context::Context};

/// Where Icecast's own pages are: Debian's place, and others'.
const SHARES: [&str; 3] = ["/usr/share/icecast2", "/usr/share/icecast", "/usr/local/share/icecast"];

/// Connections beyond the listeners: titles, status pages, and those about to be refused (Icecast's accept thread
/// sleeps 0.4 s for each connection over its limit, which slows everyone).
const SPARE_CLIENTS: u32 = 500;
/// Added to the longest hold, in seconds: a mount that stays silent is ended by its feed, not by Icecast.
const HOLD_MARGIN_S: u64 = 15;

/// Why there is no local Icecast although one was wanted.
#[derive(Debug, thiserror::Error)]
pub enum IcecastError {
    /// No passwords.
    #[error("no passwords can be made for the local Icecast: the system has no random numbers: {0}")]
    Random(#[from] getrandom::Error),
}

/// A local Icecast that is kept running.
#[derive(Clone, Debug)]
pub struct Icecast {
    target: Target,
}

/// Runs the local Icecast until the node stops; its state is `ctx.metrics.icecast`. `None` where it is off or
/// not installed.
///
/// # Errors
/// [`IcecastError`]; what goes wrong later is tried again, and said in the state.
pub fn start(ctx: &Context) -> Result<Option<Icecast>, IcecastError> {
    let Some(path) = program::find(&ctx.config.icecast) else {
        tracing::info!("no icecast2 is run: it is off or not installed");
        return Ok(None);
    };
    let secrets = Secrets::random()?;
    let mut view = ctx.view.watch();
    let (text, config) = watch::channel(configuration(&ctx.config, &secrets, &view.borrow_and_update()));
    let supervisor = Supervisor {
        program: Program::new(path, ctx.config.data_dir.join("icecast")),
        listen: ctx.config.icecast_listen,
        config,
        state: ctx.metrics.icecast.clone(),
        starts: ctx.metrics.icecast_starts_total.clone(),
        stop: ctx.stop.clone(),
    };
    ctx.tasks.spawn(supervisor.run());
    let target = Target {
        address: reachable(ctx.config.icecast_listen),
        secrets: secrets.clone(),
        connections: ctx.metrics.icecast_feeds_total.clone(),
    };
    let (settings, stop) = (ctx.config.clone(), ctx.stop.clone());
    ctx.tasks.spawn(async move {
        loop {
            tokio::select! {
                changed = view.changed() => if changed.is_err() { return },
                () = stop.cancelled() => return,
            }
            let new = configuration(&settings, &secrets, &view.borrow_and_update());
            text.send_if_modified(|old| {
                let differs = *old != new;
                if differs {
                    *old = new;
                }
                differs
            });
        }
    });
    Ok(Some(Icecast { target }))
}

impl Icecast {
    /// Feeds each mount of `live` (those with frames on this node) with what `tap` opens for it, until the node stops.
    pub fn feed<T: Tap + 'static>(
        &self,
        ctx: &Context,
        live: watch::Receiver<BTreeSet<MountName>>,
        tap: impl Fn(&MountName) -> Option<T> + Send + 'static,
    ) {
        ctx.tasks.spawn(feeds::run(self.target.clone(), live, tap, ctx.stop.clone()));
    }
}

fn configuration(config: &Config, secrets: &Secrets, view: &ClusterView) -> String {
    let share = SHARES.into_iter().find(|share| Path::new(share).is_dir()).unwrap_or(SHARES[0]);
    let holds = view.catalog.mounts.values().filter_map(|mount| mount.hold_ms).map(|ms| u64::from(ms) / 1_000);
    let hold_s = holds.chain([config.hold.as_secs()]).max().unwrap_or_default();
    let listen = config.icecast_listen;
    let settings = IcecastConfig {
        hostname: config.domain.clone().unwrap_or_else(|| config.name.clone()),
        admin: String::new(),
        location: String::new(),
        bind: (!listen.ip().is_unspecified()).then(|| listen.ip()),
        port: listen.port(),
        source_password: secrets.source.reveal().to_owned(),
        admin_password: secrets.admin.reveal().to_owned(),
        relay_password: secrets.relay.reveal().to_owned(),
        max_clients: config.max_clients.saturating_add(SPARE_CLIENTS),
        source_timeout_s: u32::try_from(hold_s.saturating_add(HOLD_MARGIN_S)).unwrap_or(u32::MAX),
        base_dir: share.to_owned(),
        // Its own folder, which is its working directory.
        log_dir: ".".to_owned(),
        web_root: format!("{share}/web"),
        admin_root: format!("{share}/admin"),
    };
    let here = view.loads.get(&view.me).map(|heard| heard.load.clone()).unwrap_or_default();
    let rates = here.mounts.iter().map(|(name, log)| (name.clone(), log.bitrate_bits_per_s)).collect();
    icecast_xml(&settings, &view.catalog.mounts, &rates)
}

/// Where a socket on `listen` is reached from this machine.
fn reachable(listen: SocketAddr) -> SocketAddr {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, listen.port())
}
