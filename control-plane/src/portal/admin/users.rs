//! Users: listed, created, given roles and passwords, signed out everywhere, deleted.

use std::sync::Arc;

use askama::Template;
use axum::{
    Router,
    extract::{Path, State},
    routing::{get, post},
};
use tidegate_kit::secret::Secret;

use super::resource::{self, AdminResource, Found, UseCases};
use crate::{
    domain::{
        actor::Actor,
        name::UserName,
        resource::Resource as _,
        user::{Permission, Role, Roles, User},
    },
    portal::{
        Answer, AuthenticatedForm, Fields, Form, Frame, NavItem, Portal, Redirect, SignedIn,
        list::{Filter, ListView},
        route::link,
    },
    service::{Service, edit::Update, error::ServiceError, users::PasswordChange},
};

/// The resource.
struct Users;

#[derive(Template)]
#[template(path = "admin/users.html")]
struct UserList {
    frame: Frame,
    list: ListView<Arc<User>>,
}

#[derive(Template)]
#[template(path = "admin/user_new.html")]
struct NewUserPage {
    frame: Frame,
    form: Form,
}

#[derive(Template)]
#[template(path = "admin/user.html")]
struct UserPage {
    frame: Frame,
    /// The roles.
    form: Form,
    /// A new password.
    password: Form,
    user: Arc<User>,
}

/// The entry of the side navigation.
pub(super) const NAV: NavItem = NavItem::new("Users", "/admin/users", Permission::ManageUsers);
/// Where a new password is sent, and the button that signs a user out.
const PASSWORD: &str = "/admin/users/password/{name}";
const SIGN_OUT: &str = "/admin/users/sign-out/{name}";
/// How many stand on a page.
const PAGE_SIZE: i32 = 50;
/// The roles, and what they are for.
const ROLES: [(&str, &str); 4] = [
    ("admin", "Admin: full access"),
    ("creator", "Creator: designs and deploys APIs"),
    ("publisher", "Publisher: publishes APIs and assigns plans"),
    (
        "subscriber",
        "Subscriber: registers applications and subscribes to APIs",
    ),
];

pub(super) fn routes() -> Router<Portal> {
    resource::routes::<Users>()
        .route(NAV.path, get(list))
        .route(PASSWORD, post(set_password))
        .route(SIGN_OUT, post(sign_out))
}

async fn list(State(portal): State<Portal>, signed_in: SignedIn) -> Answer {
    let query = signed_in.query();
    let filter = Filter::named(&query).is("role", query.text("role"));
    let listed = filter.page(&query, PAGE_SIZE);
    let page = portal.service.list_users(signed_in.viewer(), &listed)?;
    let page = UserList {
        frame: Frame::new(&signed_in, NAV.name),
        list: ListView::new(NAV.path, query, page),
    };
    page.frame.show(&page)
}

/// Sets the password of somebody else, who is signed out by it.
async fn set_password(
    State(portal): State<Portal>,
    Path(name): Path<String>,
    submitted: AuthenticatedForm,
) -> Answer {
    let mut password = Form::new();
    if let Some(actor) = submitted.confirmed() {
        let change = PasswordChange {
            name: user_name(&name)?,
            old: None,
            new: Secret::new(submitted.fields.text("new_password").to_owned()),
            keep: None,
        };
        match portal.service.change_password(actor, change).await {
            Ok(()) => {
                let text = format!("Password of {name} changed. All of their sessions have ended.");
                return Redirect::to(Users::edit_path(&name)).success(text).answer();
            }
            Err(error) => password.refuse(error, &[])?,
        }
    }
    let signed_in = submitted.signed_in();
    let user = portal
        .service
        .get_user(signed_in.viewer(), &user_name(&name)?)?;
    show(signed_in, user, None, password)
}

