//! What a node proves: that it has a join token, and that it has the key which it asks a certificate for.
//!
//! A token's secret is the seed of a key pair (Ed25519); what is kept of it is the public key. The holder signs what it
//! asks for together with a value that only the two ends of this TLS connection know (RFC 9266's exporter, under our
//! own label), so that what it sent is of no use on any other connection, nor in a copy of the store.

use autoradio_machine::{ClusterId, NodeId, TokenId};
use rcgen::{KeyPair, SigningKey};
use ring::{
    digest::{SHA256, digest},
    signature::{ECDSA_P256_SHA256_ASN1, ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey},
};

use super::TrustError;

/// What a connection's exporter is asked under.
pub const EXPORTER_LABEL: &[u8] = b"EXPORTER-autoradio-join";

/// Bytes of what the exporter gives.
pub const EXPORTER_BYTES: usize = 32;

/// Bytes of a token's secret.
pub(super) const SECRET_BYTES: usize = 16;

/// What a node that joins says, and signs.
#[derive(Clone, Copy, Debug)]
pub struct JoinClaim<'a> {
    /// What both ends of the connection know.
    pub exporter: &'a [u8; EXPORTER_BYTES],
    /// The cluster.
    pub cluster_id: ClusterId,
    /// The token.
    pub token: TokenId,
    /// Its name.
    pub name: &'a str,
    /// Its peer URLs.
    pub peer_urls: &'a [String],
    /// Its public key.
    pub public_key: &'a [u8],
}

/// Whose key is proven.
#[derive(Clone, Copy, Debug)]
pub struct KeyProof<'a> {
    /// The cluster.
    pub cluster_id: ClusterId,
    /// The node; 0 for one that has no id yet.
    pub node_id: NodeId,
    /// The public key.
    pub public_key: &'a [u8],
}

/// Parts with their lengths, so that no two lists make the same bytes.
fn message(context: &str, parts: &[&[u8]]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for part in [&[context.as_bytes()], parts].concat() {
        bytes.extend((part.len() as u64).to_be_bytes());
        bytes.extend_from_slice(part);
    }
    bytes
}

impl JoinClaim<'_> {
    fn message(&self) -> Vec<u8> {
        let (cluster, token) = (self.cluster_id.to_be_bytes(), self.token.to_be_bytes());
        let mut parts: Vec<&[u8]> = vec![self.exporter, &cluster, &token, self.name.as_bytes(), self.public_key];
        parts.extend(self.peer_urls.iter().map(String::as_bytes));
        message("autoradio join 1", &parts)
    }
}

impl KeyProof<'_> {
    fn message(&self) -> Vec<u8> {
        let (cluster, node) = (self.cluster_id.to_be_bytes(), self.node_id.to_be_bytes());
        message("autoradio key 1", &[&cluster, &node, self.public_key])
    }
}

fn token_key(secret: &[u8; SECRET_BYTES]) -> Ed25519KeyPair {
    let seed = digest(&SHA256, &message("autoradio join token 1", &[secret]));
    Ed25519KeyPair::from_seed_unchecked(seed.as_ref()).expect("a SHA-256 is as long as a seed")
}

/// What is kept of a token.
pub(super) fn verify_key(secret: &[u8; SECRET_BYTES]) -> [u8; 32] {
    token_key(secret).public_key().as_ref().try_into().expect("an Ed25519 public key has 32 bytes")
}

/// Signs a claim with a token's secret.
pub(super) fn sign(secret: &[u8; SECRET_BYTES], claim: &JoinClaim<'_>) -> Vec<u8> {
    token_key(secret).sign(&claim.message()).as_ref().to_vec()
}

/// Whether who made this claim has the token.
#[must_use]
pub fn check_join(claim: &JoinClaim<'_>, verify_key: &[u8; 32], signature: &[u8]) -> bool {
    UnparsedPublicKey::new(&ED25519, verify_key).verify(&claim.message(), signature).is_ok()
}

/// Signs a key proof with the key.
///
/// # Errors
/// The cryptography's.
pub fn sign_key(key: &KeyPair, proof: &KeyProof<'_>) -> Result<Vec<u8>, TrustError> {
    key.sign(&proof.message()).map_err(TrustError::crypto("signing with this node's key"))
}

/// Whether who sent a public key has the key.
#[must_use]
pub fn check_key(proof: &KeyProof<'_>, signature: &[u8]) -> bool {
    let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, proof.public_key);
    key.verify(&proof.message(), signature).is_ok()
}

/// What a public key is known by.
#[must_use]
pub fn key_hash(public_key: &[u8]) -> [u8; 32] {
    digest(&SHA256, public_key).as_ref().try_into().expect("a SHA-256 has 32 bytes")
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: [u8; SECRET_BYTES] = [7; SECRET_BYTES];

    fn claim<'a>(exporter: &'a [u8; 32], name: &'a str, urls: &'a [String]) -> JoinClaim<'a> {
        JoinClaim { exporter, cluster_id: 1, token: 2, name, peer_urls: urls, public_key: b"key" }
    }

    #[test]
    fn a_claim_is_good_for_its_connection_and_nothing_else() {
        let urls = ["https://a:1".to_owned()];
        let made = claim(&[1; 32], "a", &urls);
        let signature = sign(&SECRET, &made);
        let key = verify_key(&SECRET);
        assert!(check_join(&made, &key, &signature));
        assert!(!check_join(&claim(&[2; 32], "a", &urls), &key, &signature), "another connection");
        assert!(!check_join(&claim(&[1; 32], "b", &urls), &key, &signature), "another name");
        assert!(!check_join(&claim(&[1; 32], "a", &[]), &key, &signature), "another address");
        assert!(!check_join(&JoinClaim { token: 3, ..made }, &key, &signature));
        assert!(!check_join(&JoinClaim { cluster_id: 3, ..made }, &key, &signature));
        assert!(!check_join(&JoinClaim { public_key: b"other", ..made }, &key, &signature));
        assert!(!check_join(&made, &verify_key(&[8; SECRET_BYTES]), &signature), "another secret");
        assert!(!check_join(&made, &key, b""));
    }

    #[test]
    fn a_key_is_proven_by_who_has_it() {
        let key = KeyPair::generate().unwrap();
        let proof = KeyProof { cluster_id: 1, node_id: 2, public_key: key.public_key_raw() };
        let signature = sign_key(&key, &proof).unwrap();
        assert!(check_key(&proof, &signature));
        assert!(!check_key(&KeyProof { node_id: 3, ..proof }, &signature));
        let other = KeyPair::generate().unwrap();
        assert!(!check_key(&KeyProof { public_key: other.public_key_raw(), ..proof }, &signature));
        assert!(!check_key(&KeyProof { public_key: b"", ..proof }, &signature));
    }
}
