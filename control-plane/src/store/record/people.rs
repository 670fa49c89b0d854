//! The records of users and their sign-in sessions.

use serde::{Deserialize, Serialize};
use tidegate_proto::ids::UserId;

use super::{
    Unreadable,
    frame::{hex, unhex},
    meta, part,
};
use crate::domain::{
    credential::{SecretHash, Session},
    name::UserName,
    time::Timestamp,
    user::{PasswordHash, Role, Roles, User},
};

#[derive(Serialize, Deserialize)]
pub(super) enum UserRecord {
    V1(UserV1),
}

#[derive(Serialize, Deserialize)]
pub(super) enum SessionRecord {
    V1(SessionV1),
}

#[derive(Serialize, Deserialize)]
pub(super) struct UserV1 {
    id: UserId,
    name: String,
    password: String,
    roles: Vec<String>,
    created_at: u64,
    updated_at: u64,
    etag: u64,
}

#[derive(Serialize, Deserialize)]
pub(super) struct SessionV1 {
    token: String,
    user: UserId,
    created_at: u64,
    expires_at: u64,
}

// === impl UserRecord ===

impl From<&User> for UserRecord {
    fn from(it: &User) -> Self {
        Self::V1(UserV1 {
            id: it.id,
            name: it.name.to_string(),
            password: it.password.0.clone(),
            roles: it
                .roles
                .iter()
                .map(|role| role.as_str().to_owned())
                .collect(),
            created_at: it.meta.created_at.millis(),
            updated_at: it.meta.updated_at.millis(),
            etag: it.meta.etag.get(),
        })
    }
}

impl UserRecord {
    pub(super) fn object(self) -> Result<User, Unreadable> {
        let Self::V1(it) = self;
        Ok(User {
            id: it.id,
            name: part("name", UserName::parse(&it.name))?,
            password: PasswordHash(it.password),
            roles: it
                .roles
                .iter()
                .map(|role| part("roles", Role::parse(role)))
                .collect::<Result<Roles, _>>()?,
            meta: meta(it.created_at, it.updated_at, it.etag),
        })
    }
}

// === impl SessionRecord ===

impl From<&Session> for SessionRecord {
    fn from(it: &Session) -> Self {
        Self::V1(SessionV1 {
            token: hex(it.token.as_bytes()),
            user: it.user,
            created_at: it.created_at.millis(),
            expires_at: it.expires_at.millis(),
        })
    }
}

impl SessionRecord {
    pub(super) fn object(self) -> Result<Session, Unreadable> {
        let Self::V1(it) = self;
        Ok(Session {
            token: SecretHash::from_bytes(
                unhex(&it.token).ok_or_else(|| "its `token` does not read".to_owned())?,
            ),
            user: it.user,
            created_at: Timestamp::from_millis(it.created_at),
            expires_at: Timestamp::from_millis(it.expires_at),
        })
    }
}
