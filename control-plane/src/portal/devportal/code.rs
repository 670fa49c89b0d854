//! Code samples: how an application gets a token, and how it connects to a topic of the API, in several languages.

use askama::Template;
use axum::{
    Router,
    extract::{Path, State},
    routing::get,
};
use tidegate_proto::ids::ApiId;

use super::{
    addresses::{self, GatewayAddress},
    header::{CODE, CONSOLE},
    snippets::{self, PLACEHOLDER, Snippet},
    tokens::{KEY, KeyOptions, Token},
};
use crate::{
    portal::{Answer, AuthenticatedForm, Fields, Form, Frame, Portal, RequestContext, tab::Tab},
    service::catalog::{ListedTopic, Listing},
};

#[derive(Template)]
#[template(path = "devportal/code.html")]
struct CodePage {
    frame: Frame,
    tab: &'static Tab,
    form: Form,
    keys: KeyOptions,
    token: Option<Token>,
    path: String,
    addresses: Vec<(String, String)>,
    topics: Vec<(String, String)>,
    parameters: Vec<String>,
    curl: String,
    snippets: Vec<Snippet>,
    api: Listing,
}

const ADDRESS: &str = "address";
const TOPIC: &str = "topic";

pub(super) fn routes() -> Router<Portal> {
    Router::new().route(CODE.route, get(show).post(issue))
}

async fn show(
    State(portal): State<Portal>,
    context: RequestContext,
    Path(id): Path<ApiId>,
) -> Answer {
    let form = Form::of(chosen(&context.query()));
    page(&portal, &context, id, form, None)
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

/// The address and the topic that the code is for.
fn chosen(fields: &Fields) -> Fields {
    fields.only(|name| name == ADDRESS || name == TOPIC)
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
    let address = addresses.iter().find(|it| form.value(ADDRESS) == it.key);
    let address = address.or_else(|| addresses.first());
    let mut topics = api.topics.iter();
    let topic = topics.find(|topic| form.value(TOPIC) == topic.template.as_str());
    let topic = topic.or_else(|| api.topics.first());
    let text = token.as_ref().map_or(PLACEHOLDER, |token| &token.text);
    let snippets = match (address, topic) {
        (Some(address), Some(topic)) => {
            let path = addresses::example(&topic.template);
            snippets::connect(address, &path, text, topic.verbs.publish)
        }
        _ => Vec::new(),
    };
    let parameters = topic.map(|topic| addresses::parameters(&topic.template));
    let parameters = parameters.unwrap_or_default().into_iter();
    let client_id = form.value(KEY).split_once('/');
    let client_id = client_id.map_or("YOUR_CLIENT_ID", |(_, client_id)| client_id);
    let known = client_id
        .bytes()
        .all(|b| b.is_ascii_alphanumeric() || b"_-".contains(&b));
    let client_id = if known { client_id } else { "YOUR_CLIENT_ID" };
    let label = |it: &GatewayAddress| (it.key.clone(), format!("{} ({})", it.url, it.environment));
    let template = |topic: &ListedTopic| {
        let template = topic.template.to_string();
        (template.clone(), template)
    };
    let page = CodePage {
        frame: Frame::new(context, format!("Code for {}", api.display_name)),
        tab: &CODE,
        path: CODE.path(id),
        keys: KeyOptions::of(portal, context, id)?,
        addresses: addresses.iter().map(label).collect(),
        topics: api.topics.iter().map(template).collect(),
        parameters: parameters.map(str::to_owned).collect(),
        curl: snippets::token(&portal.key_manager.token_endpoint(), client_id, None),
        snippets,
        token,
        form,
        api,
    };
    page.frame.show_with(page.form.status(), &page)
}

// === impl CodePage ===

impl CodePage {
    /// The address and the topic that the page is about, for the form that requests a token.
    fn chosen(&self) -> Fields {
        chosen(self.form.fields())
    }
}
