//! The command line. Every option is also read from the environment (see [`super::environment`]).

use std::{net::IpAddr, path::PathBuf};

use clap::{Args, Parser, Subcommand, ValueEnum};

/// The daemon of an autoradio cluster: keeps radio streams on the air.
#[derive(Debug, Parser)]
#[command(name = "autoradio-node", version, disable_help_subcommand = true)]
#[command(after_help = "Every option is also read from the environment: --max-clients from AUTORADIO_MAX_CLIENTS.\n\
    etcd's own are also read under etcd's names: ETCD_NAME, ETCD_INITIAL_CLUSTER, and so on.\n\
    Variables that are not set are looked up in /etc/default/autoradio and /etc/default/etcd.")]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: CliCommand,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum CliCommand {
    /// Run the node; waits for `init` or `join` where it is not part of a cluster yet.
    Run(Options),
    /// Make a new cluster with this node as its first member.
    Init(Options),
    /// Join the cluster that HOST is a member of.
    Join {
        /// Any member: host or host:port of its peer address (port 2380); http://host:port for a cluster without TLS.
        host: String,
        /// File with the join token, `-` for standard input [default: systemd's credential join-token, else it is asked
        /// for on the terminal].
        #[arg(long, value_name = "FILE")]
        token_file: Option<PathBuf>,
        /// Refused: every user of the machine reads command lines.
        #[arg(long, hide = true)]
        token: Option<String>,
        /// Refused, too.
        #[arg(hide = true)]
        extra: Option<String>,
        /// Everything else.
        #[command(flatten)]
        options: Options,
    },
    /// Run three nodes in one process on loopback addresses, with a stream to listen to.
    Demo {
        /// End by itself after so many seconds, and print what was measured.
        #[arg(long)]
        seconds: Option<u64>,
    },
    /// Print the version.
    Version,
}

/// `--initial-cluster-state`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum StateArg {
    /// A new cluster.
    New,
    /// One that exists.
    Existing,
}

/// `--log-format`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people and the journal.
    #[default]
    Text,
    /// Without time stamps, which the journal adds itself.
    Journal,
}

