//! Tokens of one's own applications on the pages of an API: which keys there are to choose from, and the token that was
//! just issued for one.

use tidegate_proto::ids::ApiId;

use super::{id, own};
use crate::{
    domain::{time::Timestamp, user::Permission},
    oauth::issue::Ask,
    portal::{Form, Portal, Posted, Problem, SignedIn, Visitor},
    service::catalog::refuses_keys,
};

/// A token that a page shows once.
#[derive(Clone, Debug)]
pub(super) struct Token {
    pub(super) text: String,
    pub(super) expires_at: Timestamp,
    pub(super) scope: String,
}

/// What there is to get tokens with.
#[derive(Clone, Debug, Default)]
pub(super) struct Keys {
    /// Value and label of each key of an application that is subscribed to the API.
    pub(super) options: Vec<(String, String)>,
    /// Whether one is subscribed.
    pub(super) is_subscribed: bool,
}

/// The input that names a key.
pub(super) const KEY: &str = "key";

// === impl Keys ===

impl Keys {
    /// The keys of whoever looks; none for strangers.
    pub(super) fn of(portal: &Portal, visitor: &Visitor, api: ApiId) -> Result<Self, Problem> {
        if !visitor.may(Permission::Subscribe) {
            return Ok(Self::default());
        }
        let signed_in = visitor.clone().demand()?;
        Self::about(portal, &signed_in, api)
    }

    fn about(portal: &Portal, signed_in: &SignedIn, api: ApiId) -> Result<Self, Problem> {
        let own = own::about(portal, signed_in, api)?;
        let state = portal.service.state();
        let mut keys = Self::default();
        for own in own.into_iter().filter(|own| own.subscription.is_some()) {
            keys.is_subscribed = true;
            let application = &own.application;
            keys.options.extend(own.keys.iter().map(|key| {
                let value = format!("{}/{}", application.id, key.client_id);
                let kind = own::key_type(key.key_type).to_lowercase();
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

/// Issues a token for the key that a form names, for as long as may be.
pub(super) async fn issue(
    portal: &Portal,
    posted: &Posted,
    form: &mut Form,
) -> Result<Option<Token>, Problem> {
    let Some((application, client_id)) = posted.fields.text(KEY).split_once('/') else {
        form.fault(KEY, "must be one of yours");
        return Ok(None);
    };
    let ask = Ask {
        application: id(application)?,
        client_id: client_id.to_owned(),
        lifetime_seconds: 0,
        scope: String::new(),
    };
    match portal.key_manager.issue(&posted.actor, ask).await {
        Ok(issued) => Ok(Some(Token {
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
