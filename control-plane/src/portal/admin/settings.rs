//! What holds for the whole installation, as far as admins change it while it runs.

use askama::Template;
use axum::extract::State;

use crate::{
    domain::settings::Settings,
    portal::{Answer, Form, Frame, Notice, Portal, Posted, See, SignedIn, fields::Fields},
};

#[derive(Template)]
#[template(path = "admin/settings.html")]
struct SettingsPage {
    frame: Frame,
    form: Form,
    settings: Settings,
}

const PATH: &str = "/admin/settings";

pub(super) async fn open(State(portal): State<Portal>, signed_in: SignedIn) -> Answer {
    let settings = portal.service.get_settings(&signed_in.actor)?;
    let form = Form::edits(fields(&settings), settings.etag);
    show(signed_in.frame("Settings"), form, settings)
}

pub(super) async fn save(State(portal): State<Portal>, posted: Posted) -> Answer {
    let mut form = posted.form();
    if !posted.is_resumed() {
        let allowed = posted.fields.has("sign_up_allowed");
        let mask = ["sign_up_allowed".to_owned()];
        let saved = portal
            .service
            .update_settings(&posted.actor, allowed, &mask, form.etag());
        match saved.await {
            Ok(_) => {
                let done = Notice::done("The settings are saved.");
                return See::page(PATH).saying(done).answer();
            }
            Err(error) => form.refuse(error, &[])?,
        }
    }
    let settings = portal.service.get_settings(&posted.actor)?;
    if form.conflict {
        form.meanwhile(fields(&settings), settings.etag);
    }
    show(posted.frame("Settings"), form, settings)
}

fn show(frame: Frame, form: Form, settings: Settings) -> Answer {
    let page = SettingsPage {
        frame,
        form,
        settings,
    };
    page.frame.show_with(page.form.status(), &page)
}

fn fields(settings: &Settings) -> Fields {
    Fields::new().with_all("sign_up_allowed", settings.sign_up_allowed.then_some("1"))
}
