//! The demo's people: an account for each role, made through the admin API at the first start, with passwords of their
//! own that are kept in the data directory. Idempotent.

use std::collections::BTreeMap;

use anyhow::Context as _;
use serde::Serialize;
use tidegate_proto::admin::v1::{
    CreateUserRequest, GetEnvironmentRequest, Role, SignInRequest, UpdateEnvironmentRequest, User,
    gateway_service_client::GatewayServiceClient, session_service_client::SessionServiceClient,
    user_service_client::UserServiceClient,
};
use tonic::Code;

use super::{
    files::{Files, random_password},
    stack::Stack,
};
use crate::client::{self, Bearer, Channel};

/// Somebody who can sign in.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Account {
    pub(super) username: String,
    pub(super) password: String,
    pub(super) roles: Vec<&'static str>,
}

/// Whoever publishes at once must be a creator too: only creators create.
const PEOPLE: [(&str, &[Role]); 3] = [
    ("creator", &[Role::Creator]),
    ("publisher", &[Role::Creator, Role::Publisher]),
    ("subscriber", &[Role::Subscriber]),
];

/// Signs in as the first admin.
pub(super) async fn sign_in(stack: &Stack) -> anyhow::Result<Channel> {
    let (url, ca_cert) = (stack.admin_url(), &stack.control_plane.ca_cert);
    let anonymous = client::connect(&url, ca_cert, Bearer::default()).await?;
    let session = SessionServiceClient::new(anonymous)
        .sign_in(SignInRequest {
            username: stack.username.to_owned(),
            password: stack.password.clone(),
        })
        .await
        .context("cannot sign in with the password that `up` made; `--fresh` makes a new one")?;
    client::connect(&url, ca_cert, Bearer::new(&session.into_inner().token)?).await
}

/// Makes an account for each role, or finds it again; the first admin's is the last.
pub(super) async fn make(
    files: &Files,
    stack: &Stack,
    channel: &Channel,
) -> anyhow::Result<Vec<Account>> {
    let mut kept: BTreeMap<String, String> = files.accounts().unwrap_or_default();
    let mut users = UserServiceClient::new(channel.clone());
    let mut accounts = Vec::new();
    for (username, roles) in PEOPLE {
        let password = match kept.get(username) {
            Some(password) => password.clone(),
            None => random_password()?,
        };
        // Kept first: a password that nobody knows would be of no use.
        kept.insert(username.to_owned(), password.clone());
        files.keep_accounts(&kept)?;
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
            Err(status) if status.code() != Code::AlreadyExists => return Err(status.into()),
            _ => {}
        }
        accounts.push(Account {
            username: username.to_owned(),
            password,
            roles: roles.iter().map(|role| name(*role)).collect(),
        });
    }
    accounts.push(Account {
        username: stack.username.to_owned(),
        password: stack.password.clone(),
        roles: vec![name(Role::Admin)],
    });
    Ok(accounts)
}

/// Tells where clients reach the first gateway: the portals show it, and connect. An environment that somebody has given
/// addresses beyond this machine keeps them.
pub(super) async fn tell_doors(stack: &Stack, channel: &Channel) -> anyhow::Result<()> {
    let Some(node) = stack.nodes.first() else {
        return Ok(());
    };
    let mut gateways = GatewayServiceClient::new(channel.clone());
    let name = "environments/default".to_owned();
    let request = GetEnvironmentRequest { name };
    let mut environment = gateways.get_environment(request).await?.into_inner();
    let ws_url = format!("ws://localhost:{}", node.ws.port());
    let wss_url = node
        .wss
        .map_or_else(String::new, |wss| format!("wss://localhost:{}", wss.port()));
    let is_told = environment.ws_url == ws_url && environment.wss_url == wss_url;
    if is_told || !environment.ws_url.starts_with("ws://localhost:") {
        return Ok(());
    }
    (environment.ws_url, environment.wss_url) = (ws_url, wss_url);
    let request = UpdateEnvironmentRequest {
        environment: Some(environment),
        update_mask: Some(prost_types::FieldMask {
            paths: vec!["ws_url".to_owned(), "wss_url".to_owned()],
        }),
    };
    gateways.update_environment(request).await?;
    Ok(())
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
