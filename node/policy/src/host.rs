//! A node's public name, and what else it is called by.

use std::net::IpAddr;

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

/// The host of a URL, without the brackets of IPv6.
#[must_use]
pub fn url_host(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let host = rest.rsplit_once(':').map_or(rest, |(host, _)| host);
    host.trim_matches(['[', ']'])
}

/// Whether clients may know a member's server by this name or address: its own name, alone or in a domain; a host of its
/// URLs; an address that it offers to the public; or this machine's own.
#[must_use]
pub fn is_called(member: &Member, host: &str) -> bool {
    let is_loopback = host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback());
    let rest = host.strip_prefix(&member.name).filter(|_| !member.name.is_empty());
    let is_named = rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'));
    let in_urls = member.peer_urls.iter().chain(&member.client_urls).any(|url| url_host(url) == host);
    let is_public = host.parse().is_ok_and(|ip: IpAddr| member.public.ips.contains(&ip));
    is_loopback || is_named || in_urls || is_public
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_member_is_called_by_what_is_its_own() {
        let mut member = Member {
            name: "host2".into(),
            peer_urls: vec!["https://[fd00::2]:2380".into()],
            client_urls: vec!["https://two.example:2379".into()],
            ..Member::default()
        };
        member.public.ips = vec!["192.0.2.2".parse().expect("an address")];
        for own in ["host2", "host2.radio.test", "fd00::2", "two.example", "192.0.2.2", "localhost", "127.0.0.9"] {
            assert!(is_called(&member, own), "{own}");
        }
        for other in ["host1", "host22", "host1.radio.test", "192.0.2.1", "example", ""] {
            assert!(!is_called(&member, other), "{other}");
        }
        assert!(!is_called(&Member::default(), ".radio.test"), "one without a name");
    }

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
