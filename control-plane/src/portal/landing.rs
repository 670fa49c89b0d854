//! The start page: the three portals.

use askama::Template;
use axum::{Router, routing::get};

use super::{
    context::RequestContext, frame::Frame, navigation::PortalKind, problem::Answer, state::Portal,
};

#[derive(Template)]
#[template(path = "landing.html")]
struct LandingPage {
    frame: Frame,
    portals: Vec<PortalKind>,
}

/// The start page.
pub(super) const PATH: &str = "/";

pub(super) fn routes() -> Router<Portal> {
    Router::new().route(PATH, get(show))
}

async fn show(context: RequestContext) -> Answer {
    let frame = Frame::new(&context, "Tidegate");
    let portals = match context.actor() {
        Some(_) => frame.portals(),
        // Who isn't signed in yet may be somebody who may enter.
        None => PortalKind::ALL.to_vec(),
    };
    let page = LandingPage { frame, portals };
    page.frame.show(&page)
}
