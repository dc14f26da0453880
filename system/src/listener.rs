//! Listeners on the testbed's client host.

use std::{path::PathBuf, time::Duration};

use crate::{
    testbed::{Host, Job, Testbed},
    wait::wait_until,
};

/// A listener that writes what it gets to a file: curl, which neither reconnects nor changes a byte.
#[derive(Debug)]
pub struct Recording {
    job: Job,
    path: PathBuf,
}

impl Recording {
    /// Listens to `mount` at a host, at once.
    #[must_use]
    pub fn start(testbed: &Testbed, name: &str, host: Host, mount: &str) -> Self {
        Self::at(testbed, name, &format!("http://{}{mount}", host.ip()))
    }

    /// Listens at a URL.
    #[must_use]
    pub fn at(testbed: &Testbed, name: &str, url: &str) -> Self {
        let path = testbed.folder("recordings").join(name);
        let file = path.display().to_string();
        let line = ["curl", "--silent", "--show-error", "--fail", "--no-buffer", "--output", &file, url];
        Self { job: testbed.spawn(Host::Client, &format!("listener-{name}.log"), &line), path }
    }

    /// Where it writes.
    #[must_use]
    pub fn path(&self) -> &std::path::Path {
        &self.path
    }

    /// How much has come.
    #[must_use]
    pub fn len(&self) -> u64 {
        std::fs::metadata(&self.path).map_or(0, |m| m.len())
    }

    /// Whether nothing has come.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether its connection stands.
    pub fn connected(&mut self) -> bool {
        self.job.running()
    }

    /// Waits for `more` further bytes.
    pub fn wait_more(&self, more: u64, limit: Duration) -> Duration {
        let want = self.len() + more;
        wait_until(&format!("{more} further bytes in {}", self.path.display()), limit, || {
            (self.len() >= want).then_some(())
        })
        .1
    }

    /// Ends it and gives what came.
    #[must_use]
    pub fn finish(mut self) -> Vec<u8> {
        self.job.terminate();
        std::fs::read(&self.path).unwrap_or_default()
    }
}
