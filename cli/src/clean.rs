//! What servers, encoders and listeners wrote, made harmless for a terminal.

/// Whether a terminal could take it for an order, or a reader for other text than there is.
fn is_harmful(c: char) -> bool {
    let turns_text = matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    c.is_control() || turns_text || matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}')
}

/// One line without control characters or marks that turn the direction of text.
pub(crate) fn line(text: &str) -> String {
    text.chars().map(|c| if is_harmful(c) { '\u{fffd}' } else { c }).collect()
}

/// JSON in which whatever [`line`] would replace is escaped: nothing is lost, and a terminal may show it.
///
/// Outside strings, JSON made by serde has no such characters but the line feeds between its lines.
pub(crate) fn json(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    for c in text.chars() {
        if is_harmful(c) && c != '\n' {
            let mut units = [0; 2];
            clean.extend(c.encode_utf16(&mut units).iter().map(|unit| format!("\\u{unit:04x}")));
        } else {
            clean.push(c);
        }
    }
    clean
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escape_sequences_and_turned_text_are_replaced() {
        assert_eq!(line("a\u{1b}[2Jb\r\n\u{9b}c\u{202e}d é日"), "a\u{fffd}[2Jb\u{fffd}\u{fffd}\u{fffd}c\u{fffd}d é日");
    }

    #[test]
    fn json_says_the_same_without_them() {
        let told = serde_json::json!({ "title": "a\u{1b}[2J\u{9b}\u{7f}\u{202e}\n" });
        let text = json(&serde_json::to_string_pretty(&told).unwrap());
        assert!(!text.chars().any(|c| is_harmful(c) && c != '\n'), "{text:?}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&text).unwrap(), told);
    }
}
