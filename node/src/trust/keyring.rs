//! [`Keyring`]: what this node has for keys and certificates now, and whether it speaks TLS with the others.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use arc_swap::ArcSwapOption;
use autoradio_store::Identity;
use rcgen::KeyPair;
use rustls::{
    ClientConfig, ServerConfig,
    client::{ResolvesClientCert, Resumption},
    server::{ClientHello, NoServerSessionStorage, ResolvesServerCert},
    sign::CertifiedKey,
    version::TLS13,
};
use tokio::sync::watch;

use super::{
    Authority, Credentials, PeerName, TrustError, files,
    verify::{CallerVerifier, MemberVerifier},
};
use crate::tls::provider;

/// What connections between nodes begin with on top of TLS.
const ALPN: &[u8] = b"h2";

/// How this node speaks with the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wire {
    /// Without TLS, by the administrator's word.
    Plain,
    /// With TLS where the other can, while the cluster changes to it.
    Both,
    /// With TLS only.
    Tls,
}

/// A node's keys and certificates; cheap to clone, all clones are one. New handshakes use what was installed last.
#[derive(Clone)]
pub struct Keyring {
    inner: Arc<Inner>,
}

struct Inner {
    name: PeerName,
    folder: PathBuf,
    credentials: ArcSwapOption<Credentials>,
    authority: ArcSwapOption<Authority>,
    wire: watch::Sender<Wire>,
}

impl std::fmt::Debug for Keyring {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Keyring").field("name", &self.inner.name.to_string()).field("wire", &self.wire()).finish()
    }
}

