//! The Auth service: etcd's users, roles and tokens. What it refuses is refused where commands are applied; passwords
//! are hashed and checked here, and go no further.

use autoradio_machine::{
    Access, AuthCommand, AuthRefusal, Command, Machine, Permission, PermissionKind, Refusal, Revision, Who,
};
use autoradio_proto::etcd::{
    authpb,
    etcdserverpb::{
        AuthDisableRequest, AuthDisableResponse, AuthEnableRequest, AuthEnableResponse, AuthRoleAddRequest,
        AuthRoleAddResponse, AuthRoleDeleteRequest, AuthRoleDeleteResponse, AuthRoleGetRequest, AuthRoleGetResponse,
        AuthRoleGrantPermissionRequest, AuthRoleGrantPermissionResponse, AuthRoleListRequest, AuthRoleListResponse,
        AuthRoleRevokePermissionRequest, AuthRoleRevokePermissionResponse, AuthStatusRequest, AuthStatusResponse,
        AuthUserAddRequest, AuthUserAddResponse, AuthUserChangePasswordRequest, AuthUserChangePasswordResponse,
        AuthUserDeleteRequest, AuthUserDeleteResponse, AuthUserGetRequest, AuthUserGetResponse,
        AuthUserGrantRoleRequest, AuthUserGrantRoleResponse, AuthUserListRequest, AuthUserListResponse,
        AuthUserRevokeRoleRequest, AuthUserRevokeRoleResponse, AuthenticateRequest, AuthenticateResponse,
        ResponseHeader, auth_server::Auth,
    },
};
use tonic::{Request, Response, Status};

use super::{
    error::{EtcdError, from_raft, from_refusal},
    header,
};
use crate::{caller::Asker, password, raft::RaftHandle};

pub(super) struct AuthService {
    pub(super) raft: RaftHandle,
}

type Answer<T> = Result<Response<T>, Status>;

impl AuthService {
    /// Carries a change out, and gives the answer's header.
    async fn change(&self, asker: &Asker, command: AuthCommand) -> Result<Option<ResponseHeader>, Status> {
        let done = self.raft.propose_as(asker, Command::Auth(command)).await.map_err(|error| from_raft(&error))?;
        Ok(Some(header(&self.raft, done.revision)))
    }

    /// Reads what is true now, if it may be read.
    async fn read<R>(
        &self,
        asker: &Asker,
        access: Access<'_>,
        read: impl FnOnce(&Machine) -> Result<R, AuthRefusal>,
    ) -> Result<(R, Option<ResponseHeader>), Status> {
        self.raft.barrier().await.map_err(|error| from_raft(&error))?;
        let both = |machine: &Machine, who: &Who| -> Result<(R, Revision), Refusal> {
            machine.permit(who, access)?;
            Ok((read(machine)?, machine.revision()))
        };
        let (found, revision) = self.raft.read_as(asker, both).await.map_err(|refusal| from_refusal(&refusal))?;
        Ok((found, Some(header(&self.raft, revision))))
    }

    /// Refuses at once who may not manage users: hashing costs time.
    async fn permit_root(&self, asker: &Asker) -> Result<(), Status> {
        let checked = self.raft.read_as(asker, |machine, who| machine.permit(who, Access::Root));
        checked.await.map_err(|refusal| from_refusal(&refusal))
    }
}

fn to_kind(kind: i32) -> Result<PermissionKind, EtcdError> {
    match authpb::permission::Type::try_from(kind) {
        Ok(authpb::permission::Type::Read) => Ok(PermissionKind::Read),
        Ok(authpb::permission::Type::Write) => Ok(PermissionKind::Write),
        Ok(authpb::permission::Type::Readwrite) => Ok(PermissionKind::ReadWrite),
        Err(_) => Err(EtcdError::UnknownOption),
    }
}

fn to_wire(permission: Permission) -> authpb::Permission {
    let kind = match permission.kind {
        PermissionKind::Read => authpb::permission::Type::Read,
        PermissionKind::Write => authpb::permission::Type::Write,
        PermissionKind::ReadWrite => authpb::permission::Type::Readwrite,
    };
    authpb::Permission { perm_type: kind.into(), key: permission.key, range_end: permission.range_end }
}

