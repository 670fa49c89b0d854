//! The viewer's applications: the list, one of them with its subscriptions and keys, and the forms that create, change and
//! delete one.

use std::sync::Arc;

use askama::Template;
use axum::{
    Router,
    extract::{Path, State},
    routing::get,
};
use tidegate_proto::ids::ApplicationId;

use super::{
    confirm::Confirmation,
    header::OVERVIEW,
    links::{self, APPLICATION, APPLICATIONS, KEYS, NEW_APPLICATION},
    my_applications::own,
};
use crate::{
    domain::{
        actor::Actor,
        application::{Application, ApplicationKey},
        resource::Resource as _,
        scope,
        subscription::Subscription,
        user::Permission,
    },
    portal::{
        Answer, AuthenticatedForm, Editor, Fields, Form, Frame, NavItem, Portal, Problem, Redirect,
        SignedIn,
        context::NEXT,
        editor::{self, Saved},
        format,
        list::{Filter, ListView, Pager, SEARCH},
        route::link,
    },
    service::{
        applications::{ApplicationInput, ApplicationUpdate},
        listing::ListQuery,
        subscriptions::Parties,
    },
};

#[derive(Template)]
#[template(path = "devportal/applications.html")]
struct ApplicationList {
    frame: Frame,
    /// Each with how many subscriptions it has.
    list: ListView<(Arc<Application>, usize)>,
}

#[derive(Template)]
#[template(path = "devportal/application_form.html")]
struct ApplicationForm {
    frame: Frame,
    form: Form,
    path: String,
    back: String,
    button: &'static str,
}

#[derive(Template)]
#[template(path = "devportal/application.html")]
struct ApplicationPage {
    frame: Frame,
    application: Arc<Application>,
    subscriptions: Vec<(Arc<Subscription>, Parties)>,
    pager: Pager,
    keys: Vec<Arc<ApplicationKey>>,
    keys_path: String,
}

/// The form of a new application.
struct NewApplication;
/// The form of an existing application.
struct ApplicationEditor;

/// The entry of the side navigation.
pub(super) const NAV: NavItem = NavItem::new("Applications", APPLICATIONS, Permission::Subscribe);
const EDIT: &str = "/devportal/applications/{application}/edit";
const DELETE: &str = "/devportal/applications/{application}/delete";
const PAGE_SIZE: i32 = 20;
/// How many subscriptions stand on a page of an application.
const SUBSCRIPTIONS: i32 = 50;
/// An application has at most a few keys.
const KEYS_MAX: i32 = 50;
/// The admin API's name of the input `name`.
const INPUTS: &[(&str, &str)] = &[("application.display_name", "name")];

pub(super) fn routes() -> Router<Portal> {
    Router::new()
        .route(NAV.path, get(list))
        .route(NEW_APPLICATION, editor::page::<NewApplication>())
        .route(APPLICATION, get(show))
        .route(EDIT, editor::page::<ApplicationEditor>())
        .route(DELETE, get(ask_to_delete).post(delete))
}

async fn list(State(portal): State<Portal>, signed_in: SignedIn) -> Answer {
    let (service, viewer, query) = (&portal.service, signed_in.viewer(), signed_in.query());
    let filter = own(&signed_in).contains("display_name", query.text(SEARCH));
    let listed = ListQuery {
        order_by: "display_name".to_owned(),
        ..filter.page(&query, PAGE_SIZE)
    };
    let page = service.list_applications(viewer, &listed)?;
    let mut counts = Vec::new();
    for application in &page.items {
        let filter = Filter::new().is("application", &application.resource());
        let subscriptions = service.list_subscriptions(viewer, &filter.first(1))?;
        counts.push(subscriptions.total_size);
    }
    let mut counts = counts.into_iter();
    let page = ApplicationList {
        frame: Frame::new(&signed_in, NAV.name),
        list: ListView::new(NAV.path, query, page)
            .map(|application| (application, counts.next().unwrap_or_default())),
    };
    page.frame.show(&page)
}

async fn show(
    State(portal): State<Portal>,
    signed_in: SignedIn,
    Path(id): Path<ApplicationId>,
) -> Answer {
    let (service, viewer, query) = (&portal.service, signed_in.viewer(), signed_in.query());
    let application = service.get_application(viewer, id)?;
    let filter = Filter::new().is("application", &application.resource());
    let subscriptions = service.list_subscriptions(viewer, &filter.page(&query, SUBSCRIPTIONS))?;
    let pager = Pager::new(&links::application(id), &query, &subscriptions);
    let subscriptions = subscriptions.items.into_iter().filter_map(|subscription| {
        let parties = service.parties(&subscription)?;
        Some((subscription, parties))
    });
    let keys = service.list_keys(viewer, id, &Filter::new().first(KEYS_MAX))?;
    let page = ApplicationPage {
        frame: Frame::new(&signed_in, application.name.to_string()),
        subscriptions: subscriptions.collect(),
        pager,
        keys: keys.items,
        keys_path: link(KEYS, &[&id]),
        application,
    };
    page.frame.show(&page)
}

