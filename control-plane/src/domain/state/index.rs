//! The secondary indexes of a state and the reads that use them. Kept in step by `State::put` and `State::take`; nobody
//! else changes them.

use std::sync::Arc;

use imbl::{OrdMap, OrdSet};
use tidegate_proto::ids::{
    ApiId, ApplicationId, DenyPolicyId, DocumentId, RevisionId, SubscriptionId, UserId,
};
use uuid::Uuid;

use super::{Relation, State};
use crate::domain::{
    api::Api,
    application::{Application, ApplicationKey},
    credential::SecretHash,
    document::Document,
    name::{ApplicationName, ClientId, EnvironmentName, PlanName, PolicyName, fold},
    object::Object,
    plan::Plan,
    policy::{ApiPolicy, ApplicationPolicy, DenyPolicy, DenyTarget},
    revision::{Deployment, Revision},
    signing::{SigningKey, SigningKeyState},
    subscription::Subscription,
    user::User,
};

/// The indexes. Names and paths are folded, so that letter case does not tell them apart.
#[derive(Clone, Debug, Default)]
pub(super) struct Indexes {
    /// Name and version → API.
    versions: OrdMap<(String, String), ApiId>,
    /// Every path that an API claims (base path, default path) → the APIs that claim it.
    paths: Relation<String, ApiId>,
    revisions: Relation<ApiId, RevisionId>,
    deployments: Relation<ApiId, EnvironmentName>,
    documents: Relation<ApiId, DocumentId>,
    /// Plan → APIs that offer it.
    offers: Relation<PlanName, ApiId>,
    /// Plan → subscriptions under it.
    consumers: Relation<PlanName, SubscriptionId>,
    /// Application policy → applications that name it.
    limited_applications: Relation<PolicyName, ApplicationId>,
    /// API policy → APIs that name it, or whose topics do.
    limited_apis: Relation<PolicyName, ApiId>,
    /// API policy → revisions whose topics name it.
    limited_revisions: Relation<PolicyName, RevisionId>,
    /// Whom a deny policy is about → the policy.
    denied: OrdMap<DenyTarget, DenyPolicyId>,
    /// Owner and name → application.
    owned: OrdMap<(UserId, String), ApplicationId>,
    keys: Relation<ApplicationId, ClientId>,
    /// Application and API → subscription.
    pairs: OrdMap<(ApplicationId, ApiId), SubscriptionId>,
    subscribers: Relation<ApiId, SubscriptionId>,
    users: OrdMap<String, UserId>,
    sessions: Relation<UserId, SecretHash>,
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

impl State {
    /// Every version of the API of a name, letter case aside.
    pub fn versions_of(&self, name: &str) -> impl Iterator<Item = &Arc<Api>> {
        let name = fold(name);
        self.indexes
            .versions
            .range((name.clone(), String::new())..)
            .take_while(move |((other, _), _)| *other == name)
            .filter_map(|(_, id)| self.apis.get(id))
    }

    /// Every API that answers under a path, as base path or as default path, letter case aside.
    pub fn apis_at(&self, path: &str) -> impl Iterator<Item = &Arc<Api>> {
        related(&self.indexes.paths, fold(path), ApiId::new(Uuid::nil()))
            .filter_map(|id| self.apis.get(id))
    }

    /// The revisions of an API, oldest first.
    pub fn revisions_of(&self, api: ApiId) -> impl Iterator<Item = &Arc<Revision>> {
        related(&self.indexes.revisions, api, RevisionId::new(Uuid::nil()))
            .filter_map(|id| self.revisions.get(id))
    }

    /// The documents of an API, the oldest first.
    pub fn documents_of(&self, api: ApiId) -> impl Iterator<Item = &Arc<Document>> {
        related(&self.indexes.documents, api, DocumentId::new(Uuid::nil()))
            .filter_map(|id| self.documents.get(id))
    }

    /// What of an API runs on an environment.
    #[must_use]
    pub fn deployment(
        &self,
        api: ApiId,
        environment: &EnvironmentName,
    ) -> Option<&Arc<Deployment>> {
        self.deployments.get(&(environment.clone(), api))
    }

    /// Where an API runs.
    pub fn deployments_of(&self, api: ApiId) -> impl Iterator<Item = &Arc<Deployment>> {
        let first = least_environment();
        related(&self.indexes.deployments, api, first)
            .filter_map(move |environment| self.deployments.get(&(environment.clone(), api)))
    }

    /// What runs on an environment.
    pub fn deployments_on(
        &self,
        environment: &EnvironmentName,
    ) -> impl Iterator<Item = &Arc<Deployment>> {
        let environment = environment.clone();
        self.deployments
            .range((environment.clone(), ApiId::new(Uuid::nil()))..)
            .take_while(move |((other, _), _)| *other == environment)
            .map(|(_, deployment)| deployment)
    }

    /// The plan of a name, letter case aside.
    #[must_use]
    pub fn plan_named(&self, name: &str) -> Option<&Arc<Plan>> {
        let name = fold(name);
        self.plans
            .values()
            .find(|plan| fold(plan.name.as_str()) == name)
    }

    /// The APIs that offer a plan.
    pub fn offers_of(&self, plan: &PlanName) -> impl Iterator<Item = &Arc<Api>> {
        related(&self.indexes.offers, plan.clone(), ApiId::new(Uuid::nil()))
            .filter_map(|id| self.apis.get(id))
    }

    /// The subscriptions under a plan.
    pub fn consumers_of(&self, plan: &PlanName) -> impl Iterator<Item = &Arc<Subscription>> {
        related(
            &self.indexes.consumers,
            plan.clone(),
            SubscriptionId::new(Uuid::nil()),
        )
        .filter_map(|id| self.subscriptions.get(id))
    }

