//! What the child says on its standard output and error.

use std::sync::{Arc, Mutex};

use tokio::io::{AsyncRead, AsyncReadExt};

/// The longest line kept; more of it is left out.
const MAX_LINE: usize = 400;

/// The last line that the child said, shared. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(super) struct LastLine(Arc<Mutex<String>>);

impl LastLine {
    /// The last line; empty where there was none.
    pub(super) fn get(&self) -> String {
        self.0.lock().expect("nothing panics while it holds the line").clone()
    }

    fn set(&self, line: &str) {
        line.clone_into(&mut self.0.lock().expect("nothing panics while it holds the line"));
    }
}

/// Logs each line at debug level and remembers the last, until the pipe ends.
pub(super) async fn follow(mut pipe: impl AsyncRead + Unpin, last: LastLine) {
    let mut chunk = [0; 4_096];
    let mut line = Vec::new();
    while let Ok(length @ 1..) = pipe.read(&mut chunk).await {
        for &byte in chunk.get(..length).unwrap_or_default() {
            if byte == b'\n' {
                say(&line, &last);
                line.clear();
            } else if line.len() < MAX_LINE {
                line.push(byte);
            }
        }
    }
    say(&line, &last);
}

fn say(line: &[u8], last: &LastLine) {
    let text: String = String::from_utf8_lossy(line).chars().filter(|c| !c.is_control()).collect();
    let text = text.trim();
    if !text.is_empty() {
        tracing::debug!(target: "autoradio_node::icecast", "{text}");
        last.set(text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_last_line_is_kept_short_and_clean() {
        let last = LastLine::default();
        follow(&b"one\n\x1b[31mtwo\r\n\n"[..], last.clone()).await;
        assert_eq!(last.get(), "[31mtwo");
        let long = vec![b'x'; 100_000];
        follow(&long[..], last.clone()).await;
        assert_eq!(last.get().len(), MAX_LINE);
    }
}
