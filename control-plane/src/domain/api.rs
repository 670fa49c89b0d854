//! An API in one version: who it is (fixed), how it is designed (editable, copied into revisions), and what takes effect
//! at once (plans, policy, lifecycle, default version, visibility).

use std::collections::BTreeSet;

use tidegate_proto::{
    ids::{ApiId, UserId},
    path::{Context, Version},
    revision::RevisionNumber,
};

use super::{
    endpoint::Endpoints,
    lifecycle::{Lifecycle, LifecycleEvent},
    meta::ResourceMeta,
    name::{ApiName, PlanName, PolicyName, UserName},
    topic::Topic,
    user::Roles,
};

/// An API in one version: the working copy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Api {
    /// The id. Another version of the API has another one.
    pub id: ApiId,
    /// The name; versions share it. Does not change.
    pub name: ApiName,
    /// Where the API lives at the gateway; versions share it. Does not change.
    pub context: Context,
    /// The version, unique under the name. Does not change.
    pub version: Version,
    /// The user who made it. Does not change.
    pub owner: Option<UserId>,
    /// The name of the user who made it. Does not change.
    pub provider: UserName,
    /// What a revision copies.
    pub design: Design,
    /// The plans it is offered under; takes effect at once.
    pub plans: BTreeSet<PlanName>,
    /// The policy over all of its topics; takes effect at once.
    pub policy: Option<PolicyName>,
    /// Who sees it in the developer portal; takes effect at once.
    pub visibility: Visibility,
    /// Whether paths without a version lead here, wherever it runs; takes effect at once. At most one version of a name
    /// has it.
    pub default_version: bool,
    /// The number of the commit by which another version became the default in the place of this one; `None` when it
    /// never was the default, or its name was left without any since. Where the default version does not run, the one
    /// that was it last stands in for it, so that nobody who is served is cut off by a draft.
    pub default_until: Option<RevisionNumber>,
    /// The lifecycle state; takes effect at once.
    pub state: Lifecycle,
    /// The newest steps of its lifecycle, oldest first.
    pub history: Vec<LifecycleEvent>,
    /// Counts up when its counters are reset; takes effect at once.
    pub quota_generation: u64,
    /// The number of the newest revision ever made; the next one gets the next number.
    pub last_revision: u32,
    /// When it was created and last changed, and its etag.
    pub meta: ResourceMeta,
}

/// What a revision copies and a restore brings back.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Design {
    /// What people read; the name when it is empty.
    pub display_name: String,
    /// What the API is for.
    pub description: String,
    /// Words to find it by.
    pub tags: BTreeSet<String>,
    /// Where it leads.
    pub endpoints: Endpoints,
    /// What paths it answers to; never empty.
    pub topics: Vec<Topic>,
    /// Subprotocols in which a text message of the gateway's own may stand.
    pub notice_subprotocols: Vec<String>,
}

/// Who sees an API in the developer portal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Visibility {
    /// Everybody.
    #[default]
    Public,
    /// Users with one of these roles, and those who may see all APIs.
    Restricted(Roles),
}

// === impl Api ===

impl Api {
    /// The path under which this version answers, for example `/echowebsocket/1.0`.
    #[must_use]
    pub fn base_path(&self) -> String {
        self.context.base_path(&self.version)
    }

    /// Its place among the versions of its name that paths without a version may lead to: the greatest comes first.
    /// `None` when they do not lead here in any case.
    #[must_use]
    pub const fn default_rank(&self) -> Option<RevisionNumber> {
        if self.default_version {
            Some(RevisionNumber::new(u64::MAX))
        } else {
            self.default_until
        }
    }

    /// The API policies that it and its topics name.
    pub fn policies(&self) -> impl Iterator<Item = &PolicyName> {
        self.policy.iter().chain(self.design.policies())
    }
}

// === impl Design ===

impl Design {
    /// The API policies that its topics name.
    pub fn policies(&self) -> impl Iterator<Item = &PolicyName> {
        self.topics.iter().filter_map(|topic| topic.policy.as_ref())
    }
}
