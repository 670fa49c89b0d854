//! The keys of an application: created, given a new secret, deleted; and tokens issued with them. Secrets and tokens are in
//! the response to the form that asked for them, and in no page that can be loaded again.

use std::sync::Arc;

use askama::Template;
use axum::{
    Router,
    extract::{Path, State},
    routing::get,
};
use tidegate_proto::{claims::KeyType, ids::ApplicationId};

use super::{
    confirm::Confirmation,
    header::CODE,
    links::{self, DELETE_KEY, KEYS, SECRET, TOKEN},
    snippets,
    tokens::Token,
};
use crate::{
    domain::{
        application::{Application, ApplicationKey},
        resource::Resource as _,
        scope::Scope,
    },
    oauth::issue::Ask,
    portal::{
        Answer, AuthenticatedForm, Fields, Form, Frame, Portal, Problem, Redirect, SignedIn,
        format, list::Filter,
    },
    service::{application_keys::NewKey, standard::read_key},
};

#[derive(Template)]
#[template(path = "devportal/key_made.html")]
struct NewSecretPage {
    frame: Frame,
    application: Arc<Application>,
    key: Arc<ApplicationKey>,
    secret: String,
    curl: String,
}

#[derive(Template)]
#[template(path = "devportal/token.html")]
struct TokenPage {
    frame: Frame,
    form: Form,
    application: Arc<Application>,
    key: Arc<ApplicationKey>,
    path: String,
    token: Option<Token>,
    /// The APIs that the token opens: where their code is, and their names.
    apis: Vec<(String, String)>,
    max_lifetime: u64,
}

/// As many keys or subscriptions as an application may have.
const ALL: i32 = 500;

pub(super) fn routes() -> Router<Portal> {
    let to_application = async |Path(id): Path<ApplicationId>| Redirect::to(links::application(id));
    Router::new()
        .route(KEYS, get(to_application).post(create))
        .route(SECRET, get(ask_for_secret).post(renew_secret))
        .route(DELETE_KEY, get(ask_to_delete).post(delete))
        .route(TOKEN, get(ask_for_token).post(issue))
}

async fn create(
    State(portal): State<Portal>,
    Path(id): Path<ApplicationId>,
    submitted: AuthenticatedForm,
) -> Answer {
    let Some(actor) = submitted.confirmed() else {
        return Redirect::press_again(links::application(id)).answer();
    };
    let key_type = match submitted.fields.text("key_type") {
        "PRODUCTION" => KeyType::Production,
        "SANDBOX" => KeyType::Sandbox,
        _ => return Err(Problem::Unreadable),
    };
    let application = portal.service.get_application(actor, id)?;
    let created = portal.service.create_key(actor, id, key_type, &[]).await?;
    let frame = Frame::new(submitted.signed_in(), "Key created");
    show_secret(&portal, frame, application, created)
}

async fn ask_for_secret(
    State(portal): State<Portal>,
    signed_in: SignedIn,
    Path((id, key)): Path<(ApplicationId, String)>,
) -> Answer {
    let (application, key) = find(&portal, &signed_in, id, &key)?;
    let page = Confirmation {
        frame: Frame::new(&signed_in, "Generate a new client secret?"),
        path: links::of_key(SECRET, id, &key.client_id),
        back: links::application(id),
        etag: String::new(),
        question: format!("{} gets a new secret.", describe(&application, &key)),
        consequences: &[
            "Clients that request tokens with the old secret are refused until they use the new one.",
            "Tokens that were issued before stay valid until they expire.",
        ],
        button: "Generate secret",
    };
    page.answer()
}

async fn renew_secret(
    State(portal): State<Portal>,
    Path((id, key)): Path<(ApplicationId, String)>,
    submitted: AuthenticatedForm,
) -> Answer {
    let Some(actor) = submitted.confirmed() else {
        return Redirect::press_again(links::of_key(SECRET, id, &key)).answer();
    };
    let application = portal.service.get_application(actor, id)?;
    let renewed = portal
        .service
        .regenerate_secret(actor, id, read_key::<ApplicationKey>(&key)?)
        .await?;
    let frame = Frame::new(submitted.signed_in(), "Secret generated");
    show_secret(&portal, frame, application, renewed)
}

fn show_secret(
    portal: &Portal,
    frame: Frame,
    application: Arc<Application>,
    made: NewKey,
) -> Answer {
    let endpoint = portal.key_manager.token_endpoint();
    let secret = made.secret.expose().to_owned();
    let page = NewSecretPage {
        frame,
        application,
        curl: snippets::token(&endpoint, made.key.client_id.as_str(), Some(&secret)),
        key: made.key,
        secret,
    };
    page.frame.show(&page)
}

