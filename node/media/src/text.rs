//! Titles and names as they come from people.

/// The start of a text, at most so many bytes, cut between two characters.
pub(crate) fn start_of(text: &str, bytes_max: usize) -> &str {
    let mut end = text.len().min(bytes_max);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default()
}

/// On one line: control characters become blanks, and blanks in a row one.
pub(crate) fn on_one_line(text: &str) -> String {
    let words = text.split(|c: char| c.is_control() || c.is_whitespace()).filter(|word| !word.is_empty());
    words.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cut_is_between_characters() {
        assert_eq!(start_of("aé", 9), "aé");
        assert_eq!(start_of("aé", 2), "a");
        assert_eq!(start_of("é", 1), "");
    }

    #[test]
    fn lines_become_one() {
        assert_eq!(on_one_line(" a\r\n\tb\u{0}c\u{85} "), "a b c");
    }
}
