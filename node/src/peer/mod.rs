//! Connections between nodes.

use autoradio_machine::NodeId;
use autoradio_proto::peer::peer_client::PeerClient;
use tonic::{service::interceptor::InterceptedService, transport::Channel};

/// Puts cluster id, target id and own id on every call.
#[derive(Clone, Debug)]
pub struct Envelope {}

impl tonic::service::Interceptor for Envelope {
    fn call(&mut self, _request: tonic::Request<()>) -> Result<tonic::Request<()>, tonic::Status> {
        unimplemented!()
    }
}

/// A client of another node's peer service.
pub type Client = PeerClient<InterceptedService<Channel, Envelope>>;

/// A pooled connection to each other node (by its member's peer URL), made when first used. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Peers {}

impl Peers {
    /// A client for `node`; connecting is lazy, so that an error comes with the call.
    ///
    /// # Errors
    /// The node is no member, or its peer URL is unusable.
    pub fn client(&self, _node: NodeId) -> Result<Client, PeerError> {
        unimplemented!()
    }
}

/// A node that cannot be called.
#[derive(Debug, thiserror::Error)]
pub enum PeerError {
    /// Not in the catalog.
    #[error("{0:x} is not a member of this cluster")]
    Unknown(NodeId),
    /// Its URL.
    #[error("{node:x} has an unusable peer URL {url:?}: {reason}")]
    Url {
        /// The node.
        node: NodeId,
        /// The URL.
        url: String,
        /// Why.
        reason: String,
    },
}
