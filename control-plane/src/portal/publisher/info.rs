//! Basic info of an API: what people read, what they find it by, who finds it; and the form of its thumbnail.

use std::sync::Arc;

use askama::Template;
use axum::Router;

use super::{
    api_form::{ApiForm, items},
    header::{ApiHeader, INFO, THUMBNAIL},
};
use crate::{
    domain::{
        api::{Api, Visibility},
        user::{Role, Roles},
    },
    portal::{
        Answer, Fields, Form, Frame, Portal, SignedIn,
        editor::{self, Typed},
        html::Html,
        markdown,
        tab::Tab,
    },
    service::apis::ApiInput,
};

#[derive(Template)]
#[template(path = "publisher/info.html")]
struct InfoPage {
    frame: Frame,
    header: ApiHeader,
    form: Form,
    /// What is wrong with the thumbnail that was chosen.
    thumbnail: Form,
    /// The description as developers see it.
    description: Html,
    /// Whether that isn't saved yet.
    is_preview: bool,
}

struct InfoEditor;

/// Where the button is sent that deletes the thumbnail.
pub(super) const DELETE_THUMBNAIL: &str = "/publisher/apis/{api}/thumbnail/delete";

pub(super) fn routes() -> Router<Portal> {
    editor::route::<InfoEditor>(INFO.route)
}

/// Shows the page of an API; `thumbnail` says what is wrong with a thumbnail.
pub(super) fn show(
    portal: &Portal,
    signed_in: &SignedIn,
    api: Arc<Api>,
    form: Form,
    thumbnail: Form,
) -> Answer {
    let typed = form.value("description");
    let page = InfoPage {
        frame: Frame::new(signed_in, INFO.name),
        description: markdown::html(typed),
        is_preview: typed != api.design.description,
        form,
        thumbnail,
        header: ApiHeader::new(portal, signed_in.viewer(), api, INFO.route),
    };
    let refused = Some(&page.thumbnail).filter(|form| form.is_refused());
    let status = refused.unwrap_or(&page.form).status();
    page.frame.show_with(status, &page)
}

/// The form as an API fills it.
pub(super) fn form(api: &Api) -> Form {
    let roles = match api.visibility {
        Visibility::Public => Roles::NONE,
        Visibility::Restricted(roles) => roles,
    };
    let tags: Vec<_> = api.design.tags.iter().map(String::as_str).collect();
    let fields = Fields::new()
        .with("display_name", &api.design.display_name)
        .with("description", &api.design.description)
        .with("tags", tags.join(", "))
        .with_all("visible_roles", roles.iter().map(Role::as_str))
        .with_all("default_version", api.default_version.then_some("1"));
    Form::edits(fields, api.meta.etag)
}

// === impl InfoEditor ===

impl ApiForm for InfoEditor {
    const TAB: Tab = INFO;
    const MASK: &'static [&'static str] = &[
        "display_name",
        "description",
        "tags",
        "visible_roles",
        "default_version",
    ];
    const LISTS: &'static [&'static str] = &["tags"];
    const UPDATED: &'static str = "Basic info updated";

    fn form(api: &Api) -> Form {
        form(api)
    }

    fn typed(fields: &Fields) -> Typed {
        Typed::unless_previewed(fields)
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

    fn page(portal: &Portal, signed_in: &SignedIn, api: Arc<Api>, form: Form) -> Answer {
        show(portal, signed_in, api, form, Form::new())
    }
}

// === impl InfoPage ===

impl InfoPage {
    fn roles(&self) -> Vec<(&'static str, &'static str)> {
        let roles = Role::ALL.into_iter().map(Role::as_str);
        roles.map(|role| (role, role)).collect()
    }
}