/// The hash that is to be kept. As in etcd, a change to no password leaves one that nothing matches.
async fn changed_hash(password: &str, hash: &str) -> Result<String, Status> {
    match (password, hash) {
        ("", "") => Ok(String::new()),
        ("", _) => Err(EtcdError::HashGiven.into()),
        (password, _) => password::hash(password.to_owned()).await,
    }
}

#[tonic::async_trait]
impl Auth for AuthService {
    async fn auth_enable(&self, request: Request<AuthEnableRequest>) -> Answer<AuthEnableResponse> {
        let header = self.change(&Asker::of(&request), AuthCommand::Enable).await?;
        Ok(Response::new(AuthEnableResponse { header }))
    }

    async fn auth_disable(&self, request: Request<AuthDisableRequest>) -> Answer<AuthDisableResponse> {
        let header = self.change(&Asker::of(&request), AuthCommand::Disable).await?;
        Ok(Response::new(AuthDisableResponse { header }))
    }

    async fn auth_status(&self, request: Request<AuthStatusRequest>) -> Answer<AuthStatusResponse> {
        let read = |machine: &Machine| Ok((machine.auth_enabled(), machine.auth_revision()));
        let ((enabled, auth_revision), header) = self.read(&Asker::of(&request), Access::Root, read).await?;
        Ok(Response::new(AuthStatusResponse { header, enabled, auth_revision }))
    }

    async fn authenticate(&self, request: Request<AuthenticateRequest>) -> Answer<AuthenticateResponse> {
        let AuthenticateRequest { name, password } = request.into_inner();
        let (token, revision) = self.raft.authenticate(&name, password).await.map_err(|error| from_raft(&error))?;
        Ok(Response::new(AuthenticateResponse { header: Some(header(&self.raft, revision)), token }))
    }

    /// As in etcd, a user without `no_password` has one, though it be empty.
    async fn user_add(&self, request: Request<AuthUserAddRequest>) -> Answer<AuthUserAddResponse> {
        let asker = Asker::of(&request);
        let AuthUserAddRequest { name, password, options, .. } = request.into_inner();
        self.permit_root(&asker).await?;
        let no_password = options.is_some_and(|options| options.no_password);
        let password_hash = if no_password { None } else { Some(password::hash(password).await?) };
        let header = self.change(&asker, AuthCommand::UserAdd { name, password_hash }).await?;
        Ok(Response::new(AuthUserAddResponse { header }))
    }

    async fn user_get(&self, request: Request<AuthUserGetRequest>) -> Answer<AuthUserGetResponse> {
        let (asker, name) = (Asker::of(&request), request.into_inner().name);
        let read = |machine: &Machine| {
            let user = machine.auth_user(&name).ok_or(AuthRefusal::UserNotFound)?;
            Ok(user.roles.iter().cloned().collect())
        };
        let (roles, header) = self.read(&asker, Access::User(&name), read).await?;
        Ok(Response::new(AuthUserGetResponse { header, roles }))
    }

    async fn user_list(&self, request: Request<AuthUserListRequest>) -> Answer<AuthUserListResponse> {
        let read = |machine: &Machine| Ok(machine.auth_users().map(|(name, _)| name.clone()).collect());
        let (users, header) = self.read(&Asker::of(&request), Access::Root, read).await?;
        Ok(Response::new(AuthUserListResponse { header, users }))
    }

    async fn user_delete(&self, request: Request<AuthUserDeleteRequest>) -> Answer<AuthUserDeleteResponse> {
        let (asker, name) = (Asker::of(&request), request.into_inner().name);
        let header = self.change(&asker, AuthCommand::UserDelete { name }).await?;
        Ok(Response::new(AuthUserDeleteResponse { header }))
    }

