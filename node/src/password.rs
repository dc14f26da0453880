//! Passwords of sources and users: hashed with argon2id, a few at a time; those that we make are shown once.

use std::time::Duration;

use argon2::{
    Algorithm, Argon2, Params, Version,
    password_hash::{PasswordHasher, PasswordVerifier, phc::PasswordHash},
};
use tokio::{sync::Semaphore, time::timeout};
use tonic::Status;

/// Letters and digits that are not taken for one another when read aloud or typed off a screen.
const ALPHABET: &[u8] = b"abcdefghijkmnpqrstuvwxyzACDEFGHJKLMNPQRTUVWXYZ234679";

/// 20 characters of 52: 114 bits.
const LENGTH: usize = 20;

/// Memory, passes and lanes of argon2id (OWASP's choice): 19 MiB, 2, 1.
const COST: (u32, u32, u32) = (19 * 1_024, 2, 1);

/// Salt's length, in bytes (RFC 9106 recommends 16).
const SALT: usize = 16;

/// The longest password that is hashed, in bytes.
const PASSWORD_BYTES_MAX: usize = 512;

/// Hashes at a time: each takes 19 MiB and a core for a while. This also bounds how fast passwords can be tried.
static HASHING: Semaphore = Semaphore::const_new(2);

/// How long one's turn is waited for.
const TURN_LIMIT: Duration = Duration::from_secs(10);

fn failed(reason: impl std::fmt::Display) -> Status {
    Status::internal(format!("no password could be made: {reason}"))
}

fn busy() -> Status {
    Status::resource_exhausted("too many passwords are being checked now; try again in a moment")
}

/// A new password and its hash as a PHC string.
pub(crate) async fn make() -> Result<(String, String), Status> {
    let password = random(LENGTH).map_err(failed)?;
    let hash = hash(password.clone()).await?;
    Ok((password, hash))
}

/// A password's hash as a PHC string.
pub(crate) async fn hash(password: String) -> Result<String, Status> {
    if password.len() > PASSWORD_BYTES_MAX {
        return Err(Status::invalid_argument(format!("a password has at most {PASSWORD_BYTES_MAX} bytes")));
    }
    let Ok(Ok(_turn)) = timeout(TURN_LIMIT, HASHING.acquire()).await else { return Err(busy()) };
    let made = tokio::task::spawn_blocking(move || hash_now(&password));
    made.await.map_err(failed)?.map_err(failed)
}

/// Whether a password is that of a hash; `None` where too many are being checked.
pub(crate) async fn verify(hash: String, password: String) -> Option<bool> {
    if password.len() > PASSWORD_BYTES_MAX {
        return Some(false);
    }
    let Ok(Ok(_turn)) = timeout(TURN_LIMIT, HASHING.acquire()).await else { return None };
    let verified = tokio::task::spawn_blocking(move || {
        let parsed = PasswordHash::new(&hash).ok()?;
        Argon2::default().verify_password(password.as_bytes(), &parsed).ok()
    });
    Some(matches!(verified.await, Ok(Some(()))))
}

/// Random characters.
///
/// # Errors
/// The system has no randomness.
pub(crate) fn random(length: usize) -> Result<String, String> {
    let mut password = String::with_capacity(length);
    // Bytes beyond the last whole multiple of the alphabet would make some characters likelier.
    let fair = 256 - 256 % ALPHABET.len();
    while password.len() < length {
        let mut bytes = [0; LENGTH];
        getrandom::fill(&mut bytes).map_err(|error| error.to_string())?;
        let fair = bytes.iter().map(|&byte| usize::from(byte)).filter(|&byte| byte < fair);
        password.extend(fair.map(|byte| char::from(ALPHABET[byte % ALPHABET.len()])).take(length - password.len()));
    }
    Ok(password)
}

fn hash_now(password: &str) -> Result<String, String> {
    let params = Params::new(COST.0, COST.1, COST.2, None).map_err(|error| error.to_string())?;
    let mut salt = [0; SALT];
    getrandom::fill(&mut salt).map_err(|error| error.to_string())?;
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    let hash: PasswordHash =
        argon2.hash_password_with_salt(password.as_bytes(), &salt).map_err(|error| error.to_string())?;
    Ok(hash.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_hash_is_of_the_password_and_of_no_other() {
        let (password, hash) = make().await.unwrap();
        assert_eq!(password.len(), LENGTH);
        assert!(password.bytes().all(|byte| ALPHABET.contains(&byte)), "{password}");
        assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hash}");
        assert_eq!(verify(hash.clone(), password.clone()).await, Some(true));
        assert_eq!(verify(hash.clone(), "another".into()).await, Some(false));
        assert_eq!(verify(String::new(), String::new()).await, Some(false), "no hash is nobody's");
        assert!(super::hash("x".repeat(513)).await.is_err());
        assert_ne!(make().await.unwrap().0, password);
    }

    #[test]
    fn the_alphabet_has_no_twins() {
        let mut seen = ALPHABET.to_vec();
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen.len(), ALPHABET.len());
        assert!(!b"0OolI1S5B8".iter().any(|twin| *twin != b'o' && ALPHABET.contains(twin)));
    }
}
