//! What is kept, and how much of it: etcd's quota and compaction, and the snapshots of every night.

use autoradio_machine::QUOTA_DEFAULT_BYTES;
use autoradio_policy::compaction::Retention;

use super::{
    args::KeepingOptions,
    resolve::{ConfigError, wrong},
};

/// A week of nights.
pub(super) const NIGHTLY_DEFAULT: u32 = 7;

/// What is kept, and how much of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keeping {
    /// etcd's `--quota-backend-bytes`; `u64::MAX` for none.
    pub quota_bytes: u64,
    /// etcd's `--auto-compaction-mode` and `--auto-compaction-retention`.
    pub retention: Retention,
    /// Whether dead voters are replaced, and their number kept odd.
    pub autopilot: bool,
    /// How many snapshots of former nights are kept; 0 for none.
    pub nightly_snapshots: u32,
}

impl Default for Keeping {
    fn default() -> Self {
        Self {
            quota_bytes: QUOTA_DEFAULT_BYTES,
            retention: Retention::default(),
            autopilot: true,
            nightly_snapshots: NIGHTLY_DEFAULT,
        }
    }
}

/// Checks the options.
pub(super) fn resolve(options: &KeepingOptions) -> Result<Keeping, ConfigError> {
    let quota_bytes = match options.quota_backend_bytes {
        0 => QUOTA_DEFAULT_BYTES,
        // As in etcd: less than nothing is no quota.
        bytes => u64::try_from(bytes).unwrap_or(u64::MAX),
    };
    let retention = retention(&options.auto_compaction_mode, options.auto_compaction_retention.as_deref())?;
    let KeepingOptions { autopilot, nightly_snapshots, .. } = *options;
    Ok(Keeping { quota_bytes, retention, autopilot, nightly_snapshots })
}

fn retention(mode: &str, kept: Option<&str>) -> Result<Retention, ConfigError> {
    const OPTION: &str = "auto-compaction-retention";
    match (mode, kept.map(str::trim)) {
        ("periodic", None) => Ok(Retention::default()),
        // A number of revisions cannot be guessed.
        ("revision", None) => {
            Err(wrong(OPTION, "", "with --auto-compaction-mode=revision, say how many revisions to keep"))
        }
        ("revision", Some(kept)) => match kept.parse() {
            Ok(0) => Ok(Retention::Forever),
            Ok(keep) if keep > 0 => Ok(Retention::Revisions { keep }),
            _ => Err(wrong(OPTION, kept, "give a number of revisions, as 10000; 0 keeps all")),
        },
        ("periodic", Some(kept)) => {
            let keep_ms = age_ms(kept)
                .ok_or_else(|| wrong(OPTION, kept, "give hours, or a time, as 24, 24h or 30m; 0 keeps all"))?;
            Ok(if keep_ms == 0 { Retention::Forever } else { Retention::Periodic { keep_ms } })
        }
        (other, _) => Err(wrong("auto-compaction-mode", other, "give periodic or revision")),
    }
}

/// Milliseconds of a time as Go writes it: a bare number is hours, as in etcd; else `1h30m`, `90m`, `10s`, `500ms`.
fn age_ms(text: &str) -> Option<u64> {
    const HOUR_MS: u64 = 3_600_000;
    if let Ok(hours) = text.parse::<u64>() {
        return hours.checked_mul(HOUR_MS);
    }
    let (mut rest, mut sum) = (text, 0u64);
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let count: u64 = rest[..digits].parse().ok()?;
        let unit = rest[digits..].find(|c: char| c.is_ascii_digit()).map_or(rest.len(), |end| digits + end);
        let ms = match &rest[digits..unit] {
            "h" => HOUR_MS,
            "m" => 60_000,
            "s" => 1_000,
            "ms" => 1,
            _ => return None,
        };
        sum = sum.checked_add(count.checked_mul(ms)?)?;
        rest = &rest[unit..];
    }
    (!text.is_empty()).then_some(sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(mode: &str, kept: Option<&str>) -> Result<Retention, String> {
        retention(mode, kept).map_err(|error| error.to_string())
    }

    #[test]
    fn retentions_are_read_as_etcd_reads_them() {
        let hours = |count: u64| Retention::Periodic { keep_ms: count * 3_600_000 };
        assert_eq!(of("periodic", None), Ok(hours(24)));
        assert_eq!(of("periodic", Some("1")), Ok(hours(1)));
        assert_eq!(of("periodic", Some("72h")), Ok(hours(72)));
        assert_eq!(of("periodic", Some("1h30m")), Ok(Retention::Periodic { keep_ms: 5_400_000 }));
        assert_eq!(of("periodic", Some("10s500ms")), Ok(Retention::Periodic { keep_ms: 10_500 }));
        assert_eq!(of("periodic", Some("0")), Ok(Retention::Forever));
        assert_eq!(of("revision", Some("1000")), Ok(Retention::Revisions { keep: 1_000 }));
        assert_eq!(of("revision", Some("0")), Ok(Retention::Forever));
        for (mode, kept) in [
            ("periodic", "x"),
            ("periodic", ""),
            ("periodic", "1d"),
            ("periodic", "-1h"),
            ("periodic", "99999999999999999999h"),
            ("revision", "1h"),
            ("revision", "-1"),
            ("daily", "1"),
        ] {
            assert!(of(mode, Some(kept)).unwrap_err().contains("auto-compaction"), "{mode} {kept}");
        }
        assert!(of("revision", None).is_err());
    }

    #[test]
    fn a_quota_of_zero_is_etcds_default_and_below_is_none() {
        let quota = |bytes| {
            let options = KeepingOptions {
                quota_backend_bytes: bytes,
                auto_compaction_mode: "periodic".into(),
                ..KeepingOptions::default()
            };
            resolve(&options).unwrap().quota_bytes
        };
        assert_eq!((quota(0), quota(-1), quota(1_000)), (2 << 30, u64::MAX, 1_000));
    }
}
