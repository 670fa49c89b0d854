//! The demo's users: an account for each role, created through the admin API at the first start, with random passwords
//! that are saved in the data directory. Idempotent.

use std::collections::BTreeMap;

use anyhow::Context as _;
use serde::Serialize;
use tidegate_proto::admin::v1::{
    CreateUserRequest, Role, SignInRequest, User, session_service_client::SessionServiceClient,
    user_service_client::UserServiceClient,
};
use tonic::Code;

use super::{
    Site,
    secrets::{Secrets, random_password},
};
use crate::client::{self, Bearer, Channel};

/// An account that can sign in.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Account {
    pub(crate) username: String,
    pub(crate) password: String,
    pub(crate) roles: Vec<&'static str>,
}

/// The publisher is also a creator, because publishers can't create APIs.
const PEOPLE: [(&str, &[Role]); 3] = [
    ("creator", &[Role::Creator]),
    ("publisher", &[Role::Creator, Role::Publisher]),
    ("subscriber", &[Role::Subscriber]),
];

/// The first admin's user name.
pub(crate) const ADMIN: &str = "admin";

/// The file of their passwords.
pub(crate) const FILE: &str = "accounts.json";

/// Signs in as the first admin.
pub(crate) async fn sign_in(site: &Site) -> anyhow::Result<Channel> {
    let (url, ca_cert) = (&site.control_plane, &site.ca_cert);
    let anonymous = client::connect(url, ca_cert, Bearer::default()).await?;
    let session = SessionServiceClient::new(anonymous)
        .sign_in(SignInRequest {
            username: ADMIN.to_owned(),
            password: site.password.clone(),
        })
        .await
        .with_context(|| format!("cannot sign in to {url} as `{ADMIN}`"))?;
    client::connect(url, ca_cert, Bearer::new(&session.into_inner().token)?).await
}

/// Creates or finds an account for each role; the first admin's is the last.
pub(crate) async fn make(
    site: &Site,
    secrets: &Secrets,
    channel: &Channel,
) -> anyhow::Result<Vec<Account>> {
    let mut kept: BTreeMap<String, String> = secrets.read(FILE).unwrap_or_default();
    let mut users = UserServiceClient::new(channel.clone());
    let mut accounts = Vec::new();
    for (username, roles) in PEOPLE {
        let password = match kept.get(username) {
            Some(password) => password.clone(),
            None => random_password()?,
        };
        let was_kept = kept.contains_key(username);
        // Saved first: an account whose password is lost would be useless.
        kept.insert(username.to_owned(), password.clone());
        secrets.write(FILE, &kept)?;
        let user = User {
            roles: roles.iter().map(|role| (*role).into()).collect(),
            ..User::default()
        };
        let request = CreateUserRequest {
            user_id: username.to_owned(),
            user: Some(user),
            password: password.clone(),
        };
        match users.create_user(request).await {
            Ok(_) => {}
            Err(status) if status.code() == Code::AlreadyExists && was_kept => {}
            Err(status) if status.code() == Code::AlreadyExists => {
                kept.remove(username);
                secrets.write(FILE, &kept)?;
                eprintln!(
                    "there is a user `{username}` already; the demo does not know its password"
                );
                continue;
            }
            Err(status) => return Err(status.into()),
        }
        accounts.push(Account {
            username: username.to_owned(),
            password,
            roles: roles.iter().map(|role| name(*role)).collect(),
        });
    }
    accounts.push(Account {
        username: ADMIN.to_owned(),
        password: site.password.clone(),
        roles: vec![name(Role::Admin)],
    });
    Ok(accounts)
}

const fn name(role: Role) -> &'static str {
    match role {
        Role::Admin => "admin",
        Role::Creator => "creator",
        Role::Publisher => "publisher",
        Role::Subscriber => "subscriber",
        Role::Unspecified => "none",
    }
}
