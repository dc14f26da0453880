//! What the node says of itself and of the cluster over HTTP, and to the other nodes.

mod icecast_form;
pub mod load;
mod picture;
mod router;
mod scrape;

pub use router::router;

#[cfg(test)]
pub(crate) use picture::tests::view as test_view;
