//! [`PeerName`]: what a certificate says of a node.

use autoradio_machine::{ClusterId, NodeId, hex_id};
use autoradio_store::Identity;
use rustls_pki_types::CertificateDer;

const SCHEME: &str = "autoradio://";

/// A node of a cluster, as certificates name it: `autoradio://CLUSTER/NODE`, both in hex.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeerName {
    /// The cluster.
    pub cluster_id: ClusterId,
    /// The node.
    pub node_id: NodeId,
}

impl PeerName {
    /// The name in a certificate; `None` where it is no node's.
    #[must_use]
    pub fn of(certificate: &CertificateDer<'_>) -> Option<Self> {
        let certificate = webpki::EndEntityCert::try_from(certificate).ok()?;
        // Exactly one: a certificate of two nodes is of neither.
        let mut names = certificate.valid_uri_names();
        let name = names.next()?.parse().ok()?;
        names.next().is_none().then_some(name)
    }
}

impl From<&Identity> for PeerName {
    fn from(identity: &Identity) -> Self {
        Self { cluster_id: identity.cluster_id, node_id: identity.node_id }
    }
}

impl std::fmt::Display for PeerName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{SCHEME}{}/{}", hex_id(self.cluster_id), hex_id(self.node_id))
    }
}

impl std::str::FromStr for PeerName {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (cluster, node) = text.strip_prefix(SCHEME).and_then(|rest| rest.split_once('/')).ok_or(())?;
        let hex = |text: &str| u64::from_str_radix(text, 16).map_err(|_| ());
        let name = Self { cluster_id: hex(cluster)?, node_id: hex(node)? };
        // One way to write a name, or two texts would be one node.
        if name.to_string() == text { Ok(name) } else { Err(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_come_back_and_have_one_form() {
        let name = PeerName { cluster_id: 0xc1, node_id: 0xbeef };
        assert_eq!(name.to_string(), "autoradio://c1/beef");
        assert_eq!(name.to_string().parse(), Ok(name));
        for bad in ["autoradio://c1", "autoradio://c1/BEEF", "autoradio://0c1/beef", "http://c1/beef", "", "c1/beef"] {
            assert_eq!(bad.parse::<PeerName>(), Err(()), "{bad}");
        }
    }
}
