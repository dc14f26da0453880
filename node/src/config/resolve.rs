//! From arguments to a checked [`Config`]. Pure: what the machine says of itself is an argument.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    path::Path,
    time::Duration,
};

use super::{
    ClusterState, Config, IcecastMode,
    args::{Options, StateArg},
    client_tls,
    facts::Facts,
    urls::{Scheme, listen_urls, urls},
};

/// Peers are reached by TLS, or without where the administrator says so.
const PEERS: [Scheme; 2] = [Scheme::Https, Scheme::Http];

/// The longest `--hold`: what a player's patience and the memory for a mount allow.
const HOLD_MAX: Duration = Duration::from_secs(3_600);

/// An option that cannot be used.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("--{option}{}: {reason}", if value.is_empty() { String::new() } else { format!(" {value:?}") })]
pub struct ConfigError {
    /// The option, without dashes.
    pub option: &'static str,
    /// What was given.
    pub value: String,
    /// What is wrong and what would be right.
    pub reason: String,
}

pub(super) fn wrong(option: &'static str, value: &str, reason: impl Into<String>) -> ConfigError {
    ConfigError { option, value: value.into(), reason: reason.into() }
}

/// Checks the options and fills in what was not given.
///
/// # Errors
/// [`ConfigError`], for the first option that cannot be used.
pub fn resolve(options: &Options, facts: &Facts) -> Result<Config, ConfigError> {
    refuse_what_is_not_there(options)?;
    let public_ips = public_ips(options, facts);
    let peer_ip = options.peer_ip.or(public_ips.first().copied()).unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST));
    let peer_listen = peer_listen(options)?;
    let peer_port = peer_listen.first().map_or(2380, SocketAddr::port);
    let given_peer_urls = urls("initial-advertise-peer-urls", &options.initial_advertise_peer_urls, &PEERS)?;
    let list = options.initial_cluster.as_deref().unwrap_or_default();
    // A list says whether its cluster has TLS; a node that was made says it by its certificate, whatever stands here.
    let scheme = if list.contains("=http://") { Scheme::Http } else { Scheme::Https };
    let default_peer_urls = vec![scheme.of(&SocketAddr::new(peer_ip, peer_port).to_string())];
    let clients = client_tls::resolve(options, facts, peer_ip)?;
    let initial_cluster = super::listed::initial_cluster(list)?;
    let (name, peer_urls) = super::listed::own(options, facts, &initial_cluster, given_peer_urls, default_peer_urls)?;
    let domain = options.domain.as_deref().map(domain).transpose()?;
    Ok(Config {
        name,
        data_dir: options.data_dir.clone(),
        dns_listen: dns_listen(options, facts, domain.is_some(), &public_ips)?,
        domain,
        peer_listen,
        client_listen: clients.plain,
        peer_urls,
        client_urls: clients.advertised,
        initial_cluster,
        initial_cluster_state: match options.initial_cluster_state {
            Some(StateArg::Existing) => ClusterState::Existing,
            Some(StateArg::New) | None => ClusterState::New,
        },
        initial_cluster_token: options.initial_cluster_token.clone(),
        http_listen: http_listen(options, facts)?,
        icecast: match options.icecast.as_str() {
            "auto" => IcecastMode::Auto,
            "off" => IcecastMode::Off,
            path if path.starts_with('/') => IcecastMode::Path(path.into()),
            other => return Err(wrong("icecast", other, "give auto, off, or the program's whole path")),
        },
        icecast_listen: SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), options.icecast_port),
        admin_socket: (options.admin_socket != Path::new("none")).then(|| options.admin_socket.clone()),
        public_ips,
        nameservers: options.nameservers.iter().map(|name| name.trim_end_matches('.').to_lowercase()).collect(),
        max_clients: options.max_clients,
        bwlimit_mbit_per_s: options.bwlimit,
        lb_policy: options.lb_policy.clone(),
        hold: hold(&options.hold)?,
        heartbeat: autoradio_store::Options::HEARTBEAT,
        election: autoradio_store::Options::ELECTION,
        keeping: super::keeping::resolve(&options.keeping)?,
        client_tls: clients.tls,
    })
}

