//! The endpoints of an API: where the backend is, for production keys and for sandbox keys.

use askama::Template;
use axum::extract::{Path, State};
use tidegate_proto::ids::ApiId;

use super::{
    around::{Around, path},
    edit::{DESIGN, Edit, Outcome, items},
};
use crate::{
    domain::api::Api,
    portal::{Answer, Form, Frame, Notice, Portal, Posted, See, SignedIn, fields::Fields},
    service::apis::ApiInput,
};

#[derive(Template)]
#[template(path = "publisher/endpoints.html")]
struct Endpoints {
    frame: Frame,
    around: Around,
    form: Form,
}

const EDIT: Edit = Edit {
    mask: &[
        "production_endpoint",
        "sandbox_endpoint",
        "sandbox_keys_on_production_endpoint",
        "notice_subprotocols",
    ],
    lists: &["notice_subprotocols"],
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
    let page = Endpoints {
        frame: signed_in.frame("Endpoints"),
        form: EDIT.form(&api),
        around: Around::new(&portal, &signed_in.actor, api, "endpoints"),
    };
    page.frame.show(&page)
}

pub(super) async fn take(
    State(portal): State<Portal>,
    Path(id): Path<ApiId>,
    posted: Posted,
) -> Answer {
    posted.signed_in().demands(DESIGN)?;
    match EDIT.save(&portal, &posted, id, posted.form()).await? {
        Outcome::Saved => {
            let notice =
                Notice::done("Saved. Gateways get it with the next revision that is deployed.");
            See::page(path(id, "endpoints")).saying(notice).answer()
        }
        Outcome::Again(form) => {
            let api = portal.service.get_api(&posted.actor, id)?;
            let page = Endpoints {
                frame: posted.frame("Endpoints"),
                around: Around::new(&portal, &posted.actor, api, "endpoints"),
                form: *form,
            };
            page.frame.show_with(page.form.status(), &page)
        }
    }
}

fn of(api: &Api) -> Fields {
    let endpoints = &api.design.endpoints;
    let text = |url: &Option<crate::domain::endpoint::EndpointUrl>| {
        url.as_ref().map_or_else(String::new, ToString::to_string)
    };
    Fields::new()
        .with("production_endpoint", text(&endpoints.production))
        .with("sandbox_endpoint", text(&endpoints.sandbox))
        .with_all(
            "sandbox_keys_on_production_endpoint",
            endpoints.sandbox_keys_on_production.then_some("1"),
        )
        .with(
            "notice_subprotocols",
            api.design.notice_subprotocols.join(", "),
        )
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
