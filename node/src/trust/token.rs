//! [`JoinToken`]: one word that lets one node into a cluster.

use autoradio_machine::TokenId;
use data_encoding::{BASE32_NOPAD, Encoding};
use ring::digest::{SHA256, digest};
use rustls_pki_types::CertificateDer;

use super::{
    JoinClaim, TrustError, ca,
    proof::{self, SECRET_BYTES},
    random,
};

/// What tokens begin with: what it is, and in which form.
const PREFIX: &str = "arj1";

/// Bytes of the CA's hash in a token. Half a SHA-256 is as hard to match as the secret is to guess.
pub(super) const CA_HASH_BYTES: usize = 16;

const ID_BYTES: usize = 8;
const CHECKSUM_BYTES: usize = 4;
const BODY_BYTES: usize = CA_HASH_BYTES + ID_BYTES + SECRET_BYTES;

/// Letters and digits that no font confuses much, and no case: it may have to be typed. One word for a double click.
const LETTERS: Encoding = BASE32_NOPAD;

/// A join token: the hash of the CA's key, a number, and a secret.
#[derive(Clone, PartialEq, Eq)]
pub struct JoinToken {
    ca_hash: [u8; CA_HASH_BYTES],
    id: TokenId,
    secret: [u8; SECRET_BYTES],
}

/// What is no join token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// Something else.
    #[error("this is no join token: one begins with {PREFIX}; make one on a member: radioctl token create")]
    Foreign,
    /// A letter too few, too many, or wrong.
    #[error("the join token is mistyped or cut off: its checksum does not fit; copy it whole, as radioctl printed it")]
    Mistyped,
}

impl std::fmt::Debug for JoinToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Never the secret.
        write!(f, "JoinToken({:016x})", self.id)
    }
}

impl JoinToken {
    /// A new token for the cluster of this CA.
    ///
    /// # Errors
    /// No randomness, or no certificate.
    pub fn create(ca: &CertificateDer<'_>) -> Result<Self, TrustError> {
        let hash = ca::spki_hash(ca)?;
        let ca_hash = *hash.first_chunk().expect("a SHA-256 is longer");
        Ok(Self { ca_hash, id: u64::from_be_bytes(random()?), secret: random()? })
    }

    /// Its number, which is no secret.
    #[must_use]
    pub fn id(&self) -> TokenId {
        self.id
    }

    /// What the CA of its cluster is known by.
    #[must_use]
    pub fn ca_hash(&self) -> [u8; CA_HASH_BYTES] {
        self.ca_hash
    }

    /// What the cluster keeps of it.
    #[must_use]
    pub fn verify_key(&self) -> [u8; 32] {
        proof::verify_key(&self.secret)
    }

    /// Proves, for one connection, that this node has it.
    #[must_use]
    pub fn sign(&self, claim: &JoinClaim<'_>) -> Vec<u8> {
        proof::sign(&self.secret, claim)
    }

    /// The word. A secret: for the person who asked for it, and nobody's log.
    #[must_use]
    pub fn reveal(&self) -> String {
        let body = [&self.ca_hash[..], &self.id.to_be_bytes(), &self.secret].concat();
        let word = LETTERS.encode(&[&body[..], &checksum(&body)].concat());
        PREFIX.to_owned() + &word.to_lowercase()
    }
}

impl std::str::FromStr for JoinToken {
    type Err = TokenError;

    fn from_str(text: &str) -> Result<Self, TokenError> {
        let word = text.trim().to_ascii_lowercase();
        let letters = word.strip_prefix(PREFIX).ok_or(TokenError::Foreign)?.to_ascii_uppercase();
        let bytes = LETTERS.decode(letters.as_bytes()).map_err(|_| TokenError::Mistyped)?;
        let (body, sum) = bytes.split_last_chunk::<CHECKSUM_BYTES>().ok_or(TokenError::Mistyped)?;
        if body.len() != BODY_BYTES || checksum(body) != *sum {
            return Err(TokenError::Mistyped);
        }
        let (ca_hash, rest) = body.split_first_chunk().expect("the length was checked");
        let (id, rest) = rest.split_first_chunk().expect("the length was checked");
        let secret = *rest.first_chunk().expect("the length was checked");
        Ok(Self { ca_hash: *ca_hash, id: u64::from_be_bytes(*id), secret })
    }
}

fn checksum(body: &[u8]) -> [u8; CHECKSUM_BYTES] {
    *digest(&SHA256, body).as_ref().first_chunk().expect("a SHA-256 is longer")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trust::Authority;

    fn token() -> JoinToken {
        JoinToken::create(Authority::create(1, 0).unwrap().certificate()).unwrap()
    }

    #[test]
    fn a_token_is_one_word_and_comes_back() {
        let token = token();
        let word = token.reveal();
        assert!(word.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit()), "{word}");
        assert_eq!(word.len(), 75);
        assert_eq!(word.parse(), Ok(token.clone()));
        assert_eq!(format!(" {}\n", word.to_uppercase()).parse(), Ok(token.clone()), "in capitals, with a line's end");
        assert_ne!(token, self::token());
        assert!(!format!("{token:?}").contains(&word[40..60]), "the secret is not shown");
    }

    #[test]
    fn every_slip_is_noticed() {
        let word = token().reveal();
        for at in 4..word.len() {
            let mut slip = word.clone().into_bytes();
            slip[at] = if slip[at] == b'a' { b'b' } else { b'a' };
            assert_eq!(String::from_utf8(slip).unwrap().parse::<JoinToken>(), Err(TokenError::Mistyped), "{at}");
            assert_eq!(word[..at].parse::<JoinToken>(), Err(TokenError::Mistyped), "{at}");
        }
        assert_eq!("hunter2".parse::<JoinToken>(), Err(TokenError::Foreign));
        assert_eq!("".parse::<JoinToken>(), Err(TokenError::Foreign));
    }
}