fn refuse_what_is_not_there(options: &Options) -> Result<(), ConfigError> {
    if let Some(first) = options.https_listen.first() {
        return Err(wrong("https-listen", first, "TLS is not supported by this version; use --http-listen"));
    }
    if !options.enable_icecast_proxy {
        let reason = "sources always connect to the node's front in this version, which feeds Icecast; leave it out";
        return Err(wrong("enable-icecast-proxy", "false", reason));
    }
    Ok(())
}

fn public_ips(options: &Options, facts: &Facts) -> Vec<IpAddr> {
    let by_interface = options.interface.as_ref().map(|_| facts.route_ips.clone()).unwrap_or_default();
    let choices = [options.public_ip.clone(), by_interface, facts.host_ips.clone(), facts.route_ips.clone()];
    choices.into_iter().find(|ips| !ips.is_empty()).unwrap_or_default()
}

fn peer_listen(options: &Options) -> Result<Vec<SocketAddr>, ConfigError> {
    if options.listen_peer_urls.is_empty() {
        return Ok(vec![SocketAddr::new(options.peer_ip.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED)), 2380)]);
    }
    let listen = listen_urls("listen-peer-urls", &options.listen_peer_urls, &PEERS)?;
    Ok(listen.into_iter().map(|(_, at)| at).collect())
}

fn http_listen(options: &Options, facts: &Facts) -> Result<Vec<SocketAddr>, ConfigError> {
    if options.http_listen.is_empty() {
        let four = SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), 80);
        let six = SocketAddr::new(Ipv6Addr::UNSPECIFIED.into(), 80);
        return Ok(if facts.ipv6 { vec![four, six] } else { vec![four] });
    }
    addresses("http-listen", &options.http_listen)
}

fn dns_listen(
    options: &Options,
    facts: &Facts,
    has_domain: bool,
    public_ips: &[IpAddr],
) -> Result<Vec<SocketAddr>, ConfigError> {
    if !has_domain {
        return Ok(Vec::new());
    }
    if !options.dns_listen.is_empty() {
        return addresses("dns-listen", &options.dns_listen);
    }
    // Real addresses and not a wildcard: on a host with several, answers from a wildcard socket leave with the wrong one.
    let here: Vec<IpAddr> = public_ips.iter().copied().filter(|ip| facts.local_ips.contains(ip)).collect();
    let ips = if here.is_empty() { facts.route_ips.clone() } else { here };
    if ips.is_empty() {
        return Err(wrong("dns-listen", "", "no address of this machine was found; give --dns-listen ADDR:53"));
    }
    Ok(ips.into_iter().map(|ip| SocketAddr::new(ip, 53)).collect())
}

fn addresses(option: &'static str, given: &[String]) -> Result<Vec<SocketAddr>, ConfigError> {
    let parse =
        |text: &String| text.parse().map_err(|_| wrong(option, text, "give ADDR:PORT, as 0.0.0.0:80 or [::]:80"));
    given.iter().filter(|text| !text.is_empty()).map(parse).collect()
}

fn domain(text: &str) -> Result<String, ConfigError> {
    let domain = text.trim_end_matches('.').to_lowercase();
    let label = |part: &str| {
        !part.is_empty() && part.len() <= 63 && part.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_')
    };
    if domain.len() > 200 || !domain.split('.').all(label) {
        return Err(wrong("domain", text, "give a domain name, as radio.example.com"));
    }
    Ok(domain)
}

fn hold(text: &str) -> Result<Duration, ConfigError> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let count: u64 = digits.parse().map_err(|_| wrong("hold", text, "give a time, as 30s, 2m or 500ms"))?;
    let time = match text.get(digits.len()..).unwrap_or_default() {
        "ms" => Duration::from_millis(count),
        "s" | "" => Duration::from_secs(count),
        "m" => Duration::from_secs(count.saturating_mul(60)),
        _ => return Err(wrong("hold", text, "give a time, as 30s, 2m or 500ms")),
    };
    if time > HOLD_MAX { Err(wrong("hold", text, "at most an hour")) } else { Ok(time) }
}

#[cfg(test)]
#[path = "resolve_tests.rs"]
mod tests;
