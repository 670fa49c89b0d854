//! `UserService`: who may sign in.

use tidegate_kit::secret::Secret;
use tidegate_proto::admin::v1::{
    ChangePasswordRequest, CreateUserRequest, DeleteUserRequest, GetUserRequest, ListUsersRequest,
    ListUsersResponse, UpdateUserRequest, User as Message, user_service_server::UserService,
};
use tonic::{Request, Response, Status, async_trait};

use super::{Admin, Reply, caller, convert, names, paging, status};
use crate::{
    domain::{invalid::Faults, name::UserName, resource::Resource as _, user::User},
    service::{edit::Update, users::PasswordChange},
};

#[async_trait]
impl UserService for Admin {
    async fn create_user(&self, request: Request<CreateUserRequest>) -> Reply<Message> {
        let (actor, req) = self.caller(request)?;
        let mut faults = Faults::new();
        let user = req.user.unwrap_or_default();
        let roles = convert::read_roles(&user.roles, "user.roles", &mut faults);
        status::check(faults)?;
        let password = Secret::new(req.password);
        let user = self
            .service
            .create_user(&actor, &req.user_id, &password, roles)
            .await?;
        Ok(Response::new(message(&user)))
    }

    async fn get_user(&self, request: Request<GetUserRequest>) -> Reply<Message> {
        let (actor, req) = self.caller(request)?;
        let name = read("name", &req.name)?;
        let user = self.service.get_user(&actor, &name)?;
        Ok(Response::new(message(&user)))
    }

    async fn list_users(&self, request: Request<ListUsersRequest>) -> Reply<ListUsersResponse> {
        let (actor, req) = self.caller(request)?;
        let query = paging::query(req.page_size, req.page_token, req.filter, req.order_by);
        let page = self.service.list_users(&actor, &query)?;
        let page = paging::answer(page, |it| message(it));
        Ok(Response::new(ListUsersResponse {
            users: page.messages,
            next_page_token: page.next_page_token,
            total_size: page.total_size,
        }))
    }

    async fn update_user(&self, request: Request<UpdateUserRequest>) -> Reply<Message> {
        let (actor, req) = self.caller(request)?;
        let user = req.user.unwrap_or_default();
        let mut faults = Faults::new();
        let name = faults.take("user.name", names::user(&user.name));
        let roles = convert::read_roles(&user.roles, "user.roles", &mut faults);
        status::check(faults)?;
        let update = Update {
            key: name.expect("what is not taken is a fault"),
            input: roles,
            mask: convert::mask(req.update_mask),
            etag: user.etag,
        };
        let user = self.service.update_user(&actor, update).await?;
        Ok(Response::new(message(&user)))
    }

    async fn delete_user(&self, request: Request<DeleteUserRequest>) -> Reply<()> {
        let (actor, req) = self.caller(request)?;
        let name = read("name", &req.name)?;
        self.service.delete_user(&actor, &name, &req.etag).await?;
        Ok(Response::new(()))
    }

    async fn change_password(&self, request: Request<ChangePasswordRequest>) -> Reply<()> {
        let actor = self.actor(&request)?;
        let keep = caller::token(request.metadata())?;
        let request = request.into_inner();
        let name = read("name", &request.name)?;
        let change = PasswordChange {
            name,
            old: Some(request.old_password)
                .filter(|old| !old.is_empty())
                .map(Secret::new),
            new: Secret::new(request.new_password),
            keep: Some(keep),
        };
        self.service.change_password(&actor, change).await?;
        Ok(Response::new(()))
    }
}

/// A user as callers see it.
pub(super) fn message(user: &User) -> Message {
    Message {
        name: user.resource(),
        roles: convert::roles(user.roles),
        etag: user.meta.etag.to_string(),
        create_time: convert::time(user.meta.created_at),
        update_time: convert::time(user.meta.updated_at),
    }
}

fn read(field: &str, name: &str) -> Result<UserName, Status> {
    convert::one(field, names::user(name))
}