    /// The application policy of a name, letter case aside.
    #[must_use]
    pub fn application_policy_named(&self, name: &str) -> Option<&Arc<ApplicationPolicy>> {
        let name = fold(name);
        let mut policies = self.application_policies.values();
        policies.find(|policy| fold(policy.name.as_str()) == name)
    }

    /// The API policy of a name, letter case aside.
    #[must_use]
    pub fn api_policy_named(&self, name: &str) -> Option<&Arc<ApiPolicy>> {
        let name = fold(name);
        let mut policies = self.api_policies.values();
        policies.find(|policy| fold(policy.name.as_str()) == name)
    }

    /// The applications that name an application policy.
    pub fn applications_under(
        &self,
        policy: &PolicyName,
    ) -> impl Iterator<Item = &Arc<Application>> {
        let first = ApplicationId::new(Uuid::nil());
        related(&self.indexes.limited_applications, policy.clone(), first)
            .filter_map(|id| self.applications.get(id))
    }

    /// The APIs that name an API policy, or whose topics do.
    pub fn apis_under(&self, policy: &PolicyName) -> impl Iterator<Item = &Arc<Api>> {
        let first = ApiId::new(Uuid::nil());
        related(&self.indexes.limited_apis, policy.clone(), first)
            .filter_map(|id| self.apis.get(id))
    }

    /// The revisions whose topics name an API policy.
    pub fn revisions_under(&self, policy: &PolicyName) -> impl Iterator<Item = &Arc<Revision>> {
        let first = RevisionId::new(Uuid::nil());
        related(&self.indexes.limited_revisions, policy.clone(), first)
            .filter_map(|id| self.revisions.get(id))
    }

    /// The deny policy about somebody, in force or not.
    #[must_use]
    pub fn deny_policy_about(&self, target: &DenyTarget) -> Option<&Arc<DenyPolicy>> {
        self.deny_policies.get(self.indexes.denied.get(target)?)
    }

    /// The applications of a user.
    pub fn applications_of(&self, owner: UserId) -> impl Iterator<Item = &Arc<Application>> {
        self.indexes
            .owned
            .range((owner, String::new())..)
            .take_while(move |((other, _), _)| *other == owner)
            .filter_map(|(_, id)| self.applications.get(id))
    }

    /// The application of a user under a name, letter case aside.
    #[must_use]
    pub fn application_named(
        &self,
        owner: UserId,
        name: &ApplicationName,
    ) -> Option<&Arc<Application>> {
        let id = self.indexes.owned.get(&(owner, fold(name.as_str())))?;
        self.applications.get(id)
    }

    /// The keys of an application.
    pub fn keys_of(
        &self,
        application: ApplicationId,
    ) -> impl Iterator<Item = &Arc<ApplicationKey>> {
        let first = least_client();
        related(&self.indexes.keys, application, first).filter_map(|id| self.keys.get(id))
    }

    /// The subscriptions of an application.
    pub fn subscriptions_of(
        &self,
        application: ApplicationId,
    ) -> impl Iterator<Item = &Arc<Subscription>> {
        self.indexes
            .pairs
            .range((application, ApiId::new(Uuid::nil()))..)
            .take_while(move |((other, _), _)| *other == application)
            .filter_map(|(_, id)| self.subscriptions.get(id))
    }

    /// The subscription of an application to an API.
    #[must_use]
    pub fn subscription_between(
        &self,
        application: ApplicationId,
        api: ApiId,
    ) -> Option<&Arc<Subscription>> {
        let id = self.indexes.pairs.get(&(application, api))?;
        self.subscriptions.get(id)
    }

    /// The subscriptions to an API.
    pub fn subscribers_of(&self, api: ApiId) -> impl Iterator<Item = &Arc<Subscription>> {
        related(
            &self.indexes.subscribers,
            api,
            SubscriptionId::new(Uuid::nil()),
        )
        .filter_map(|id| self.subscriptions.get(id))
    }

    /// The user of a name, letter case aside.
    #[must_use]
    pub fn user_named(&self, name: &str) -> Option<&Arc<User>> {
        self.users.get(self.indexes.users.get(&fold(name))?)
    }

    /// The tokens of a user's sign-in sessions.
    pub fn sessions_of(&self, user: UserId) -> impl Iterator<Item = &SecretHash> {
        related(
            &self.indexes.sessions,
            user,
            SecretHash::from_bytes([0; 32]),
        )
    }

    /// The key that signs new tokens.
    #[must_use]
    pub fn active_signing_key(&self) -> Option<&Arc<SigningKey>> {
        self.signing_keys
            .values()
            .find(|key| key.state == SigningKeyState::Active)
    }
}

/// Every path that an API claims, folded.
pub(crate) fn claimed_paths(api: &Api) -> [String; 2] {
    [fold(&api.base_path()), fold(&api.context.default_path())]
}

fn version_key(api: &Api) -> (String, String) {
    (fold(api.name.as_str()), fold(api.version.as_str()))
}

/// The second halves of the pairs that begin with `first`; `least` is not greater than any of them.
fn related<A: Ord + Clone, B: Ord + Clone>(
    relation: &OrdSet<(A, B)>,
    first: A,
    least: B,
) -> impl Iterator<Item = &B> {
    relation
        .range((first.clone(), least)..)
        .take_while(move |(other, _)| *other == first)
        .map(|(_, second)| second)
}

fn least_environment() -> EnvironmentName {
    EnvironmentName::parse("-").expect("`-` is a name, and the least one")
}

fn least_client() -> ClientId {
    ClientId::parse("-").expect("`-` is a name, and the least one")
}
