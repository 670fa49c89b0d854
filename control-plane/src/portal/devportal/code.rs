//! Code to paste: how an application gets a token, and how it connects to a topic of the API, in several languages.

use askama::Template;
use axum::extract::{Path, State};

use super::{
    address::{self, Door},
    id,
    snippets::{self, PLACEHOLDER, Snippet},
    tokens::{self, Keys, Token},
};
use crate::{
    portal::{Answer, Form, Frame, Portal, Posted, Visitor, fields::Fields},
    service::catalog::Listing,
};

#[derive(Template)]
#[template(path = "devportal/code.html")]
struct Code {
    frame: Frame,
    tab: &'static str,
    form: Form,
    keys: Keys,
    token: Option<Token>,
    path: String,
    doors: Vec<(String, String)>,
    topics: Vec<(String, String)>,
    parameters: Vec<String>,
    curl: String,
    snippets: Vec<Snippet>,
    api: Listing,
}

const DOOR: &str = "address";
const TOPIC: &str = "topic";

pub(super) async fn show(
    State(portal): State<Portal>,
    visitor: Visitor,
    Path(api): Path<String>,
) -> Answer {
    let api = portal
        .service
        .get_from_catalog(&visitor.reader(), id(&api)?)?;
    let form = Form::of(visitor.query().only(|name| name == DOOR || name == TOPIC));
    answer(&portal, &visitor, api, form, None)
}

pub(super) async fn issue(
    State(portal): State<Portal>,
    Path(api): Path<String>,
    posted: Posted,
) -> Answer {
    let api = portal
        .service
        .get_from_catalog(&posted.reader(), id(&api)?)?;
    let mut form = posted.form();
    let token = if posted.is_resumed() {
        None
    } else {
        tokens::issue(&portal, &posted, &mut form).await?
    };
    answer(&portal, &posted, api, form, token)
}

fn answer(
    portal: &Portal,
    visitor: &Visitor,
    api: Listing,
    form: Form,
    token: Option<Token>,
) -> Answer {
    let doors = address::doors(&api);
    let door = doors.iter().find(|door| form.value(DOOR) == door.key);
    let door = door.or_else(|| doors.first());
    let mut topics = api.topics.iter();
    let topic = topics.find(|topic| form.value(TOPIC) == topic.template.as_str());
    let topic = topic.or_else(|| api.topics.first());
    let text = token.as_ref().map_or(PLACEHOLDER, |token| &token.text);
    let snippets = match (door, topic) {
        (Some(door), Some(topic)) => {
            let path = address::example(&topic.template);
            snippets::connect(door, &path, text, topic.verbs.publish)
        }
        _ => Vec::new(),
    };
    let parameters = topic.map(|topic| address::parameters(&topic.template));
    let parameters = parameters.unwrap_or_default().into_iter();
    let client_id = form.value(tokens::KEY).split_once('/');
    let client_id = client_id.map_or("YOUR_CLIENT_ID", |(_, client_id)| client_id);
    let known = client_id
        .bytes()
        .all(|b| b.is_ascii_alphanumeric() || b"_-".contains(&b));
    let client_id = if known { client_id } else { "YOUR_CLIENT_ID" };
    let label = |door: &Door| {
        (
            door.key.clone(),
            format!("{} ({})", door.url, door.environment),
        )
    };
    let template = |topic: &crate::service::catalog::ListedTopic| {
        let template = topic.template.to_string();
        (template.clone(), template)
    };
    let page = Code {
        frame: visitor.frame(format!("Code for {}", api.display_name)),
        tab: "code",
        path: format!("/devportal/apis/{}/code", api.id),
        keys: Keys::of(portal, visitor, api.id)?,
        doors: doors.iter().map(label).collect(),
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

// === impl Code ===

impl Code {
    /// The address and the topic that the page is about, for the form that asks for a token.
    fn chosen(&self) -> Fields {
        self.form
            .fields()
            .only(|name| name == DOOR || name == TOPIC)
    }
}
