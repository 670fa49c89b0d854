//! Golden files: how each kind of record looks on disk, version by version. `TIDEGATE_UPDATE_GOLDEN=1` writes missing
//! and changed ones; a changed one means that stores out there no longer read, so it needs a new version instead.

use std::{collections::BTreeMap, env, fs, path::PathBuf, sync::Arc, time::Duration};

use tidegate_kit::secret::Secret;
use tidegate_proto::{
    claims::KeyType,
    ids::{ApiId, ApplicationId, DocumentId, RevisionId, SubscriptionId, UserId},
    path::{Context, TopicTemplate, Version},
    revision::RevisionNumber,
};
use uuid::Uuid;

use crate::{
    domain::{
        api::{Api, Design, Visibility},
        application::{Application, ApplicationKey},
        audit::AuditEntry,
        credential::{SecretHash, Session},
        document::{Document, DocumentContent, DocumentKind},
        endpoint::{EndpointUrl, Endpoints},
        environment::Environment,
        lifecycle::{Action, Lifecycle, LifecycleEvent},
        meta::{Etag, ResourceMeta},
        name::{
            ApiName, ApplicationName, ClientId, DocumentName, EnvironmentName, KeyId, PlanName,
            PolicyName, UserName,
        },
        object::Object,
        plan::Plan,
        revision::{Deployment, Revision},
        scope::{AllowedScopes, Scope},
        settings::Settings,
        signing::{Algorithm, SigningKey, SigningKeyState},
        subscription::{Subscription, SubscriptionState},
        thumbnail::{ImageFormat, Thumbnail},
        time::Timestamp,
        topic::{Mapping, Topic, Verbs},
        user::{PasswordHash, Role, Roles, User},
    },
    store::record,
};

pub(super) const AT: Timestamp = Timestamp::from_millis(1_700_000_000_000);

fn uuid(n: u128) -> Uuid {
    Uuid::from_u128(n)
}

fn design() -> Design {
    let rooms = TopicTemplate::parse("/rooms/{room}").unwrap();
    Design {
        display_name: "Echo".to_owned(),
        description: "says it again".to_owned(),
        tags: ["chat".to_owned()].into(),
        endpoints: Endpoints {
            production: Some(EndpointUrl::parse("ws://echo:8080/v2").unwrap()),
            sandbox: None,
            sandbox_keys_on_production: true,
        },
        topics: vec![
            Topic::everything(),
            Topic {
                mapping: Some(Mapping::parse("/r?room={uri.var.room}", &rooms).unwrap()),
                template: rooms,
                verbs: Verbs {
                    publish: false,
                    subscribe: true,
                },
                policy: Some(PolicyName::parse("strict").unwrap()),
                description: "one room".to_owned(),
            },
        ],
        notice_subprotocols: vec!["chat".to_owned()],
    }
}

fn api() -> Api {
    Api {
        id: ApiId::new(uuid(1)),
        name: ApiName::parse("EchoWebSocket").unwrap(),
        context: Context::parse("/echowebsocket").unwrap(),
        version: Version::parse("1.0").unwrap(),
        owner: Some(UserId::new(uuid(2))),
        provider: UserName::parse("ann@example.org").unwrap(),
        design: design(),
        plans: [PlanName::parse("Gold").unwrap()].into(),
        policy: Some(PolicyName::parse("strict").unwrap()),
        visibility: Visibility::Restricted(Roles::NONE.with(Role::Subscriber)),
        default_version: true,
        default_until: Some(RevisionNumber::new(7)),
        state: Lifecycle::Published,
        history: vec![LifecycleEvent {
            at: AT,
            by: "ann@example.org".to_owned(),
            action: Some(Action::Publish),
            from: Some(Lifecycle::Created),
            to: Lifecycle::Published,
        }],
        quota_generation: 2,
        last_revision: 3,
        meta: ResourceMeta {
            created_at: AT,
            updated_at: AT,
            etag: Etag::new(4),
        },
    }
}

