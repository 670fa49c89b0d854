//! The live console: a page that connects to a topic through a real gateway. What it does is `static/console.js`; here is
//! said where it may connect to, what close codes mean, and a token is issued for it.

use askama::Template;
use axum::extract::{Path, State};
use tidegate_proto::reason::Reason;

use super::{
    address::{self, Door},
    id,
    tokens::{self, Keys, Token},
};
use crate::{
    portal::{Answer, Form, Frame, Portal, Posted, Visitor},
    service::catalog::Listing,
};

#[derive(Template)]
#[template(path = "devportal/console.html")]
struct Console {
    frame: Frame,
    tab: &'static str,
    form: Form,
    keys: Keys,
    token: Option<Token>,
    path: String,
    doors: Vec<Door>,
    topics: Vec<String>,
    codes: Vec<(u16, &'static str, &'static str)>,
    api: Listing,
}

pub(super) async fn show(
    State(portal): State<Portal>,
    visitor: Visitor,
    Path(api): Path<String>,
) -> Answer {
    let api = portal
        .service
        .get_from_catalog(&visitor.reader(), id(&api)?)?;
    answer(&portal, &visitor, api, Form::new(), None)
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
    let open = doors.iter().filter(|door| door.opens_from_page);
    let origins: Vec<_> = open.map(|door| address::origin(&door.url)).collect();
    let mut codes: Vec<_> = Reason::ALL
        .iter()
        .filter_map(|reason| Some((reason.close_code()?, reason.label(), reason.message())))
        .collect();
    codes.sort_unstable();
    let topics = api.topics.iter();
    let page = Console {
        frame: visitor
            .frame(format!("Console of {}", api.display_name))
            .connecting_to(origins),
        tab: "console",
        path: format!("/devportal/apis/{}/console", api.id),
        keys: Keys::of(portal, visitor, api.id)?,
        topics: topics
            .map(|topic| address::example(&topic.template))
            .collect(),
        doors,
        codes,
        token,
        form,
        api,
    };
    page.frame.show_with(page.form.status(), &page)
}

// === impl Console ===

impl Console {
    /// The path that stands in the form: what was typed, or the first topic's.
    fn topic(&self) -> &str {
        match self.form.fields().has("topic") {
            true => self.form.value("topic"),
            false => self.topics.first().map_or("", String::as_str),
        }
    }

    /// Whether a page may open none of the addresses.
    fn is_shut_out(&self) -> bool {
        self.doors.iter().all(|door| !door.opens_from_page)
    }
}
