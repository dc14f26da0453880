//! The files that TLS on a port is made of.

use std::path::PathBuf;

/// The files that TLS on a port is made of, as etcd's `--cert-file`, `--key-file` and `--trusted-ca-file` name them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// The port's own certificate, and those between it and its CA: PEM.
    pub cert: PathBuf,
    /// Its key: PEM, not encrypted.
    pub key: PathBuf,
    /// CAs of the clients, each of which must present a certificate then; `None` where clients need none.
    pub trusted_ca: Option<PathBuf>,
}