/// What `run`, `init` and `join` have in common.
#[derive(Clone, Debug, Default, Args)]
pub struct Options {
    /// Name of this node [default: the host name].
    #[arg(long)]
    pub name: Option<String>,
    /// Folder of log, snapshots and identity.
    #[arg(long, default_value = "/var/lib/autoradio")]
    pub data_dir: PathBuf,
    /// Domain that the cluster serves in DNS and names in URLs.
    #[arg(long)]
    pub domain: Option<String>,
    /// ADDR:PORT for sources and listeners; may be repeated [default: port 80 on all addresses].
    #[arg(long, value_delimiter = ',')]
    pub http_listen: Vec<String>,
    /// ADDR:PORT for TLS.
    #[arg(long, value_delimiter = ',', hide = true)]
    pub https_listen: Vec<String>,
    /// ADDR:PORT for DNS; may be repeated [default with --domain: port 53 on the public addresses].
    #[arg(long, value_delimiter = ',')]
    pub dns_listen: Vec<String>,
    /// Local Icecast: auto, off, or the program's path.
    #[arg(long, default_value = "auto")]
    pub icecast: String,
    /// Port of the local Icecast.
    #[arg(long, default_value_t = 8000)]
    pub icecast_port: u16,
    /// Socket of radioctl; `none` for none.
    #[arg(long, default_value = "/run/autoradio/admin.sock")]
    pub admin_socket: PathBuf,
    /// Where to listen for peers [default: http://0.0.0.0:2380, or --peer-ip].
    #[arg(long, value_delimiter = ',')]
    pub listen_peer_urls: Vec<String>,
    /// Where to listen for etcd's clients and radioctl --server: http://ADDR:PORT or https://ADDR:PORT; may be repeated
    /// [default: http://127.0.0.1:2379].
    #[arg(long, value_delimiter = ',')]
    pub listen_client_urls: Vec<String>,
    /// What peers are told [default: http://PEER-IP:2380].
    #[arg(long, value_delimiter = ',')]
    pub initial_advertise_peer_urls: Vec<String>,
    /// What clients are told [default: --listen-client-urls].
    #[arg(long, value_delimiter = ',')]
    pub advertise_client_urls: Vec<String>,
    /// PEM file of the certificate for https:// client URLs, read again when it changes.
    #[arg(long)]
    pub cert_file: Option<PathBuf>,
    /// PEM file of its key.
    #[arg(long)]
    pub key_file: Option<PathBuf>,
    /// PEM file of the CAs whose certificates clients must present on https:// client URLs.
    #[arg(long)]
    pub trusted_ca_file: Option<PathBuf>,
    /// Whether clients must present a certificate; needs --trusted-ca-file, which implies it.
    #[arg(long, action = clap::ArgAction::Set, num_args = 0..=1, default_value = "false", default_missing_value = "true",
        value_parser = clap::builder::BoolishValueParser::new())]
    pub client_cert_auth: bool,
    /// First members of the cluster: name=http://host:2380,…
    #[arg(long)]
    pub initial_cluster: Option<String>,
    /// Whether --initial-cluster is to be made or exists.
    #[arg(long, value_enum, default_value = "new")]
    pub initial_cluster_state: Option<StateArg>,
    /// Tells clusters with the same list apart.
    #[arg(long, default_value = "etcd-cluster")]
    pub initial_cluster_token: String,
    /// Seconds after which a token of etcd's auth ends that was not used.
    #[arg(long, default_value_t = 300, value_parser = clap::value_parser!(u32).range(1..))]
    pub auth_token_ttl: u32,
    /// Address that DNS gives for this node; may be repeated [default: that of the host name, or of the default route].
    #[arg(long, value_delimiter = ',')]
    pub public_ip: Vec<IpAddr>,
    /// Address that peers use [default: the first public one].
    #[arg(long)]
    pub peer_ip: Option<IpAddr>,
    /// Network interface whose addresses are the public ones.
    #[arg(long)]
    pub interface: Option<String>,
    /// Names for the zone's NS records [default: the first three members].
    #[arg(long, value_delimiter = ',')]
    pub nameservers: Vec<String>,
    /// At most so many listeners on this node.
    // Policy takes 0 for "not known", so it would be given listeners that it refuses.
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..))]
    pub max_clients: u32,
    /// Bandwidth of this node in Mbit/s.
    #[arg(long, default_value_t = 100)]
    pub bwlimit: u32,
    /// How listeners are spread.
    #[arg(long, default_value = "listeners_available,listeners_score,weighted")]
    pub lb_policy: String,
    /// How long listeners are held when their mount lost its source: 30s, 2m, 500ms.
    #[arg(long, default_value = "30s")]
    pub hold: String,
    /// Whether sources are taken in by the front and fed to Icecast.
    #[arg(long, default_value_t = true, action = clap::ArgAction::Set, num_args = 0..=1, default_missing_value = "true")]
    pub enable_icecast_proxy: bool,
    /// What is kept.
    #[command(flatten)]
    pub keeping: KeepingOptions,
    /// error, warn, info, debug, trace, or a filter by module.
    #[arg(long, default_value = "info")]
    pub log_level: String,
    /// How log lines look.
    #[arg(long, value_enum, default_value = "text")]
    pub log_format: LogFormat,
}

/// What is kept, and how much of it.
#[derive(Clone, Debug, Default, Args)]
pub struct KeepingOptions {
    /// The store's size at which the NOSPACE alarm is raised [0: 2 GiB].
    #[arg(long, value_name = "BYTES", default_value_t = 0, allow_negative_numbers = true)]
    pub quota_backend_bytes: i64,
    /// Whether history is forgotten by age (periodic) or by number (revision).
    #[arg(long, value_name = "MODE", default_value = "periodic")]
    pub auto_compaction_mode: String,
    /// How much of it is kept: hours or a time, or a number of revisions; 0 for all [default: 24h].
    #[arg(long, value_name = "HOURS|TIME|NUMBER")]
    pub auto_compaction_retention: Option<String>,
    /// Whether voters that are dead are replaced by learners, and the number of voters is kept odd.
    #[arg(long, default_value_t = true, action = clap::ArgAction::Set, num_args = 0..=1, default_missing_value = "true")]
    pub autopilot: bool,
    /// How many snapshots of former nights are kept in the data folder; 0 for none.
    #[arg(long, value_name = "NUMBER", default_value_t = super::keeping::NIGHTLY_DEFAULT)]
    pub nightly_snapshots: u32,
}
