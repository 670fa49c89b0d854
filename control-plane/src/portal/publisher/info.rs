//! Basic info of an API: what people read, what they find it by, who finds it, and its picture.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Path, State};
use tidegate_proto::ids::ApiId;

use super::{
    around::{Around, path},
    edit::{DESIGN, Edit, Outcome, items},
};
use crate::{
    domain::{
        actor::Actor,
        api::{Api, Visibility},
        user::{Role, Roles},
    },
    portal::{
        Answer, Form, Frame, Notice, Portal, Posted, See, SignedIn, fields::Fields, html::Html,
        markdown,
    },
    service::apis::ApiInput,
};

#[derive(Template)]
#[template(path = "publisher/info.html")]
pub(super) struct Info {
    frame: Frame,
    around: Around,
    form: Form,
    /// What is wrong with the picture that was chosen.
    picture: Form,
    /// The description as developers see it.
    shown: Html,
    /// Whether that was asked for, and is not saved yet.
    is_preview: bool,
}

const EDIT: Edit = Edit {
    mask: &[
        "display_name",
        "description",
        "tags",
        "visible_roles",
        "default_version",
    ],
    lists: &["tags"],
    fields: of,
    input,
};

pub(super) async fn ask(
    State(portal): State<Portal>,
    signed_in: SignedIn,
    Path(id): Path<ApiId>,
) -> Answer {
    signed_in.demands(DESIGN)?;
    let api = portal.service.get_api(&signed_in.actor, id)?;
    let frame = signed_in.frame("Basic info");
    show(&portal, &signed_in.actor, frame, api, Form::new())
}

pub(super) async fn take(
    State(portal): State<Portal>,
    Path(id): Path<ApiId>,
    posted: Posted,
) -> Answer {
    posted.signed_in().demands(DESIGN)?;
    let outcome = if posted.fields.has("preview") {
        Outcome::Again(Box::new(posted.form()))
    } else {
        EDIT.save(&portal, &posted, id, posted.form()).await?
    };
    match outcome {
        Outcome::Saved => See::page(path(id, "info"))
            .saying(Notice::done("Saved."))
            .answer(),
        Outcome::Again(form) => {
            let page = Info {
                frame: posted.frame("Basic info"),
                around: around(&portal, &posted.actor, id)?,
                shown: markdown::html(form.value("description")),
                is_preview: true,
                form: *form,
                picture: Form::new(),
            };
            page.frame.show_with(page.form.status(), &page)
        }
    }
}

/// The page with the API as it is; `picture` says what is wrong with a picture.
pub(super) fn show(
    portal: &Portal,
    actor: &Actor,
    frame: Frame,
    api: Arc<Api>,
    picture: Form,
) -> Answer {
    let page = Info {
        frame,
        form: EDIT.form(&api),
        picture,
        shown: markdown::html(&api.design.description),
        is_preview: false,
        around: Around::new(portal, actor, api, "info"),
    };
    page.frame.show_with(page.picture.status(), &page)
}

fn around(portal: &Portal, actor: &Actor, id: ApiId) -> Result<Around, crate::portal::Problem> {
    let api = portal.service.get_api(actor, id)?;
    Ok(Around::new(portal, actor, api, "info"))
}

fn of(api: &Api) -> Fields {
    let roles = match api.visibility {
        Visibility::Public => Roles::NONE,
        Visibility::Restricted(roles) => roles,
    };
    let tags: Vec<_> = api.design.tags.iter().map(String::as_str).collect();
    let fields = Fields::new()
        .with("display_name", &api.design.display_name)
        .with("description", &api.design.description)
        .with("tags", tags.join(", "))
        .with_all("visible_roles", roles.iter().map(Role::as_str));
    if api.default_version {
        fields.with("default_version", "1")
    } else {
        fields
    }
}

fn input(fields: &Fields) -> ApiInput {
    let roles: Roles = fields
        .all("visible_roles")
        .filter_map(|role| Role::parse(role).ok())
        .collect();
    ApiInput {
        display_name: fields.text("display_name").trim().to_owned(),
        description: fields.text("description").to_owned(),
        tags: items(fields.text("tags")),
        visibility: if roles.is_empty() {
            Visibility::Public
        } else {
            Visibility::Restricted(roles)
        },
        default_version: fields.has("default_version"),
        ..ApiInput::default()
    }
}

// === impl Info ===

impl Info {
    fn roles(&self) -> Vec<(&'static str, &'static str)> {
        let roles = Role::ALL.into_iter().map(Role::as_str);
        roles.map(|role| (role, role)).collect()
    }
}
