//! Tabs: the pages of one API, in the publisher portal and in the developer portal.

use std::borrow::Borrow;

use tidegate_proto::ids::ApiId;

use super::route::link;
use crate::domain::user::Permission;

/// A page of an API.
#[derive(Debug)]
pub struct Tab {
    /// Its label, which is the page's title.
    pub name: &'static str,
    /// Its route, with the API as its parameter.
    pub route: &'static str,
    /// The permissions that it needs: one of these.
    pub needs: &'static [Permission],
}

impl Tab {
    /// Its path.
    #[must_use]
    pub fn path(&self, api: impl Borrow<ApiId>) -> String {
        link(self.route, &[api.borrow()])
    }
}
