//! The three portals as rooms of one house: their addresses, names and places, and who is let in. Used by the frame and
//! by the extractors.

use super::{admin, devportal, publisher};
use crate::domain::{actor::Actor, user::Permission};

/// One of the portals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Room {
    /// Where APIs are made.
    Publisher,
    /// Where they are found and used.
    Devportal,
    /// Where the installation is looked after.
    Admin,
}

/// One entry of a room's side navigation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// What it is called.
    pub name: &'static str,
    /// Where it is.
    pub path: &'static str,
    /// What one must be allowed to do for it to be of use; `None` for strangers too.
    pub needs: Option<Permission>,
}

impl Room {
    /// Every room, in the order in which an API goes through them.
    pub const ALL: [Self; 3] = [Self::Publisher, Self::Devportal, Self::Admin];

    /// The room that a path is in.
    #[must_use]
    pub fn of(path: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|room| {
            path.strip_prefix(room.path())
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        })
    }

    /// Where it begins.
    #[must_use]
    pub const fn path(self) -> &'static str {
        match self {
            Self::Publisher => "/publisher",
            Self::Devportal => "/devportal",
            Self::Admin => "/admin",
        }
    }

    /// What it is called.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Publisher => "Publisher",
            Self::Devportal => "Developer portal",
            Self::Admin => "Admin",
        }
    }

    /// What one does there.
    #[must_use]
    pub const fn purpose(self) -> &'static str {
        match self {
            Self::Publisher => {
                "Design WebSocket APIs, deploy them to gateways, publish them and see who uses them."
            }
            Self::Devportal => {
                "Find an API, subscribe an application to it, get keys and talk to it from the browser."
            }
            Self::Admin => "Look after gateways, plans, users and settings, and see who did what.",
        }
    }

    /// Its places.
    #[must_use]
    pub const fn places(self) -> &'static [Place] {
        match self {
            Self::Publisher => publisher::PLACES,
            Self::Devportal => devportal::PLACES,
            Self::Admin => admin::PLACES,
        }
    }

    /// Its places that are of use to somebody.
    pub fn places_of(self, actor: Option<&Actor>) -> impl Iterator<Item = &'static Place> {
        self.places().iter().filter(move |place| match place.needs {
            None => true,
            Some(needs) => actor.is_some_and(|actor| actor.may(needs)),
        })
    }

    /// The place that a path is at or below.
    #[must_use]
    pub fn place_at(self, path: &str) -> Option<&'static Place> {
        self.places().iter().find(|place| {
            let rest = path.strip_prefix(place.path);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        })
    }

    /// Whether it has a place that is of use to somebody.
    #[must_use]
    pub fn is_open_to(self, actor: Option<&Actor>) -> bool {
        self.places_of(actor).next().is_some()
    }

    /// Where somebody who signed in without wanting to go anywhere goes.
    #[must_use]
    pub fn home_of(actor: &Actor) -> Self {
        Self::ALL
            .into_iter()
            .find(|room| room.is_open_to(Some(actor)))
            .unwrap_or(Self::Devportal)
    }
}

#[cfg(test)]
mod tests {
    use super::Room;

    #[test]
    fn a_path_is_in_a_room_by_whole_segments() {
        assert_eq!(Room::of("/publisher"), Some(Room::Publisher));
        assert_eq!(Room::of("/admin/gateways"), Some(Room::Admin));
        assert_eq!(Room::of("/administrator"), None);
        assert_eq!(Room::of("/"), None);
    }
}
