//! Peer URLs of a request, checked as etcd's `types.NewURLs` does and refused in its words.

/// The body of POST and PUT.
#[derive(Debug, serde::Deserialize)]
struct Body {
    #[serde(default, rename = "peerURLs")]
    peer_urls: Vec<String>,
}

/// The peer URLs of a body, sorted.
///
/// # Errors
/// What is wrong, in etcd's words where it has some.
pub(super) fn from_body(body: &[u8]) -> Result<Vec<String>, String> {
    if body.iter().all(u8::is_ascii_whitespace) {
        return Err("unexpected end of JSON input".into());
    }
    let Body { peer_urls } = serde_json::from_slice(body).map_err(|error| error.to_string())?;
    if peer_urls.is_empty() {
        return Err("no valid URLs given".into());
    }
    let mut urls = peer_urls.iter().map(|url| check(url.trim())).collect::<Result<Vec<_>, _>>()?;
    urls.sort();
    Ok(urls)
}

fn check(url: &str) -> Result<String, String> {
    let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
    if !["http", "https", "unix", "unixs"].contains(&scheme) {
        return Err(format!("URL scheme must be http, https, unix, or unixs: {url}"));
    }
    let (address, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let port = address.rsplit_once(':').map(|(_, port)| port);
    if port.is_none_or(str::is_empty) || address.ends_with(']') {
        return Err(format!("URL address does not have the form \"host:port\": {url}"));
    }
    if !path.is_empty() {
        return Err(format!("URL must not contain a path: {url}"));
    }
    Ok(url.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(body: &str) -> Result<Vec<String>, String> {
        from_body(body.as_bytes())
    }

    #[test]
    fn urls_come_sorted_and_other_fields_are_left_out() {
        let urls = parse(r#"{"peerURLs":["http://b:2380"," http://a:2380"],"clientURLs":[],"name":"x"}"#);
        assert_eq!(urls.unwrap(), ["http://a:2380", "http://b:2380"]);
        assert_eq!(parse(r#"{"peerURLs":["http://[::1]:2380"]}"#).unwrap(), ["http://[::1]:2380"]);
    }

    #[test]
    fn refusals_are_etcds() {
        let error = |url: &str| parse(&format!(r#"{{"peerURLs":["{url}"]}}"#)).unwrap_err();
        assert_eq!(error("foo"), "URL scheme must be http, https, unix, or unixs: foo");
        assert_eq!(error("ftp://a:1"), "URL scheme must be http, https, unix, or unixs: ftp://a:1");
        assert_eq!(error("http://a"), "URL address does not have the form \"host:port\": http://a");
        assert_eq!(error("http://[::1]"), "URL address does not have the form \"host:port\": http://[::1]");
        assert_eq!(error("http://a:1/"), "URL must not contain a path: http://a:1/");
        assert_eq!(parse(r#"{"peerURLs":[]}"#).unwrap_err(), "no valid URLs given");
        assert_eq!(parse("{}").unwrap_err(), "no valid URLs given");
        assert_eq!(parse("").unwrap_err(), "unexpected end of JSON input");
        assert!(parse("xx").is_err());
    }
}
