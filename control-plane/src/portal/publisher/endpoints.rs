//! The endpoints of an API: where the backend is, for production keys and for sandbox keys.

use std::sync::Arc;

use askama::Template;
use axum::Router;

use super::{
    api_form::{ApiForm, items},
    header::{ApiHeader, ENDPOINTS},
};
use crate::{
    domain::{api::Api, endpoint::EndpointUrl},
    portal::{Answer, Fields, Form, Frame, Portal, SignedIn, editor, tab::Tab},
    service::apis::ApiInput,
};

#[derive(Template)]
#[template(path = "publisher/endpoints.html")]
struct EndpointsPage {
    frame: Frame,
    header: ApiHeader,
    form: Form,
}

struct EndpointsEditor;

pub(super) fn routes() -> Router<Portal> {
    editor::route::<EndpointsEditor>(ENDPOINTS.route)
}

// === impl EndpointsEditor ===

impl ApiForm for EndpointsEditor {
    const TAB: Tab = ENDPOINTS;
    const MASK: &'static [&'static str] = &[
        "production_endpoint",
        "sandbox_endpoint",
        "sandbox_keys_on_production_endpoint",
        "notice_subprotocols",
    ];
    const LISTS: &'static [&'static str] = &["notice_subprotocols"];
    const UPDATED: &'static str =
        "Endpoints updated. Deploy a new revision to apply them on the gateways.";

    fn form(api: &Api) -> Form {
        let endpoints = &api.design.endpoints;
        let text =
            |url: &Option<EndpointUrl>| url.as_ref().map(ToString::to_string).unwrap_or_default();
        let fields = Fields::new()
            .with("production_endpoint", text(&endpoints.production))
            .with("sandbox_endpoint", text(&endpoints.sandbox))
            .with_all(
                "sandbox_keys_on_production_endpoint",
                endpoints.sandbox_keys_on_production.then_some("1"),
            )
            .with(
                "notice_subprotocols",
                api.design.notice_subprotocols.join(", "),
            );
        Form::edits(fields, api.meta.etag)
    }

    fn input(fields: &Fields) -> ApiInput {
        ApiInput {
            production_endpoint: fields.text("production_endpoint").trim().to_owned(),
            sandbox_endpoint: fields.text("sandbox_endpoint").trim().to_owned(),
            sandbox_keys_on_production_endpoint: fields.has("sandbox_keys_on_production_endpoint"),
            notice_subprotocols: items(fields.text("notice_subprotocols")),
            ..ApiInput::default()
        }
    }

    fn page(portal: &Portal, signed_in: &SignedIn, api: Arc<Api>, form: Form) -> Answer {
        let page = EndpointsPage {
            frame: Frame::new(signed_in, ENDPOINTS.name),
            header: ApiHeader::new(portal, signed_in.viewer(), api, ENDPOINTS.route),
            form,
        };
        page.frame.show_with(page.form.status(), &page)
    }
}
