//! Source passwords: made here, shown once, kept as argon2id hashes only.

use argon2::{
    Algorithm, Argon2, Params, Version,
    password_hash::{PasswordHasher, phc::PasswordHash},
};
use tokio::sync::Semaphore;
use tonic::Status;

/// Letters and digits that are not taken for one another when read aloud or typed off a screen.
const ALPHABET: &[u8] = b"abcdefghijkmnpqrstuvwxyzACDEFGHJKLMNPQRTUVWXYZ234679";

/// 20 characters of 52: 114 bits.
const LENGTH: usize = 20;

/// Memory, passes and lanes of argon2id (OWASP's choice): 19 MiB, 2, 1.
const COST: (u32, u32, u32) = (19 * 1_024, 2, 1);

/// Salt's length, in bytes (RFC 9106 recommends 16).
const SALT: usize = 16;

/// Hashes at a time: each takes 19 MiB and a core for a while.
static HASHING: Semaphore = Semaphore::const_new(2);

/// A new password and its hash as a PHC string.
pub(super) async fn make() -> Result<(String, String), Status> {
    let _slot = HASHING.acquire().await.map_err(|error| Status::internal(error.to_string()))?;
    let made = tokio::task::spawn_blocking(|| {
        let password = random_password()?;
        let hash = hash(&password)?;
        Ok::<_, String>((password, hash))
    });
    let failed = |reason: String| Status::internal(format!("no password could be made: {reason}"));
    made.await.map_err(|error| failed(error.to_string()))?.map_err(failed)
}

fn random_password() -> Result<String, String> {
    let mut password = String::with_capacity(LENGTH);
    // Bytes beyond the last whole multiple of the alphabet would make some characters likelier.
    let fair = 256 - 256 % ALPHABET.len();
    while password.len() < LENGTH {
        let mut bytes = [0; LENGTH];
        getrandom::fill(&mut bytes).map_err(|error| error.to_string())?;
        let fair = bytes.iter().map(|&byte| usize::from(byte)).filter(|&byte| byte < fair);
        password.extend(fair.map(|byte| char::from(ALPHABET[byte % ALPHABET.len()])).take(LENGTH - password.len()));
    }
    Ok(password)
}

fn hash(password: &str) -> Result<String, String> {
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
    use argon2::password_hash::PasswordVerifier;

    use super::*;

    #[tokio::test]
    async fn the_hash_is_of_the_password_and_of_no_other() {
        let (password, hash) = make().await.unwrap();
        assert_eq!(password.len(), LENGTH);
        assert!(password.bytes().all(|byte| ALPHABET.contains(&byte)), "{password}");
        assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hash}");
        let parsed = PasswordHash::new(&hash).unwrap();
        assert!(Argon2::default().verify_password(password.as_bytes(), &parsed).is_ok());
        assert!(Argon2::default().verify_password(b"another", &parsed).is_err());
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