/// One of every kind of object.
#[expect(clippy::too_many_lines, reason = "a table of values")]
pub(crate) fn samples() -> Vec<Object> {
    let environment = EnvironmentName::parse("default").unwrap();
    let mut samples = super::policies::samples();
    samples.extend([
        api().into(),
        Revision {
            id: RevisionId::new(uuid(3)),
            api: ApiId::new(uuid(1)),
            number: 3,
            description: "Initial Revision".to_owned(),
            design: design(),
            created_by: "ann@example.org".to_owned(),
            created_at: AT,
        }
        .into(),
        Deployment {
            api: ApiId::new(uuid(1)),
            environment,
            revision: RevisionId::new(uuid(3)),
            deployed_by: "ann@example.org".to_owned(),
            deployed_at: AT,
            number: RevisionNumber::new(9),
        }
        .into(),
        Document {
            id: DocumentId::new(uuid(6)),
            api: ApiId::new(uuid(1)),
            name: DocumentName::parse("First steps").unwrap(),
            summary: "how to begin".to_owned(),
            kind: DocumentKind::HowTo,
            content: DocumentContent::Markdown("# Begin".to_owned()),
            created_by: UserName::parse("ann@example.org").unwrap(),
            meta: ResourceMeta {
                created_at: AT,
                updated_at: AT,
                etag: Etag::new(3),
            },
        }
        .into(),
        Thumbnail {
            api: ApiId::new(uuid(1)),
            format: ImageFormat::Png,
            image: vec![0x89, b'P', b'N', b'G'].into(),
            etag: "0123456789abcdef".to_owned(),
            set_at: AT,
        }
        .into(),
        Environment::shipped(AT).into(),
        Plan::shipped(AT).nth(1).unwrap().into(),
        Application {
            id: ApplicationId::new(uuid(4)),
            name: ApplicationName::parse("My app").unwrap(),
            description: String::new(),
            owner: UserId::new(uuid(2)),
            owner_name: UserName::parse("ann@example.org").unwrap(),
            policy: Some(PolicyName::parse("small").unwrap()),
            quota_generation: 5,
            ended_generations: [(ApiId::new(uuid(1)), 2)].into(),
            meta: ResourceMeta::new(AT),
        }
        .into(),
        ApplicationKey {
            client_id: ClientId::parse("client-1").unwrap(),
            application: ApplicationId::new(uuid(4)),
            key_type: KeyType::Sandbox,
            scopes: ["read", "write"]
                .map(|scope| Scope::parse(scope).unwrap())
                .into_iter()
                .collect(),
            secret: SecretHash::of("secret"),
            created_at: AT,
            secret_made_at: AT,
        }
        .into(),
        Subscription {
            id: SubscriptionId::new(uuid(5)),
            application: ApplicationId::new(uuid(4)),
            api: ApiId::new(uuid(1)),
            plan: PlanName::parse("Gold").unwrap(),
            state: SubscriptionState::ProductionBlocked,
            quota_generation: 1,
            meta: ResourceMeta::new(AT),
        }
        .into(),
        User {
            id: UserId::new(uuid(2)),
            name: UserName::parse("ann@example.org").unwrap(),
            password: PasswordHash("$argon2id$v=19$m=19456,t=2,p=1$c2FsdA$aGFzaA".to_owned()),
            roles: Roles::NONE.with(Role::Creator).with(Role::Publisher),
            meta: ResourceMeta::new(AT),
        }
        .into(),
        Session {
            token: SecretHash::of("token"),
            user: UserId::new(uuid(2)),
            created_at: AT,
            expires_at: AT,
        }
        .into(),
        SigningKey {
            id: KeyId::parse("kid-1").unwrap(),
            algorithm: Algorithm::Es256,
            private_key: Secret::new("cHJpdmF0ZQ==".to_owned()),
            public_jwk: "{}".to_owned(),
            state: SigningKeyState::Retiring { until: AT },
            longest_lifetime: Duration::from_secs(3600),
            created_at: AT,
        }
        .into(),
        Settings {
            issuer: "https://localhost:9443".to_owned(),
            audiences: vec!["tidegate".to_owned()],
            sign_up_allowed: true,
            etag: Etag::new(2),
        }
        .into(),
    ]);
    samples
}

/// An object as a version of its record told it, without what that one knew nothing of.
fn as_of(version: &str, object: Object) -> Object {
    match (version, object) {
        ("v1", object) => as_of_v1(object),
        ("v2" | "v3", Object::Api(it)) => {
            let mut it = Arc::unwrap_or_clone(it);
            if version == "v2" {
                it.default_until = None;
            }
            it.design.endpoints.sandbox_keys_on_production = false;
            it.into()
        }
        ("v2", Object::Revision(it)) => {
            let mut it = Arc::unwrap_or_clone(it);
            it.design.endpoints.sandbox_keys_on_production = false;
            it.into()
        }
        ("v2", Object::Application(it)) => Object::from(Application {
            ended_generations: BTreeMap::new(),
            ..Arc::unwrap_or_clone(it)
        }),
        (_, object) => object,
    }
}

