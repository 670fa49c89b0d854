//! `SessionService`: signing in, out and up, and who one is.

use tidegate_kit::secret::Secret;
use tidegate_proto::admin::v1::{
    GetSignInOptionsRequest, SignInOptions, SignInRequest, SignInResponse,
    SignOutEverywhereRequest, SignOutRequest, SignUpRequest, User, WhoAmIRequest, WhoAmIResponse,
    session_service_server::SessionService,
};
use tonic::{Request, Response, Status, async_trait};

use super::{Admin, caller, convert, names, status, users};
use crate::domain::user::Permission;

#[async_trait]
impl SessionService for Admin {
    async fn sign_in(
        &self,
        request: Request<SignInRequest>,
    ) -> Result<Response<SignInResponse>, Status> {
        let peer = caller::peer(&request);
        let request = request.into_inner();
        let password = Secret::new(request.password);
        let signed_in = self
            .service
            .sign_in(&request.username, &password, peer)
            .await
            .map_err(status::of)?;
        Ok(Response::new(SignInResponse {
            token: signed_in.token.expose().to_owned(),
            expire_time: convert::time(signed_in.expires_at),
            user: Some(users::message(&signed_in.user)),
        }))
    }

    async fn sign_out(&self, request: Request<SignOutRequest>) -> Result<Response<()>, Status> {
        self.actor(&request)?;
        let token = caller::token(request.metadata())?;
        self.service.sign_out(&token).await.map_err(status::of)?;
        Ok(Response::new(()))
    }

    async fn sign_out_everywhere(
        &self,
        request: Request<SignOutEverywhereRequest>,
    ) -> Result<Response<()>, Status> {
        let actor = self.actor(&request)?;
        let user = request.into_inner().user;
        let name = if user.is_empty() {
            actor.name.to_string()
        } else {
            convert::one("user", names::user(&user))?.to_string()
        };
        self.service
            .sign_out_everywhere(&actor, &name)
            .await
            .map_err(status::of)?;
        Ok(Response::new(()))
    }

    async fn sign_up(&self, request: Request<SignUpRequest>) -> Result<Response<User>, Status> {
        let peer = caller::peer(&request);
        let request = request.into_inner();
        let password = Secret::new(request.password);
        let user = self
            .service
            .sign_up(&request.username, &password, peer)
            .await
            .map_err(status::of)?;
        Ok(Response::new(users::message(&user)))
    }

    async fn get_sign_in_options(
        &self,
        _: Request<GetSignInOptionsRequest>,
    ) -> Result<Response<SignInOptions>, Status> {
        Ok(Response::new(SignInOptions {
            sign_up_allowed: self.service.is_sign_up_allowed(),
        }))
    }

    async fn who_am_i(
        &self,
        request: Request<WhoAmIRequest>,
    ) -> Result<Response<WhoAmIResponse>, Status> {
        let actor = self.actor(&request)?;
        let user = self
            .service
            .get_user(&actor, &actor.name)
            .map_err(status::of)?;
        let mut permissions: Vec<_> = Permission::ALL
            .into_iter()
            .filter(|&permission| actor.may(permission))
            .map(|permission| format!("{permission:?}"))
            .collect();
        permissions.sort();
        Ok(Response::new(WhoAmIResponse {
            user: Some(users::message(&user)),
            permissions,
        }))
    }
}
