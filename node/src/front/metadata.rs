//! `/admin/metadata`: titles, taken by any node and set at the origin.

use std::time::Duration;

use autoradio_machine::MountName;
use autoradio_policy::answer::{METADATA_TAKEN, Refuse, metadata};
use autoradio_proto::peer::SetTitleRequest;
use tokio::time::timeout;

use super::{
    FrontError,
    connection::{Front, Request},
    date,
};
use crate::peer::Lane;

/// How long the origin may take.
const ORIGIN_LIMIT: Duration = Duration::from_secs(2);

/// Takes a title.
pub(super) async fn serve(
    front: &Front,
    request: Request,
    mount: &MountName,
    title: &str,
    password: Option<&str>,
) -> Result<(), FrontError> {
    let Some(settings) = front.mount(mount).await else {
        return request.refuse(&Refuse::Other(400, "Source does not exist".into())).await;
    };
    let right = match password {
        Some(password) => front.password_right(&settings, password).await,
        None => front.authorized(&settings, &request.head).await,
    };
    if let Err(refuse) = right {
        return request.refuse(&refuse).await;
    }
    if set(front, mount, title).await {
        tracing::info!(%mount, title, "new title");
        return request.answer(&metadata(METADATA_TAKEN, &date::now())).await;
    }
    request.refuse(&Refuse::Other(400, "Source does not exist".into())).await
}

async fn set(front: &Front, mount: &MountName, title: &str) -> bool {
    let ctx = front.context();
    if ctx.on_air.get(mount).is_some_and(|live| live.set_title(title)) {
        return true;
    }
    let Some(origin) = ctx.raft.catalog().origins.get(mount).map(|claim| claim.origin.node) else { return false };
    if origin == ctx.raft.node_id() {
        return false;
    }
    let asked = async {
        let mut client = ctx.peers.client_on(origin, Lane::Data).ok()?;
        let request = SetTitleRequest { mount: mount.to_string(), title: title.to_owned() };
        Some(client.set_title(request).await.ok()?.into_inner().done)
    };
    timeout(ORIGIN_LIMIT, asked).await.ok().flatten().unwrap_or(false)
}
