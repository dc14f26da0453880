//! HTTP's `Date`.

/// The time now, as in RFC 9110 §5.6.7.
pub(super) fn now() -> String {
    let printer = jiff::fmt::rfc2822::DateTimePrinter::new();
    // Only years beyond 9999 have no such form.
    printer.timestamp_to_rfc9110_string(&jiff::Timestamp::now()).unwrap_or_default()
}
