//! The secondary indexes of a state, kept in step by `State::put` and `State::take`; nobody else changes them.

use imbl::OrdMap;
use tidegate_proto::ids::{
    ApiId, ApplicationId, DenyPolicyId, DocumentId, RevisionId, SubscriptionId, UserId,
};

use super::Relation;
use crate::domain::{
    api::Api,
    credential::SecretHash,
    name::{ClientId, EnvironmentName, PlanName, PolicyName, fold},
    object::Object,
    policy::DenyTarget,
};

/// The indexes. Names and paths are folded, so that letter case does not tell them apart.
#[derive(Clone, Debug, Default)]
pub(super) struct Indexes {
    /// Name and version → API.
    pub(super) versions: OrdMap<(String, String), ApiId>,
    /// Every path that an API claims (base path, default path) → the APIs that claim it.
    pub(super) paths: Relation<String, ApiId>,
    pub(super) revisions: Relation<ApiId, RevisionId>,
    pub(super) deployments: Relation<ApiId, EnvironmentName>,
    pub(super) documents: Relation<ApiId, DocumentId>,
    /// Plan → APIs that offer it.
    pub(super) offers: Relation<PlanName, ApiId>,
    /// Plan → subscriptions under it.
    pub(super) consumers: Relation<PlanName, SubscriptionId>,
    /// Application policy → applications that name it.
    pub(super) limited_applications: Relation<PolicyName, ApplicationId>,
    /// API policy → APIs that name it, or whose topics do.
    pub(super) limited_apis: Relation<PolicyName, ApiId>,
    /// API policy → revisions whose topics name it.
    pub(super) limited_revisions: Relation<PolicyName, RevisionId>,
    /// Whom a deny policy is about → the policy.
    pub(super) denied: OrdMap<DenyTarget, DenyPolicyId>,
    /// Owner and name → application.
    pub(super) owned: OrdMap<(UserId, String), ApplicationId>,
    pub(super) keys: Relation<ApplicationId, ClientId>,
    /// Application and API → subscription.
    pub(super) pairs: OrdMap<(ApplicationId, ApiId), SubscriptionId>,
    pub(super) subscribers: Relation<ApiId, SubscriptionId>,
    pub(super) users: OrdMap<String, UserId>,
    pub(super) sessions: Relation<UserId, SecretHash>,
}

// === impl Indexes ===

impl Indexes {
    pub(super) fn insert(&mut self, object: &Object) {
        match object {
            Object::Api(it) => {
                self.versions.insert(version_key(it), it.id);
                for path in claimed_paths(it) {
                    self.paths.insert((path, it.id));
                }
                for plan in &it.plans {
                    self.offers.insert((plan.clone(), it.id));
                }
                for policy in it.policies() {
                    self.limited_apis.insert((policy.clone(), it.id));
                }
            }
            Object::Revision(it) => {
                self.revisions.insert((it.api, it.id));
                for policy in it.design.policies() {
                    self.limited_revisions.insert((policy.clone(), it.id));
                }
            }
            Object::Deployment(it) => {
                self.deployments.insert((it.api, it.environment.clone()));
            }
            Object::Document(it) => drop(self.documents.insert((it.api, it.id))),
            Object::Application(it) => {
                self.owned.insert((it.owner, fold(it.name.as_str())), it.id);
                if let Some(policy) = &it.policy {
                    self.limited_applications.insert((policy.clone(), it.id));
                }
            }
            Object::Key(it) => drop(self.keys.insert((it.application, it.client_id.clone()))),
            Object::Subscription(it) => {
                self.pairs.insert((it.application, it.api), it.id);
                self.subscribers.insert((it.api, it.id));
                self.consumers.insert((it.plan.clone(), it.id));
            }
            Object::DenyPolicy(it) => drop(self.denied.insert(it.target.clone(), it.id)),
            Object::User(it) => drop(self.users.insert(fold(it.name.as_str()), it.id)),
            Object::Session(it) => drop(self.sessions.insert((it.user, it.token))),
            Object::Thumbnail(_)
            | Object::Environment(_)
            | Object::Plan(_)
            | Object::ApplicationPolicy(_)
            | Object::ApiPolicy(_)
            | Object::SigningKey(_)
            | Object::Settings(_) => {}
        }
    }

    pub(super) fn remove(&mut self, object: &Object) {
        match object {
            Object::Api(it) => {
                self.versions.remove(&version_key(it));
                for path in claimed_paths(it) {
                    self.paths.remove(&(path, it.id));
                }
                for plan in &it.plans {
                    self.offers.remove(&(plan.clone(), it.id));
                }
                for policy in it.policies() {
                    self.limited_apis.remove(&(policy.clone(), it.id));
                }
            }
            Object::Revision(it) => {
                self.revisions.remove(&(it.api, it.id));
                for policy in it.design.policies() {
                    self.limited_revisions.remove(&(policy.clone(), it.id));
                }
            }
            Object::Deployment(it) => {
                self.deployments.remove(&(it.api, it.environment.clone()));
            }
            Object::Document(it) => drop(self.documents.remove(&(it.api, it.id))),
            Object::Application(it) => {
                self.owned.remove(&(it.owner, fold(it.name.as_str())));
                if let Some(policy) = &it.policy {
                    self.limited_applications.remove(&(policy.clone(), it.id));
                }
            }
            Object::Key(it) => drop(self.keys.remove(&(it.application, it.client_id.clone()))),
            Object::Subscription(it) => {
                self.pairs.remove(&(it.application, it.api));
                self.subscribers.remove(&(it.api, it.id));
                self.consumers.remove(&(it.plan.clone(), it.id));
            }
            Object::DenyPolicy(it) => drop(self.denied.remove(&it.target)),
            Object::User(it) => drop(self.users.remove(&fold(it.name.as_str()))),
            Object::Session(it) => drop(self.sessions.remove(&(it.user, it.token))),
            Object::Thumbnail(_)
            | Object::Environment(_)
            | Object::Plan(_)
            | Object::ApplicationPolicy(_)
            | Object::ApiPolicy(_)
            | Object::SigningKey(_)
            | Object::Settings(_) => {}
        }
    }
}

/// Every path that an API claims, folded.
pub(crate) fn claimed_paths(api: &Api) -> [String; 2] {
    [fold(&api.base_path()), fold(&api.context.default_path())]
}

fn version_key(api: &Api) -> (String, String) {
    (fold(api.name.as_str()), fold(api.version.as_str()))
}
