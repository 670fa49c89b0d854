//! `SessionService`: signing in, out and up, and who one is.

use tidegate_kit::secret::Secret;
use tidegate_proto::admin::v1::{
    GetSignInOptionsRequest, SignInOptions, SignInRequest, SignInResponse,
    SignOutEverywhereRequest, SignOutRequest, SignUpRequest, User, WhoAmIRequest, WhoAmIResponse,
    session_service_server::SessionService,
};
use tonic::{Request, Response, async_trait};

use super::{Admin, Reply, caller, convert, names, users};
use crate::domain::user::Permission;

#[async_trait]
impl SessionService for Admin {
    async fn sign_in(&self, request: Request<SignInRequest>) -> Reply<SignInResponse> {
        let peer = caller::peer(&request);
        let request = request.into_inner();
        let password = Secret::new(request.password);
        let signed_in = self
            .service
            .sign_in(&request.username, &password, peer)
            .await?;
        Ok(Response::new(SignInResponse {
            token: signed_in.token.expose().to_owned(),
            expire_time: convert::time(signed_in.expires_at),
            user: Some(users::message(&signed_in.user)),
        }))
    }

    async fn sign_out(&self, request: Request<SignOutRequest>) -> Reply<()> {
        self.actor(&request)?;
        let token = caller::token(request.metadata())?;
        self.service.sign_out(&token).await?;
        Ok(Response::new(()))
    }

    async fn sign_out_everywhere(&self, request: Request<SignOutEverywhereRequest>) -> Reply<()> {
        let (actor, req) = self.caller(request)?;
        let user = req.user;
        let name = if user.is_empty() {
            actor.name.clone()
        } else {
            convert::one("user", names::user(&user))?
        };
        self.service.sign_out_everywhere(&actor, &name).await?;
        Ok(Response::new(()))
    }

    async fn sign_up(&self, request: Request<SignUpRequest>) -> Reply<User> {
        let peer = caller::peer(&request);
        let request = request.into_inner();
        let password = Secret::new(request.password);
        let user = self
            .service
            .sign_up(&request.username, &password, peer)
            .await?;
        Ok(Response::new(users::message(&user)))
    }

    async fn get_sign_in_options(
        &self,
        _: Request<GetSignInOptionsRequest>,
    ) -> Reply<SignInOptions> {
        Ok(Response::new(SignInOptions {
            sign_up_allowed: self.service.is_sign_up_allowed(),
        }))
    }

    async fn who_am_i(&self, request: Request<WhoAmIRequest>) -> Reply<WhoAmIResponse> {
        let actor = self.actor(&request)?;
        let user = self.service.get_user(&actor, &actor.name)?;
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
