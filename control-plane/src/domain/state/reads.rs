//! The reads of a state that use its indexes, and those by a name in any letter case.

use std::sync::Arc;

use imbl::OrdSet;
use tidegate_proto::ids::{ApiId, ApplicationId, DocumentId, RevisionId, SubscriptionId, UserId};
use uuid::Uuid;

use super::State;
use crate::domain::{
    api::Api,
    application::{Application, ApplicationKey},
    credential::SecretHash,
    document::Document,
    name::{ApplicationName, ClientId, EnvironmentName, PlanName, PolicyName, fold},
    policy::{DenyPolicy, DenyTarget},
    revision::{Deployment, Revision},
    signing::{SigningKey, SigningKeyState},
    subscription::Subscription,
    user::User,
};

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

    /// The deny policy with a target, in force or not.
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
