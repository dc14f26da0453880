//! Listeners on the testbed's client host.

use std::{path::PathBuf, time::Duration};

use crate::{
    encoder::Encoding,
    testbed::{Host, Job, Testbed},
    wait::wait_until,
    whole::whole_frames_len,
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
    pub fn wait_more(&self, more: u64, limit: Duration) {
        let want = self.len() + more;
        wait_until(&format!("{more} further bytes in {}", self.path.display()), limit, || {
            (self.len() >= want).then_some(())
        });
    }

    /// Ends it; the file with the whole frames that came, for decoders.
    ///
    /// # Panics
    /// When something else than frames came.
    #[must_use]
    pub fn finish(mut self, encoding: Encoding) -> PathBuf {
        self.job.terminate();
        let mut bytes = std::fs::read(&self.path).unwrap_or_default();
        bytes.truncate(whole_frames_len(encoding, &bytes));
        std::fs::write(&self.path, bytes).expect("the recording can be written");
        self.path.clone()
    }
}
