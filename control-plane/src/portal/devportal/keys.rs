//! The keys of an application: made, given a new secret, deleted; and tokens got with them. Secrets and tokens stand in
//! the answer to the form that asked for them, and in no page that can be loaded again.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Path, State};
use tidegate_proto::claims::KeyType;

use super::{applications::Confirm, id, own, snippets, tokens::Token};
use crate::{
    domain::{
        application::{Application, ApplicationKey},
        scope::Scope,
    },
    oauth::issue::Ask,
    portal::{
        Answer, Form, Frame, Notice, Portal, Posted, Problem, See, SignedIn, fields::Fields,
        list::Filter,
    },
    service::{application_keys::NewKey, listing::ListQuery},
};

#[derive(Template)]
#[template(path = "devportal/key_made.html")]
struct Made {
    frame: Frame,
    application: Arc<Application>,
    key: Arc<ApplicationKey>,
    secret: String,
    curl: String,
}

#[derive(Template)]
#[template(path = "devportal/token.html")]
struct AskForToken {
    frame: Frame,
    form: Form,
    application: Arc<Application>,
    key: Arc<ApplicationKey>,
    path: String,
    token: Option<Token>,
    apis: Vec<(String, String)>,
    longest: u64,
}

pub(super) async fn list(Path(application): Path<String>) -> Answer {
    See::page(format!("/devportal/applications/{application}")).answer()
}

pub(super) async fn create(
    State(portal): State<Portal>,
    Path(application): Path<String>,
    posted: Posted,
) -> Answer {
    let page = format!("/devportal/applications/{application}");
    if posted.is_resumed() {
        return See::press_again(page).answer();
    }
    let key_type = match posted.fields.text("key_type") {
        "PRODUCTION" => KeyType::Production,
        "SANDBOX" => KeyType::Sandbox,
        _ => return Err(Problem::Unreadable),
    };
    let actor = &posted.actor;
    let application = portal.service.get_application(actor, id(&application)?)?;
    let made = portal
        .service
        .create_key(actor, application.id, key_type, &[])
        .await?;
    show_secret(&portal, posted.frame("Your new key"), application, made)
}

pub(super) async fn ask_for_secret(
    State(portal): State<Portal>,
    signed_in: SignedIn,
    Path((application, key)): Path<(String, String)>,
) -> Answer {
    let (application, key) = find(&portal, &signed_in, &application, &key)?;
    let back = format!("/devportal/applications/{}", application.id);
    let page = Confirm {
        frame: signed_in.frame("New client secret?"),
        path: format!("{back}/keys/{}/secret", key.client_id),
        back,
        etag: String::new(),
        question: format!(
            "The {} key {} of {} gets another secret.",
            own::key_type(key.key_type).to_lowercase(),
            key.client_id,
            application.name
        ),
        lost: vec![
            "clients that get tokens with the old secret are refused until they have the new one"
                .to_owned(),
            "tokens that they have stay valid until they expire".to_owned(),
        ],
        button: "Make a new secret",
    };
    page.frame.show(&page)
}

pub(super) async fn renew_secret(
    State(portal): State<Portal>,
    Path((application, key)): Path<(String, String)>,
    posted: Posted,
) -> Answer {
    if posted.is_resumed() {
        let path = format!("/devportal/applications/{application}/keys/{key}/secret");
        return See::press_again(path).answer();
    }
    let actor = &posted.actor;
    let application = portal.service.get_application(actor, id(&application)?)?;
    let made = portal
        .service
        .regenerate_secret(actor, application.id, &key)
        .await?;
    show_secret(&portal, posted.frame("Your new secret"), application, made)
}

fn show_secret(
    portal: &Portal,
    frame: Frame,
    application: Arc<Application>,
    made: NewKey,
) -> Answer {
    let endpoint = portal.key_manager.token_endpoint();
    let secret = made.secret.expose().to_owned();
    let page = Made {
        frame,
        application,
        curl: snippets::token(&endpoint, made.key.client_id.as_str(), Some(&secret)),
        key: made.key,
        secret,
    };
    page.frame.show(&page)
}

pub(super) async fn ask_to_delete(
    State(portal): State<Portal>,
    signed_in: SignedIn,
    Path((application, key)): Path<(String, String)>,
) -> Answer {
    let (application, key) = find(&portal, &signed_in, &application, &key)?;
    let back = format!("/devportal/applications/{}", application.id);
    let page = Confirm {
        frame: signed_in.frame("Delete the key?"),
        path: format!("{back}/keys/{}/delete", key.client_id),
        back,
        etag: String::new(),
        question: format!(
            "The {} key {} of {} goes for good. With it:",
            own::key_type(key.key_type).to_lowercase(),
            key.client_id,
            application.name
        ),
        lost: vec!["every token got with it: it is refused, and open sessions end".to_owned()],
        button: "Delete key",
    };
    page.frame.show(&page)
}

