//! Pooled connections to the other nodes.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use autoradio_machine::{Catalog, NodeId};
use autoradio_proto::peer::peer_client::PeerClient;
use autoradio_store::Identity;
use tokio::sync::watch;
use tonic::{service::interceptor::InterceptedService, transport::Channel};

use super::{Envelope, MESSAGE_MAX_BYTES, PeerUrl, line::Slot};
use crate::trust::{Keyring, PeerName, Wire};

/// A client of another node's peer service.
pub type Client = PeerClient<InterceptedService<Channel, Envelope>>;

/// Which of the two connections to a node a call takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lane {
    /// Small and urgent: heartbeats, votes, proposals, keep-alives, loads.
    Control,
    /// Large or long: audio, pieces of snapshots. A full window here must not delay a heartbeat.
    Data,
}

/// Pooled connections to each other node (by its member's peer URL), made when first used. Cheap to clone.
#[derive(Clone)]
pub struct Peers {
    inner: Arc<Inner>,
}

struct Inner {
    me: Identity,
    keyring: Keyring,
    /// Members known before the catalog has come, by peer URL.
    first: BTreeMap<NodeId, String>,
    catalog: watch::Receiver<Catalog>,
    lanes: Mutex<BTreeMap<NodeId, Arc<Lanes>>>,
    /// Whether a member said that this node is none any more.
    removed: watch::Sender<bool>,
}

/// The connections to one node, and the line over the first of them.
pub(super) struct Lanes {
    url: String,
    /// As it was when they were made: a cluster that changes to TLS calls anew.
    wire: Wire,
    pub(super) control: Channel,
    data: Channel,
    pub(super) line: Slot,
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

impl Peers {
    /// Connections of the node `me` to the members in `catalog`, and to those in `first` until there is one.
    #[must_use]
    pub fn new(
        me: Identity,
        keyring: Keyring,
        first: BTreeMap<NodeId, String>,
        catalog: watch::Receiver<Catalog>,
    ) -> Self {
        let (lanes, removed) = (Mutex::default(), watch::Sender::new(false));
        Self { inner: Arc::new(Inner { me, keyring, first, catalog, lanes, removed }) }
    }

    /// What this node shows the others.
    #[must_use]
    pub fn keyring(&self) -> &Keyring {
        &self.inner.keyring
    }

    /// The peer URL of each member but this node.
    #[must_use]
    pub fn urls(&self) -> BTreeMap<NodeId, String> {
        let members = self.inner.catalog.borrow().members.clone();
        let mut urls: BTreeMap<NodeId, String> = if members.is_empty() {
            self.inner.first.clone()
        } else {
            members.values().filter_map(|member| Some((member.id, member.peer_urls.first()?.clone()))).collect()
        };
        urls.remove(&self.inner.me.node_id);
        urls
    }

    /// The peer URL of `node`, where it is another member.
    fn url(&self, node: NodeId) -> Option<String> {
        if node == self.inner.me.node_id {
            return None;
        }
        let catalog = self.inner.catalog.borrow();
        if catalog.members.is_empty() {
            return self.inner.first.get(&node).cloned();
        }
        catalog.members.get(&node)?.peer_urls.first().cloned()
    }

    /// A client for `node` on the data lane; connecting is lazy, so that an error comes with the call.
    ///
    /// # Errors
    /// The node is no member, or its peer URL is unusable.
    pub fn client(&self, node: NodeId) -> Result<Client, PeerError> {
        self.client_on(node, Lane::Data)
    }

    /// A client for `node` on a lane.
    ///
    /// # Errors
    /// As [`Peers::client`].
    pub fn client_on(&self, node: NodeId, lane: Lane) -> Result<Client, PeerError> {
        let lanes = self.lanes(node)?;
        let channel = if lane == Lane::Control { &lanes.control } else { &lanes.data };
        Ok(self.client_over(channel.clone(), node))
    }

    pub(super) fn client_over(&self, channel: Channel, node: NodeId) -> Client {
        let client = PeerClient::with_interceptor(channel, Envelope::new(&self.inner.me, node));
        client.max_decoding_message_size(MESSAGE_MAX_BYTES).max_encoding_message_size(MESSAGE_MAX_BYTES)
    }

    /// A client for `node` at `url` on the data lane, whatever the catalog says.
    ///
    /// # Errors
    /// The URL is unusable.
    pub fn client_at(&self, node: NodeId, url: &str) -> Result<Client, PeerError> {
        Ok(self.client_over(self.lanes_at(node, url)?.data.clone(), node))
    }

    pub(super) fn lanes(&self, node: NodeId) -> Result<Arc<Lanes>, PeerError> {
        let listed = self.url(node);
        // Before the catalog has come (a node that joins), the consensus has called by the address in its membership.
        let known = || self.lock().get(&node).map(|lanes| lanes.url.clone());
        let url = listed.or_else(known).ok_or(PeerError::Unknown(node))?;
        self.lanes_at(node, &url)
    }

    pub(super) fn lanes_at(&self, node: NodeId, url: &str) -> Result<Arc<Lanes>, PeerError> {
        let mut pool = self.lock();
        let wire = self.inner.keyring.wire();
        if let Some(lanes) = pool.get(&node).filter(|lanes| lanes.url == url && lanes.wire == wire) {
            return Ok(lanes.clone());
        }
        let unusable = |reason| PeerError::Url { node, url: url.into(), reason };
        let at: PeerUrl = url.parse().map_err(unusable)?;
        let meant = PeerName { cluster_id: self.inner.me.cluster_id, node_id: node };
        let channel = || at.channel(&self.inner.keyring, meant);
        let lanes =
            Arc::new(Lanes { url: url.into(), wire, control: channel(), data: channel(), line: Slot::default() });
        pool.insert(node, lanes.clone());
        Ok(lanes)
    }

    /// Takes in that a member said that this node is none any more.
    pub(super) fn tell_removed(&self) {
        self.inner.removed.send_if_modified(|removed| !std::mem::replace(removed, true));
    }

    /// Becomes true when a member says that this node is none any more.
    #[must_use]
    pub fn watch_removed(&self) -> watch::Receiver<bool> {
        self.inner.removed.subscribe()
    }

    /// Forgets connections to nodes that are no members (calls under way are not cut off).
    pub fn retain_members(&self) {
        let members = self.inner.catalog.borrow().members.clone();
        if !members.is_empty() {
            self.lock().retain(|node, _| members.contains_key(node));
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<NodeId, Arc<Lanes>>> {
        self.inner.lanes.lock().expect("nothing panics while it holds the pool")
    }
}
