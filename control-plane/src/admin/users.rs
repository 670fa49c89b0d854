//! `UserService`: who may sign in.

use tidegate_kit::secret::Secret;
use tidegate_proto::admin::v1::{
    ChangePasswordRequest, CreateUserRequest, DeleteUserRequest, GetUserRequest, ListUsersRequest,
    ListUsersResponse, UpdateUserRequest, User as Message, user_service_server::UserService,
};
use tonic::{Request, Response, Status, async_trait};

use super::{Admin, caller, convert, names, paging, status};
use crate::{
    domain::{invalid::Faults, name::UserName, user::User},
    service::{listing::ListQuery, users::PasswordChange},
};

#[async_trait]
impl UserService for Admin {
    async fn create_user(
        &self,
        request: Request<CreateUserRequest>,
    ) -> Result<Response<Message>, Status> {
        let actor = self.actor(&request)?;
        let request = request.into_inner();
        let mut faults = Faults::new();
        let user = request.user.unwrap_or_default();
        let roles = convert::read_roles(&user.roles, "user.roles", &mut faults);
        status::check(faults)?;
        let password = Secret::new(request.password);
        let user = self
            .service
            .create_user(&actor, &request.user_id, &password, roles)
            .await
            .map_err(status::of)?;
        Ok(Response::new(message(&user)))
    }

    async fn get_user(
        &self,
        request: Request<GetUserRequest>,
    ) -> Result<Response<Message>, Status> {
        let actor = self.actor(&request)?;
        let name = read("name", &request.into_inner().name)?;
        let user = self
            .service
            .get_user(&actor, name.as_str())
            .map_err(status::of)?;
        Ok(Response::new(message(&user)))
    }

    async fn list_users(
        &self,
        request: Request<ListUsersRequest>,
    ) -> Result<Response<ListUsersResponse>, Status> {
        let actor = self.actor(&request)?;
        let request = request.into_inner();
        let query = ListQuery {
            page_size: request.page_size,
            page_token: request.page_token,
            filter: request.filter,
            order_by: request.order_by,
        };
        let page = self
            .service
            .list_users(&actor, &query)
            .map_err(status::of)?;
        let page = paging::answer(page, |it| message(it));
        Ok(Response::new(ListUsersResponse {
            users: page.messages,
            next_page_token: page.next_page_token,
            total_size: page.total_size,
        }))
    }

    async fn update_user(
        &self,
        request: Request<UpdateUserRequest>,
    ) -> Result<Response<Message>, Status> {
        let actor = self.actor(&request)?;
        let request = request.into_inner();
        let user = request.user.unwrap_or_default();
        let mut faults = Faults::new();
        let name = faults.take("user.name", names::user(&user.name));
        let roles = convert::read_roles(&user.roles, "user.roles", &mut faults);
        status::check(faults)?;
        let mask = convert::mask(request.update_mask);
        let name = name.as_ref().map(UserName::as_str).unwrap_or_default();
        let user = self
            .service
            .update_user(&actor, name, roles, mask, &user.etag)
            .await
            .map_err(status::of)?;
        Ok(Response::new(message(&user)))
    }

    async fn delete_user(
        &self,
        request: Request<DeleteUserRequest>,
    ) -> Result<Response<()>, Status> {
        let actor = self.actor(&request)?;
        let request = request.into_inner();
        let name = read("name", &request.name)?;
        self.service
            .delete_user(&actor, name.as_str(), &request.etag)
            .await
            .map_err(status::of)?;
        Ok(Response::new(()))
    }

    async fn change_password(
        &self,
        request: Request<ChangePasswordRequest>,
    ) -> Result<Response<()>, Status> {
        let actor = self.actor(&request)?;
        let keep = caller::token(request.metadata())?;
        let request = request.into_inner();
        let name = read("name", &request.name)?;
        let change = PasswordChange {
            name: name.to_string(),
            old: Some(request.old_password)
                .filter(|old| !old.is_empty())
                .map(Secret::new),
            new: Secret::new(request.new_password),
            keep: Some(keep),
        };
        self.service
            .change_password(&actor, change)
            .await
            .map_err(status::of)?;
        Ok(Response::new(()))
    }
}

/// A user as callers see it.
pub(super) fn message(user: &User) -> Message {
    Message {
        name: format!("users/{}", user.name),
        roles: convert::roles(user.roles),
        etag: user.etag.to_string(),
        create_time: convert::time(user.created_at),
        update_time: convert::time(user.updated_at),
    }
}

fn read(field: &str, name: &str) -> Result<UserName, Status> {
    convert::one(field, names::user(name))
}
