//! The keys of everybody's applications, and the scopes that each is allowed.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Path, State};
use tidegate_proto::claims::KeyType;

use crate::{
    domain::{
        application::{Application, ApplicationKey},
        scope,
    },
    portal::{
        Answer, Form, Frame, Notice, Portal, Posted, Problem, See, SignedIn,
        fields::Fields,
        list::{Filter, PAGE, Pager},
    },
    service::{application_keys::KeyUpdate, error::ServiceError, listing::ListQuery},
};

#[derive(Template)]
#[template(path = "admin/application_keys.html")]
struct ApplicationKeys {
    frame: Frame,
    query: Fields,
    applications: Vec<(Arc<Application>, Vec<Arc<ApplicationKey>>)>,
    pager: Pager,
}

#[derive(Template)]
#[template(path = "admin/application_key.html")]
struct KeyPage {
    frame: Frame,
    form: Form,
    application: Arc<Application>,
    key: Arc<ApplicationKey>,
}

const LIST: &str = "/admin/application-keys";
/// How many applications stand on a page.
const PAGE_SIZE: i32 = 30;
/// The input with the scopes.
const SCOPES: &str = "scopes";

pub(super) async fn list(State(portal): State<Portal>, signed_in: SignedIn) -> Answer {
    let query = signed_in.query();
    let listed = ListQuery {
        page_size: PAGE_SIZE,
        page_token: query.text(PAGE).to_owned(),
        filter: Filter::new()
            .contains("display_name", query.text("q"))
            .text(),
        ..ListQuery::default()
    };
    let page = portal
        .service
        .list_applications(&signed_in.actor, &listed)?;
    let applications = page.items.iter().map(|application| {
        let keys = keys_of(&portal, &signed_in, application)?;
        Ok((application.clone(), keys))
    });
    let page = ApplicationKeys {
        frame: signed_in.frame("Application keys"),
        applications: applications.collect::<Result<_, ServiceError>>()?,
        pager: Pager::new(LIST, &query, &page),
        query,
    };
    page.frame.show(&page)
}

pub(super) async fn open(
    State(portal): State<Portal>,
    signed_in: SignedIn,
    Path((application, client_id)): Path<(String, String)>,
) -> Answer {
    let (application, key) = find(&portal, &signed_in, &application, &client_id)?;
    let form = Form::of(Fields::new().with(SCOPES, scope::joined(key.scopes.iter())));
    show(&signed_in, form, application, key)
}

pub(super) async fn save(
    State(portal): State<Portal>,
    Path((application, client_id)): Path<(String, String)>,
    posted: Posted,
) -> Answer {
    let signed_in = posted.signed_in();
    let (application, key) = find(&portal, signed_in, &application, &client_id)?;
    let mut form = posted.form();
    if !posted.is_resumed() {
        let typed = form.value(SCOPES).split_whitespace();
        let update = KeyUpdate {
            scopes: typed.map(str::to_owned).collect(),
            mask: vec![SCOPES.to_owned()],
            ..KeyUpdate::default()
        };
        let saved = portal
            .service
            .update_key(&posted.actor, application.id, &client_id, update);
        match saved.await {
            Ok(_) => {
                let done = Notice::done(format!(
                    "The scopes of a key of {} are saved. Tokens that it has got keep theirs until they expire.",
                    application.name
                ));
                return See::page(LIST).saying(done).answer();
            }
            Err(error) => form.refuse(gathered(error), &[])?,
        }
    }
    show(signed_in, form, application, key)
}

fn show(
    signed_in: &SignedIn,
    form: Form,
    application: Arc<Application>,
    key: Arc<ApplicationKey>,
) -> Answer {
    let page = KeyPage {
        frame: signed_in.frame("Scopes of a key"),
        form,
        application,
        key,
    };
    page.frame.show_with(page.form.status(), &page)
}

fn keys_of(
    portal: &Portal,
    signed_in: &SignedIn,
    application: &Application,
) -> Result<Vec<Arc<ApplicationKey>>, ServiceError> {
    let all = ListQuery {
        page_size: 500,
        ..ListQuery::default()
    };
    let keys = portal
        .service
        .list_keys(&signed_in.actor, application.id, &all)?;
    Ok(keys.items)
}

/// An application and one of its keys.
fn find(
    portal: &Portal,
    signed_in: &SignedIn,
    application: &str,
    client_id: &str,
) -> Result<(Arc<Application>, Arc<ApplicationKey>), Problem> {
    let id = application.parse().map_err(|_| Problem::NotFound)?;
    let application = portal.service.get_application(&signed_in.actor, id)?;
    let keys = keys_of(portal, signed_in, &application)?;
    let key = keys
        .into_iter()
        .find(|key| key.client_id.as_str() == client_id);
    Ok((application, key.ok_or(Problem::NotFound)?))
}

/// Puts the fault of each scope (`application_key.scopes[3]`) under the one input that holds all of them.
fn gathered(error: ServiceError) -> ServiceError {
    let ServiceError::Invalid(mut invalid) = error else {
        return error;
    };
    for violation in &mut invalid.violations {
        if let Some((field, place)) = violation.field.split_once('[') {
            let place: usize = place.trim_end_matches(']').parse().unwrap_or_default();
            violation.description = format!("number {}: {}", place + 1, violation.description);
            violation.field = field.to_owned();
        }
    }
    invalid.into()
}

const fn type_of(key: &ApplicationKey) -> &'static str {
    match key.key_type {
        KeyType::Production => "Production",
        KeyType::Sandbox => "Sandbox",
    }
}

// === impl ApplicationKeys ===

impl ApplicationKeys {
    fn key_type(&self, key: &ApplicationKey) -> &'static str {
        type_of(key)
    }

    fn scopes(&self, key: &ApplicationKey) -> String {
        scope::joined(key.scopes.iter())
    }

    fn place(&self, key: &ApplicationKey) -> String {
        place(key)
    }
}

// === impl KeyPage ===

impl KeyPage {
    fn key_type(&self) -> &'static str {
        type_of(&self.key)
    }

    fn place(&self) -> String {
        place(&self.key)
    }
}

fn place(key: &ApplicationKey) -> String {
    format!("{LIST}/edit/{}/{}", key.application, key.client_id)
}
