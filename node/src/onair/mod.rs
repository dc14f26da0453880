//! The mount logs of this node. Front, fabric, Icecast and status meet here.

mod chunks;
mod elsewhere;
mod live;
mod registry;
mod tap;

pub use chunks::{Chunk, Joined, Missed};
pub use elsewhere::Elsewhere;
pub use live::{Listening, LiveMount, SourceHandle, SourceState};
pub use registry::{OnAir, start};
pub use tap::LogTap;
