//! Who calls: what the connection and the request say of it. Shared by the services on the client port and on the admin
//! socket.

use autoradio_machine::{Caller, Credentials, LogIndex, Who};
use axum::http::{
    Extensions, HeaderMap,
    header::{AUTHORIZATION, HeaderName},
};
use sha2::{Digest, Sha256};

use crate::tls::{PeerAddress, PeerCommonName};

/// etcd's clients send their token so; the JSON gateway takes `Authorization` (etcd's `rpctypes.TokenFieldName…`).
const TOKEN: HeaderName = HeaderName::from_static("token");
/// What the JSON gateway puts on what it passes on, as etcd's does: no certificate speaks for that.
const GATEWAY: HeaderName = HeaderName::from_static("grpcgateway-accept");
/// The longest token that is looked at: ours are far shorter.
const TOKEN_BYTES_MAX: usize = 256;
/// Bytes of the system's list of users that are looked at.
const PASSWD_BYTES_MAX: usize = 1 << 20;

/// Who is at the admin socket, as an extension of its requests: the kernel says which user of the system it is, and who
/// may open the socket administers the cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SocketUser(pub String);

impl SocketUser {
    /// By the user's number: its name, or the number where it has none.
    #[must_use]
    pub fn of(uid: u32) -> Self {
        let list = std::fs::read("/etc/passwd").unwrap_or_default();
        let list = String::from_utf8_lossy(&list[..list.len().min(PASSWD_BYTES_MAX)]).into_owned();
        Self(name_of(&list, uid).unwrap_or_else(|| format!("uid {uid}")))
    }
}

/// A user's name by its number, in `passwd(5)`'s format.
fn name_of(list: &str, uid: u32) -> Option<String> {
    let name = |line: &str| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)?.parse() == Ok(uid)).then(|| name.to_owned())
    };
    list.lines().find_map(name)
}

/// Who calls, as far as can be said without asking the store.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Asker {
    pub(crate) credentials: Credentials,
    /// A token that is not known yet may be given out by a log entry that has not come here.
    pub(crate) token_index: LogIndex,
    pub(crate) from: String,
}

impl Asker {
    /// Of a gRPC call.
    #[must_use]
    pub fn of<T>(request: &tonic::Request<T>) -> Self {
        Self::from_parts(request.extensions(), request.metadata().as_ref())
    }

    /// Of an HTTP request.
    #[must_use]
    pub fn from_parts(extensions: &Extensions, headers: &HeaderMap) -> Self {
        if let Some(SocketUser(user)) = extensions.get() {
            // Whoever may open it may do everything, whatever else is said.
            return Self::trusted(user, "admin socket");
        }
        let from = extensions.get::<PeerAddress>().map(|address| address.0.to_string()).unwrap_or_default();
        if let Some(token) = token(headers) {
            return Self { from, ..Self::by_token(token) };
        }
        let by_gateway = headers.contains_key(GATEWAY);
        let name = extensions.get::<PeerCommonName>().filter(|_| !by_gateway);
        let credentials = name.map_or(Credentials::None, |name| Credentials::CommonName(name.0.clone()));
        Self { credentials, token_index: 0, from }
    }

    /// Who has this token.
    #[must_use]
    pub fn by_token(token: &str) -> Self {
        let (secret, index) = token.rsplit_once('.').unwrap_or((token, ""));
        let token_index = index.parse().unwrap_or(0);
        let credentials = Credentials::Token(Sha256::digest(secret).into());
        Self { credentials, token_index, from: String::new() }
    }

    /// A user whose password was found right, for this one request.
    #[must_use]
    pub fn as_user(self, name: &str) -> Self {
        // A certificate's name is trusted as much.
        Self { credentials: Credentials::CommonName(name.to_owned()), ..self }
    }

    /// The node, or somebody whom it vouches for, such as who holds a join token.
    #[must_use]
    pub fn trusted(name: impl Into<String>, from: impl Into<String>) -> Self {
        Self { credentials: Credentials::Trusted(name.into()), token_index: 0, from: from.into() }
    }

    /// With who it was found to be, and the time now.
    pub(crate) fn caller(&self, who: Who) -> Caller {
        let now_ms = jiff::Timestamp::now().as_millisecond();
        Caller { who, from: self.from.clone(), at_ms: u64::try_from(now_ms).unwrap_or(0) }
    }
}

fn token(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(TOKEN).or_else(|| headers.get(AUTHORIZATION))?.to_str().ok()?;
    let token = value.strip_prefix("Bearer ").unwrap_or(value);
    // Basic is etcd's v2 API's, which looks at it itself.
    (!token.starts_with("Basic ")).then(|| token.get(..TOKEN_BYTES_MAX).unwrap_or(token))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asker(headers: &[(HeaderName, &'static str)], extensions: &Extensions) -> Asker {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.insert(name.clone(), axum::http::HeaderValue::from_static(value));
        }
        Asker::from_parts(extensions, &map)
    }

    #[test]
    fn tokens_come_before_certificates_and_the_admin_socket_before_both() {
        let mut extensions = Extensions::new();
        assert_eq!(asker(&[], &extensions).credentials, Credentials::None);
        extensions.insert(PeerCommonName("anna".into()));
        extensions.insert(PeerAddress(([10, 0, 0, 9], 7).into()));
        let by_name = asker(&[], &extensions);
        assert_eq!(
            (by_name.credentials, by_name.from.as_str()),
            (Credentials::CommonName("anna".into()), "10.0.0.9:7")
        );
        let by_token = asker(&[(TOKEN, "abc.17")], &extensions);
        assert_eq!((&by_token.credentials, by_token.token_index), (&Asker::by_token("abc.17").credentials, 17));
        assert_eq!(asker(&[(AUTHORIZATION, "Bearer abc.17")], &extensions), by_token);
        assert_eq!(asker(&[(AUTHORIZATION, "abc.17")], &extensions), by_token);
        assert_eq!(
            asker(&[(AUTHORIZATION, "Basic YTpi")], &extensions).credentials,
            Credentials::CommonName("anna".into())
        );
        extensions.insert(SocketUser("root".into()));
        assert_eq!(asker(&[(TOKEN, "abc.17")], &extensions).credentials, Credentials::Trusted("root".into()));
    }

    /// CVE-2018-16886: the gateway's calls came with the server's certificate, whose common name was taken for a user's.
    #[test]
    fn cve_2018_16886_no_certificate_speaks_for_the_gateway() {
        let mut extensions = Extensions::new();
        extensions.insert(PeerCommonName("root".into()));
        assert_eq!(asker(&[(GATEWAY, "x")], &extensions).credentials, Credentials::None);
        let with_token = asker(&[(GATEWAY, "x"), (TOKEN, "t")], &extensions);
        assert_eq!(with_token.credentials, Asker::by_token("t").credentials);
    }

    #[test]
    fn users_are_named_as_the_system_has_them() {
        let list = "root:x:0:0:root:/root:/bin/bash\nbroken\nanna:x:1000:1000::/home/anna:/bin/sh\n";
        assert_eq!(name_of(list, 1000).as_deref(), Some("anna"));
        assert_eq!(name_of(list, 5), None);
        assert!(SocketUser::of(u32::MAX - 1).0.starts_with("uid "));
    }
}
