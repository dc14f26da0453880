//! The calls of the Admin service.

use autoradio_machine::{Access, Command, MemberUpdate, Mount, MountName, NodeId, hex_id};
use autoradio_policy::ClusterView;
use autoradio_proto::admin::{
    CreateMountReply, CreateMountRequest, DeleteMountReply, DeleteMountRequest, EditMountRequest, GetMountRequest,
    ListMountsReply, ListMountsRequest, MountInfo, ResetPasswordRequest, SetDrainedReply, SetDrainedRequest,
    StatusReply, StatusRequest, admin_server::Admin,
};
use tokio::sync::watch;
use tonic::{Request, Response, Status};

use super::{
    error::{from_raft, from_refusal},
    mounts, present, roles, settings,
};
use crate::{caller::Asker, context::Context, password};

/// radioctl's service.
pub struct AdminService {
    context: watch::Receiver<Option<Context>>,
}

impl AdminService {
    pub(super) fn new(context: watch::Receiver<Option<Context>>) -> Self {
        Self { context }
    }

    fn context(&self) -> Result<Context, Status> {
        ready(&self.context)
    }

    /// The node, for who may look at the cluster. As this node has it: a minority answers this, too.
    async fn for_viewer(&self, asker: &Asker) -> Result<Context, Status> {
        let context = self.context()?;
        context.raft.read_as(asker, roles::permit_view).await.map_err(|refusal| from_refusal(&refusal))?;
        Ok(context)
    }

    /// The node, for who may change this mount: who may not is told so before any work is done.
    async fn for_mount(&self, asker: &Asker, name: &MountName) -> Result<Context, Status> {
        let (context, key) = (self.context()?, name.key());
        let permitted = context.raft.read_as(asker, |machine, who| machine.permit(who, Access::Write(&key, b""))).await;
        permitted.map_err(|refusal| from_refusal(&refusal))?;
        Ok(context)
    }
}

/// The node, once it is part of a cluster.
pub(super) fn ready(context: &watch::Receiver<Option<Context>>) -> Result<Context, Status> {
    let context = context.borrow().clone();
    context.ok_or_else(|| {
        Status::failed_precondition(
            "this node is not part of a cluster; run: autoradio-node init, or autoradio-node join HOST",
        )
    })
}

/// The view with the catalog as applied here: the published one may lag a change just made by a moment.
fn view_now(context: &Context) -> ClusterView {
    let catalog = context.raft.catalog();
    ClusterView { catalog, ..(*context.view.now()).clone() }
}

fn parse(name: &str) -> Result<MountName, Status> {
    MountName::parse(name).map_err(|reason| Status::invalid_argument(format!("{name:?} is no mount's name: {reason}")))
}

fn info(context: &Context, name: &MountName, mount: &Mount) -> MountInfo {
    present::mount(&view_now(context), name, mount, context.config.domain.as_deref())
}

/// A node by its name or id.
fn find_node(view: &ClusterView, node: &str) -> Result<NodeId, Status> {
    let by_name = view.catalog.members.values().find(|member| member.name == node).map(|member| member.id);
    let by_id = || view.catalog.members.keys().copied().find(|id| hex_id(*id) == node);
    by_name
        .or_else(by_id)
        .ok_or_else(|| Status::not_found(format!("no node {node}; radioctl status shows those there are")))
}

#[tonic::async_trait]
impl Admin for AdminService {
    async fn status(&self, request: Request<StatusRequest>) -> Result<Response<StatusReply>, Status> {
        let context = self.for_viewer(&Asker::of(&request)).await?;
        let view = view_now(&context);
        let domain = context.config.domain.as_deref();
        Ok(Response::new(present::status(&view, context.raft.cluster_id(), domain)))
    }

    async fn list_mounts(&self, request: Request<ListMountsRequest>) -> Result<Response<ListMountsReply>, Status> {
        let context = self.for_viewer(&Asker::of(&request)).await?;
        let mounts = present::mounts(&view_now(&context), context.config.domain.as_deref());
        Ok(Response::new(ListMountsReply { mounts }))
    }

    async fn get_mount(&self, request: Request<GetMountRequest>) -> Result<Response<MountInfo>, Status> {
        let context = self.for_viewer(&Asker::of(&request)).await?;
        let name = parse(&request.into_inner().name)?;
        let (mount, _) = mounts::get(&context.raft, &name).await?;
        Ok(Response::new(info(&context, &name, &mount)))
    }

    async fn create_mount(&self, request: Request<CreateMountRequest>) -> Result<Response<CreateMountReply>, Status> {
        let (asker, request) = (Asker::of(&request), request.into_inner());
        let name = parse(&request.name)?;
        let context = self.for_mount(&asker, &name).await?;
        let username = if request.username.is_empty() { settings::USERNAME.into() } else { request.username };
        settings::check_username(&username).map_err(Status::invalid_argument)?;
        let mut mount = settings::new_mount(username, String::new());
        settings::apply(&mut mount, request.settings.unwrap_or_default()).map_err(Status::invalid_argument)?;
        let (password, password_hash) = password::make().await?;
        mount.password_hash = password_hash;
        mounts::create(&context.raft, &asker, &name, &mount).await?;
        Ok(Response::new(CreateMountReply { mount: Some(info(&context, &name, &mount)), password }))
    }

    async fn edit_mount(&self, request: Request<EditMountRequest>) -> Result<Response<MountInfo>, Status> {
        let asker = Asker::of(&request);
        let EditMountRequest { name, settings, username, clear } = request.into_inner();
        let name = parse(&name)?;
        let context = self.for_mount(&asker, &name).await?;
        let settings = settings.unwrap_or_default();
        let mount = mounts::change(&context.raft, &asker, &name, |mount| {
            for setting in &clear {
                settings::clear(mount, setting)?;
            }
            if let Some(username) = &username {
                settings::check_username(username)?;
                mount.username.clone_from(username);
            }
            settings::apply(mount, settings.clone())
        });
        Ok(Response::new(info(&context, &name, &mount.await?)))
    }

    async fn delete_mount(&self, request: Request<DeleteMountRequest>) -> Result<Response<DeleteMountReply>, Status> {
        let (asker, name) = (Asker::of(&request), parse(&request.into_inner().name)?);
        let context = self.for_mount(&asker, &name).await?;
        mounts::delete(&context.raft, &asker, &name).await?;
        Ok(Response::new(DeleteMountReply {}))
    }

    async fn reset_password(
        &self,
        request: Request<ResetPasswordRequest>,
    ) -> Result<Response<CreateMountReply>, Status> {
        let (asker, name) = (Asker::of(&request), parse(&request.into_inner().name)?);
        let context = self.for_mount(&asker, &name).await?;
        let (password, hash) = password::make().await?;
        let mount = mounts::change(&context.raft, &asker, &name, |mount| {
            mount.password_hash.clone_from(&hash);
            Ok(())
        });
        let mount = mount.await?;
        Ok(Response::new(CreateMountReply { mount: Some(info(&context, &name, &mount)), password }))
    }

    async fn set_drained(&self, request: Request<SetDrainedRequest>) -> Result<Response<SetDrainedReply>, Status> {
        let (asker, request) = (Asker::of(&request), request.into_inner());
        let context = self.for_viewer(&asker).await?;
        let id = find_node(&view_now(&context), &request.node)?;
        let update = MemberUpdate { id, drained: Some(request.drained), ..MemberUpdate::default() };
        context.raft.propose_as(&asker, Command::MemberUpdate(update)).await.map_err(|error| from_raft(&error))?;
        Ok(Response::new(SetDrainedReply {}))
    }
}
