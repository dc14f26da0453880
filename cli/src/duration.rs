//! Durations as people write and read them.

use std::time::Duration;

/// The longest duration that is taken: it fits every field of the wire with room to spare.
const MOST: Duration = Duration::from_secs(366 * 86_400);

/// Reads `500ms`, `30s`, `2m`, `1h`, `1d`; fractions are fine, too.
pub(crate) fn parse(text: &str) -> Result<Duration, String> {
    let text = text.trim();
    let split = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let unit_s = match unit.trim_start() {
        "ms" => 0.001,
        "s" => 1.0,
        "m" | "min" => 60.0,
        "h" => 3_600.0,
        "d" => 86_400.0,
        "" => return Err("a unit is missing; write 500ms, 30s, 2m or 1h".into()),
        other => return Err(format!("{other:?} is no unit; write 500ms, 30s, 2m or 1h")),
    };
    let number: f64 = number.parse().map_err(|_| String::from("write a number and a unit: 500ms, 30s, 2m or 1h"))?;
    let duration = Duration::try_from_secs_f64(number * unit_s).map_err(|error| error.to_string())?;
    if duration > MOST { Err("that is more than a year".into()) } else { Ok(duration) }
}

/// As [`parse`], in milliseconds.
pub(crate) fn parse_ms(text: &str) -> Result<u32, String> {
    u32::try_from(parse(text)?.as_millis()).map_err(|_| "that is longer than 49 days".into())
}

/// As [`parse`], and not zero: a time limit.
pub(crate) fn parse_limit(text: &str) -> Result<Duration, String> {
    let limit = parse(text)?;
    if limit.is_zero() { Err("a time limit of zero leaves no time for an answer".into()) } else { Ok(limit) }
}

/// The two greatest units: `3 d 4 h`, `2 min 5 s`, `500 ms`.
pub(crate) fn show(duration: Duration) -> String {
    let (s, ms) = (duration.as_secs(), duration.subsec_millis());
    let pair = |great: u64, great_unit: &str, small: u64, small_unit: &str| match small {
        0 => format!("{great} {great_unit}"),
        _ => format!("{great} {great_unit} {small} {small_unit}"),
    };
    match s {
        0 if ms > 0 => format!("{ms} ms"),
        0..60 if ms > 0 => format!("{s}.{} s", ms / 100),
        0..60 => format!("{s} s"),
        60..3_600 => pair(s / 60, "min", s % 60, "s"),
        3_600..86_400 => pair(s / 3_600, "h", s % 3_600 / 60, "min"),
        _ => pair(s / 86_400, "d", s % 86_400 / 3_600, "h"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_people_write_is_read() {
        let read = [("500ms", 500), ("30s", 30_000), ("2m", 120_000), ("1.5 s", 1_500), ("1h", 3_600_000), ("0s", 0)];
        for (text, ms) in read {
            assert_eq!(parse_ms(text), Ok(ms), "{text}");
        }
        for bad in ["", "10", "s", "1.2.3s", "-1s", "5 weeks", "99999999999999999999d", "400d"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
        assert!(parse_limit("0s").is_err());
        assert!(parse_ms("60d").is_err());
    }

    #[test]
    fn what_is_shown_can_be_read() {
        let shown = [
            (0, "0 s"),
            (500, "500 ms"),
            (2_500, "2.5 s"),
            (30_000, "30 s"),
            (120_000, "2 min"),
            (125_000, "2 min 5 s"),
            (7_260_000, "2 h 1 min"),
            (273_600_000, "3 d 4 h"),
        ];
        for (ms, text) in shown {
            assert_eq!(show(Duration::from_millis(ms)), text);
        }
    }
}
