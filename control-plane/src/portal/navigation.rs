//! The three portals: their addresses and names, their side navigation, and who may enter. The pages name their own
//! paths; `portal` collects them into a [`Navigation`], so that what stands on every page imports none of them.

use crate::domain::{actor::Actor, user::Permission};

/// One of the portals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PortalKind {
    /// Where APIs are designed and published.
    Publisher,
    /// Where APIs are found and used.
    Devportal,
    /// Where the installation is administered.
    Admin,
}

/// One entry of a portal's side navigation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NavItem {
    /// Its label.
    pub name: &'static str,
    /// Its path.
    pub path: &'static str,
    /// The permission that the page needs; `None` for a page that is open to anonymous users.
    pub needs: Option<Permission>,
}

/// The pages that every page links to.
#[derive(Debug)]
pub struct Navigation {
    /// The side navigation of the publisher portal.
    pub publisher: &'static [NavItem],
    /// The side navigation of the developer portal.
    pub devportal: &'static [NavItem],
    /// The side navigation of the admin portal.
    pub admin: &'static [NavItem],
    /// The page to sign in.
    pub sign_in: &'static str,
    /// Where the form that signs out is sent.
    pub sign_out: &'static str,
    /// The page to sign up.
    pub sign_up: &'static str,
    /// The page of one's own account.
    pub account: &'static str,
}

// === impl PortalKind ===

impl PortalKind {
    /// Every portal, in the order in which an API goes through them.
    pub const ALL: [Self; 3] = [Self::Publisher, Self::Devportal, Self::Admin];

    /// The portal that a path is in.
    #[must_use]
    pub fn of(path: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|kind| is_at_or_below(path, kind.path()))
    }

    /// Its first page.
    #[must_use]
    pub const fn path(self) -> &'static str {
        match self {
            Self::Publisher => "/publisher",
            Self::Devportal => "/devportal",
            Self::Admin => "/admin",
        }
    }

    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Publisher => "Publisher",
            Self::Devportal => "Developer portal",
            Self::Admin => "Admin",
        }
    }

    /// What it is for.
    #[must_use]
    pub const fn purpose(self) -> &'static str {
        match self {
            Self::Publisher => {
                "Design WebSocket APIs, deploy them to gateways, publish them and see who uses them."
            }
            Self::Devportal => {
                "Find an API, subscribe an application to it, get keys and try the API in the browser."
            }
            Self::Admin => {
                "Manage gateways, plans, policies, users and settings, and review the audit log."
            }
        }
    }
}

// === impl NavItem ===

impl NavItem {
    /// A page that needs a permission.
    #[must_use]
    pub const fn new(name: &'static str, path: &'static str, needs: Permission) -> Self {
        Self {
            name,
            path,
            needs: Some(needs),
        }
    }

    /// A page that is open to anonymous users.
    #[must_use]
    pub const fn public(name: &'static str, path: &'static str) -> Self {
        Self {
            name,
            path,
            needs: None,
        }
    }

    fn is_open_to(&self, actor: Option<&Actor>) -> bool {
        self.needs
            .is_none_or(|needs| actor.is_some_and(|actor| actor.may(needs)))
    }
}

// === impl Navigation ===

impl Navigation {
    /// All entries of a portal.
    #[must_use]
    pub const fn items(&self, kind: PortalKind) -> &'static [NavItem] {
        match kind {
            PortalKind::Publisher => self.publisher,
            PortalKind::Devportal => self.devportal,
            PortalKind::Admin => self.admin,
        }
    }

    /// The entries of a portal that somebody may open.
    pub fn items_for(
        &self,
        kind: PortalKind,
        actor: Option<&Actor>,
    ) -> impl Iterator<Item = &'static NavItem> {
        let items = self.items(kind).iter();
        items.filter(move |item| item.is_open_to(actor))
    }

    /// The entry that a path is at or below.
    #[must_use]
    pub fn item_at(&self, kind: PortalKind, path: &str) -> Option<&'static NavItem> {
        let mut items = self.items(kind).iter();
        items.find(|item| is_at_or_below(path, item.path))
    }

    /// Whether a portal has an entry that somebody may open.
    #[must_use]
    pub fn is_open(&self, kind: PortalKind, actor: Option<&Actor>) -> bool {
        self.items_for(kind, actor).next().is_some()
    }

    /// The portal that somebody who has signed in without a destination gets.
    #[must_use]
    pub fn home(&self, actor: &Actor) -> PortalKind {
        PortalKind::ALL
            .into_iter()
            .find(|&kind| self.is_open(kind, Some(actor)))
            .unwrap_or(PortalKind::Devportal)
    }
}

/// Whether a path is another one or below it, by whole segments.
#[must_use]
pub fn is_at_or_below(path: &str, base: &str) -> bool {
    let rest = path.strip_prefix(base);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::PortalKind;

    #[test]
    fn a_path_is_in_a_portal_by_whole_segments() {
        assert_eq!(PortalKind::of("/publisher"), Some(PortalKind::Publisher));
        assert_eq!(PortalKind::of("/admin/gateways"), Some(PortalKind::Admin));
        assert_eq!(PortalKind::of("/administrator"), None);
        assert_eq!(PortalKind::of("/"), None);
    }
}
