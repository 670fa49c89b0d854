//! One's applications: the list, one of them with its subscriptions and keys, and the forms that make, change and delete
//! one.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Path, State};

use super::{id, own, owner};
use crate::{
    domain::{
        application::{Application, ApplicationKey},
        scope,
        subscription::Subscription,
        user::Permission,
    },
    portal::{
        Answer, Form, Frame, Notice, Portal, Posted, See, SignedIn,
        fields::Fields,
        list::{Filter, PAGE, Pager},
    },
    service::{applications::ApplicationUpdate, listing::ListQuery, subscriptions::Parties},
};

#[derive(Template)]
#[template(path = "devportal/applications.html")]
struct List {
    frame: Frame,
    applications: Vec<(Arc<Application>, usize)>,
    query: Fields,
    pager: Pager,
}

#[derive(Template)]
#[template(path = "devportal/application_form.html")]
struct Edit {
    frame: Frame,
    form: Form,
    path: String,
    back: String,
    button: &'static str,
}

#[derive(Template)]
#[template(path = "devportal/application.html")]
struct Show {
    frame: Frame,
    application: Arc<Application>,
    subscriptions: Vec<(Arc<Subscription>, Parties)>,
    pager: Pager,
    keys: Vec<Arc<ApplicationKey>>,
}

#[derive(Template)]
#[template(path = "devportal/confirm.html")]
pub(super) struct Confirm {
    pub(super) frame: Frame,
    pub(super) path: String,
    pub(super) back: String,
    pub(super) etag: String,
    pub(super) question: String,
    pub(super) lost: Vec<String>,
    pub(super) button: &'static str,
}

const PAGE_SIZE: i32 = 20;
/// How many subscriptions stand on a page of an application.
const SUBSCRIPTIONS: i32 = 50;
const LIST: &str = "/devportal/applications";
const NEW: &str = "/devportal/applications/new";
/// Where to go after making one.
const NEXT: &str = "next";
/// The admin API's name of the input `name`.
const NAMES: [(&str, &str); 1] = [("application.display_name", "name")];

pub(super) async fn list(State(portal): State<Portal>, signed_in: SignedIn) -> Answer {
    let query = signed_in.query();
    let filter = Filter::new()
        .is("owner", &owner(&signed_in))
        .contains("display_name", query.text("q"));
    let listed = ListQuery {
        page_size: PAGE_SIZE,
        page_token: query.text(PAGE).to_owned(),
        filter: filter.text(),
        order_by: "display_name".to_owned(),
    };
    let actor = &signed_in.actor;
    let page = portal.service.list_applications(actor, &listed)?;
    let pager = Pager::new(LIST, &query, &page);
    let mut applications = Vec::new();
    for application in page.items {
        let of = ListQuery {
            page_size: 1,
            filter: Filter::new()
                .is("application", &application.resource())
                .text(),
            ..ListQuery::default()
        };
        let subscriptions = portal.service.list_subscriptions(actor, &of)?;
        applications.push((application, subscriptions.total_size));
    }
    let page = List {
        frame: signed_in.frame("Applications"),
        applications,
        query,
        pager,
    };
    page.frame.show(&page)
}

pub(super) async fn ask(signed_in: SignedIn) -> Answer {
    signed_in.demands(Permission::Subscribe)?;
    let next = signed_in.query().only(|name| name == NEXT);
    show_new(signed_in.frame("Create application"), Form::of(next))
}

pub(super) async fn create(State(portal): State<Portal>, posted: Posted) -> Answer {
    let mut form = posted.form();
    if posted.is_resumed() {
        return show_new(posted.frame("Create application"), form);
    }
    let (name, description) = (form.value("name"), form.value("description"));
    let made = portal
        .service
        .create_application(&posted.actor, name, description, "");
    match made.await {
        Ok(application) => {
            let notice = Notice::done(format!("The application {} is there.", application.name));
            let path = match form.value(NEXT) {
                "" => format!("{LIST}/{}", application.id),
                next => next.to_owned(),
            };
            See::page(path).saying(notice).answer()
        }
        Err(error) => {
            form.refuse(error, &NAMES)?;
            show_new(posted.frame("Create application"), form)
        }
    }
}

fn show_new(frame: Frame, form: Form) -> Answer {
    let page = Edit {
        frame,
        form,
        path: NEW.to_owned(),
        back: LIST.to_owned(),
        button: "Create application",
    };
    page.frame.show_with(page.form.status(), &page)
}

