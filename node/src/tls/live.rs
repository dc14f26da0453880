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
    files: TlsFiles,
    config: ArcSwap<ServerConfig>,
    first: Contents,
}

impl LiveServer {
    /// Reads the files for the first time. Blocks, for as long as a disk takes.
    ///
    /// # Errors
    /// [`TlsError`], of the first file that cannot be used.
    pub fn open(files: TlsFiles) -> Result<Self, TlsError> {
        let first = Contents::read(&files)?;
        let (config, own) = server::configuration(&first, &files)?;
        if let Some(key) = contents::open_to_all(&files) {
            tracing::warn!(key = %key.display(), "everybody on this machine can read the key; chmod o-r it");
        }
        complain_of(&own, &files);
        Ok(Self { files, config: ArcSwap::from_pointee(config), first })
    }

    /// What a connection that begins now is to have.
    #[must_use]
    pub fn now(&self) -> Arc<ServerConfig> {
        self.config.load_full()
    }

    /// Follows the files until `stop`. What cannot be used changes nothing, and is told once.
    pub async fn follow(self: Arc<Self>, stop: CancellationToken) {
        let mut seen = Seen { contents: self.first.clone(), told: String::new() };
        while stop.run_until_cancelled(tokio::time::sleep(LOOK_EVERY)).await.is_some() {
            let files = self.files.clone();
            let Ok(read) = tokio::task::spawn_blocking(move || Contents::read(&files)).await else { return };
            if let Some(complaint) = self.look(read, &mut seen) {
                tracing::error!("the new TLS files are not used, those before stay: {complaint}");
            }
        }
    }

    /// Takes what was read, if it is new and can be used; what is to be complained of, unless it was said before.
    fn look(&self, read: Result<Contents, TlsError>, seen: &mut Seen) -> Option<String> {
        let taken = match read {
            Ok(contents) if contents == seen.contents => return None,
            Ok(contents) => {
                seen.contents = contents;
                self.take(&seen.contents)
            }
            Err(error) => Err(error),
        };
        let complaint = taken.err().map(|error| error.to_string()).unwrap_or_default();
        let is_new = !complaint.is_empty() && complaint != seen.told;
        seen.told.clone_from(&complaint);
        is_new.then_some(complaint)
    }

    fn take(&self, contents: &Contents) -> Result<(), TlsError> {
        let (config, own) = server::configuration(contents, &self.files)?;
        self.config.store(Arc::new(config));
        tracing::info!(cert = %self.files.cert.display(), name = own.common_name, "the new TLS files are in use");
        complain_of(&own, &self.files);
        Ok(())
    }
}

/// What was read last, and what was said of it.
struct Seen {
    contents: Contents,
    told: String,
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
        let live = LiveServer::open(files.clone()).unwrap();
        let mut seen = Seen { contents: live.first.clone(), told: String::new() };
        let mut look = || live.look(Contents::read(&files), &mut seen);
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
