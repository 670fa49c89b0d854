//! The live console: a page that connects to a topic through a real gateway. `static/console.js` does it; the page says
//! where it may connect to and what close codes mean, and issues a token for it.

use askama::Template;
use axum::{
    Router,
    extract::{Path, State},
    routing::get,
};
use tidegate_proto::{ids::ApiId, reason::Reason};

use super::{
    addresses::{self, GatewayAddress},
    header::{CODE, CONSOLE},
    tokens::{KeyOptions, Token},
};
use crate::{
    portal::{Answer, AuthenticatedForm, Form, Frame, Portal, RequestContext, tab::Tab},
    service::catalog::Listing,
};

#[derive(Template)]
#[template(path = "devportal/console.html")]
struct ConsolePage {
    frame: Frame,
    tab: &'static Tab,
    form: Form,
    keys: KeyOptions,
    token: Option<Token>,
    path: String,
    addresses: Vec<GatewayAddress>,
    topics: Vec<String>,
    codes: Vec<(u16, &'static str, &'static str)>,
    api: Listing,
}

pub(super) fn routes() -> Router<Portal> {
    Router::new().route(CONSOLE.route, get(show).post(issue))
}

async fn show(
    State(portal): State<Portal>,
    context: RequestContext,
    Path(id): Path<ApiId>,
) -> Answer {
    page(&portal, &context, id, Form::new(), None)
}

async fn issue(
    State(portal): State<Portal>,
    Path(id): Path<ApiId>,
    submitted: AuthenticatedForm,
) -> Answer {
    let mut form = submitted.form();
    let token = Token::issue_for_key(&portal, &submitted, &mut form).await?;
    page(&portal, submitted.signed_in(), id, form, token)
}

fn page(
    portal: &Portal,
    context: &RequestContext,
    id: ApiId,
    form: Form,
    token: Option<Token>,
) -> Answer {
    let api = portal.service.get_from_catalog(&context.visitor(), id)?;
    let addresses = addresses::of_api(&api);
    let open = addresses.iter().filter(|it| it.opens_from_page);
    let origins: Vec<_> = open.map(|it| addresses::origin(&it.url)).collect();
    let mut codes: Vec<_> = Reason::ALL
        .iter()
        .filter_map(|reason| Some((reason.close_code()?, reason.label(), reason.message())))
        .collect();
    codes.sort_unstable();
    let topics = api.topics.iter();
    let page = ConsolePage {
        frame: Frame::new(context, format!("Console of {}", api.display_name))
            .connecting_to(origins),
        tab: &CONSOLE,
        path: CONSOLE.path(id),
        keys: KeyOptions::of(portal, context, id)?,
        topics: topics
            .map(|topic| addresses::example(&topic.template))
            .collect(),
        addresses,
        codes,
        token,
        form,
        api,
    };
    page.frame.show_with(page.form.status(), &page)
}

// === impl ConsolePage ===

impl ConsolePage {
    /// The path in the form: what was typed, or the first topic's.
    fn topic(&self) -> &str {
        match self.form.fields().has("topic") {
            true => self.form.value("topic"),
            false => self.topics.first().map_or("", String::as_str),
        }
    }

    /// Whether a page can't open any of the addresses.
    fn is_blocked(&self) -> bool {
        self.addresses.iter().all(|it| !it.opens_from_page)
    }
}
