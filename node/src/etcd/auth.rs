//! The Auth service: etcd's users and roles are not kept here yet, and this says so.

use autoradio_proto::etcd::etcdserverpb::{
    AuthDisableRequest, AuthDisableResponse, AuthEnableRequest, AuthEnableResponse, AuthRoleAddRequest,
    AuthRoleAddResponse, AuthRoleDeleteRequest, AuthRoleDeleteResponse, AuthRoleGetRequest, AuthRoleGetResponse,
    AuthRoleGrantPermissionRequest, AuthRoleGrantPermissionResponse, AuthRoleListRequest, AuthRoleListResponse,
    AuthRoleRevokePermissionRequest, AuthRoleRevokePermissionResponse, AuthStatusRequest, AuthStatusResponse,
    AuthUserAddRequest, AuthUserAddResponse, AuthUserChangePasswordRequest, AuthUserChangePasswordResponse,
    AuthUserDeleteRequest, AuthUserDeleteResponse, AuthUserGetRequest, AuthUserGetResponse, AuthUserGrantRoleRequest,
    AuthUserGrantRoleResponse, AuthUserListRequest, AuthUserListResponse, AuthUserRevokeRoleRequest,
    AuthUserRevokeRoleResponse, AuthenticateRequest, AuthenticateResponse, auth_server::Auth,
};
use tonic::{Request, Response, Status};

use super::{error::EtcdError, header_now};
use crate::raft::RaftHandle;

/// The revision of etcd's auth store while nothing was done to it.
const AUTH_REVISION: u64 = 1;

pub(super) struct AuthService {
    pub(super) raft: RaftHandle,
}

/// Answers calls with what is missing.
macro_rules! not_yet {
    ($($name:ident: $request:ty => $response:ty;)*) => {
        $(
            // async_trait's own form, written out: its macro does not see through this one.
            fn $name<'a, 'b>(
                &'a self,
                _request: Request<$request>,
            ) -> std::pin::Pin<Box<dyn Future<Output = Result<Response<$response>, Status>> + Send + 'b>>
            where
                'a: 'b,
                Self: 'b,
            {
                let text = "autoradio has no users and roles of etcd yet; restrict who reaches port 2379 instead";
                Box::pin(async move { Err(Status::unimplemented(text)) })
            }
        )*
    };
}

#[tonic::async_trait]
impl Auth for AuthService {
    async fn auth_status(&self, _request: Request<AuthStatusRequest>) -> Result<Response<AuthStatusResponse>, Status> {
        let header = Some(header_now(&self.raft));
        Ok(Response::new(AuthStatusResponse { header, enabled: false, auth_revision: AUTH_REVISION }))
    }

    async fn authenticate(
        &self,
        _request: Request<AuthenticateRequest>,
    ) -> Result<Response<AuthenticateResponse>, Status> {
        Err(EtcdError::AuthNotEnabled.into())
    }

    not_yet! {
        auth_enable: AuthEnableRequest => AuthEnableResponse;
        auth_disable: AuthDisableRequest => AuthDisableResponse;
        user_add: AuthUserAddRequest => AuthUserAddResponse;
        user_get: AuthUserGetRequest => AuthUserGetResponse;
        user_list: AuthUserListRequest => AuthUserListResponse;
        user_delete: AuthUserDeleteRequest => AuthUserDeleteResponse;
        user_change_password: AuthUserChangePasswordRequest => AuthUserChangePasswordResponse;
        user_grant_role: AuthUserGrantRoleRequest => AuthUserGrantRoleResponse;
        user_revoke_role: AuthUserRevokeRoleRequest => AuthUserRevokeRoleResponse;
        role_add: AuthRoleAddRequest => AuthRoleAddResponse;
        role_get: AuthRoleGetRequest => AuthRoleGetResponse;
        role_list: AuthRoleListRequest => AuthRoleListResponse;
        role_delete: AuthRoleDeleteRequest => AuthRoleDeleteResponse;
        role_grant_permission: AuthRoleGrantPermissionRequest => AuthRoleGrantPermissionResponse;
        role_revoke_permission: AuthRoleRevokePermissionRequest => AuthRoleRevokePermissionResponse;
    }
}
