//! Users: listed, made, given roles and passwords, signed out everywhere, deleted.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Path, State};
use tidegate_kit::secret::Secret;

use crate::{
    domain::user::{Role, Roles, User},
    portal::{
        Answer, Form, Frame, Notice, Portal, Posted, See, SignedIn,
        fields::Fields,
        list::{Filter, PAGE, Pager},
    },
    service::{listing::ListQuery, users::PasswordChange},
};

#[derive(Template)]
#[template(path = "admin/users.html")]
struct Users {
    frame: Frame,
    query: Fields,
    users: Vec<Arc<User>>,
    pager: Pager,
}

#[derive(Template)]
#[template(path = "admin/user_new.html")]
struct NewUser {
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
    /// Whether it is whoever looks.
    own: bool,
}

const LIST: &str = "/admin/users";
const NEW: &str = "New user";
/// How many stand on a page.
const PAGE_SIZE: i32 = 50;
/// Roles, and what they are for.
const ROLES: [(&str, &str); 4] = [
    ("admin", "Admin: everything"),
    ("creator", "Creator: designs and deploys APIs"),
    ("publisher", "Publisher: publishes APIs, assigns plans"),
    (
        "subscriber",
        "Subscriber: registers applications, subscribes",
    ),
];

pub(super) async fn list(State(portal): State<Portal>, signed_in: SignedIn) -> Answer {
    let query = signed_in.query();
    let filter = Filter::new()
        .contains("name", query.text("q"))
        .is("role", query.text("role"));
    let listed = ListQuery {
        page_size: PAGE_SIZE,
        page_token: query.text(PAGE).to_owned(),
        filter: filter.text(),
        ..ListQuery::default()
    };
    let page = portal.service.list_users(&signed_in.actor, &listed)?;
    let page = Users {
        frame: signed_in.frame("Users"),
        pager: Pager::new(LIST, &query, &page),
        users: page.items,
        query,
    };
    page.frame.show(&page)
}

pub(super) async fn ask(signed_in: SignedIn) -> Answer {
    let form = Form::of(Fields::new().with("roles", "subscriber"));
    show_new(signed_in.frame(NEW), form)
}

pub(super) async fn create(State(portal): State<Portal>, posted: Posted) -> Answer {
    let mut form = posted.form();
    if !posted.is_resumed() {
        let name = posted.fields.text("name").trim();
        let password = Secret::new(posted.fields.text("password").to_owned());
        let roles = roles(&posted.fields);
        let made = portal
            .service
            .create_user(&posted.actor, name, &password, roles);
        match made.await {
            Ok(user) => {
                let done = Notice::done(format!("{} can sign in now.", user.name));
                return See::page(LIST).saying(done).answer();
            }
            Err(error) => form.refuse(error, &[("user_id", "name")])?,
        }
    }
    show_new(posted.frame(NEW), form)
}

pub(super) async fn open(
    State(portal): State<Portal>,
    signed_in: SignedIn,
    Path(name): Path<String>,
) -> Answer {
    let user = portal.service.get_user(&signed_in.actor, &name)?;
    let form = Form::edits(fields(&user), user.etag);
    let own = signed_in.actor.is(user.id);
    show(
        signed_in.frame(user.name.to_string()),
        form,
        Form::new(),
        (user, own),
    )
}

pub(super) async fn save(
    State(portal): State<Portal>,
    Path(name): Path<String>,
    posted: Posted,
) -> Answer {
    let mut form = posted.form();
    if !posted.is_resumed() {
        let mask = vec!["roles".to_owned()];
        let roles = roles(&posted.fields);
        let saved = portal
            .service
            .update_user(&posted.actor, &name, roles, mask, form.etag());
        match saved.await {
            Ok(user) => {
                let done = Notice::done(format!("The roles of {} are saved.", user.name));
                // Whoever gave up being admin has no business in the list any more.
                let list = !posted.actor.is(user.id) || user.roles.contains(Role::Admin);
                let next = if list { LIST } else { "/" };
                return See::page(next).saying(done).answer();
            }
            Err(error) => form.refuse(error, &[])?,
        }
    }
    let user = portal.service.get_user(&posted.actor, &name)?;
    if form.conflict {
        form.meanwhile(fields(&user), user.etag);
    }
    let own = posted.actor.is(user.id);
    show(
        posted.frame(user.name.to_string()),
        form,
        Form::new(),
        (user, own),
    )
}

