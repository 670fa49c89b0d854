//! The portals: pages for people, made on the server, over the same use cases as the admin API. A page decides nothing:
//! who may do what and what is valid is said by `service`. Built by `app`, served by `http` on the management listener.
//!
//! # For those who write pages
//!
//! Each portal is a file with its side navigation (`NAV`) and its `routes()`, a folder of pages, and a folder of templates
//! of the same name. A page owns its path and its route. What the portals share is here. Files import those above them in
//! the list of modules below, never one another in a circle.
//!
//! **A page.** A handler takes the [`Portal`] as state and `SignedIn` (or `RequestContext`, where anonymous users may come
//! in), calls use cases as `signed_in.viewer()`, and shows a template. Errors of use cases become pages by `?`:
//!
//! ```ignore
//! #[derive(Template)]
//! #[template(path = "publisher/topics.html")]    // extends "frame.html"; it needs the field `frame`
//! struct TopicsPage { frame: Frame, api: Arc<Api> }
//!
//! async fn show(State(portal): State<Portal>, signed_in: SignedIn, Path(id): Path<ApiId>) -> Answer {
//!     let api = portal.service.get_api(signed_in.viewer(), id)?;
//!     let page = TopicsPage { frame: Frame::new(&signed_in, "Topics"), api };
//!     page.frame.show(&page)
//! }
//! ```
//!
//! In templates `frame.may(Permission::DesignApis)` says whether to offer something (the use case refuses it anyway),
//! `frame.when(time)` writes a time, `frame.asset("x.js")` names a file of `static/` (list it in `assets.rs`), and scripts
//! stand in the block `scripts` as `<script type="module" src=… nonce="{{ frame.nonce }}">`. Styles and handlers in
//! attributes are refused by the policy. `frame.connecting_to(urls)` lets a page's scripts open connections there. A link
//! uses the path of the page that it leads to (`{{ super::plans::PATH }}`).
//!
//! **A form** is `<form method="post" action="{{ path }}">{{ frame.csrf(path) }}…`: the token is good for that path alone.
//! Its inputs are the macros of `ui.html`, which take a `Form`: values, and a fault beside its input. What creates or
//! changes something is an [`editor::Editor`]; what deletes is a button. A handler of its own takes `AuthenticatedForm` as
//! its last argument, which has checked session and token, and whose actor is there only when the form is confirmed:
//!
//! ```ignore
//! async fn deploy(State(portal): State<Portal>, Path(id): Path<ApiId>, submitted: AuthenticatedForm) -> Answer {
//!     let Some(actor) = submitted.confirmed() else {      // signed in again on the way: nothing is done yet
//!         return Redirect::press_again(path(id)).answer();
//!     };
//!     portal.service.deploy(actor, id).await?;
//!     Redirect::to(path(id)).success("API deployed").answer()
//! }
//! ```
//!
//! **A fault** of the field `api.context` belongs to the input `context`: the first segment is the message's. Where an
//! input has another name, say so in [`editor::Editor::INPUTS`]; `form.fault(input, text)` adds one by hand.
//!
//! **Lost updates.** A form that changes something carries the etag (`Form::edits`); when the use case answers `Aborted`,
//! the editor shows both what was typed and what is saved.
//!
//! **A notice** outlives one redirect. **A list** takes `list::Filter` for what is typed and `list::Pager` for its foot.
//! **Markdown** goes through `markdown::html`.

pub mod assets;
pub mod cookie;
pub mod csrf;
pub mod fields;
pub mod html;
pub mod format;
pub mod limits;
pub mod markdown;
pub mod list;
pub mod navigation;
pub mod route;
pub mod tab;
pub mod notice;
pub mod state;
pub mod problem;
pub mod redirect;
pub mod rejection;
pub mod form;
pub mod context;
pub mod frame;
pub mod submitted;
pub mod editor;
mod nodes;
mod problem_page;
mod landing;
mod sign_in;
mod account;
mod publisher;
mod devportal;
mod admin;
mod layout;

use axum::{Router, extract::DefaultBodyLimit, middleware, routing::get};

pub use context::{RequestContext, SignedIn};
pub use editor::Editor;
pub use fields::Fields;
pub use form::Form;
pub use frame::Frame;
pub use navigation::NavItem;
pub use notice::Notice;
pub use problem::{Answer, Problem};
pub use redirect::Redirect;
pub use state::Portal;
pub use submitted::{AnonymousForm, AuthenticatedForm};

use self::navigation::Navigation;
use crate::{
    discovery::fleet::Fleet,
    oauth::{KeyManager, rotation::Rotation},
    service::Service,
};

/// What the pages say of themselves.
static NAVIGATION: Navigation = Navigation {
    publisher: publisher::NAV,
    devportal: devportal::NAV,
    admin: admin::NAV,
    sign_in: sign_in::PATH,
    sign_out: sign_in::SIGN_OUT,
    sign_up: devportal::SIGN_UP,
    account: account::PATH,
};

// === impl Portal ===

impl Portal {
    /// The portals over the use cases.
    #[must_use]
    pub fn new(
        service: Service,
        fleet: Fleet,
        rotation: Rotation,
        key_manager: KeyManager,
    ) -> Self {
        Self {
            service,
            fleet,
            rotation,
            key_manager,
            navigation: &NAVIGATION,
        }
    }

    /// The page for every path that no route of the listener has.
    pub fn not_found(&self) -> Router {
        Router::new()
            .fallback(async || Problem::NotFound)
            .layer(middleware::from_fn_with_state(self.clone(), layout::layout))
    }

    /// The routes of all pages and of what they load.
    pub fn routes(self) -> Router {
        Router::new()
            .merge(landing::routes())
            .merge(sign_in::routes())
            .merge(account::routes())
            .merge(publisher::routes())
            .merge(devportal::routes())
            .merge(admin::routes())
            // `submitted` has limits of its own.
            .layer(DefaultBodyLimit::disable())
            .layer(middleware::from_fn_with_state(self.clone(), layout::layout))
            .route(assets::ROUTE, get(assets::serve))
            .with_state(self)
    }
}

#[cfg(test)]
mod tests;