async fn ask_to_delete(
    State(portal): State<Portal>,
    signed_in: SignedIn,
    Path(id): Path<ApplicationId>,
) -> Answer {
    let application = portal.service.get_application(signed_in.viewer(), id)?;
    let page = Confirmation {
        frame: Frame::new(&signed_in, format!("Delete {}?", application.name)),
        path: link(DELETE, &[&id]),
        back: links::application(id),
        etag: application.meta.etag.to_string(),
        question: "This can't be undone.".to_owned(),
        consequences: &[
            "The application's keys are deleted: clients that use them are refused, and their open sessions are closed.",
            "Its subscriptions are deleted, with the usage of their plans.",
        ],
        button: "Delete application",
    };
    page.answer()
}

async fn delete(
    State(portal): State<Portal>,
    Path(id): Path<ApplicationId>,
    submitted: AuthenticatedForm,
) -> Answer {
    let Some(actor) = submitted.confirmed() else {
        return Redirect::press_again(link(DELETE, &[&id])).answer();
    };
    let service = &portal.service;
    let application = service.get_application(actor, id)?;
    let etag = submitted.form().etag().to_owned();
    service.delete_application(actor, id, &etag).await?;
    let text = format!("Application {} deleted", application.name);
    Redirect::to(NAV.path).success(text).answer()
}

// === impl NewApplication ===

impl Editor for NewApplication {
    type Key = ();
    /// Where to go after creating one.
    type Subject = Fields;

    const NEEDS: &'static [Permission] = &[Permission::Subscribe];
    const INPUTS: &'static [(&'static str, &'static str)] = INPUTS;

    fn load(_: &Portal, signed_in: &SignedIn, (): &()) -> Result<Fields, Problem> {
        Ok(signed_in.query().only(|name| name == NEXT))
    }

    fn form(next: &Fields) -> Form {
        Form::of(next.clone())
    }

    async fn save(portal: &Portal, actor: &Actor, (): &(), form: &Form) -> Saved {
        let (name, description) = (form.value("name"), form.value("description"));
        let input = ApplicationInput::new(name, description);
        let created = portal.service.create_application(actor, input);
        let application = created.await?;
        let next = match form.value(NEXT) {
            "" => links::application(application.id),
            next => next.to_owned(),
        };
        let text = format!("Application {} created", application.name);
        Ok(Redirect::to(next).success(text))
    }

    fn page(_: &Portal, signed_in: &SignedIn, _: Fields, form: Form) -> Answer {
        let page = ApplicationForm {
            frame: Frame::new(signed_in, "Create application"),
            form,
            path: NEW_APPLICATION.to_owned(),
            back: NAV.path.to_owned(),
            button: "Create application",
        };
        page.frame.show_with(page.form.status(), &page)
    }
}

// === impl ApplicationEditor ===

impl Editor for ApplicationEditor {
    type Key = ApplicationId;
    type Subject = Arc<Application>;

    const NEEDS: &'static [Permission] = &[Permission::Subscribe];
    const INPUTS: &'static [(&'static str, &'static str)] = INPUTS;

    fn load(
        portal: &Portal,
        signed_in: &SignedIn,
        id: &ApplicationId,
    ) -> Result<Arc<Application>, Problem> {
        Ok(portal.service.get_application(signed_in.viewer(), *id)?)
    }

    fn form(application: &Arc<Application>) -> Form {
        let fields = Fields::new()
            .with("name", application.name.as_str())
            .with("description", &application.description);
        Form::edits(fields, application.meta.etag)
    }

    async fn save(portal: &Portal, actor: &Actor, id: &ApplicationId, form: &Form) -> Saved {
        let update = ApplicationUpdate {
            key: *id,
            input: ApplicationInput::new(form.value("name"), form.value("description")),
            mask: vec!["display_name".to_owned(), "description".to_owned()],
            etag: form.etag().to_owned(),
        };
        let updated = portal.service.update_application(actor, update).await?;
        let text = format!("Application {} updated", updated.name);
        Ok(Redirect::to(links::application(*id)).success(text))
    }

    fn page(_: &Portal, signed_in: &SignedIn, application: Arc<Application>, form: Form) -> Answer {
        let page = ApplicationForm {
            frame: Frame::new(signed_in, "Edit application"),
            form,
            path: link(EDIT, &[&application.id]),
            back: links::application(application.id),
            button: "Save",
        };
        page.frame.show_with(page.form.status(), &page)
    }
}

// === impl ApplicationPage ===

impl ApplicationPage {
    /// Whether the viewer may get tokens, who must be the owner.
    fn is_owner(&self) -> bool {
        let actor = self.frame.actor();
        actor.is_some_and(|actor| actor.is(self.application.owner))
    }

    fn edit_path(&self) -> String {
        link(EDIT, &[&self.application.id])
    }

    fn delete_path(&self) -> String {
        link(DELETE, &[&self.application.id])
    }

    fn key_path(&self, route: &str, key: &ApplicationKey) -> String {
        links::of_key(route, self.application.id, &key.client_id)
    }

    fn api_name(&self, of: &Parties) -> String {
        match of.api.design.display_name.as_str() {
            "" => of.api.name.to_string(),
            name => name.to_owned(),
        }
    }

    fn scopes(&self, of: &ApplicationKey) -> String {
        scope::joined(of.scopes.iter())
    }
}
