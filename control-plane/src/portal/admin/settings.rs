//! Settings of the whole installation that admins change while it runs.

use askama::Template;
use axum::Router;

use crate::{
    domain::{actor::Actor, settings::Settings, user::Permission},
    portal::{
        Answer, Editor, Fields, Form, Frame, NavItem, Portal, Problem, Redirect, SignedIn,
        editor::{self, Saved},
    },
    service::edit::Update,
};

/// The entry of the side navigation.
pub(super) const NAV: NavItem =
    NavItem::new("Settings", "/admin/settings", Permission::ManageSettings);

#[derive(Template)]
#[template(path = "admin/settings.html")]
struct SettingsPage {
    frame: Frame,
    form: Form,
    settings: Settings,
}

struct SettingsEditor;

pub(super) fn routes() -> Router<Portal> {
    editor::route::<SettingsEditor>(NAV.path)
}

impl Editor for SettingsEditor {
    type Key = ();
    type Subject = Settings;

    const NEEDS: &'static [Permission] = &[Permission::ManageSettings];

    fn load(portal: &Portal, signed_in: &SignedIn, (): &()) -> Result<Settings, Problem> {
        Ok(portal.service.get_settings(signed_in.viewer())?)
    }

    fn form(settings: &Settings) -> Form {
        let allowed = settings.sign_up_allowed.then_some("1");
        Form::edits(
            Fields::new().with_all("sign_up_allowed", allowed),
            settings.etag,
        )
    }

    async fn save(portal: &Portal, actor: &Actor, (): &(), form: &Form) -> Saved {
        let update = Update {
            key: (),
            input: form.fields().has("sign_up_allowed"),
            mask: vec!["sign_up_allowed".to_owned()],
            etag: form.etag().to_owned(),
        };
        portal.service.update_settings(actor, update).await?;
        Ok(Redirect::to(NAV.path).success("Settings updated"))
    }

    fn page(_: &Portal, signed_in: &SignedIn, settings: Settings, form: Form) -> Answer {
        let page = SettingsPage {
            frame: Frame::new(signed_in, NAV.name),
            form,
            settings,
        };
        page.frame.show_with(page.form.status(), &page)
    }
}
