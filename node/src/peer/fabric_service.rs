//! The calls of the peer service that the fabric answers.

use std::pin::Pin;

use autoradio_proto::peer::{FrameBatch, HeadReply, HeadRequest, SetTitleReply, SetTitleRequest, SubscribeRequest};
use tokio_stream::Stream;
use tonic::Status;

/// A mount's log as it is copied.
pub type BatchStream = Pin<Box<dyn Stream<Item = Result<FrameBatch, Status>> + Send + 'static>>;

/// What the fabric answers to other nodes; the envelope was checked before.
#[tonic::async_trait]
pub trait FabricService: Send + Sync + 'static {
    /// Copies a mount's log from a position on.
    async fn subscribe(&self, request: SubscribeRequest) -> Result<BatchStream, Status>;
    /// Where this node's log of a mount ends, and whether its source is alive.
    async fn head(&self, request: HeadRequest) -> Result<HeadReply, Status>;
    /// Sets a mount's title, on its origin.
    async fn set_title(&self, request: SetTitleRequest) -> Result<SetTitleReply, Status>;
}
