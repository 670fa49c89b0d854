//! Objects as bytes: the key of each, its versioned record in JSON, and a checksum over both. The in-memory types are
//! never written as they are; each version of a record is a type of its own here, with a golden file.

mod frame;
mod api;
mod revision;
mod design;
mod client;
mod reading;
mod people;
mod platform;
mod limits;
mod policy;
mod audit;

use std::fmt;

use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use tidegate_proto::revision::RevisionNumber;

use super::StoreError;
use crate::domain::{
    audit::AuditEntry,
    meta::{Etag, ResourceMeta},
    object::{Object, ObjectKey},
    time::Timestamp,
};

pub use frame::frame;
pub(crate) use frame::{hex, unframe};

/// The first part of the keys of each kind.
mod table {
    pub(super) const API: &str = "api";
    pub(super) const REVISION: &str = "revision";
    pub(super) const DEPLOYMENT: &str = "deployment";
    pub(super) const DOCUMENT: &str = "document";
    pub(super) const THUMBNAIL: &str = "thumbnail";
    pub(super) const ENVIRONMENT: &str = "environment";
    pub(super) const PLAN: &str = "plan";
    pub(super) const APPLICATION_POLICY: &str = "application-policy";
    pub(super) const API_POLICY: &str = "api-policy";
    pub(super) const DENY_POLICY: &str = "deny-policy";
    pub(super) const APPLICATION: &str = "application";
    pub(super) const KEY: &str = "key";
    pub(super) const SUBSCRIPTION: &str = "subscription";
    pub(super) const USER: &str = "user";
    pub(super) const SESSION: &str = "session";
    pub(super) const SIGNING_KEY: &str = "signing-key";
    pub(super) const SETTINGS: &str = "settings";
}

/// Why a record cannot be turned back into an object.
type Unreadable = String;

/// The key under which an object is kept, for example `plan/Gold`.
#[must_use]
pub fn key(of: &ObjectKey) -> String {
    match of {
        ObjectKey::Api(id) => format!("{}/{id}", table::API),
        ObjectKey::Revision(id) => format!("{}/{id}", table::REVISION),
        ObjectKey::Deployment(api, environment) => {
            format!("{}/{environment}/{api}", table::DEPLOYMENT)
        }
        ObjectKey::Document(id) => format!("{}/{id}", table::DOCUMENT),
        ObjectKey::Thumbnail(api) => format!("{}/{api}", table::THUMBNAIL),
        ObjectKey::Environment(name) => format!("{}/{name}", table::ENVIRONMENT),
        ObjectKey::Plan(name) => format!("{}/{name}", table::PLAN),
        ObjectKey::ApplicationPolicy(name) => format!("{}/{name}", table::APPLICATION_POLICY),
        ObjectKey::ApiPolicy(name) => format!("{}/{name}", table::API_POLICY),
        ObjectKey::DenyPolicy(id) => format!("{}/{id}", table::DENY_POLICY),
        ObjectKey::Application(id) => format!("{}/{id}", table::APPLICATION),
        ObjectKey::Key(id) => format!("{}/{id}", table::KEY),
        ObjectKey::Subscription(id) => format!("{}/{id}", table::SUBSCRIPTION),
        ObjectKey::User(id) => format!("{}/{id}", table::USER),
        ObjectKey::Session(token) => format!("{}/{}", table::SESSION, hex(token.as_bytes())),
        ObjectKey::SigningKey(id) => format!("{}/{id}", table::SIGNING_KEY),
        ObjectKey::Settings => table::SETTINGS.to_owned(),
    }
}

/// Encodes an object as a framed record.
#[must_use]
pub fn encode(object: &Object) -> Vec<u8> {
    frame(&key(&object.key()), &json(object))
}

/// Decodes a framed record that was found under a key.
///
/// # Errors
/// When the checksum is wrong, the record does not read, or it belongs under another key.
pub fn decode(key_found: &str, framed: &[u8]) -> Result<Object, StoreError> {
    let json = unframe(key_found, framed)?;
    let unreadable =
        |why: Unreadable| StoreError::corrupt(format!("the record `{key_found}` says {why}"));
    let object = object(key_found, json).map_err(unreadable)?;
    let key_meant = key(&object.key());
    if key_meant != key_found {
        return Err(unreadable(format!("it is `{key_meant}`")));
    }
    Ok(object)
}

/// An object as the audit log shows it: its record without what is secret, and with a digest of what is large.
#[must_use]
pub fn audit_view(object: &Object) -> Value {
    let versioned: Value = serde_json::from_str(&json(object)).expect("a record is JSON");
    // A record is `{"V1": {…}}`; the version is no business of the reader.
    let mut view = match versioned {
        Value::Object(map) => map
            .into_iter()
            .next()
            .map_or(Value::Null, |(_, inner)| inner),
        other => other,
    };
    if let Some(fields) = view.as_object_mut() {
        for secret in ["password", "secret", "private_key", "token"] {
            if let Some(value) = fields.get_mut(secret) {
                *value = Value::String("[redacted]".to_owned());
            }
        }
        for large in ["markdown", "image"] {
            if let Some(Value::String(text)) = fields.get_mut(large) {
                let digest = hex(&Sha256::digest(text.as_bytes())[..8]);
                *text = format!("[{} bytes, {digest}]", text.len());
            }
        }
    }
    view
}