fn as_of_v1(object: Object) -> Object {
    fn clear(design: &mut Design) {
        design.notice_subprotocols.clear();
        design.endpoints.sandbox_keys_on_production = false;
        for topic in &mut design.topics {
            topic.policy = None;
        }
    }
    match object {
        Object::Api(it) => {
            let mut it = Arc::unwrap_or_clone(it);
            (it.policy, it.quota_generation, it.default_until) = (None, 0, None);
            clear(&mut it.design);
            it.into()
        }
        Object::Revision(it) => {
            let mut it = Arc::unwrap_or_clone(it);
            clear(&mut it.design);
            it.into()
        }
        Object::Application(it) => {
            let mut it = Arc::unwrap_or_clone(it);
            (it.policy, it.quota_generation) = (None, 0);
            it.ended_generations.clear();
            it.into()
        }
        Object::Key(it) => {
            let mut it = Arc::unwrap_or_clone(it);
            it.scopes = AllowedScopes::default();
            it.into()
        }
        Object::Subscription(it) => {
            let mut it = Arc::unwrap_or_clone(it);
            it.quota_generation = 0;
            it.into()
        }
        Object::SigningKey(it) => {
            let mut it = Arc::unwrap_or_clone(it);
            it.longest_lifetime = Duration::ZERO;
            it.into()
        }
        Object::Deployment(it) => {
            let mut it = Arc::unwrap_or_clone(it);
            it.number = RevisionNumber::ZERO;
            it.into()
        }
        Object::Settings(it) => {
            let mut it = Arc::unwrap_or_clone(it);
            (it.sign_up_allowed, it.etag) = (false, Etag::FIRST);
            it.into()
        }
        other => other,
    }
}

pub(super) fn entry() -> AuditEntry {
    AuditEntry {
        number: RevisionNumber::new(12),
        at: AT,
        actor: "ann@example.org".to_owned(),
        action: "CreatePlan".to_owned(),
        resource: "plans/Gold".to_owned(),
        before: None,
        after: Some(serde_json::json!({"name": "Gold"})),
        touched: vec!["apis/1".to_owned()],
    }
}

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

fn check(kind: &str, framed: &[u8]) {
    // After the checksum stands `{"V1":{…}}`.
    let text = String::from_utf8_lossy(framed);
    let version = text.split('"').nth(1).unwrap().to_lowercase();
    let path = folder().join(format!("{kind}.{version}.record"));
    if env::var_os("TIDEGATE_UPDATE_GOLDEN").is_some() {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, framed).unwrap();
    }
    let golden = fs::read(&path).unwrap_or_default();
    assert_eq!(
        text,
        String::from_utf8_lossy(&golden),
        "{} is not what is written; a record that changes needs a new version",
        path.display()
    );
}

#[test]
fn every_kind_of_record_is_written_as_its_golden_file_and_reads_back() {
    for object in samples() {
        let key = record::key(&object.key());
        let framed = record::encode(&object);
        check(key.split('/').next().unwrap(), &framed);
        assert_eq!(record::decode(&key, &framed).unwrap(), object);
    }
    let framed = record::encode_audit(&entry());
    check("audit", &framed);
    assert_eq!(record::decode_audit(12, &framed).unwrap(), entry());
}

#[test]
fn every_version_of_a_record_that_was_ever_written_reads_as_the_same_object() {
    let mut n_read = 0;
    for file in fs::read_dir(folder()).unwrap() {
        let path = file.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        let mut parts = name.split('.');
        let (kind, version) = (parts.next().unwrap(), parts.next().unwrap());
        let sample = samples()
            .into_iter()
            .find(|object| record::key(&object.key()).split('/').next() == Some(kind));
        if let Some(object) = sample {
            let key = record::key(&object.key());
            let framed = fs::read(&path).unwrap();
            let expected = as_of(version, object);
            assert_eq!(record::decode(&key, &framed).unwrap(), expected, "{name}");
            n_read += 1;
        }
    }
    assert!(n_read > samples().len(), "no old version is among them");
}

#[test]
fn no_secret_and_no_hash_of_one_is_in_the_audit_view() {
    for object in samples() {
        let view = record::audit_view(&object).to_string();
        for secret in ["argon2", "cHJpdmF0ZQ==", "2bb80d537b1da3e3"] {
            assert!(!view.contains(secret), "{view}");
        }
        let token = record::hex(SecretHash::of("token").as_bytes());
        assert!(!view.contains(&token), "{view}");
    }
    let document = samples()
        .into_iter()
        .find(|object| matches!(object, Object::Document(_)))
        .unwrap();
    let markdown = &record::audit_view(&document)["markdown"];
    assert!(
        markdown.as_str().unwrap().starts_with("[7 bytes, "),
        "{markdown}"
    );
    let key = Object::Key(Arc::new(ApplicationKey {
        client_id: ClientId::parse("c").unwrap(),
        application: ApplicationId::new(uuid(4)),
        key_type: KeyType::Production,
        scopes: AllowedScopes::default(),
        secret: SecretHash::of("secret"),
        created_at: AT,
        secret_made_at: AT,
    }));
    let view = record::audit_view(&key);
    assert_eq!(view["secret"], "[redacted]");
    assert_eq!(view["client_id"], "c");
}
