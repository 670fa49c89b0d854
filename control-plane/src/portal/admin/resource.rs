//! The pages that create, change and delete a resource of the installation: plans, policies, environments, users.

use std::{fmt, marker::PhantomData, sync::Arc};

use axum::{
    Router,
    extract::{Path, State},
    routing::post,
};
use serde::de::DeserializeOwned;

use crate::{
    domain::{actor::Actor, user::Permission},
    portal::{
        Answer, AuthenticatedForm, Editor, Fields, Form, NavItem, Portal, Problem, Redirect,
        SignedIn,
        editor::{self, Saved, Typed},
        format::capitalized,
        route::link,
    },
    service::{Service, error::ServiceError},
};

/// The use cases of a resource.
pub(super) trait UseCases: Sized + Send + Sync + 'static {
    /// What identifies one in paths.
    type Key: DeserializeOwned + fmt::Display + Send + Sync + 'static;
    /// One of them.
    type Object: Send + Sync + 'static;

    /// Reads one.
    fn get(service: &Service, viewer: &Actor, key: &Self::Key) -> Found<Self>;
    /// Creates one from what was typed.
    fn create(
        service: &Service,
        actor: &Actor,
        fields: &Fields,
    ) -> impl Future<Output = Found<Self>> + Send;
    /// Changes one to what was typed.
    fn update(
        service: &Service,
        actor: &Actor,
        key: &Self::Key,
        form: &Form,
    ) -> impl Future<Output = Found<Self>> + Send;
    /// Deletes one.
    fn delete(
        service: &Service,
        actor: &Actor,
        key: &Self::Key,
        etag: &str,
    ) -> impl Future<Output = Result<(), ServiceError>> + Send;
}

/// A resource, or why there is none.
pub(super) type Found<R> = Result<Arc<<R as UseCases>::Object>, ServiceError>;

/// A resource as its pages know it.
pub(super) trait AdminResource: UseCases {
    /// The entry of the list in the side navigation; the paths of the other pages are below its path.
    const NAV: NavItem;
    /// The permissions that the pages need: one of these.
    const NEEDS: &'static [Permission];
    /// What one is called in a sentence.
    const NOUN: &'static str;
    /// As [`Editor::INPUTS`].
    const INPUTS: &'static [(&'static str, &'static str)];

    /// What identifies one.
    fn key(object: &Self::Object) -> Self::Key;
    /// What a form is filled with that creates one; `query` is that of the page.
    fn blank(query: &Fields) -> Fields;
    /// The form that changes one.
    fn form(object: &Self::Object) -> Form;
    /// As [`Editor::typed`].
    fn typed(fields: &Fields) -> Typed {
        Typed::Save(fields.clone())
    }
    /// Shows the form that changes one, or creates one.
    fn page(
        portal: &Portal,
        signed_in: &SignedIn,
        object: Option<Arc<Self::Object>>,
        form: Form,
    ) -> Answer;
    /// What the list says after one was created, updated or deleted.
    fn notice(key: &Self::Key, done: &str) -> String {
        capitalized(&format!("{} {key} {done}", Self::NOUN))
    }
    /// Where to go after a change.
    fn after_update(actor: &Actor, object: &Self::Object) -> &'static str {
        let _ = (actor, object);
        Self::NAV.path
    }

    /// The title of the form: what identifies an existing one.
    fn title(object: Option<&Self::Object>) -> String {
        match object {
            Some(object) => Self::key(object).to_string(),
            None => format!("New {}", Self::NOUN),
        }
    }
    /// Where the form is sent.
    fn action(object: Option<&Self::Object>) -> String {
        match object {
            Some(object) => Self::edit_path(Self::key(object)),
            None => Self::create_path(),
        }
    }
    /// The page that creates one.
    fn create_path() -> String {
        format!("{}/create", Self::NAV.path)
    }
    /// The page that changes one.
    fn edit_path(key: impl fmt::Display) -> String {
        link(&edit_route::<Self>(), &[&key])
    }
    /// Where the button is sent that deletes one.
    fn delete_path(key: impl fmt::Display) -> String {
        link(&delete_route::<Self>(), &[&key])
    }
}

