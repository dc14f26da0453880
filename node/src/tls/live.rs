//! [`LiveServer`]: a server's TLS that follows its files.

use std::{sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use rustls::ServerConfig;
use tokio_util::sync::CancellationToken;

use super::{Facts, TlsError, TlsFiles, contents, contents::Contents, server};

/// How often the files are looked at. They are read and compared whole: tools that renew certificates keep time stamps,
/// exchange symbolic links, or write in place.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// A server's TLS that follows its files: connections that begin get what the files say now, those that are there keep
/// what they have.
pub struct LiveServer {
    config: ArcSwap<ServerConfig>,
}

/// Follows the files that a [`LiveServer`] was made of.
pub struct Follower {
    live: Arc<LiveServer>,
    files: TlsFiles,
    seen: Contents,
    told: String,
}

impl LiveServer {
    /// One that is changed by [`LiveServer::replace`].
    #[must_use]
    pub fn new(config: ServerConfig) -> Arc<Self> {
        Arc::new(Self { config: ArcSwap::from_pointee(config) })
    }

    /// Reads the files for the first time. Blocks, for as long as a disk takes.
    ///
    /// # Errors
    /// [`TlsError`], of the first file that cannot be used.
    pub fn open(files: TlsFiles) -> Result<Follower, TlsError> {
        let seen = Contents::read(&files)?;
        let (config, own) = server::configuration(&seen, &files)?;
        if let Some(key) = contents::open_to_all(&files) {
            tracing::warn!(key = %key.display(), "everybody on this machine can read the key; chmod o-r it");
        }
        complain_of(&own, &files);
        Ok(Follower { live: Self::new(config), files, seen, told: String::new() })
    }

    /// Gives connections that begin from now on another configuration.
    pub fn replace(&self, config: ServerConfig) {
        self.config.store(Arc::new(config));
    }

    /// What a connection that begins now is to have.
    #[must_use]
    pub fn now(&self) -> Arc<ServerConfig> {
        self.config.load_full()
    }
}

impl Follower {
    /// The server's TLS.
    #[must_use]
    pub fn live(&self) -> &Arc<LiveServer> {
        &self.live
    }

    /// Follows the files until `stop`. What cannot be used changes nothing, and is told once.
    pub async fn follow(mut self, stop: CancellationToken) {
        while stop.run_until_cancelled(tokio::time::sleep(LOOK_EVERY)).await.is_some() {
            let files = self.files.clone();
            let Ok(read) = tokio::task::spawn_blocking(move || Contents::read(&files)).await else { return };
            if let Some(complaint) = self.look(read) {
                tracing::error!("the new TLS files are not used, those before stay: {complaint}");
            }
        }
    }

    /// Takes what was read, if it is new and can be used; what is to be complained of, unless it was said before.
    fn look(&mut self, read: Result<Contents, TlsError>) -> Option<String> {
        let taken = match read {
            Ok(contents) if contents == self.seen => return None,
            Ok(contents) => {
                self.seen = contents;
                self.take()
            }
            Err(error) => Err(error),
        };
        let complaint = taken.err().map(|error| error.to_string()).unwrap_or_default();
        let is_new = !complaint.is_empty() && complaint != self.told;
        self.told.clone_from(&complaint);
        is_new.then_some(complaint)
    }

    fn take(&self) -> Result<(), TlsError> {
        let (config, own) = server::configuration(&self.seen, &self.files)?;
        self.live.replace(config);
        tracing::info!(cert = %self.files.cert.display(), name = own.common_name, "the new TLS files are in use");
        complain_of(&own, &self.files);
        Ok(())
    }
}

/// Says what clients will not like.
fn complain_of(own: &Facts, files: &TlsFiles) {
    let (cert, now_s) = (files.cert.display(), jiff::Timestamp::now().as_second());
    if own.not_after_s <= now_s {
        tracing::warn!(%cert, "the certificate is out of date; renew it, it is read again without a restart");
    } else if own.not_before_s > now_s {
        tracing::warn!(%cert, "the certificate is not good yet; is this machine's clock right?");
    }
    if !own.for_servers {
        tracing::warn!(%cert, "the certificate is not for servers (extended key usage); most clients refuse it");
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use rcgen::{CertificateParams, KeyPair};

    use super::*;

    fn pair() -> (String, String) {
        let key = KeyPair::generate().expect("keys can be made");
        let params = CertificateParams::new(vec!["host1".into()]).expect("it is a name");
        (params.self_signed(&key).expect("certificates can be made").pem(), key.serialize_pem())
    }

    fn write(dir: &Path, cert: &str, key: &str) -> TlsFiles {
        let files = TlsFiles { cert: dir.join("c"), key: dir.join("k"), trusted_ca: None };
        std::fs::write(&files.cert, cert).expect("the folder is there");
        std::fs::write(&files.key, key).expect("the folder is there");
        files
    }

    #[test]
    fn what_cannot_be_used_changes_nothing_and_is_told_once() {
        let (dir, first, second) = (tempfile::tempdir().unwrap(), pair(), pair());
        let files = write(dir.path(), &first.0, &first.1);
        let mut follower = LiveServer::open(files.clone()).unwrap();
        let live = follower.live().clone();
        let mut look = || follower.look(Contents::read(&files));
        let before = live.now();
        assert_eq!(look(), None, "nothing is new");
        write(dir.path(), &second.0, &first.1);
        assert!(look().unwrap().contains("cannot be used"), "the key is another one's");
        assert_eq!(look(), None, "it was said");
        std::fs::remove_file(&files.cert).unwrap();
        assert!(look().unwrap().contains("cannot be read"));
        assert_eq!(look(), None, "it was said");
        assert!(Arc::ptr_eq(&before, &live.now()), "all the time the first one is in use");
        write(dir.path(), &second.0, &second.1);
        assert_eq!(look(), None);
        assert!(!Arc::ptr_eq(&before, &live.now()), "the second one is in use");
    }
}
