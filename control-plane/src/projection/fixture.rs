//! States for tests of what reaches gateways: an API deployed to `default`, an application subscribed to it, and the ways
//! in which all that changes.

use std::{
    collections::{BTreeMap, BTreeSet},
    num::NonZeroU32,
    sync::Arc,
    time::Duration,
};

use tidegate_kit::secret::Secret;
use tidegate_proto::{
    claims::KeyType,
    ids::{
        ApiId, ApplicationId, DenyPolicyId, RevisionId, SubscriptionId, SubscriptionKey, UserId,
    },
    path::{Context, Version},
    quota::Limits,
    revision::RevisionNumber,
};
use uuid::Uuid;

use crate::domain::{
    address::AddressRange,
    api::{Api, Design, Visibility},
    application::{Application, ApplicationKey},
    credential::SecretHash,
    endpoint::{EndpointUrl, Endpoints},
    environment::Environment,
    lifecycle::Lifecycle,
    meta::ResourceMeta,
    name::{
        ApiName, ApplicationName, ClientId, EnvironmentName, KeyId, PlanName, PolicyName, UserName,
    },
    object::{Object, ObjectKey},
    plan::Plan,
    policy::{
        ApiPolicy, ApplicationPolicy, Condition, DenyPolicy, DenyTarget, Group, Per, Subject,
    },
    revision::{Deployment, Revision},
    scope::AllowedScopes,
    settings::Settings,
    signing::{Algorithm, SigningKey, SigningKeyState},
    state::State,
    subscription::{Subscription, SubscriptionState},
    time::Timestamp,
    topic::Topic,
};

/// A state that a test changes; each change is a commit.
#[derive(Clone, Debug, Default)]
pub(crate) struct World(pub(crate) State);

const NOW: Timestamp = Timestamp::from_millis(0);

fn uuid(n: u32) -> Uuid {
    Uuid::from_u128(u128::from(n))
}

pub(crate) fn api_id(n: u32) -> ApiId {
    ApiId::new(uuid(n))
}

pub(crate) fn revision_id(n: u32) -> RevisionId {
    RevisionId::new(uuid(n))
}

pub(crate) fn application_id(n: u32) -> ApplicationId {
    ApplicationId::new(uuid(n))
}

/// Between application `n` and API `n`.
pub(crate) fn subscription_key(n: u32) -> SubscriptionKey {
    SubscriptionKey {
        application: application_id(n),
        api: api_id(n),
    }
}

pub(crate) fn subscription_id(n: u32) -> SubscriptionId {
    SubscriptionId::new(uuid(n))
}

pub(crate) fn deny_policy_id(n: u32) -> DenyPolicyId {
    DenyPolicyId::new(uuid(n))
}

pub(crate) fn policy_name(n: u32) -> PolicyName {
    PolicyName::parse(&format!("policy-{n}")).unwrap()
}

pub(crate) fn environment(name: &str) -> EnvironmentName {
    EnvironmentName::parse(name).unwrap()
}

pub(crate) fn plan_name(name: &str) -> PlanName {
    PlanName::parse(name).unwrap()
}

impl World {
    /// Environments `default` and `other`, the plans that ship, a key manager with one key.
    pub(crate) fn new() -> Self {
        let mut world = Self::default();
        let mut shipped = Environment::shipped(NOW);
        world.put(shipped.clone());
        shipped.name = environment("other");
        world.put(shipped);
        for plan in Plan::shipped(NOW) {
            world.put(plan);
        }
        world.put(Settings {
            issuer: "https://issuer".to_owned(),
            audiences: vec!["tidegate".to_owned()],
            ..Settings::default()
        });
        world.sign_with("k1", SigningKeyState::Active);
        world
    }

    /// A new world in which API 1 is published and deployed, and application 1 is subscribed to it under Gold.
    pub(crate) fn with_one_api() -> Self {
        let mut world = Self::new();
        world.publish(1);
        world.deploy(1, 1, "default");
        world.register(1);
        world.subscribe(1, 1, 1, "Gold");
        world
    }

    pub(crate) fn state(&self) -> Arc<State> {
        Arc::new(self.0.clone())
    }

    pub(crate) fn put(&mut self, object: impl Into<Object>) {
        self.0.put(object.into());
        self.0.set_number(self.0.number().next());
    }

    pub(crate) fn take(&mut self, key: &ObjectKey) {
        self.0.take(key).expect("what is taken is there");
        self.0.set_number(self.0.number().next());
    }