impl Keyring {
    /// What is in a data folder, for this node. Nothing there: it speaks plain.
    ///
    /// # Errors
    /// [`TrustError`]: unreadable, damaged, or another node's.
    pub fn open(data_dir: &Path, identity: &Identity) -> Result<Self, TrustError> {
        let folder = data_dir.join("tls");
        let name = PeerName::from(identity);
        let credentials = Credentials::load(&folder.join("node.json"))?;
        if let Some(found) = credentials.as_ref().map(Credentials::name).filter(|found| *found != name) {
            let path = folder.join("node.json");
            return Err(TrustError::NotOwn { path, found: found.to_string(), own: name.to_string() });
        }
        let key_path = folder.join("ca.key");
        let authority = match (&credentials, files::read(&key_path)?) {
            (Some(credentials), Some(key)) => {
                // One of a CA that was replaced while this node was off is not used.
                let authority = Authority::from_key(name.cluster_id, &key, credentials.ca().clone());
                authority.inspect_err(|error| tracing::warn!(path = %key_path.display(), %error, "left aside")).ok()
            }
            _ => None,
        };
        let both = files::read(&folder.join("plain-too"))?.is_some();
        let wire = match &credentials {
            None => Wire::Plain,
            Some(_) if both => Wire::Both,
            Some(_) => Wire::Tls,
        };
        let inner = Inner {
            name,
            folder,
            credentials: ArcSwapOption::new(credentials.map(Arc::new)),
            authority: ArcSwapOption::new(authority.map(Arc::new)),
            wire: watch::Sender::new(wire),
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Who this node is.
    #[must_use]
    pub fn name(&self) -> PeerName {
        self.inner.name
    }

    /// How this node speaks with the others now.
    #[must_use]
    pub fn wire(&self) -> Wire {
        *self.inner.wire.borrow()
    }

    /// As it changes; also told when a certificate was renewed.
    #[must_use]
    pub fn watch_wire(&self) -> watch::Receiver<Wire> {
        self.inner.wire.subscribe()
    }

    /// What it shows the others; `None` in a plain cluster.
    #[must_use]
    pub fn credentials(&self) -> Option<Arc<Credentials>> {
        self.inner.credentials.load_full()
    }

    /// The cluster's CA with its key, where this node has it.
    #[must_use]
    pub fn authority(&self) -> Option<Arc<Authority>> {
        self.inner.authority.load_full()
    }

    /// Takes credentials into use, on disk first; the first ones of a node in a plain cluster leave plain connections
    /// possible.
    ///
    /// # Errors
    /// [`TrustError`].
    pub fn install(&self, credentials: Credentials) -> Result<(), TrustError> {
        let inner = &*self.inner;
        let wire = match self.wire() {
            Wire::Plain => {
                // Before the certificate: with both on disk, and a crash, the others must still get in.
                files::write(&inner.folder.join("plain-too"), "")?;
                Wire::Both
            }
            wire => wire,
        };
        credentials.store(&inner.folder.join("node.json"))?;
        if self.authority().is_some_and(|authority| authority.certificate() != credentials.ca()) {
            inner.authority.store(None);
        }
        inner.credentials.store(Some(Arc::new(credentials)));
        inner.wire.send_replace(wire);
        Ok(())
    }

    /// Puts the credentials of a node that is being born into its folder.
    ///
    /// # Errors
    /// [`TrustError`].
    pub fn found(data_dir: &Path, credentials: &Credentials, authority: Option<&Authority>) -> Result<(), TrustError> {
        let folder = data_dir.join("tls");
        files::remove(&folder.join("plain-too"))?;
        match authority {
            Some(authority) => files::write(&folder.join("ca.key"), &authority.key_pem())?,
            None => files::remove(&folder.join("ca.key"))?,
        }
        credentials.store(&folder.join("node.json"))?;
        files::remove(&folder.join("joining.key"))
    }

    /// Removes what another node had in a data folder.
    ///
    /// # Errors
    /// [`TrustError`].
    pub fn forget(data_dir: &Path) -> Result<(), TrustError> {
        let folder = data_dir.join("tls");
        ["node.json", "ca.key", "plain-too"].iter().try_for_each(|name| files::remove(&folder.join(name)))
    }

    /// The key of a node that joins: made once, and kept until it has its certificate.
    ///
    /// # Errors
    /// [`TrustError`].
    pub fn joining_key(data_dir: &Path) -> Result<KeyPair, TrustError> {
        let path = data_dir.join("tls/joining.key");
        if let Some(key) = files::read(&path)?
            && let Ok(key) = KeyPair::from_pem(&key)
        {
            return Ok(key);
        }
        let key = KeyPair::generate().map_err(TrustError::crypto("making this node's key"))?;
        files::write(&path, &key.serialize_pem())?;
        Ok(key)
    }

    /// Takes the CA's key into use, on disk first.
    ///
    /// # Errors
    /// [`TrustError`].
    pub fn install_authority(&self, authority: Authority) -> Result<(), TrustError> {
        files::write(&self.inner.folder.join("ca.key"), &authority.key_pem())?;
        self.inner.authority.store(Some(Arc::new(authority)));
        Ok(())
    }

    /// Refuses plain connections from now on; nothing in a plain cluster.
    ///
    /// # Errors
    /// [`TrustError`].
    pub fn refuse_plain(&self) -> Result<(), TrustError> {
        if self.wire() == Wire::Both {
            files::remove(&self.inner.folder.join("plain-too"))?;
            self.inner.wire.send_replace(Wire::Tls);
        }
        Ok(())
    }

    /// How TLS is spoken with those who call; `None` in a plain cluster.
    #[must_use]
    pub fn server_config(&self) -> Option<Arc<ServerConfig>> {
        self.credentials()?;
        let mut config = ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&TLS13])
            .expect("ring has TLS 1.3's suites")
            .with_client_cert_verifier(Arc::new(CallerVerifier::new(self.clone())))
            .with_cert_resolver(Arc::new(Shown(self.clone())));
        config.alpn_protocols = vec![ALPN.into()];
        // Every connection shows its certificate: none is resumed.
        config.send_tls13_tickets = 0;
        config.session_storage = Arc::new(NoServerSessionStorage {});
        Some(Arc::new(config))
    }

    /// How TLS is spoken with the node that is meant; `None` in a plain cluster.
    #[must_use]
    pub fn client_config(&self, meant: PeerName) -> Option<Arc<ClientConfig>> {
        self.credentials()?;
        let mut config = ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&TLS13])
            .expect("ring has TLS 1.3's suites")
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(MemberVerifier::new(self.clone(), meant)))
            .with_client_cert_resolver(Arc::new(Shown(self.clone())));
        settle(&mut config);
        Some(Arc::new(config))
    }
}

/// What all of this program's calls to nodes have in common.
pub(super) fn settle(config: &mut ClientConfig) {
    config.alpn_protocols = vec![ALPN.into()];
    config.enable_sni = false;
    config.resumption = Resumption::disabled();
}

/// Shows the certificate that is installed at the moment of the handshake.
#[derive(Debug)]
struct Shown(Keyring);

impl Shown {
    fn now(&self) -> Option<Arc<CertifiedKey>> {
        self.0.credentials().map(|credentials| credentials.certified())
    }
}

impl ResolvesServerCert for Shown {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.now()
    }
}

impl ResolvesClientCert for Shown {
    fn resolve(&self, _roots: &[&[u8]], _schemes: &[rustls::SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        self.now()
    }

    fn has_certs(&self) -> bool {
        self.now().is_some()
    }
}
