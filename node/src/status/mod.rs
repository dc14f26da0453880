//! What the node says of itself and of the cluster over HTTP, and to the other nodes.

pub mod load;
mod router;
mod scrape;
#[cfg(test)]
mod test_view;

pub use router::router;
pub(crate) use scrape::register;
#[cfg(test)]
pub(crate) use {router::tests::test_config, test_view::view as test_view};
