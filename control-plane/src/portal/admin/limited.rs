//! The pages of a resource that has a name, a display name, a description and limits: plans and application policies.

use std::sync::Arc;

use askama::Template;
use axum::{Router, extract::State, routing::get};
use tidegate_proto::quota::Limits;

use super::{
    limit_fields,
    resource::{self, AdminResource, UseCases},
};
use crate::{
    domain::{actor::Actor, meta::Etag, time::Timestamp, user::Permission},
    portal::{
        Answer, Fields, Form, Frame, NavItem, Portal, SignedIn, limits,
        list::{Filter, ListView},
    },
    service::{
        Service,
        error::ServiceError,
        listing::{ListQuery, Page},
    },
};

/// A resource with limits as its pages know it.
pub(super) trait Limited: UseCases<Key = String> {
    /// The entry of the list in the side navigation.
    const NAV: NavItem;
    /// As in [`AdminResource`].
    const NEEDS: &'static [Permission];
    /// As in [`AdminResource`].
    const INPUTS: &'static [(&'static str, &'static str)];
    /// What the pages say.
    const TEXTS: Texts;

    /// What the pages show of one.
    fn facets(object: &Self::Object) -> Facets<'_>;
    /// The use case that lists them.
    fn list(service: &Service, viewer: &Actor, query: &ListQuery) -> Listed<Self>;
}

/// A page of a list, or why there is none.
pub(super) type Listed<R> = Result<Page<Arc<<R as UseCases>::Object>>, ServiceError>;

/// What the pages of such a resource say.
pub(super) struct Texts {
    /// What one is called, and several.
    pub(super) noun: &'static str,
    pub(super) plural: &'static str,
    /// What it is for: sentences above the list.
    pub(super) lead: &'static str,
    /// The head of the column with the limits.
    pub(super) limits: &'static str,
    /// When one can't be deleted: a sentence.
    pub(super) deletion: &'static str,
    /// A choice that one has besides.
    pub(super) checkbox: Option<Checkbox>,
}

/// A box that can be ticked.
pub(super) struct Checkbox {
    /// Its field.
    pub(super) field: &'static str,
    /// Its label.
    pub(super) label: &'static str,
    /// The head of its column, and what stands there with the box ticked and without.
    pub(super) column: &'static str,
    pub(super) yes: &'static str,
    pub(super) no: &'static str,
}

/// What the pages show of one resource.
#[derive(Clone, Copy)]
pub(super) struct Facets<'a> {
    pub(super) name: &'a str,
    pub(super) display_name: &'a str,
    pub(super) description: &'a str,
    pub(super) limits: &'a Limits,
    /// Whether the box of [`Texts::checkbox`] is ticked.
    pub(super) is_checked: bool,
    pub(super) updated_at: Timestamp,
    pub(super) etag: Etag,
}

#[derive(Template)]
#[template(path = "admin/limited_list.html")]
struct LimitedList<L: Limited> {
    frame: Frame,
    texts: &'static Texts,
    create: String,
    list: ListView<Arc<L::Object>>,
}

#[derive(Template)]
#[template(path = "admin/limited_editor.html")]
struct LimitedEditor {
    frame: Frame,
    texts: &'static Texts,
    form: Form,
    list: NavItem,
    action: String,
    /// Where the existing one is deleted.
    delete: Option<String>,
}

/// How many stand on a page.
const PAGE_SIZE: i32 = 30;

/// The routes of the pages.
pub(super) fn routes<L: Limited>() -> Router<Portal> {
    resource::routes::<L>().route(<L as Limited>::NAV.path, get(list::<L>))
}

async fn list<L: Limited>(State(portal): State<Portal>, signed_in: SignedIn) -> Answer {
    let query = signed_in.query();
    let listed = Filter::named(&query).page(&query, PAGE_SIZE);
    let page = L::list(&portal.service, signed_in.viewer(), &listed)?;
    let page = LimitedList::<L> {
        frame: Frame::new(&signed_in, <L as Limited>::NAV.name),
        texts: &L::TEXTS,
        create: L::create_path(),
        list: ListView::new(<L as Limited>::NAV.path, query, page),
    };
    page.frame.show(&page)
}

// === impl LimitedList ===

impl<L: Limited> LimitedList<L> {
    fn facets<'a>(&self, object: &'a L::Object) -> Facets<'a> {
        L::facets(object)
    }
}

// === impl AdminResource ===

impl<L: Limited> AdminResource for L {
    const NAV: NavItem = <L as Limited>::NAV;
    const NEEDS: &'static [Permission] = <L as Limited>::NEEDS;
    const NOUN: &'static str = L::TEXTS.noun;
    const INPUTS: &'static [(&'static str, &'static str)] = <L as Limited>::INPUTS;

    fn key(object: &L::Object) -> String {
        L::facets(object).name.to_owned()
    }

    fn blank(_: &Fields) -> Fields {
        limit_fields::blank(Fields::new(), "limits")
    }

    fn form(object: &L::Object) -> Form {
        let facets = L::facets(object);
        let mut fields = Fields::new()
            .with("display_name", facets.display_name)
            .with("description", facets.description);
        if let Some(checkbox) = &L::TEXTS.checkbox {
            fields = fields.with_all(checkbox.field, facets.is_checked.then_some("1"));
        }
        let fields = limit_fields::write(fields, "limits", facets.limits);
        Form::edits(fields, facets.etag)
    }

    fn page(
        _: &Portal,
        signed_in: &SignedIn,
        object: Option<Arc<L::Object>>,
        form: Form,
    ) -> Answer {
        let object = object.as_deref();
        let page = LimitedEditor {
            frame: Frame::new(signed_in, L::title(object)),
            texts: &L::TEXTS,
            form,
            list: <L as Limited>::NAV,
            action: L::action(object),
            delete: object.map(|object| L::delete_path(L::key(object))),
        };
        page.frame.show_with(page.form.status(), &page)
    }
}
