//! What `autoradio-node demo` plays and measures.

pub mod encoder;
pub mod listener;
mod show;
pub mod sound;
mod stage;
mod table;
pub mod tally;

pub use show::run;

/// Why the demo cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// A node's threads.
    #[error("a node's threads cannot be started: {0}")]
    Runtime(std::io::Error),
    /// A node.
    #[error("{node} cannot be started: {reason}; the demo needs the ports 8700 to 8729 of 127.0.0.1")]
    Start {
        /// Its name.
        node: String,
        /// Why.
        reason: String,
    },
    /// The folder of the nodes' data.
    #[error("no temporary folder can be made: {0}")]
    Folder(std::io::Error),
    /// The terminal.
    #[error("the terminal cannot be used: {0}")]
    Terminal(std::io::Error),
    /// What was asked of a node.
    #[error("the cluster did not do what the demo asked: {0}")]
    Admin(String),
}

impl DemoError {
    #[allow(clippy::needless_pass_by_value, reason = "for map_err")]
    fn refused(status: tonic::Status) -> Self {
        Self::Admin(status.message().to_owned())
    }
}

#[cfg(test)]
mod tests;
