//! Times as Go writes them: `1h2m3.45s`.

use std::{fmt::Write as _, time::Duration};

/// A duration as Go's `Duration.String` writes it, from a second on; below, in fractions of a second.
pub(super) fn go(duration: Duration) -> String {
    let whole = duration.as_secs();
    let (hours, minutes, seconds) = (whole / 3_600, whole / 60 % 60, whole % 60);
    let mut text = String::new();
    if hours > 0 {
        let _infallible = write!(text, "{hours}h");
    }
    if whole >= 60 {
        let _infallible = write!(text, "{minutes}m");
    }
    let fraction = format!("{:09}", duration.subsec_nanos());
    let fraction = fraction.trim_end_matches('0');
    let point = if fraction.is_empty() { "" } else { "." };
    let _infallible = write!(text, "{seconds}{point}{fraction}s");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_read_as_gos() {
        for (millis, text) in
            [(0, "0s"), (2_646, "2.646s"), (60_000, "1m0s"), (3_723_400, "1h2m3.4s"), (3_600_000, "1h0m0s")]
        {
            assert_eq!(go(Duration::from_millis(millis)), text);
        }
    }
}
