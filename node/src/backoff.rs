//! Waits before another try.

use std::time::Duration;

/// Between half of `wait` and all of it, so that nodes that failed together do not try together.
#[must_use]
pub fn jittered(wait: Duration) -> Duration {
    let mut byte = [0; 1];
    // Without randomness the wait is whole: later, never sooner.
    match getrandom::fill(&mut byte) {
        Ok(()) => wait / 2 + wait * u32::from(byte[0]) / 510,
        Err(_) => wait,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_is_between_half_and_whole() {
        let wait = Duration::from_secs(1);
        for _ in 0..1_000 {
            let jittered = jittered(wait);
            assert!((wait / 2..=wait).contains(&jittered), "{jittered:?}");
        }
    }
}