pub(super) async fn show(
    State(portal): State<Portal>,
    signed_in: SignedIn,
    Path(application): Path<String>,
) -> Answer {
    let actor = &signed_in.actor;
    let application = portal.service.get_application(actor, id(&application)?)?;
    let query = signed_in.query();
    let of = ListQuery {
        page_size: SUBSCRIPTIONS,
        page_token: query.text(PAGE).to_owned(),
        filter: Filter::new()
            .is("application", &application.resource())
            .text(),
        ..ListQuery::default()
    };
    let subscriptions = portal.service.list_subscriptions(actor, &of)?;
    let here = format!("{LIST}/{}", application.id);
    let pager = Pager::new(&here, &query, &subscriptions);
    let subscriptions = subscriptions.items.into_iter().filter_map(|subscription| {
        let parties = portal.service.parties(&subscription)?;
        Some((subscription, parties))
    });
    // There are at most a few of each type.
    let all = ListQuery::default();
    let keys = portal.service.list_keys(actor, application.id, &all)?;
    let page = Show {
        frame: signed_in.frame(application.name.to_string()),
        subscriptions: subscriptions.collect(),
        pager,
        keys: keys.items,
        application,
    };
    page.frame.show(&page)
}

pub(super) async fn edit(
    State(portal): State<Portal>,
    signed_in: SignedIn,
    Path(application): Path<String>,
) -> Answer {
    let application = portal
        .service
        .get_application(&signed_in.actor, id(&application)?)?;
    let form = Form::edits(fields(&application), application.etag);
    show_edit(signed_in.frame("Edit application"), form, &application)
}

pub(super) async fn save(
    State(portal): State<Portal>,
    Path(application): Path<String>,
    posted: Posted,
) -> Answer {
    let actor = &posted.actor;
    let application = portal.service.get_application(actor, id(&application)?)?;
    let mut form = posted.form();
    if posted.is_resumed() {
        return show_edit(posted.frame("Edit application"), form, &application);
    }
    let update = ApplicationUpdate {
        id: application.id,
        name: form.value("name").to_owned(),
        description: form.value("description").to_owned(),
        policy: String::new(),
        owner: String::new(),
        mask: vec!["display_name".to_owned(), "description".to_owned()],
        etag: form.etag().to_owned(),
    };
    match portal.service.update_application(actor, update).await {
        Ok(saved) => See::page(format!("{LIST}/{}", saved.id))
            .saying(Notice::done("Saved."))
            .answer(),
        Err(error) => {
            form.refuse(error, &NAMES)?;
            if form.conflict {
                let now = portal.service.get_application(actor, application.id)?;
                form.meanwhile(fields(&now), now.etag);
            }
            show_edit(posted.frame("Edit application"), form, &application)
        }
    }
}

fn show_edit(frame: Frame, form: Form, application: &Application) -> Answer {
    let page = Edit {
        frame,
        form,
        path: format!("{LIST}/{}/edit", application.id),
        back: format!("{LIST}/{}", application.id),
        button: "Save",
    };
    page.frame.show_with(page.form.status(), &page)
}

fn fields(application: &Application) -> Fields {
    Fields::new()
        .with("name", application.name.as_str())
        .with("description", &application.description)
}

pub(super) async fn ask_to_delete(
    State(portal): State<Portal>,
    signed_in: SignedIn,
    Path(application): Path<String>,
) -> Answer {
    let actor = &signed_in.actor;
    let application = portal.service.get_application(actor, id(&application)?)?;
    let page = Confirm {
        frame: signed_in.frame(format!("Delete {}?", application.name)),
        path: format!("{LIST}/{}/delete", application.id),
        back: format!("{LIST}/{}", application.id),
        etag: application.etag.to_string(),
        question: "This cannot be undone. With the application go:".to_owned(),
        lost: vec![
            "its keys: clients that use them are refused from then on, and their open sessions end"
                .to_owned(),
            "its subscriptions and what they have used of their plans".to_owned(),
        ],
        button: "Delete application",
    };
    page.frame.show(&page)
}

pub(super) async fn delete(
    State(portal): State<Portal>,
    Path(application): Path<String>,
    posted: Posted,
) -> Answer {
    let path = format!("{LIST}/{application}");
    if posted.is_resumed() {
        return See::press_again(format!("{path}/delete")).answer();
    }
    let actor = &posted.actor;
    let application = portal.service.get_application(actor, id(&application)?)?;
    portal
        .service
        .delete_application(actor, application.id, posted.form().etag())
        .await?;
    let notice = Notice::done(format!("The application {} is deleted.", application.name));
    See::page(LIST).saying(notice).answer()
}

// === impl Show ===

impl Show {
    fn state(&self, of: &Subscription) -> (&'static str, &'static str) {
        own::state(of.state)
    }

    fn key_type(&self, of: &ApplicationKey) -> &'static str {
        own::key_type(of.key_type)
    }

    fn scopes(&self, of: &ApplicationKey) -> String {
        scope::joined(of.scopes.iter())
    }

    /// Whether the one who looks may get tokens, who must be the owner.
    fn is_own(&self) -> bool {
        let actor = self.frame.actor();
        actor.is_some_and(|actor| actor.is(self.application.owner))
    }

    fn api_name(&self, of: &Parties) -> String {
        match of.api.design.display_name.as_str() {
            "" => of.api.name.to_string(),
            name => name.to_owned(),
        }
    }
}
