//! Numbers as people read them.

/// `1 284`: groups of three, without a comma that half the world takes for a point.
pub(super) fn count(number: u32) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (n, digit) in digits.chars().enumerate() {
        if n > 0 && (digits.len() - n).is_multiple_of(3) {
            out.push(' ');
        }
        out.push(digit);
    }
    out
}

/// Megabits a second of bytes a second: `0.3`, `66`.
pub(super) fn mbit(bytes_per_s: u64) -> String {
    let tenths = bytes_per_s.saturating_mul(8) / 100_000;
    if tenths < 100 { format!("{}.{}", tenths / 10, tenths % 10) } else { (tenths / 10).to_string() }
}

/// Kilobits a second: `128k`.
pub(super) fn kbit(bits_per_s: u64) -> String {
    format!("{}k", bits_per_s.saturating_add(500) / 1_000)
}

/// `1 node`, `3 nodes`.
pub(super) fn plural(number: usize, noun: &str) -> String {
    if number == 1 { format!("1 {noun}") } else { format!("{number} {noun}s") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers() {
        assert_eq!([0, 999, 1_284, 1_234_567].map(count), ["0", "999", "1 284", "1 234 567"]);
        assert_eq!([0, 40_000, 1_249_999, 8_250_000].map(mbit), ["0.0", "0.3", "9.9", "66"]);
        assert_eq!(kbit(127_900), "128k");
        assert_eq!((plural(1, "node"), plural(3, "node")), ("1 node".into(), "3 nodes".into()));
    }
}
