//! Users: people and tools that may sign in, their roles, and the one table of what a role may do.

use std::fmt;

use tidegate_proto::ids::UserId;

use super::{
    invalid::{Rule, reason},
    meta::ResourceMeta,
    name::UserName,
};

/// A user, who may sign in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// The id.
    pub id: UserId,
    /// The name, unique but for letter case. Does not change.
    pub name: UserName,
    /// The argon2id hash of the password, in PHC form.
    pub password: PasswordHash,
    /// What the user may do.
    pub roles: Roles,
    /// When it was created and last changed, and its etag.
    pub meta: ResourceMeta,
}

/// A hash in PHC string form. Debug shows nothing of it.
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordHash(pub String);

/// What a user may do in the product.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// May do everything.
    Admin,
    /// Designs APIs.
    Creator,
    /// Publishes APIs, assigns plans, watches over subscriptions.
    Publisher,
    /// Registers applications and subscribes them.
    Subscriber,
}

/// A set of roles.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Roles(u8);

/// One thing that a role may allow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Permission {
    /// See APIs in every state.
    ViewApis,
    /// Create, edit, delete APIs and their revisions; make new versions.
    DesignApis,
    /// Write the documents of APIs.
    WriteDocuments,
    /// Change lifecycle states; publish while creating.
    PublishApis,
    /// Choose the plans of an API.
    AssignPlans,
    /// Deploy and undeploy revisions.
    DeployApis,
    /// Block and unblock subscriptions of APIs, and list them.
    ManageSubscriptions,
    /// Register applications, make keys, subscribe.
    Subscribe,
    /// Create, edit and delete plans.
    ManagePlans,
    /// Create, edit and delete policies; allow keys the scopes that policies have conditions on; see whom deny policies
    /// are about; begin counters anew.
    ManagePolicies,
    /// Create, edit and delete gateway environments.
    ManageEnvironments,
    /// See gateway nodes.
    ViewGateways,
    /// Create, edit and delete users.
    ManageUsers,
    /// See and manage what other users own.
    ManageEverything,
    /// Read the audit log.
    ReadAudit,
    /// Rotate signing keys.
    ManageKeyManager,
    /// Change what holds for the whole installation.
    ManageSettings,
}

impl Permission {
    /// Every permission.
    pub const ALL: [Self; 17] = [
        Self::ViewApis,
        Self::DesignApis,
        Self::WriteDocuments,
        Self::PublishApis,
        Self::AssignPlans,
        Self::DeployApis,
        Self::ManageSubscriptions,
        Self::Subscribe,
        Self::ManagePlans,
        Self::ManagePolicies,
        Self::ManageEnvironments,
        Self::ViewGateways,
        Self::ManageUsers,
        Self::ManageEverything,
        Self::ReadAudit,
        Self::ManageKeyManager,
        Self::ManageSettings,
    ];

    /// Who may do what: the one table.
    #[must_use]
    pub const fn roles(self) -> &'static [Role] {
        use Role::{Admin, Creator, Publisher, Subscriber};
        match self {
            Self::ViewApis => &[Admin, Creator, Publisher],
            Self::DesignApis => &[Admin, Creator],
            Self::PublishApis | Self::AssignPlans | Self::ManageSubscriptions => {
                &[Admin, Publisher]
            }
            Self::DeployApis | Self::ViewGateways | Self::WriteDocuments => {
                &[Admin, Creator, Publisher]
            }
            Self::Subscribe => &[Admin, Subscriber],
            Self::ManagePlans
            | Self::ManagePolicies
            | Self::ManageEnvironments
            | Self::ManageUsers
            | Self::ManageEverything
            | Self::ReadAudit
            | Self::ManageKeyManager
            | Self::ManageSettings => &[Admin],
        }
    }
}

impl Role {
    /// Every role.
    pub const ALL: [Self; 4] = [
        Self::Admin,
        Self::Creator,
        Self::Publisher,
        Self::Subscriber,
    ];

    /// The name, as it is written everywhere.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::Creator => "creator",
            Self::Publisher => "publisher",
            Self::Subscriber => "subscriber",
        }
    }

    /// Reads a role by its name.
    ///
    /// # Errors
    /// When there is no such role.
    pub fn parse(text: &str) -> Result<Self, Rule> {
        Self::ALL
            .into_iter()
            .find(|role| role.as_str() == text)
            .ok_or_else(|| {
                Rule::new(
                    reason::MALFORMED,
                    "must be one of admin, creator, publisher, subscriber",
                )
            })
    }
}

impl Roles {
    /// No role.
    pub const NONE: Self = Self(0);

    /// Whether the role is in the set.
    #[must_use]
    pub const fn contains(self, role: Role) -> bool {
        self.0 & (1 << role as u8) != 0
    }

    /// The set with one more role.
    #[must_use]
    pub const fn with(self, role: Role) -> Self {
        Self(self.0 | (1 << role as u8))
    }

    /// Whether nothing is in it.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether the sets have a role in common.
    #[must_use]
    pub const fn intersects(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// Whether one of the roles allows it.
    #[must_use]
    pub fn may(self, permission: Permission) -> bool {
        permission.roles().iter().any(|&role| self.contains(role))
    }

    /// The roles, in the order of [`Role::ALL`].
    pub fn iter(self) -> impl Iterator<Item = Role> {
        Role::ALL
            .into_iter()
            .filter(move |&role| self.contains(role))
    }
}

impl FromIterator<Role> for Roles {
    fn from_iter<I: IntoIterator<Item = Role>>(roles: I) -> Self {
        roles.into_iter().fold(Self::NONE, Self::with)
    }
}

impl fmt::Debug for Roles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}