pub(super) async fn delete(
    State(portal): State<Portal>,
    Path((application, key)): Path<(String, String)>,
    posted: Posted,
) -> Answer {
    let back = format!("/devportal/applications/{application}");
    if posted.is_resumed() {
        return See::press_again(format!("{back}/keys/{key}/delete")).answer();
    }
    portal
        .service
        .delete_key(&posted.actor, id(&application)?, &key)
        .await?;
    let notice = Notice::done("The key is deleted.");
    See::page(back).saying(notice).answer()
}

pub(super) async fn ask_for_token(
    State(portal): State<Portal>,
    signed_in: SignedIn,
    Path((application, key)): Path<(String, String)>,
) -> Answer {
    let (application, key) = find(&portal, &signed_in, &application, &key)?;
    let lifetime = portal.key_manager.lifetime().as_secs();
    let form = Form::of(Fields::new().with("lifetime_seconds", lifetime.to_string()));
    show_token(&portal, &signed_in, (application, key), form, None)
}

pub(super) async fn issue(
    State(portal): State<Portal>,
    Path((application, key)): Path<(String, String)>,
    posted: Posted,
) -> Answer {
    let signed_in = posted.signed_in();
    let (application, key) = find(&portal, signed_in, &application, &key)?;
    let mut form = posted.form();
    let of = (application, key);
    if posted.is_resumed() {
        return show_token(&portal, signed_in, of, form, None);
    }
    let lifetime = form.value("lifetime_seconds").trim();
    let lifetime = if lifetime.is_empty() {
        Ok(0)
    } else {
        lifetime.parse()
    };
    let Ok(lifetime_seconds) = lifetime else {
        form.fault("lifetime_seconds", "must be a number of seconds");
        return show_token(&portal, signed_in, of, form, None);
    };
    let ask = Ask {
        application: of.0.id,
        client_id: of.1.client_id.to_string(),
        lifetime_seconds,
        scope: form.fields().all("scope").collect::<Vec<_>>().join(" "),
    };
    let token = match portal.key_manager.issue(&posted.actor, ask).await {
        Ok(issued) => Some(Token {
            text: issued.token.expose().to_owned(),
            expires_at: issued.expires_at,
            scope: issued.scope,
        }),
        Err(error) => {
            let names = [("lifetime_seconds", "lifetime_seconds"), ("scope", "scope")];
            form.refuse(error, &names)?;
            None
        }
    };
    show_token(&portal, signed_in, of, form, token)
}

fn show_token(
    portal: &Portal,
    signed_in: &SignedIn,
    (application, key): (Arc<Application>, Arc<ApplicationKey>),
    form: Form,
    token: Option<Token>,
) -> Answer {
    let query = ListQuery {
        page_size: 500,
        filter: Filter::new()
            .is("application", &application.resource())
            .text(),
        ..ListQuery::default()
    };
    let subscriptions = portal
        .service
        .list_subscriptions(&signed_in.actor, &query)?;
    let apis = subscriptions.items.iter().filter_map(|subscription| {
        let api = portal.service.parties(subscription)?.api;
        Some((api.id.to_string(), format!("{} {}", api.name, api.version)))
    });
    let page = AskForToken {
        frame: signed_in.frame("Access token"),
        path: format!(
            "/devportal/applications/{}/keys/{}/token",
            application.id, key.client_id
        ),
        apis: apis.collect(),
        longest: portal.key_manager.lifetime().as_secs(),
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
    application: &str,
    key: &str,
) -> Result<(Arc<Application>, Arc<ApplicationKey>), Problem> {
    let actor = &signed_in.actor;
    let application = portal.service.get_application(actor, id(application)?)?;
    let all = ListQuery {
        page_size: 500,
        ..ListQuery::default()
    };
    let keys = portal.service.list_keys(actor, application.id, &all)?;
    let found = keys
        .items
        .into_iter()
        .find(|it| it.client_id.as_str() == key);
    Ok((application, found.ok_or(Problem::NotFound)?))
}

// === impl Made ===

impl Made {
    fn key_type(&self) -> &'static str {
        own::key_type(self.key.key_type)
    }
}

// === impl AskForToken ===

impl AskForToken {
    /// The scopes that may be chosen, each with its label.
    fn scopes(&self) -> Vec<(&str, &str)> {
        let scopes = self.key.scopes.iter().map(Scope::as_str);
        scopes.map(|scope| (scope, scope)).collect()
    }

    fn key_type(&self) -> &'static str {
        own::key_type(self.key.key_type)
    }
}
