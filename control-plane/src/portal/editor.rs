//! The editor: what all forms that create or change something do alike. A form is filled from its subject, submitted,
//! and either done or shown again: with its faults, with what somebody else has saved meanwhile, or, after its session has
//! ended, to be confirmed. An implementation of [`Editor`] says what is its own.

use axum::{
    Router,
    extract::{Path, State},
    routing::{MethodRouter, get},
};
use serde::de::DeserializeOwned;

use super::{
    context::SignedIn,
    fields::Fields,
    form::Form,
    problem::{Answer, Problem},
    redirect::Redirect,
    state::Portal,
    submitted::AuthenticatedForm,
};
use crate::{
    domain::{actor::Actor, user::Permission},
    service::error::ServiceError,
};

/// A page with a form that creates or changes something.
pub trait Editor: Sized + Send + Sync + 'static {
    /// What the page's path names, as its route declares it.
    type Key: DeserializeOwned + Send + Sync + 'static;
    /// What the form is about: the object that it changes, or what a new one belongs to.
    type Subject: Send;

    /// The permissions that the page needs: one of these.
    const NEEDS: &'static [Permission];
    /// Fields of the use case whose inputs have other names: the field's path, and the input.
    const INPUTS: &'static [(&'static str, &'static str)] = &[];

    /// Reads the subject.
    ///
    /// # Errors
    /// Those of the use cases.
    fn load(
        portal: &Portal,
        signed_in: &SignedIn,
        key: &Self::Key,
    ) -> Result<Self::Subject, Problem>;

    /// The form as the subject fills it.
    fn form(subject: &Self::Subject) -> Form;

    /// What to do with what was typed; saves it unless a button of the form only changes the form.
    fn typed(fields: &Fields) -> Typed {
        Typed::Save(fields.clone())
    }

    /// Does what the form asks for, and says where to go next.
    ///
    /// # Errors
    /// Those of the use case. What the form can show is shown in it.
    fn save(
        portal: &Portal,
        actor: &Actor,
        key: &Self::Key,
        form: &Form,
    ) -> impl Future<Output = Saved> + Send;

    /// Shows the form, with [`Form::status`].
    ///
    /// # Errors
    /// Those of the use cases, and of the template.
    fn page(portal: &Portal, signed_in: &SignedIn, subject: Self::Subject, form: Form) -> Answer;
}

/// Where to go after a form was saved, or why it wasn't.
pub type Saved = Result<Redirect, ServiceError>;

/// What was typed, and what to do with it.
#[derive(Clone, Debug)]
pub enum Typed {
    /// Save it.
    Save(Fields),
    /// Show it again: a button of the form has changed it.
    Show(Fields),
}

/// The name of the buttons that show a form again, with a preview of what was typed.
const PREVIEW: &str = "preview";

// === impl Typed ===

impl Typed {
    /// Saves what was typed, unless a preview of it was asked for.
    #[must_use]
    pub fn unless_previewed(fields: &Fields) -> Self {
        if fields.has(PREVIEW) {
            Self::Show(fields.clone())
        } else {
            Self::Save(fields.clone())
        }
    }
}

/// The methods of an editor's page.
pub fn page<E: Editor>() -> MethodRouter<Portal> {
    get(show::<E>).post(submit::<E>)
}

/// The route of an editor's page.
pub fn route<E: Editor>(path: &str) -> Router<Portal> {
    Router::new().route(path, page::<E>())
}

async fn show<E: Editor>(
    State(portal): State<Portal>,
    signed_in: SignedIn,
    Path(key): Path<E::Key>,
) -> Answer {
    signed_in.require(E::NEEDS)?;
    let subject = E::load(&portal, &signed_in, &key)?;
    let form = E::form(&subject);
    E::page(&portal, &signed_in, subject, form)
}

async fn submit<E: Editor>(
    State(portal): State<Portal>,
    Path(key): Path<E::Key>,
    submitted: AuthenticatedForm,
) -> Answer {
    let signed_in = submitted.signed_in();
    signed_in.require(E::NEEDS)?;
    let mut form = match (E::typed(&submitted.fields), submitted.confirmed()) {
        (Typed::Save(fields), Some(actor)) => {
            let mut form = Form::of(fields);
            match E::save(&portal, actor, &key, &form).await {
                Ok(redirect) => return redirect.answer(),
                Err(error) => form.refuse(error, E::INPUTS)?,
            }
            form
        }
        (Typed::Save(fields) | Typed::Show(fields), _) => Form::of(fields),
    };
    let subject = E::load(&portal, signed_in, &key)?;
    if form.conflict {
        form.merge(E::form(&subject));
    }
    E::page(&portal, signed_in, subject, form)
}
