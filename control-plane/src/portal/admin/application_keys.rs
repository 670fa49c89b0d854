//! The keys of all applications, and the scopes that each key may request.

use std::sync::Arc;

use askama::Template;
use axum::{Router, extract::State, routing::get};
use tidegate_proto::ids::ApplicationId;

use crate::{
    domain::{
        actor::Actor,
        application::{Application, ApplicationKey},
        scope,
        user::Permission,
    },
    portal::{
        Answer, Editor, Fields, Form, Frame, NavItem, Portal, Problem, Redirect, SignedIn,
        editor::{self, Saved},
        form::at_list_inputs,
        format,
        list::{Filter, ListView, SEARCH},
        route::link,
    },
    service::{
        application_keys::{KeyInput, KeyUpdate},
        error::ServiceError,
        standard::read_key,
    },
};

#[derive(Template)]
#[template(path = "admin/application_keys.html")]
struct ApplicationKeyList {
    frame: Frame,
    list: ListView<Arc<Application>>,
    /// The keys of each application.
    keys: Vec<Vec<Arc<ApplicationKey>>>,
}

#[derive(Template)]
#[template(path = "admin/application_key.html")]
struct ScopesPage {
    frame: Frame,
    form: Form,
    application: Arc<Application>,
    key: Arc<ApplicationKey>,
}

struct ScopesEditor;

/// The entry of the side navigation.
pub(super) const NAV: NavItem = NavItem::new(
    "Application keys",
    "/admin/application-keys",
    Permission::ManagePolicies,
);
/// The page with the scopes of a key.
const EDIT: &str = "/admin/application-keys/edit/{application}/{client_id}";
/// How many applications stand on a page.
const PAGE_SIZE: i32 = 30;
/// An application has at most a few.
const KEYS_MAX: i32 = 500;
/// The input with the scopes.
const SCOPES: &str = "scopes";

pub(super) fn routes() -> Router<Portal> {
    editor::route::<ScopesEditor>(EDIT).route(NAV.path, get(list))
}

async fn list(State(portal): State<Portal>, signed_in: SignedIn) -> Answer {
    let query = signed_in.query();
    let filter = Filter::new().contains("display_name", query.text(SEARCH));
    let listed = filter.page(&query, PAGE_SIZE);
    let page = portal
        .service
        .list_applications(signed_in.viewer(), &listed)?;
    let keys = page.items.iter();
    let keys = keys.map(|application| keys_of(&portal, &signed_in, application));
    let page = ApplicationKeyList {
        frame: Frame::new(&signed_in, NAV.name),
        keys: keys.collect::<Result<_, _>>()?,
        list: ListView::new(NAV.path, query, page),
    };
    page.frame.show(&page)
}

fn keys_of(
    portal: &Portal,
    signed_in: &SignedIn,
    application: &Application,
) -> Result<Vec<Arc<ApplicationKey>>, ServiceError> {
    let all = Filter::new().first(KEYS_MAX);
    let keys = portal
        .service
        .list_keys(signed_in.viewer(), application.id, &all)?;
    Ok(keys.items)
}

fn edit_path(key: &ApplicationKey) -> String {
    link(EDIT, &[&key.application, &key.client_id])
}

fn scopes(key: &ApplicationKey) -> String {
    scope::joined(key.scopes.iter())
}

// === impl ScopesEditor ===

impl Editor for ScopesEditor {
    type Key = (ApplicationId, String);
    type Subject = (Arc<Application>, Arc<ApplicationKey>);

    const NEEDS: &'static [Permission] = &[Permission::ManagePolicies];

    fn load(
        portal: &Portal,
        signed_in: &SignedIn,
        (application, client_id): &Self::Key,
    ) -> Result<Self::Subject, Problem> {
        let viewer = signed_in.viewer();
        let application = portal.service.get_application(viewer, *application)?;
        let keys = keys_of(portal, signed_in, &application)?;
        let mut keys = keys.into_iter();
        let key = keys.find(|key| key.client_id.as_str() == client_id);
        Ok((application, key.ok_or(Problem::NotFound)?))
    }

    fn form((_, key): &Self::Subject) -> Form {
        Form::of(Fields::new().with(SCOPES, scopes(key)))
    }

    async fn save(
        portal: &Portal,
        actor: &Actor,
        (application, client_id): &Self::Key,
        form: &Form,
    ) -> Saved {
        let scopes = form.value(SCOPES).split_whitespace();
        let update = KeyUpdate {
            key: (*application, read_key::<ApplicationKey>(client_id)?),
            input: KeyInput {
                scopes: scopes.map(str::to_owned).collect(),
                key_type: None,
            },
            mask: vec![SCOPES.to_owned()],
            etag: String::new(),
        };
        let updated = portal.service.update_key(actor, update);
        updated
            .await
            .map_err(|error| at_list_inputs(error, &[SCOPES]))?;
        let text = "Allowed scopes updated. Tokens that were issued before keep their scopes until they expire.";
        Ok(Redirect::to(NAV.path).success(text))
    }

    fn page(
        _: &Portal,
        signed_in: &SignedIn,
        (application, key): Self::Subject,
        form: Form,
    ) -> Answer {
        let page = ScopesPage {
            frame: Frame::new(signed_in, "Allowed scopes"),
            form,
            application,
            key,
        };
        page.frame.show_with(page.form.status(), &page)
    }
}