/// Encodes an audit entry as a framed record.
#[must_use]
pub fn encode_audit(entry: &AuditEntry) -> Vec<u8> {
    frame(
        &audit_key(entry.number.get()),
        &to_json(&audit::AuditRecord::from(entry)),
    )
}

/// Decodes an audit entry.
///
/// # Errors
/// When the checksum is wrong or it does not read.
pub fn decode_audit(number: u64, framed: &[u8]) -> Result<AuditEntry, StoreError> {
    let key = audit_key(number);
    let record: audit::AuditRecord = from_json(unframe(&key, framed)?)
        .map_err(|why| StoreError::corrupt(format!("the record `{key}` says {why}")))?;
    Ok(record.entry(RevisionNumber::new(number)))
}

/// The key of an audit entry, as its checksum sees it.
#[must_use]
pub(crate) fn audit_key(number: u64) -> String {
    format!("audit/{number:020}")
}

fn json(object: &Object) -> String {
    match object {
        Object::Api(it) => to_json(&api::ApiRecord::from(&**it)),
        Object::Revision(it) => to_json(&revision::RevisionRecord::from(&**it)),
        Object::Deployment(it) => to_json(&revision::DeploymentRecord::from(&**it)),
        Object::Document(it) => to_json(&reading::DocumentRecord::from(&**it)),
        Object::Thumbnail(it) => to_json(&reading::ThumbnailRecord::from(&**it)),
        Object::Environment(it) => to_json(&platform::EnvironmentRecord::from(&**it)),
        Object::Plan(it) => to_json(&platform::PlanRecord::from(&**it)),
        Object::ApplicationPolicy(it) => to_json(&policy::ApplicationPolicyRecord::from(&**it)),
        Object::ApiPolicy(it) => to_json(&policy::ApiPolicyRecord::from(&**it)),
        Object::DenyPolicy(it) => to_json(&policy::DenyPolicyRecord::from(&**it)),
        Object::Application(it) => to_json(&client::ApplicationRecord::from(&**it)),
        Object::Key(it) => to_json(&client::KeyRecord::from(&**it)),
        Object::Subscription(it) => to_json(&client::SubscriptionRecord::from(&**it)),
        Object::User(it) => to_json(&people::UserRecord::from(&**it)),
        Object::Session(it) => to_json(&people::SessionRecord::from(&**it)),
        Object::SigningKey(it) => to_json(&platform::SigningKeyRecord::from(&**it)),
        Object::Settings(it) => to_json(&platform::SettingsRecord::from(&**it)),
    }
}

fn object(key: &str, json: &str) -> Result<Object, Unreadable> {
    let table = key.split_once('/').map_or(key, |(table, _)| table);
    Ok(match table {
        table::API => from_json::<api::ApiRecord>(json)?.object()?.into(),
        table::REVISION => from_json::<revision::RevisionRecord>(json)?
            .object()?
            .into(),
        table::DEPLOYMENT => from_json::<revision::DeploymentRecord>(json)?
            .object()?
            .into(),
        table::DOCUMENT => from_json::<reading::DocumentRecord>(json)?.object()?.into(),
        table::THUMBNAIL => from_json::<reading::ThumbnailRecord>(json)?
            .object()?
            .into(),
        table::ENVIRONMENT => from_json::<platform::EnvironmentRecord>(json)?
            .object()?
            .into(),
        table::PLAN => from_json::<platform::PlanRecord>(json)?.object()?.into(),
        table::APPLICATION_POLICY => from_json::<policy::ApplicationPolicyRecord>(json)?
            .object()?
            .into(),
        table::API_POLICY => from_json::<policy::ApiPolicyRecord>(json)?.object()?.into(),
        table::DENY_POLICY => from_json::<policy::DenyPolicyRecord>(json)?
            .object()?
            .into(),
        table::APPLICATION => from_json::<client::ApplicationRecord>(json)?
            .object()?
            .into(),
        table::KEY => from_json::<client::KeyRecord>(json)?.object()?.into(),
        table::SUBSCRIPTION => from_json::<client::SubscriptionRecord>(json)?
            .object()?
            .into(),
        table::USER => from_json::<people::UserRecord>(json)?.object()?.into(),
        table::SESSION => from_json::<people::SessionRecord>(json)?.object()?.into(),
        table::SIGNING_KEY => from_json::<platform::SigningKeyRecord>(json)?
            .object()?
            .into(),
        table::SETTINGS => from_json::<platform::SettingsRecord>(json)?.object().into(),
        other => return Err(format!("it is of the kind `{other}`, which is not known")),
    })
}

fn to_json<T: Serialize>(record: &T) -> String {
    serde_json::to_string(record).expect("a record is representable in JSON")
}

fn from_json<T: DeserializeOwned>(json: &str) -> Result<T, Unreadable> {
    serde_json::from_str(json).map_err(|e| e.to_string())
}

/// The times and the etag of a resource.
const fn meta(created_at: u64, updated_at: u64, etag: u64) -> ResourceMeta {
    ResourceMeta {
        created_at: Timestamp::from_millis(created_at),
        updated_at: Timestamp::from_millis(updated_at),
        etag: Etag::new(etag),
    }
}

/// Reads a part of a record, naming it when it does not read.
fn part<T, E: fmt::Debug>(name: &str, read: Result<T, E>) -> Result<T, Unreadable> {
    read.map_err(|e| format!("its `{name}` does not read: {e:?}"))
}
