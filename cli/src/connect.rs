//! The connection to a daemon: by its socket, or by a node's client port.

use std::{error::Error, io, path::PathBuf, time::Duration};

use autoradio_proto::admin::admin_client::AdminClient;
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpStream, UnixStream},
    time::{Instant, timeout_at},
};
use tokio_rustls::TlsConnector;
use tonic::transport::{Channel, Endpoint, Uri};
use tower::service_fn;

use crate::{
    error::CliError,
    tls::{self, Files},
};

/// Where a packaged daemon has its socket.
const SOCKET: &str = "/run/autoradio/admin.sock";

/// The clients' port, etcd's.
const PORT: u16 = 2379;

/// The longest that one of several servers may keep the next one waiting.
const CONNECT_MAX: Duration = Duration::from_secs(3);

/// Why there is no connection when nothing at all was heard.
const LATE: &str = "no answer in time";

/// The largest answer: some tens of thousands of mounts.
const ANSWER_MAX: usize = 64 << 20;

/// Which daemon to talk to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// By its socket.
    Socket(PathBuf),
    /// By a client port: the first that answers.
    Servers(Vec<Server>, Files),
}

/// A node's client port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Server {
    /// `host:port`.
    pub(crate) address: String,
    pub(crate) tls: bool,
}

impl Target {
    /// From the options, then from the environment.
    pub(crate) fn choose(
        socket: Option<PathBuf>,
        server: Option<&str>,
        files: Files,
        env: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, CliError> {
        let env = |name| env(name).filter(|value| !value.is_empty());
        if let Some(socket) = socket {
            return Ok(Self::Socket(socket));
        }
        if let Some(servers) = server.map(str::to_owned).or_else(|| env("AUTORADIO_SERVER")) {
            let parse = |given| server_of(given, files.ca.is_some());
            let servers = servers.split(',').map(parse).collect::<Result<_, _>>()?;
            return Ok(Self::Servers(servers, files));
        }
        Ok(Self::Socket(env("AUTORADIO_ADMIN_SOCKET").unwrap_or_else(|| SOCKET.into()).into()))
    }

    /// Connects, by `deadline` at the latest, by the socket only.
    pub(crate) async fn connect_to_socket(&self, what: &str, deadline: Instant) -> Result<Channel, CliError> {
        match self {
            Self::Socket(path) => by_socket(path.clone(), deadline).await,
            Self::Servers(..) => Err(CliError::Usage(format!(
                "{what} works by the daemon's own socket only: run it on a member, without --server (AUTORADIO_SERVER)"
            ))),
        }
    }

    /// Connects, by `deadline` at the latest.
    pub(crate) async fn connect(&self, deadline: Instant) -> Result<AdminClient<Channel>, CliError> {
        let channel = match self {
            Self::Socket(path) => by_socket(path.clone(), deadline).await?,
            Self::Servers(servers, files) => {
                let tls = servers.iter().any(|server| server.tls).then(|| files.connector()).transpose()?;
                by_servers(servers, tls.as_ref(), deadline).await?
            }
        };
        Ok(AdminClient::new(channel).max_decoding_message_size(ANSWER_MAX))
    }
}

/// What was given: `host`, `host:port`, `[::1]:port`, `::1`, `http://host:port/`, `https://…`; without a scheme it is TLS
/// where a CA is known.
fn server_of(given: &str, ca_known: bool) -> Result<Server, CliError> {
    let given = given.trim();
    let (tls, host) = match (given.strip_prefix("https://"), given.strip_prefix("http://")) {
        (Some(host), _) => (true, host),
        (_, Some(host)) => (false, host),
        _ => (ca_known, given),
    };
    let host = host.trim_end_matches('/');
    let address = match host.parse::<std::net::Ipv6Addr>() {
        Ok(ip) => format!("[{ip}]:{PORT}"),
        Err(_) if host.ends_with(']') || !host.contains(':') => format!("{host}:{PORT}"),
        Err(_) => host.to_owned(),
    };
    let fit = format!("http://{address}").parse::<Uri>().is_ok_and(|uri| {
        let host = uri.host().unwrap_or_default();
        !host.is_empty() && uri.port_u16().is_some() && !address.contains(['/', '@', '?'])
    });
    if fit {
        Ok(Server { address, tls })
    } else {
        Err(CliError::Usage(format!("--server {given:?}: write HOST or HOST:PORT")))
    }
}

async fn by_socket(path: PathBuf, deadline: Instant) -> Result<Channel, CliError> {
    // The address of a socket has no host; HTTP/2 wants one all the same.
    let endpoint = Endpoint::from_static("http://localhost");
    let dial = {
        let path = path.clone();
        service_fn(move |_: Uri| {
            let path = path.clone();
            async move { UnixStream::connect(path).await.map(TokioIo::new) }
        })
    };
    let error = match timeout_at(deadline, endpoint.connect_with_connector(dial)).await {
        Ok(Ok(channel)) => return Ok(channel),
        Ok(Err(error)) => error,
        Err(_) => return Err(CliError::Connect { address: path.display().to_string(), reason: LATE.into() }),
    };
    Err(match io_kind(&error) {
        Some(io::ErrorKind::NotFound) => CliError::NoSocket(path),
        Some(io::ErrorKind::ConnectionRefused) => CliError::NobodyListens(path),
        Some(io::ErrorKind::PermissionDenied) => CliError::SocketDenied(path),
        _ => CliError::Connect { address: path.display().to_string(), reason: root(&error) },
    })
}

async fn by_servers(servers: &[Server], tls: Option<&TlsConnector>, deadline: Instant) -> Result<Channel, CliError> {
    let mut failed = Vec::new();
    for Server { address, tls: wanted } in servers {
        let tls = tls.filter(|_| *wanted).cloned();
        match by_server(address, tls, deadline.min(Instant::now() + CONNECT_MAX)).await {
            Ok(channel) => return Ok(channel),
            Err(reason) if servers.len() == 1 => {
                return Err(CliError::Connect { address: address.clone(), reason });
            }
            Err(reason) => failed.push(format!("{address}: {reason}")),
        }
    }
    Err(CliError::Connect { address: "any of the servers".into(), reason: failed.join(", ") })
}

async fn by_server(address: &str, tls: Option<TlsConnector>, deadline: Instant) -> Result<Channel, String> {
    let endpoint = Endpoint::from_shared(format!("http://{address}")).map_err(|error| error.to_string())?;
    let host = address.rsplit_once(':').map_or(address, |(host, _)| host).to_owned();
    let to = address.to_owned();
    let dial = service_fn(move |_: Uri| {
        let (to, host, tls) = (to.clone(), host.clone(), tls.clone());
        async move {
            let stream = TcpStream::connect(to).await?;
            stream.set_nodelay(true)?;
            let stream: Box<dyn Stream> = match tls {
                Some(connector) => Box::new(tls::begin(&connector, &host, stream).await?),
                None => Box::new(stream),
            };
            Ok::<_, io::Error>(TokioIo::new(stream))
        }
    });
    match timeout_at(deadline, endpoint.connect_with_connector(dial)).await {
        Ok(connected) => connected.map_err(|error| root(&error)),
        Err(_) => Err(LATE.into()),
    }
}

/// A connection, with TLS or without.
trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// The kind of the I/O error below `error`.
fn io_kind(error: &(dyn Error + 'static)) -> Option<io::ErrorKind> {
    let below = std::iter::successors(Some(error), |error| (*error).source());
    below.filter_map(|error| error.downcast_ref::<io::Error>()).map(io::Error::kind).last()
}

/// What the innermost error says: those around it say that there is one.
fn root(error: &(dyn Error + 'static)) -> String {
    std::iter::successors(Some(error), |error| (*error).source()).last().map_or_else(String::new, ToString::to_string)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(5)
    }

    fn plain(address: &str) -> Server {
        Server { address: address.into(), tls: false }
    }

    #[test]
    fn options_come_before_the_environment() {
        let env = |set: &'static str| move |name: &str| (name == set).then(|| String::from("/of/env"));
        let none = |_: &str| None;
        assert_eq!(Target::choose(None, None, Files::default(), none).unwrap(), Target::Socket(SOCKET.into()));
        let socket = Target::choose(None, None, Files::default(), env("AUTORADIO_ADMIN_SOCKET")).unwrap();
        assert_eq!(socket, Target::Socket("/of/env".into()));
        let servers =
            Target::choose(None, Some("host1, host2:99"), Files::default(), env("AUTORADIO_ADMIN_SOCKET")).unwrap();
        assert_eq!(servers, Target::Servers(vec![plain("host1:2379"), plain("host2:99")], Files::default()));
        let socket = Target::choose(Some("/given".into()), None, Files::default(), env("AUTORADIO_SERVER")).unwrap();
        assert_eq!(socket, Target::Socket("/given".into()));
    }

    #[test]
    fn servers_are_written_in_many_ways() {
        let ways = [
            ("host1", "host1:2379"),
            ("http://host1:1/", "host1:1"),
            ("::1", "[::1]:2379"),
            ("[::1]", "[::1]:2379"),
            ("[::1]:5", "[::1]:5"),
        ];
        for (given, meant) in ways {
            assert_eq!(server_of(given, false).unwrap(), plain(meant));
        }
        assert!(server_of("https://host1", false).unwrap().tls, "it is said");
        assert!(server_of("host1", true).unwrap().tls, "a CA is known");
        assert!(!server_of("http://host1", true).unwrap().tls, "it is said");
        for bad in ["", "host1:port", "host1/path", "a b", "host:99999"] {
            assert!(server_of(bad, false).is_err(), "{bad}");
        }
    }

    #[tokio::test]
    async fn a_missing_socket_is_told_from_a_dead_one() {
        let missing = Target::Socket("/nonexistent/admin.sock".into()).connect(soon()).await;
        assert!(matches!(missing, Err(CliError::NoSocket(_))), "{missing:?}");
        let path = std::env::temp_dir().join(format!("radioctl-test-{}.sock", std::process::id()));
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        let dead = Target::Socket(path.clone()).connect(soon()).await;
        std::fs::remove_file(path).unwrap();
        assert!(matches!(dead, Err(CliError::NobodyListens(_))), "{dead:?}");
    }

    #[tokio::test]
    async fn a_closed_port_is_named() {
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
        let refused = Target::Servers(vec![plain(&free)], Files::default()).connect(soon()).await.unwrap_err();
        assert!(refused.to_string().contains(&free) && refused.to_string().contains("refused"), "{refused}");
    }
}
