//! Identifiers that cross the wire. Opaque ids are UUIDs (version 7 when made here, so that they sort by age); plans,
//! environments and users are known by the names that people give them.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// An identifier that does not have the form it must have.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{value}` is not a valid {kind} id; it must be a UUID")]
pub struct InvalidId {
    kind: &'static str,
    value: String,
}

macro_rules! uuid_id {
    ($(#[$doc:meta])* $name:ident, $kind:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Uuid);

        impl $name {
            /// A new id, later than every id made before it on this machine.
            #[must_use]
            pub fn generate() -> Self {
                Self(Uuid::now_v7())
            }

            /// Wraps a UUID that is known to be of this kind.
            #[must_use]
            pub const fn new(uuid: Uuid) -> Self {
                Self(uuid)
            }

            /// The 16 bytes of the UUID, for keys of stores.
            #[must_use]
            pub const fn as_bytes(&self) -> &[u8; 16] {
                self.0.as_bytes()
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;

            fn from_str(value: &str) -> Result<Self, Self::Err> {
                Uuid::try_parse(value).map(Self).map_err(|_| InvalidId {
                    kind: $kind,
                    value: value.chars().take(64).collect(),
                })
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.as_hyphenated().fmt(f)
            }
        }
    };
}

uuid_id!(
    /// An API in one version; another version of it is another API.
    ApiId,
    "api"
);
uuid_id!(
    /// An immutable copy of an API.
    RevisionId,
    "revision"
);
uuid_id!(
    /// A client that somebody registered.
    ApplicationId,
    "application"
);
uuid_id!(
    /// An application on an API under a plan.
    SubscriptionId,
    "subscription"
);
uuid_id!(
    /// A person or tool that may sign in.
    UserId,
    "user"
);
uuid_id!(
    /// A text or link about an API.
    DocumentId,
    "document"
);
uuid_id!(
    /// A rule that keeps somebody out.
    DenyPolicyId,
    "deny policy"
);

/// The two that a subscription is between. One that is ended and made again has another id and the same key, so what is
/// used is counted by the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SubscriptionKey {
    /// The application that is subscribed.
    pub application: ApplicationId,
    /// The API that it is subscribed to.
    pub api: ApiId,
}

#[cfg(test)]
mod tests {
    use super::ApiId;

    #[test]
    fn an_id_reads_back_from_its_text() {
        let id = ApiId::generate();
        assert_eq!(id.to_string().parse::<ApiId>(), Ok(id));
    }

    #[test]
    fn what_is_not_a_uuid_is_refused_by_name() {
        let error = "gold".parse::<ApiId>().unwrap_err();
        assert_eq!(
            error.to_string(),
            "`gold` is not a valid api id; it must be a UUID"
        );
    }
}
