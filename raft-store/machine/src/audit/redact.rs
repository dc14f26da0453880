//! Values for the audit log: only what differs, and no secrets.

use serde_json::{Map, Value};

/// Parts of names of what is never shown; a hash is as good as a secret to who has time.
const SECRET: [&str; 5] = ["password", "secret", "hash", "token", "private"];
/// In place of a secret.
const HIDDEN: &str = "(hidden)";
/// In place of a secret that another one was put in place of.
const CHANGED: &str = "(hidden, changed)";

fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    SECRET.iter().any(|part| name.contains(part))
}

fn without_secrets(value: &mut Value) {
    match value {
        Value::Object(fields) => fields.iter_mut().for_each(|(name, value)| match value {
            // Nothing is no secret.
            Value::Null => {}
            _ if is_secret(name) => *value = HIDDEN.into(),
            inner => without_secrets(inner),
        }),
        Value::Array(values) => values.iter_mut().for_each(without_secrets),
        _ => {}
    }
}

fn object(bytes: &[u8]) -> Option<Map<String, Value>> {
    match serde_json::from_slice(bytes) {
        Ok(Value::Object(fields)) => Some(fields),
        _ => None,
    }
}

fn shown(fields: Map<String, Value>) -> String {
    let mut value = Value::Object(fields);
    without_secrets(&mut value);
    value.to_string()
}

/// What a key held and holds, as far as it differs. What is not JSON may be anything: only its length is told.
pub(super) fn difference(old: Option<&[u8]>, new: Option<&[u8]>) -> (String, String) {
    let length = |bytes: &[u8]| format!("({} bytes)", bytes.len());
    let one = |bytes: &[u8]| object(bytes).map_or_else(|| length(bytes), shown);
    let (Some(old), Some(new)) = (old, new) else {
        return (old.map_or_else(String::new, one), new.map_or_else(String::new, one));
    };
    let (Some(mut before), Some(mut after)) = (object(old), object(new)) else { return (length(old), length(new)) };
    let same: Vec<String> =
        before.iter().filter(|(name, value)| after.get(*name) == Some(*value)).map(|(name, _)| name.clone()).collect();
    for name in same {
        before.remove(&name);
        after.remove(&name);
    }
    for (name, value) in &mut after {
        if is_secret(name) && before.contains_key(name) {
            *value = CHANGED.into();
        }
    }
    let changed: Vec<String> = after.iter().filter(|(_, v)| **v == CHANGED).map(|(name, _)| name.clone()).collect();
    let mut after = Value::Object(after);
    without_secrets(&mut after);
    if let Value::Object(fields) = &mut after {
        changed.into_iter().for_each(|name| drop(fields.insert(name, CHANGED.into())));
    }
    (shown(before), after.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_differs_is_shown_and_never_a_secret() {
        let old = br#"{"username":"source","password_hash":"$argon2id$a","title":null,"public":false}"#;
        let new = br#"{"username":"source","password_hash":"$argon2id$b","title":"One","public":false}"#;
        let (before, after) = difference(Some(old), Some(new));
        assert_eq!(before, r#"{"password_hash":"(hidden)","title":null}"#);
        assert_eq!(after, r#"{"password_hash":"(hidden, changed)","title":"One"}"#);
        let (before, after) = difference(None, Some(new));
        assert!(before.is_empty() && after.contains("One") && !after.contains("argon2"), "{after}");
        let (before, after) = difference(Some(old), None);
        assert!(after.is_empty() && before.contains("source") && !before.contains("argon2"), "{before}");
    }

    #[test]
    fn secrets_inside_are_hidden_and_what_is_no_json_is_not_shown() {
        let nested = br#"{"relay":{"url":"http://x","secretKey":"s3cr3t"},"list":[{"token":"t0k3n"}]}"#;
        let (_, after) = difference(None, Some(nested));
        assert!(after.contains("http://x") && !after.contains("s3cr3t") && !after.contains("t0k3n"), "{after}");
        assert_eq!(difference(None, Some(b"hunter2")), (String::new(), "(7 bytes)".into()));
        assert_eq!(difference(Some(b"1"), Some(b"22")), ("(1 bytes)".into(), "(2 bytes)".into()));
    }
}
