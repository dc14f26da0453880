//! Cuts a stream of JSON objects, with white space between them or nothing, into single ones.

use bytes::BytesMut;

/// What has come and is not a whole object yet.
#[derive(Debug, Default)]
pub(super) struct Objects {
    bytes: BytesMut,
    /// How much of it was looked at.
    seen: usize,
    depth: usize,
    in_string: bool,
    escaped: bool,
}

/// Something else than an object.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct NoObject;

impl Objects {
    pub(super) fn add(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// Bytes that wait.
    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether an object has begun.
    pub(super) fn is_inside(&self) -> bool {
        self.depth > 0
    }

    /// The next whole object.
    pub(super) fn take(&mut self) -> Result<Option<BytesMut>, NoObject> {
        while let Some(byte) = self.bytes.get(self.seen).copied() {
            if self.depth == 0 && byte.is_ascii_whitespace() {
                drop(self.bytes.split_to(self.seen + 1));
                self.seen = 0;
                continue;
            }
            if self.depth == 0 && byte != b'{' {
                return Err(NoObject);
            }
            self.seen += 1;
            if self.look(byte) {
                return Ok(Some(self.bytes.split_to(std::mem::take(&mut self.seen))));
            }
        }
        Ok(None)
    }

    /// Whether an object ends with this byte.
    fn look(&mut self, byte: u8) -> bool {
        match byte {
            _ if self.escaped => self.escaped = false,
            b'\\' if self.in_string => self.escaped = true,
            b'"' => self.in_string = !self.in_string,
            _ if self.in_string => {}
            b'{' | b'[' => self.depth += 1,
            b'}' | b']' => {
                self.depth -= 1;
                return self.depth == 0;
            }
            _ => {}
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(pieces: &[&[u8]]) -> Result<Vec<String>, NoObject> {
        let (mut objects, mut found) = (Objects::default(), Vec::new());
        for piece in pieces {
            objects.add(piece);
            while let Some(object) = objects.take()? {
                found.push(String::from_utf8_lossy(&object).into_owned());
            }
        }
        assert!(!objects.is_inside());
        Ok(found)
    }

    #[test]
    fn objects_are_told_apart_however_they_are_cut() {
        let text = br#" {"a":"}\"{","b":[{},[1]]}{}
            {"c":{"d":"\\"}} "#;
        let want = [r#"{"a":"}\"{","b":[{},[1]]}"#, "{}", r#"{"c":{"d":"\\"}}"#];
        for cut in 0..text.len() {
            assert_eq!(all(&[&text[..cut], &text[cut..]]).unwrap(), want);
        }
    }

    #[test]
    fn what_is_no_object_is_refused() {
        assert_eq!(all(&[b"{} 1"]), Err(NoObject));
        assert_eq!(all(&[b"[]"]), Err(NoObject));
        assert_eq!(all(&[b"}"]), Err(NoObject));
        assert_eq!(all(&[b" \n"]), Ok(vec![]));
    }
}
