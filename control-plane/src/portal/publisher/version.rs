//! The form that makes a new version of an API.

use std::sync::Arc;

use askama::Template;
use axum::Router;
use tidegate_proto::ids::ApiId;

use super::{
    api_form,
    header::{ApiHeader, NEW_VERSION, OVERVIEW},
};
use crate::{
    domain::{
        actor::Actor,
        api::Api,
        invalid::{Invalid, reason},
        user::Permission,
    },
    portal::{
        Answer, Editor, Form, Frame, Portal, Problem, Redirect, SignedIn,
        editor::{self, Saved},
    },
    service::error::ServiceError,
};

#[derive(Template)]
#[template(path = "publisher/version.html")]
struct NewVersionPage {
    frame: Frame,
    header: ApiHeader,
    form: Form,
}

struct NewVersion;

pub(super) fn routes() -> Router<Portal> {
    editor::route::<NewVersion>(NEW_VERSION)
}

impl Editor for NewVersion {
    type Key = ApiId;
    type Subject = Arc<Api>;

    const NEEDS: &'static [Permission] = &[Permission::DesignApis];

    fn load(portal: &Portal, signed_in: &SignedIn, id: &ApiId) -> Result<Arc<Api>, Problem> {
        api_form::load(portal, signed_in, *id)
    }

    fn form(_: &Arc<Api>) -> Form {
        Form::new()
    }

    async fn save(portal: &Portal, actor: &Actor, id: &ApiId, form: &Form) -> Saved {
        let version = form.value("version").trim();
        let is_default = form.fields().has("default_version");
        let service = &portal.service;
        let created = service.create_api_version(actor, *id, version, is_default);
        let api = created.await.map_err(|error| match error {
            ServiceError::AlreadyExists { description, .. } => {
                let text = format!("is already in use: {description}");
                Invalid::one("version", reason::MALFORMED, &text).into()
            }
            other => other,
        })?;
        let text = format!("Version {} created", api.version);
        Ok(Redirect::to(OVERVIEW.path(api.id)).success(text))
    }

    fn page(portal: &Portal, signed_in: &SignedIn, api: Arc<Api>, form: Form) -> Answer {
        let page = NewVersionPage {
            frame: Frame::new(signed_in, "New version"),
            header: ApiHeader::new(portal, signed_in.viewer(), api, NEW_VERSION),
            form,
        };
        page.frame.show_with(page.form.status(), &page)
    }
}
