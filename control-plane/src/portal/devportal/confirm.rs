//! The page that asks before something is deleted or replaced.

use askama::Template;

use crate::portal::{Answer, Frame};

/// What is asked.
#[derive(Template)]
#[template(path = "devportal/confirm.html")]
pub(super) struct Confirmation {
    pub(super) frame: Frame,
    /// Where the answer is sent.
    pub(super) path: String,
    /// The page to go back to.
    pub(super) back: String,
    /// The etag of what is deleted; empty where it has none.
    pub(super) etag: String,
    /// What happens.
    pub(super) question: String,
    /// What else happens: sentences.
    pub(super) consequences: &'static [&'static str],
    pub(super) button: &'static str,
}

impl Confirmation {
    /// Shows it.
    ///
    /// # Errors
    /// When the template can't be rendered.
    pub(super) fn answer(&self) -> Answer {
        self.frame.show(self)
    }
}