async fn ask_to_delete(
    State(portal): State<Portal>,
    signed_in: SignedIn,
    Path((id, key)): Path<(ApplicationId, String)>,
) -> Answer {
    let (application, key) = find(&portal, &signed_in, id, &key)?;
    let page = Confirmation {
        frame: Frame::new(&signed_in, "Delete the key?"),
        path: links::of_key(DELETE_KEY, id, &key.client_id),
        back: links::application(id),
        etag: String::new(),
        question: format!(
            "{} is deleted. This can't be undone.",
            describe(&application, &key)
        ),
        consequences: &[
            "Tokens that were issued with it are refused, and open sessions are closed.",
        ],
        button: "Delete key",
    };
    page.answer()
}

async fn delete(
    State(portal): State<Portal>,
    Path((id, key)): Path<(ApplicationId, String)>,
    submitted: AuthenticatedForm,
) -> Answer {
    let Some(actor) = submitted.confirmed() else {
        return Redirect::press_again(links::of_key(DELETE_KEY, id, &key)).answer();
    };
    portal
        .service
        .delete_key(actor, id, read_key::<ApplicationKey>(&key)?)
        .await?;
    let next = Redirect::to(links::application(id));
    next.success("Key deleted").answer()
}

async fn ask_for_token(
    State(portal): State<Portal>,
    signed_in: SignedIn,
    Path((id, key)): Path<(ApplicationId, String)>,
) -> Answer {
    let found = find(&portal, &signed_in, id, &key)?;
    let lifetime = portal.key_manager.lifetime().as_secs();
    let form = Form::of(Fields::new().with("lifetime_seconds", lifetime.to_string()));
    show_token(&portal, &signed_in, found, form, None)
}

async fn issue(
    State(portal): State<Portal>,
    Path((id, key)): Path<(ApplicationId, String)>,
    submitted: AuthenticatedForm,
) -> Answer {
    let signed_in = submitted.signed_in();
    let found = find(&portal, signed_in, id, &key)?;
    let mut form = submitted.form();
    let Some(actor) = submitted.confirmed() else {
        return show_token(&portal, signed_in, found, form, None);
    };
    let lifetime = form.value("lifetime_seconds").trim();
    let lifetime = if lifetime.is_empty() {
        Ok(0)
    } else {
        lifetime.parse()
    };
    let Ok(lifetime_seconds) = lifetime else {
        form.fault("lifetime_seconds", "must be a number of seconds");
        return show_token(&portal, signed_in, found, form, None);
    };
    let ask = Ask {
        application: id,
        client_id: read_key::<ApplicationKey>(&key)?,
        lifetime_seconds,
        scope: form.fields().all("scope").collect::<Vec<_>>().join(" "),
    };
    let token = Token::issue(&portal, actor, ask, &mut form).await?;
    show_token(&portal, signed_in, found, form, token)
}

fn show_token(
    portal: &Portal,
    signed_in: &SignedIn,
    (application, key): (Arc<Application>, Arc<ApplicationKey>),
    form: Form,
    token: Option<Token>,
) -> Answer {
    let filter = Filter::new().is("application", &application.resource());
    let service = &portal.service;
    let subscriptions = service.list_subscriptions(signed_in.viewer(), &filter.first(ALL))?;
    let apis = subscriptions.items.iter().filter_map(|subscription| {
        let api = service.parties(subscription)?.api;
        Some((CODE.path(api.id), format!("{} {}", api.name, api.version)))
    });
    let page = TokenPage {
        frame: Frame::new(signed_in, "Access token"),
        path: links::of_key(TOKEN, application.id, &key.client_id),
        apis: apis.collect(),
        max_lifetime: portal.key_manager.lifetime().as_secs(),
        application,
        key,
        form,
        token,
    };
    page.frame.show_with(page.form.status(), &page)
}

/// An application and one of its keys.
fn find(
    portal: &Portal,
    signed_in: &SignedIn,
    id: ApplicationId,
    key: &str,
) -> Result<(Arc<Application>, Arc<ApplicationKey>), Problem> {
    let (service, viewer) = (&portal.service, signed_in.viewer());
    let application = service.get_application(viewer, id)?;
    let keys = service.list_keys(viewer, id, &Filter::new().first(ALL))?;
    let mut keys = keys.items.into_iter();
    let found = keys.find(|it| it.client_id.as_str() == key);
    Ok((application, found.ok_or(Problem::NotFound)?))
}

/// A key at the beginning of a sentence.
fn describe(application: &Application, key: &ApplicationKey) -> String {
    format!(
        "The {} key {} of {}",
        format::key_type(key.key_type).to_lowercase(),
        key.client_id,
        application.name
    )
}

// === impl TokenPage ===

impl TokenPage {
    /// The scopes that may be requested, each with its label.
    fn scopes(&self) -> Vec<(&str, &str)> {
        let scopes = self.key.scopes.iter().map(Scope::as_str);
        scopes.map(|scope| (scope, scope)).collect()
    }
}
