//! Panics of tasks, which a runtime would swallow.

use std::{cell::RefCell, panic, sync::Once, thread};

thread_local! {
    /// What panicked on this thread since it was asked for last; `None` while nobody asks.
    static PANICS: RefCell<Option<Vec<String>>> = const { RefCell::new(None) };
}

static HOOK: Once = Once::new();

/// While it lives, panics of this thread are kept instead of printed.
pub(crate) struct Kept;

impl Kept {
    pub(crate) fn from_now_on() -> Self {
        HOOK.call_once(|| {
            let before = panic::take_hook();
            panic::set_hook(Box::new(move |info| {
                let kept = PANICS.with_borrow_mut(|kept| kept.as_mut().map(|kept| kept.push(info.to_string())));
                if kept.is_none() {
                    before(info);
                }
            }));
        });
        PANICS.set(Some(Vec::new()));
        Self
    }
}

impl Drop for Kept {
    /// The simulation's own panic would not be seen otherwise.
    fn drop(&mut self) {
        if thread::panicking() {
            all().into_iter().for_each(|panic| eprintln!("{panic}"));
        }
        PANICS.set(None);
    }
}

/// What panicked since this was asked for last.
pub(crate) fn all() -> Vec<String> {
    PANICS.with_borrow_mut(|kept| kept.as_mut().map(std::mem::take)).unwrap_or_default()
}