    pub(crate) fn sign_with(&mut self, kid: &str, state: SigningKeyState) {
        self.put(SigningKey {
            id: KeyId::parse(kid).unwrap(),
            algorithm: Algorithm::Es256,
            private_key: Secret::new("private-part".to_owned()),
            public_jwk: format!(r#"{{"kid":"{kid}"}}"#),
            state,
            longest_lifetime: Duration::ZERO,
            created_at: NOW,
        });
    }

    pub(crate) fn publish(&mut self, n: u32) {
        self.put(Api {
            id: api_id(n),
            name: ApiName::parse(&format!("Api{n}")).unwrap(),
            context: Context::parse(&format!("/api{n}")).unwrap(),
            version: Version::parse("1.0").unwrap(),
            owner: None,
            provider: UserName::parse("admin").unwrap(),
            design: design(n),
            plans: BTreeSet::from([plan_name("Gold")]),
            policy: None,
            visibility: Visibility::Public,
            default_version: false,
            default_until: None,
            state: Lifecycle::Published,
            history: Vec::new(),
            quota_generation: 0,
            last_revision: 0,
            meta: ResourceMeta::new(NOW),
        });
    }

    /// Publishes API `n` as a version of its own of one API.
    pub(crate) fn publish_version(&mut self, n: u32) {
        self.publish(n);
        self.change_api(n, |api| {
            api.name = ApiName::parse("Api").unwrap();
            api.context = Context::parse("/api").unwrap();
            api.version = Version::parse(&format!("{n}.0")).unwrap();
        });
    }

    /// Makes API `n` the default version in the place of the others.
    pub(crate) fn make_default(&mut self, n: u32) {
        let until = self.0.number().next();
        for api in self.0.apis().clone().values() {
            let mut api = Api::clone(api);
            if api.default_version {
                (api.default_version, api.default_until) = (false, Some(until));
            }
            if api.id == api_id(n) {
                (api.default_version, api.default_until) = (true, None);
            }
            self.put(api);
        }
    }

    pub(crate) fn limit_applications(&mut self, n: u32, amount: u32) {
        self.put(ApplicationPolicy {
            name: policy_name(n),
            display_name: String::new(),
            description: "a description".to_owned(),
            per_token: true,
            limits: limits(amount),
            meta: ResourceMeta::new(NOW),
        });
    }

    /// With a group for clients in 192.0.2.0/24.
    pub(crate) fn limit_apis(&mut self, n: u32, amount: u32) {
        let office = AddressRange::parse("192.0.2.0/24").unwrap();
        self.put(ApiPolicy {
            name: policy_name(n),
            display_name: String::new(),
            description: "a description".to_owned(),
            per: Per::Address,
            limits: limits(amount),
            groups: vec![Group {
                description: "a description".to_owned(),
                conditions: vec![Condition {
                    subject: Subject::Address(office),
                    invert: true,
                }],
                limits: limits(amount + 1),
            }],
            meta: ResourceMeta::new(NOW),
        });
    }

    pub(crate) fn deny(&mut self, n: u32, target: DenyTarget) {
        self.put(DenyPolicy {
            id: deny_policy_id(n),
            description: "a description".to_owned(),
            target,
            expires_at: None,
            disabled: false,
            meta: ResourceMeta::new(NOW),
        });
    }

    pub(crate) fn change_denial(&mut self, n: u32, change: impl FnOnce(&mut DenyPolicy)) {
        let mut policy = DenyPolicy::clone(&self.0.deny_policies()[&deny_policy_id(n)]);
        change(&mut policy);
        self.put(policy);
    }

    pub(crate) fn change_application(&mut self, n: u32, change: impl FnOnce(&mut Application)) {
        let mut application = Application::clone(&self.0.applications()[&application_id(n)]);
        change(&mut application);
        self.put(application);
    }

    pub(crate) fn change_api(&mut self, n: u32, change: impl FnOnce(&mut Api)) {
        let mut api = Api::clone(&self.0.apis()[&api_id(n)]);
        change(&mut api);
        self.put(api);
    }

    pub(crate) fn deploy(&mut self, n: u32, revision: u32, on: &str) {
        self.put(Revision {
            id: revision_id(revision),
            api: api_id(n),
            number: revision,
            description: String::new(),
            design: design(revision),
            created_by: "admin".to_owned(),
            created_at: NOW,
        });
        self.put(Deployment {
            api: api_id(n),
            environment: environment(on),
            revision: revision_id(revision),
            deployed_by: "admin".to_owned(),
            deployed_at: NOW,
            number: RevisionNumber::ZERO,
        });
    }

    pub(crate) fn undeploy(&mut self, n: u32, from: &str) {
        self.take(&ObjectKey::Deployment(api_id(n), environment(from)));
    }

    /// An application with a production key.
    pub(crate) fn register(&mut self, n: u32) {
        self.put(Application {
            id: application_id(n),
            name: ApplicationName::parse(&format!("App {n}")).unwrap(),
            description: "a description".to_owned(),
            owner: UserId::new(uuid(1)),
            owner_name: UserName::parse("somebody").unwrap(),
            policy: None,
            quota_generation: 0,
            ended_generations: BTreeMap::new(),
            meta: ResourceMeta::new(NOW),
        });
        self.put(ApplicationKey {
            client_id: ClientId::parse(&format!("client-{n}")).unwrap(),
            application: application_id(n),
            key_type: KeyType::Production,
            scopes: AllowedScopes::default(),
            secret: SecretHash::of("secret"),
            created_at: NOW,
            secret_made_at: NOW,
        });
    }

    pub(crate) fn subscribe(&mut self, n: u32, application: u32, api: u32, plan: &str) {
        self.put(Subscription {
            id: subscription_id(n),
            application: application_id(application),
            api: api_id(api),
            plan: plan_name(plan),
            state: SubscriptionState::Active,
            quota_generation: 0,
            meta: ResourceMeta::new(NOW),
        });
    }

    pub(crate) fn change_subscription(&mut self, n: u32, change: impl FnOnce(&mut Subscription)) {
        let mut subscription = Subscription::clone(&self.0.subscriptions()[&subscription_id(n)]);
        change(&mut subscription);
        self.put(subscription);
    }
}

fn limits(amount: u32) -> Limits {
    Limits {
        sessions: NonZeroU32::new(amount),
        ..Limits::default()
    }
}

fn design(n: u32) -> Design {
    Design {
        display_name: String::new(),
        description: String::new(),
        tags: BTreeSet::new(),
        endpoints: Endpoints {
            production: Some(EndpointUrl::parse(&format!("ws://backend-{n}:8080")).unwrap()),
            sandbox: None,
            sandbox_keys_on_production: false,
        },
        topics: vec![Topic::everything()],
        notice_subprotocols: Vec::new(),
    }
}
