//! Sources' credentials against argon2id hashes, with a memory of those that were right.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
    time::Duration,
};

use argon2::{
    Argon2,
    password_hash::{PasswordVerifier, phc::PasswordHash},
};
use autoradio_machine::Mount;
use autoradio_policy::answer::Refuse;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use tokio::sync::Semaphore;

/// Verifications at a time: each takes 19 MiB and a core for some 20 ms. This also bounds how fast passwords can be
/// tried.
const VERIFYING_MAX: usize = 2;
/// How long a source waits for its turn; beyond it is told to come again. Not that its password is wrong: encoders give up
/// then, and who tries passwords would take stations off the air.
const TURN_LIMIT: Duration = Duration::from_secs(10);
/// The longest password that is hashed, in bytes.
const PASSWORD_BYTES_MAX: usize = 512;
/// Right ones that are remembered, so that a title each few seconds costs nothing.
const REMEMBERED_MAX: usize = 1_024;

/// Checks credentials. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Auth {
    turns: Arc<Semaphore>,
    right: Arc<Mutex<VecDeque<[u8; 32]>>>,
}

impl Default for Auth {
    fn default() -> Self {
        Self { turns: Arc::new(Semaphore::new(VERIFYING_MAX)), right: Arc::default() }
    }
}

impl Auth {
    /// Whether these are the mount's credentials.
    ///
    /// # Errors
    /// Too many are being checked.
    pub(super) async fn check(&self, mount: &Mount, user: &str, password: &str) -> Result<bool, Refuse> {
        // Both are checked always: a wrong name takes as long as a wrong password.
        let user_right = bool::from(user.as_bytes().ct_eq(mount.username.as_bytes()));
        Ok(self.check_password(mount, password).await? && user_right)
    }

    /// Whether this is the mount's password, whoever says it (Shoutcast's `pass=`).
    ///
    /// # Errors
    /// Too many are being checked.
    pub(super) async fn check_password(&self, mount: &Mount, password: &str) -> Result<bool, Refuse> {
        if password.len() > PASSWORD_BYTES_MAX {
            return Ok(false);
        }
        // The hash is in it: a reset password is asked for anew.
        let mut digest = Sha256::new();
        digest.update(mount.password_hash.as_bytes());
        digest.update([0]);
        digest.update(password.as_bytes());
        let key: [u8; 32] = digest.finalize().into();
        if self.knows(&key) {
            return Ok(true);
        }
        let Ok(Ok(_turn)) = tokio::time::timeout(TURN_LIMIT, self.turns.acquire()).await else {
            return Err(Refuse::Busy("too many passwords are being checked now; try again".into()));
        };
        let (hash, password) = (mount.password_hash.clone(), password.to_owned());
        let verified = tokio::task::spawn_blocking(move || {
            let parsed = PasswordHash::new(&hash).ok()?;
            Argon2::default().verify_password(password.as_bytes(), &parsed).ok()
        });
        let right = matches!(verified.await, Ok(Some(())));
        if right {
            self.remember(key);
        }
        Ok(right)
    }

    fn knows(&self, key: &[u8; 32]) -> bool {
        let right = self.right.lock().expect("nothing panics while it holds the digests");
        right.iter().any(|known| bool::from(known.ct_eq(key)))
    }

    fn remember(&self, key: [u8; 32]) {
        let mut right = self.right.lock().expect("nothing panics while it holds the digests");
        if right.len() >= REMEMBERED_MAX {
            right.pop_front();
        }
        right.push_back(key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn who_gets_no_turn_is_not_told_that_the_password_is_wrong() {
        let mount = Mount::from_json(br#"{"username":"source","password_hash":"$argon2id$x"}"#).unwrap();
        let auth = Auth::default();
        assert_eq!(auth.check(&mount, "source", "guess").await, Ok(false));
        auth.turns.close();
        assert!(matches!(auth.check(&mount, "source", "guess").await, Err(Refuse::Busy(_))));
    }
}