async fn sign_out(
    State(portal): State<Portal>,
    Path(name): Path<String>,
    submitted: AuthenticatedForm,
) -> Answer {
    let page = Users::edit_path(&name);
    let Some(actor) = submitted.confirmed() else {
        return Redirect::press_again(page).answer();
    };
    portal
        .service
        .sign_out_everywhere(actor, &user_name(&name)?)
        .await?;
    let text = format!("{name} is signed out everywhere.");
    Redirect::to(page).success(text).answer()
}

/// Shows a user, with the form of the roles as it was submitted, if it was.
fn show(signed_in: &SignedIn, user: Arc<User>, roles: Option<Form>, password: Form) -> Answer {
    let page = UserPage {
        frame: Frame::new(signed_in, user.name.to_string()),
        form: roles.unwrap_or_else(|| Users::form(&user)),
        password,
        user,
    };
    let refused = [&page.password, &page.form]
        .into_iter()
        .find(|it| it.is_refused());
    let status = refused.unwrap_or(&page.form).status();
    page.frame.show_with(status, &page)
}

/// Reads a name out of a path; a text that is none names nobody.
fn user_name(text: &str) -> Result<UserName, ServiceError> {
    text.parse()
        .map_err(|_| ServiceError::NotFound(User::name_of(text)))
}

fn roles(fields: &Fields) -> Roles {
    let known = fields
        .all("roles")
        .filter_map(|name| Role::parse(name).ok());
    known.collect()
}

// === impl Users ===

impl UseCases for Users {
    type Key = String;
    type Object = User;

    fn get(service: &Service, viewer: &Actor, name: &String) -> Found<Self> {
        service.get_user(viewer, &user_name(name)?)
    }

    async fn create(service: &Service, actor: &Actor, fields: &Fields) -> Found<Self> {
        let name = fields.text("name").trim();
        let password = Secret::new(fields.text("password").to_owned());
        let roles = roles(fields);
        service.create_user(actor, name, &password, roles).await
    }

    async fn update(service: &Service, actor: &Actor, name: &String, form: &Form) -> Found<Self> {
        let update = Update {
            key: user_name(name)?,
            input: roles(form.fields()),
            mask: vec!["roles".to_owned()],
            etag: form.etag().to_owned(),
        };
        service.update_user(actor, update).await
    }

    async fn delete(
        service: &Service,
        actor: &Actor,
        name: &String,
        etag: &str,
    ) -> Result<(), ServiceError> {
        service.delete_user(actor, &user_name(name)?, etag).await
    }
}

impl AdminResource for Users {
    const NAV: NavItem = NAV;
    const NEEDS: &'static [Permission] = &[Permission::ManageUsers];
    const NOUN: &'static str = "user";
    const INPUTS: &'static [(&'static str, &'static str)] = &[("user_id", "name")];

    fn key(user: &User) -> String {
        user.name.to_string()
    }

    fn blank(_: &Fields) -> Fields {
        Fields::new().with("roles", Role::Subscriber.as_str())
    }

    fn form(user: &User) -> Form {
        let roles = user.roles.iter().map(Role::as_str);
        Form::edits(Fields::new().with_all("roles", roles), user.meta.etag)
    }

    fn page(_: &Portal, signed_in: &SignedIn, user: Option<Arc<User>>, form: Form) -> Answer {
        match user {
            Some(user) => show(signed_in, user, Some(form), Form::new()),
            None => {
                let frame = Frame::new(signed_in, Self::title(None));
                let page = NewUserPage { frame, form };
                page.frame.show_with(page.form.status(), &page)
            }
        }
    }

    fn after_update(actor: &Actor, user: &User) -> &'static str {
        // Who gave up being an admin can't open the list any more.
        if actor.is(user.id) && !user.roles.contains(Role::Admin) {
            "/"
        } else {
            NAV.path
        }
    }
}

// === impl UserPage ===

impl UserPage {
    fn path(&self, route: &str) -> String {
        link(route, &[&self.user.name])
    }

    /// Whether the user is the viewer.
    fn is_viewer(&self) -> bool {
        let actor = self.frame.actor();
        actor.is_some_and(|actor| actor.is(self.user.id))
    }
}
