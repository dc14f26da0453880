//! The demo's keys, read on a thread of their own; the terminal is put back when it ends.

use std::{
    sync::mpsc::{Receiver, RecvTimeoutError, channel},
    time::Duration,
};

use crossterm::{
    cursor,
    event::{Event, KeyCode, KeyEventKind, KeyModifiers, read},
    execute,
    terminal::{EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode},
};

/// What a key asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key {
    /// Kill the origin.
    Kill,
    /// Restart what is dead.
    Restart,
    /// Drain the origin.
    Drain,
    /// End.
    Quit,
}

/// The keyboard, where there is one.
#[derive(Debug)]
pub struct Keys {
    receiver: Option<Receiver<Key>>,
}

impl Keys {
    /// Puts the terminal into raw mode and reads keys, if `terminal`.
    ///
    /// # Errors
    /// The terminal's.
    pub fn start(terminal: bool) -> std::io::Result<Self> {
        if !terminal {
            return Ok(Self { receiver: None });
        }
        enable_raw_mode()?;
        execute!(std::io::stdout(), EnterAlternateScreen, cursor::Hide)?;
        let (sender, receiver) = channel();
        // Blocks in read(2) and ends with the process: the terminal cannot be asked with a time limit portably.
        std::thread::spawn(move || {
            while let Ok(event) = read() {
                if let Some(key) = meaning(&event)
                    && sender.send(key).is_err()
                {
                    return;
                }
            }
        });
        Ok(Self { receiver: Some(receiver) })
    }

    /// Whether keys are read.
    #[must_use]
    pub fn raw(&self) -> bool {
        self.receiver.is_some()
    }

    /// The next key, waited for no longer than `limit`.
    #[must_use]
    pub fn next(&self, limit: Duration) -> Option<Key> {
        match &self.receiver {
            Some(receiver) => match receiver.recv_timeout(limit) {
                Ok(key) => Some(key),
                Err(RecvTimeoutError::Timeout) => None,
                // The terminal is gone.
                Err(RecvTimeoutError::Disconnected) => Some(Key::Quit),
            },
            None => {
                std::thread::sleep(limit);
                None
            }
        }
    }
}

impl Drop for Keys {
    fn drop(&mut self) {
        if self.receiver.is_some() {
            // Nothing can be done about a terminal that does not take it.
            let _ = execute!(std::io::stdout(), LeaveAlternateScreen, cursor::Show);
            let _ = disable_raw_mode();
        }
    }
}

fn meaning(event: &Event) -> Option<Key> {
    let Event::Key(key) = event else { return None };
    if key.kind == KeyEventKind::Release {
        return None;
    }
    match key.code {
        KeyCode::Char('c') if key.modifiers.contains(KeyModifiers::CONTROL) => Some(Key::Quit),
        KeyCode::Char('k') => Some(Key::Kill),
        KeyCode::Char('r') => Some(Key::Restart),
        KeyCode::Char('d') => Some(Key::Drain),
        KeyCode::Char('q') | KeyCode::Esc => Some(Key::Quit),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crossterm::event::KeyEvent;

    #[test]
    fn keys_mean_what_the_screen_says() {
        let press = |c, modifiers| meaning(&Event::Key(KeyEvent::new(KeyCode::Char(c), modifiers)));
        let plain = KeyModifiers::NONE;
        assert_eq!(press('k', plain), Some(Key::Kill));
        assert_eq!(press('r', plain), Some(Key::Restart));
        assert_eq!(press('d', plain), Some(Key::Drain));
        assert_eq!(press('q', plain), Some(Key::Quit));
        assert_eq!(press('c', KeyModifiers::CONTROL), Some(Key::Quit));
        assert_eq!(press('c', plain), None);
    }
}