/// The form that creates a resource.
struct New<R>(PhantomData<R>);
/// The form that changes a resource.
struct Existing<R>(PhantomData<R>);

// Addresses say what is done before they say to what, so that no name is in the way of a page.

fn edit_route<R: AdminResource>() -> String {
    format!("{}/edit/{{key}}", R::NAV.path)
}

fn delete_route<R: AdminResource>() -> String {
    format!("{}/delete/{{key}}", R::NAV.path)
}

/// The mask of a change of every field.
pub(super) fn every_field() -> Vec<String> {
    vec!["*".to_owned()]
}

/// The routes of the pages that create, change and delete one.
pub(super) fn routes<R: AdminResource>() -> Router<Portal> {
    Router::new()
        .route(&R::create_path(), editor::page::<New<R>>())
        .route(&edit_route::<R>(), editor::page::<Existing<R>>())
        .route(&delete_route::<R>(), post(delete::<R>))
}

async fn delete<R: AdminResource>(
    State(portal): State<Portal>,
    Path(key): Path<R::Key>,
    submitted: AuthenticatedForm,
) -> Answer {
    let Some(actor) = submitted.confirmed() else {
        return Redirect::press_again(R::edit_path(&key)).answer();
    };
    let etag = submitted.form().etag().to_owned();
    match R::delete(&portal.service, actor, &key, &etag).await {
        Ok(()) => Redirect::to(R::NAV.path)
            .success(R::notice(&key, "deleted"))
            .answer(),
        Err(error) => {
            let signed_in = submitted.signed_in();
            let object = R::get(&portal.service, signed_in.viewer(), &key)?;
            let mut form = R::form(&object);
            form.refuse_deletion(error)?;
            R::page(&portal, signed_in, Some(object), form)
        }
    }
}

// === impl New ===

impl<R: AdminResource> Editor for New<R> {
    type Key = ();
    type Subject = Fields;

    const NEEDS: &'static [Permission] = R::NEEDS;
    const INPUTS: &'static [(&'static str, &'static str)] = R::INPUTS;

    fn load(_: &Portal, signed_in: &SignedIn, (): &()) -> Result<Fields, Problem> {
        Ok(signed_in.query())
    }

    fn form(query: &Fields) -> Form {
        Form::of(R::blank(query))
    }

    fn typed(fields: &Fields) -> Typed {
        R::typed(fields)
    }

    async fn save(portal: &Portal, actor: &Actor, (): &(), form: &Form) -> Saved {
        let created = R::create(&portal.service, actor, form.fields()).await?;
        let notice = R::notice(&R::key(&created), "created");
        Ok(Redirect::to(R::NAV.path).success(notice))
    }

    fn page(portal: &Portal, signed_in: &SignedIn, _: Fields, form: Form) -> Answer {
        R::page(portal, signed_in, None, form)
    }
}

// === impl Existing ===

impl<R: AdminResource> Editor for Existing<R> {
    type Key = R::Key;
    type Subject = Arc<R::Object>;

    const NEEDS: &'static [Permission] = R::NEEDS;
    const INPUTS: &'static [(&'static str, &'static str)] = R::INPUTS;

    fn load(portal: &Portal, signed_in: &SignedIn, key: &R::Key) -> Result<Self::Subject, Problem> {
        Ok(R::get(&portal.service, signed_in.viewer(), key)?)
    }

    fn form(object: &Self::Subject) -> Form {
        R::form(object)
    }

    fn typed(fields: &Fields) -> Typed {
        R::typed(fields)
    }

    async fn save(portal: &Portal, actor: &Actor, key: &R::Key, form: &Form) -> Saved {
        let updated = R::update(&portal.service, actor, key, form).await?;
        let next = R::after_update(actor, &updated);
        Ok(Redirect::to(next).success(R::notice(key, "updated")))
    }

    fn page(portal: &Portal, signed_in: &SignedIn, object: Self::Subject, form: Form) -> Answer {
        R::page(portal, signed_in, Some(object), form)
    }
}