    async fn user_change_password(
        &self,
        request: Request<AuthUserChangePasswordRequest>,
    ) -> Answer<AuthUserChangePasswordResponse> {
        let asker = Asker::of(&request);
        let AuthUserChangePasswordRequest { name, password, hashed_password } = request.into_inner();
        self.permit_root(&asker).await?;
        let password_hash = changed_hash(&password, &hashed_password).await?;
        let header = self.change(&asker, AuthCommand::UserPassword { name, password_hash }).await?;
        Ok(Response::new(AuthUserChangePasswordResponse { header }))
    }

    async fn user_grant_role(&self, request: Request<AuthUserGrantRoleRequest>) -> Answer<AuthUserGrantRoleResponse> {
        let asker = Asker::of(&request);
        let AuthUserGrantRoleRequest { user, role } = request.into_inner();
        let header = self.change(&asker, AuthCommand::UserGrant { user, role }).await?;
        Ok(Response::new(AuthUserGrantRoleResponse { header }))
    }

    async fn user_revoke_role(
        &self,
        request: Request<AuthUserRevokeRoleRequest>,
    ) -> Answer<AuthUserRevokeRoleResponse> {
        let asker = Asker::of(&request);
        let AuthUserRevokeRoleRequest { name, role } = request.into_inner();
        let header = self.change(&asker, AuthCommand::UserRevoke { user: name, role }).await?;
        Ok(Response::new(AuthUserRevokeRoleResponse { header }))
    }

    async fn role_add(&self, request: Request<AuthRoleAddRequest>) -> Answer<AuthRoleAddResponse> {
        let (asker, role) = (Asker::of(&request), request.into_inner().name);
        let header = self.change(&asker, AuthCommand::RoleAdd { role }).await?;
        Ok(Response::new(AuthRoleAddResponse { header }))
    }

    async fn role_get(&self, request: Request<AuthRoleGetRequest>) -> Answer<AuthRoleGetResponse> {
        let (asker, role) = (Asker::of(&request), request.into_inner().role);
        let read = |machine: &Machine| machine.auth_role(&role).ok_or(AuthRefusal::RoleNotFound);
        let (permissions, header) = self.read(&asker, Access::Role(&role), read).await?;
        Ok(Response::new(AuthRoleGetResponse { header, perm: permissions.into_iter().map(to_wire).collect() }))
    }

    async fn role_list(&self, request: Request<AuthRoleListRequest>) -> Answer<AuthRoleListResponse> {
        let read = |machine: &Machine| Ok(machine.auth_roles().cloned().collect());
        let (roles, header) = self.read(&Asker::of(&request), Access::Root, read).await?;
        Ok(Response::new(AuthRoleListResponse { header, roles }))
    }

    async fn role_delete(&self, request: Request<AuthRoleDeleteRequest>) -> Answer<AuthRoleDeleteResponse> {
        let (asker, role) = (Asker::of(&request), request.into_inner().role);
        let header = self.change(&asker, AuthCommand::RoleDelete { role }).await?;
        Ok(Response::new(AuthRoleDeleteResponse { header }))
    }

    async fn role_grant_permission(
        &self,
        request: Request<AuthRoleGrantPermissionRequest>,
    ) -> Answer<AuthRoleGrantPermissionResponse> {
        let asker = Asker::of(&request);
        let AuthRoleGrantPermissionRequest { name, perm } = request.into_inner();
        let given = perm.ok_or_else(|| from_refusal(&AuthRefusal::PermissionNotGiven.into()))?;
        let permission = Permission { kind: to_kind(given.perm_type)?, key: given.key, range_end: given.range_end };
        let header = self.change(&asker, AuthCommand::RoleGrant { role: name, permission }).await?;
        Ok(Response::new(AuthRoleGrantPermissionResponse { header }))
    }

    async fn role_revoke_permission(
        &self,
        request: Request<AuthRoleRevokePermissionRequest>,
    ) -> Answer<AuthRoleRevokePermissionResponse> {
        let asker = Asker::of(&request);
        let AuthRoleRevokePermissionRequest { role, key, range_end } = request.into_inner();
        let header = self.change(&asker, AuthCommand::RoleRevoke { role, key, range_end }).await?;
        Ok(Response::new(AuthRoleRevokePermissionResponse { header }))
    }
}