/// Sets the password of somebody else, who is signed out by it.
pub(super) async fn set_password(
    State(portal): State<Portal>,
    Path(name): Path<String>,
    posted: Posted,
) -> Answer {
    let mut password = Form::new();
    if !posted.is_resumed() {
        let change = PasswordChange {
            name: name.clone(),
            old: None,
            new: Secret::new(posted.fields.text("new_password").to_owned()),
            keep: None,
        };
        match portal.service.change_password(&posted.actor, change).await {
            Ok(()) => {
                let done = Notice::done(format!(
                    "{name} has a new password, and is signed out everywhere."
                ));
                return See::page(edit_path(&name)).saying(done).answer();
            }
            Err(error) => password.refuse(error, &[])?,
        }
    }
    let user = portal.service.get_user(&posted.actor, &name)?;
    let form = Form::edits(fields(&user), user.etag);
    let own = posted.actor.is(user.id);
    show(
        posted.frame(user.name.to_string()),
        form,
        password,
        (user, own),
    )
}

pub(super) async fn sign_out(
    State(portal): State<Portal>,
    Path(name): Path<String>,
    posted: Posted,
) -> Answer {
    if posted.is_resumed() {
        return See::press_again(edit_path(&name)).answer();
    }
    portal
        .service
        .sign_out_everywhere(&posted.actor, &name)
        .await?;
    let done = Notice::done(format!("{name} is signed out everywhere."));
    See::page(edit_path(&name)).saying(done).answer()
}

pub(super) async fn delete(
    State(portal): State<Portal>,
    Path(name): Path<String>,
    posted: Posted,
) -> Answer {
    if posted.is_resumed() {
        return See::press_again(edit_path(&name)).answer();
    }
    let etag = posted.form().etag().to_owned();
    match portal
        .service
        .delete_user(&posted.actor, &name, &etag)
        .await
    {
        Ok(()) => {
            let done = Notice::done(format!("The user {name} is deleted."));
            See::page(LIST).saying(done).answer()
        }
        Err(error) => {
            let user = portal.service.get_user(&posted.actor, &name)?;
            let mut form = Form::edits(fields(&user), user.etag);
            form.refuse_deletion(error)?;
            let own = posted.actor.is(user.id);
            show(
                posted.frame(user.name.to_string()),
                form,
                Form::new(),
                (user, own),
            )
        }
    }
}

fn show_new(frame: Frame, form: Form) -> Answer {
    let page = NewUser { frame, form };
    page.frame.show_with(page.form.status(), &page)
}

fn show(frame: Frame, form: Form, password: Form, (user, own): (Arc<User>, bool)) -> Answer {
    let status = if password.is_refused() {
        password.status()
    } else {
        form.status()
    };
    let page = UserPage {
        frame,
        form,
        password,
        user,
        own,
    };
    page.frame.show_with(status, &page)
}

fn edit_path(name: &str) -> String {
    format!("{LIST}/edit/{name}")
}

fn roles(fields: &Fields) -> Roles {
    let known = fields
        .all("roles")
        .filter_map(|name| Role::parse(name).ok());
    known.collect()
}

fn fields(user: &User) -> Fields {
    let roles = user.roles.iter().map(Role::as_str);
    Fields::new().with_all("roles", roles)
}

// === impl Users ===

impl Users {
    fn is_filtered(&self) -> bool {
        ["q", "role"]
            .into_iter()
            .any(|name| !self.query.text(name).is_empty())
    }
}
