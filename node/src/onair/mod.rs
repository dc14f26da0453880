//! The mount logs of this node. Front, fabric, Icecast and status meet here.

/// All mount logs of this node, by mount. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct OnAir {}
