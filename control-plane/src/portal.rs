//! The portals: pages for people, made on the server, over the same use cases as the admin API. A page decides nothing:
//! who may do what and what is valid is said by `service`. Built by `app`, served by `http` at the people's door.
//!
//! # For those who write pages
//!
//! Each portal is a [`Room`]: a file with its `PLACES` (the side navigation), its `routes()` and its pages, and a folder
//! of templates of the same name. What rooms share is here.
//!
//! **A page.** A handler takes the [`Portal`] as state and [`SignedIn`] (or [`Visitor`], where strangers may come in),
//! calls use cases as `signed_in.actor`, and shows a template. Errors of use cases become pages by `?`:
//!
//! ```ignore
//! #[derive(Template)]
//! #[template(path = "publisher/topics.html")]    // extends "frame.html"; it needs the field `frame`
//! struct Topics { frame: Frame, api: Arc<Api> }
//!
//! async fn topics(State(portal): State<Portal>, signed_in: SignedIn, Path(id): Path<Uuid>) -> Answer {
//!     let api = portal.service.get_api(&signed_in.actor, id.into())?;
//!     let page = Topics { frame: signed_in.frame("Topics"), api };
//!     page.frame.show(&page)
//! }
//! ```
//!
//! In templates `frame.may(Permission::DesignApis)` says whether to offer something (the use case refuses it anyway),
//! `frame.when(time)` writes a time, `frame.asset("x.js")` names a file of `static/` (list it in `assets.rs`), and scripts
//! stand in the block `scripts` as `<script type="module" src=… nonce="{{ frame.nonce }}">`. Styles and handlers in
//! attributes are refused by the policy. `frame.connecting_to(urls)` lets a page's scripts open connections there.
//!
//! **A form** is `<form method="post" action="{{ path }}">{{ frame.csrf(path) }}…`: the token is good for that path alone.
//! Its fields are the macros of `ui.html`, which take a [`Form`]: values, and a fault beside its field. The handler takes
//! [`Posted`] as its last argument (or [`PostedByAnyone`]), which has checked session and token:
//!
//! ```ignore
//! async fn save(State(portal): State<Portal>, posted: Posted) -> Answer {
//!     let mut form = posted.form();
//!     if posted.is_resumed() {                     // signed in again on the way: show it, filled in, and do nothing
//!         return show(&posted, form);
//!     }
//!     match portal.service.create_api(&posted.actor, input(&posted.fields), false).await {
//!         Ok(api) => See::page(format!("/publisher/apis/{}", api.id)).saying(Notice::done("Created")).answer(),
//!         Err(error) => {
//!             form.refuse(error, &[("api.api_name", "name")])?;    // what no form can show becomes a page
//!             show(&posted, form)                                  // `form.status()` is the status to show it with
//!         }
//!     }
//! }
//! ```
//!
//! **A fault** of the field `api.context` belongs to the input `context`: the first segment is the message's. Where an
//! input has another name, say so in the list given to `refuse`; `form.fault(input, text)` adds one by hand.
//!
//! **Lost updates.** Put the etag into the form (`Form::edits(etag)`, `form.etag()`); when the use case answers `Aborted`,
//! `form.conflict` is set: read the object again and give `form.meanwhile(fields, etag)`; both are shown then.
//!
//! **A notice** outlives one redirect: `See::page(path).saying(Notice::done("Saved"))`. **A list** takes `list::Filter` for
//! what is typed and `list::Pager` for its foot. **Markdown** goes through `markdown::html`.

pub mod assets;
pub mod cookie;
pub mod csrf;
pub mod notice;
pub mod room;
pub mod visitor;
pub mod fields;
pub mod posted;
pub mod form;
pub mod html;
pub mod frame;
pub mod problem;
pub mod list;
pub mod moment;
pub mod markdown;
mod nodes;
mod words;
mod dress;
mod entrance;
mod account;
mod publisher;
mod devportal;
mod admin;

use axum::{Router, extract::DefaultBodyLimit, middleware, response::Response, routing::get};

pub use form::Form;
pub use frame::Frame;
pub use notice::{Notice, See};
pub use posted::{Posted, PostedByAnyone};
pub use problem::Problem;
pub use room::Room;
pub use visitor::{SignedIn, Visitor};

use crate::{
    discovery::fleet::Fleet,
    oauth::{KeyManager, rotation::Rotation},
    service::Service,
};

/// What every page can reach. A clone is another handle on the same.
#[derive(Clone)]
pub struct Portal {
    /// The use cases.
    pub service: Service,
    /// What gateway nodes are doing; ask `Service::may_view_nodes` first.
    pub fleet: Fleet,
    /// The rotation of signing keys.
    pub rotation: Rotation,
    /// Who issues tokens.
    pub key_manager: KeyManager,
}

/// What a handler of a page gives.
pub type Answer = Result<Response, Problem>;

// === impl Portal ===

impl Portal {
    /// The portals over the use cases.
    #[must_use]
    pub const fn new(
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
        }
    }

    /// The page that says that there is nothing, for every path that no route of the door has.
    pub fn nowhere(&self) -> Router {
        Router::new()
            .fallback(async || Problem::NotFound)
            .layer(middleware::from_fn_with_state(self.clone(), dress::dress))
    }

    /// The routes of all pages and of what they load.
    pub fn routes(self) -> Router {
        Router::new()
            .merge(entrance::routes())
            .merge(account::routes())
            .merge(publisher::routes())
            .merge(devportal::routes())
            .merge(admin::routes())
            // `posted` has limits of its own.
            .layer(DefaultBodyLimit::disable())
            .layer(middleware::from_fn_with_state(self.clone(), dress::dress))
            .route("/assets/{version}/{name}", get(assets::serve))
            .with_state(self)
    }
}

#[cfg(test)]
mod tests;
