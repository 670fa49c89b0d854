//! Access tokens on the pages of an API: the keys of the viewer's applications to choose from, and the token that was just
//! issued with one.

use tidegate_proto::ids::ApiId;

use super::my_applications::seen_from;
use crate::{
    domain::{actor::Actor, application::ApplicationKey, time::Timestamp},
    oauth::issue::Ask,
    portal::{AuthenticatedForm, Form, Portal, Problem, RequestContext, format::key_type},
    service::{catalog::refuses_keys, standard::read_key},
};

/// A token that a page shows once.
#[derive(Clone, Debug)]
pub(super) struct Token {
    pub(super) text: String,
    pub(super) expires_at: Timestamp,
    pub(super) scope: String,
}

/// The keys to get tokens with.
#[derive(Clone, Debug, Default)]
pub(super) struct KeyOptions {
    /// Value and label of each key of an application that is subscribed to the API.
    pub(super) options: Vec<(String, String)>,
    /// Whether one is subscribed.
    pub(super) is_subscribed: bool,
}

/// The input that names a key.
pub(super) const KEY: &str = "key";

// === impl KeyOptions ===

impl KeyOptions {
    /// The keys of the viewer; none for anonymous users.
    pub(super) fn of(
        portal: &Portal,
        context: &RequestContext,
        api: ApiId,
    ) -> Result<Self, Problem> {
        let mut keys = Self::default();
        let Ok(signed_in) = context.clone().into_signed_in() else {
            return Ok(keys);
        };
        let applications = seen_from(portal, &signed_in, api)?.into_iter();
        let state = portal.service.state();
        for seen in applications.filter(|seen| seen.subscription.is_some()) {
            keys.is_subscribed = true;
            let application = &seen.application;
            keys.options.extend(seen.keys.iter().map(|key| {
                let value = format!("{}/{}", application.id, key.client_id);
                let kind = key_type(key.key_type).to_lowercase();
                let refused = if refuses_keys(&state, api, key.key_type) {
                    format!(" (refused: the API has no endpoint for {kind} keys)")
                } else {
                    String::new()
                };
                let client: String = key.client_id.as_str().chars().take(8).collect();
                (
                    value,
                    format!("{} · {kind} key {client}…{refused}", application.name),
                )
            }));
        }
        Ok(keys)
    }
}

// === impl Token ===

impl Token {
    /// Issues a token; a refusal is noted in the form.
    pub(super) async fn issue(
        portal: &Portal,
        actor: &Actor,
        ask: Ask,
        form: &mut Form,
    ) -> Result<Option<Self>, Problem> {
        match portal.key_manager.issue(actor, ask).await {
            Ok(issued) => Ok(Some(Self {
                text: issued.token.expose().to_owned(),
                expires_at: issued.expires_at,
                scope: issued.scope,
            })),
            Err(error) => {
                form.refuse(error, &[])?;
                Ok(None)
            }
        }
    }

    /// Issues a token for the key that a form names, with the longest lifetime; none while the form isn't confirmed.
    pub(super) async fn issue_for_key(
        portal: &Portal,
        submitted: &AuthenticatedForm,
        form: &mut Form,
    ) -> Result<Option<Self>, Problem> {
        let Some(actor) = submitted.confirmed() else {
            return Ok(None);
        };
        let Some((application, client_id)) = submitted.fields.text(KEY).split_once('/') else {
            form.fault(KEY, "must be one of yours");
            return Ok(None);
        };
        let ask = Ask {
            application: application.parse().map_err(|_| Problem::NotFound)?,
            client_id: read_key::<ApplicationKey>(client_id)?,
            lifetime_seconds: 0,
            scope: String::new(),
        };
        Self::issue(portal, actor, ask, form).await
    }
}
