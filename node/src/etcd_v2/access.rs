//! Who may use `/v2/members` where auth is enabled: users by Basic authentication (as etcdctl's `--username` sends it), a
//! token or a certificate. etcd's v2 API had users of its own; there is one list here.

use autoradio_machine::Access;
use axum::{
    extract::Request,
    http::{StatusCode, header::AUTHORIZATION},
};
use base64::{Engine, prelude::BASE64_STANDARD};

use super::answer::Error;
use crate::{caller::Asker, context::Context};

/// What etcd's v2 API says to who may not.
fn insufficient() -> Error {
    Error::new(StatusCode::UNAUTHORIZED, "Insufficient credentials")
}

/// What a request says of who asks.
pub(super) struct Given {
    asker: Asker,
    basic: Option<(String, String)>,
}

impl Given {
    pub(super) fn of(request: &Request) -> Self {
        let basic = request.headers().get(AUTHORIZATION).and_then(|value| basic(value.to_str().ok()?));
        Self { asker: Asker::from_parts(request.extensions(), request.headers()), basic }
    }

    /// Who asks, if they may.
    pub(super) async fn check(self, context: &Context, access: Access<'_>) -> Result<Asker, Error> {
        if !context.raft.read(autoradio_machine::Machine::auth_enabled) {
            return Ok(self.asker);
        }
        let asker = match self.basic {
            Some((user, password)) => match context.raft.check_password(&user, &password).await {
                Ok(_) => self.asker.as_user(&user),
                Err(error) if error.refusal().is_some() => return Err(insufficient()),
                Err(error) => return Err(Error::from(&error)),
            },
            None => self.asker,
        };
        let permitted = context.raft.read_as(&asker, |machine, who| machine.permit(who, access)).await;
        permitted.map(|()| asker).map_err(|_| insufficient())
    }
}

fn basic(value: &str) -> Option<(String, String)> {
    let decoded = BASE64_STANDARD.decode(value.strip_prefix("Basic ")?.trim()).ok()?;
    let (user, password) = std::str::from_utf8(&decoded).ok()?.split_once(':')?;
    Some((user.to_owned(), password.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn basic_credentials_are_read_and_nothing_else() {
        assert_eq!(basic("Basic cm9vdDpwOnc="), Some(("root".into(), "p:w".into())));
        for bad in ["", "Basic", "Basic !!", "Basic cm9vdA==", "Bearer cm9vdDpwOnc="] {
            assert_eq!(basic(bad), None, "{bad}");
        }
    }
}
