//! The whole process, in this one: real doors on free ports, a real store.

use std::{fs, path::Path, time::Duration};

use tidegate_kit::secret::Secret;
use tidegate_proto::admin::v1::{
    Api, CreateApiRequest, ListApisRequest, SignInRequest, api_service_client::ApiServiceClient,
    session_service_client::SessionServiceClient,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    sync::oneshot,
    task::JoinHandle,
};
use tonic::{
    Request,
    transport::{Certificate, Channel, ClientTlsConfig},
};

use super::{Ready, build};
use crate::config::Config;

const PASSWORD: &str = "the admin's long password";

struct Running {
    ready: Ready,
    stop: oneshot::Sender<()>,
    run: JoinHandle<anyhow::Result<()>>,
}

fn config(dir: &Path) -> Config {
    let mut config = Config {
        data_dir: dir.to_owned(),
        ..Config::default()
    };
    config.listen.management = "127.0.0.1:0".to_owned();
    config.listen.discovery = "127.0.0.1:0".to_owned();
    config.admin.password = Some(Secret::new(PASSWORD.to_owned()));
    config
}

async fn start(config: Config) -> anyhow::Result<Running> {
    let bound = build(config).await?;
    let ready = bound.ready().clone();
    let (stop, stopped) = oneshot::channel::<()>();
    let tasks = tidegate_kit::tasks::Tasks::current();
    let run = tasks.spawn("control plane", bound.run(async { drop(stopped.await) }));
    Ok(Running { ready, stop, run })
}

impl Running {
    async fn stop(self) {
        drop(self.stop);
        self.run.await.unwrap().unwrap();
    }

    async fn channel(&self) -> Channel {
        let ca = Certificate::from_pem(fs::read(&self.ready.ca_cert).unwrap());
        let tls = ClientTlsConfig::new()
            .ca_certificate(ca)
            .domain_name("localhost");
        let endpoint = Channel::from_shared(format!("https://{}", self.ready.management)).unwrap();
        endpoint.tls_config(tls).unwrap().connect().await.unwrap()
    }
}

async fn sign_in(channel: &Channel) -> String {
    let request = SignInRequest {
        username: "admin".to_owned(),
        password: PASSWORD.to_owned(),
    };
    let answer = SessionServiceClient::new(channel.clone())
        .sign_in(request)
        .await;
    answer.unwrap().into_inner().token
}

fn with<T>(token: &str, message: T) -> Request<T> {
    let mut request = Request::new(message);
    let value = format!("Bearer {token}").parse().unwrap();
    request.metadata_mut().insert("authorization", value);
    request
}

#[tokio::test]
async fn what_was_created_is_there_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let running = start(config(dir.path())).await.unwrap();
    let channel = running.channel().await;
    let token = sign_in(&channel).await;
    let api = Api {
        api_name: "EchoWebSocket".to_owned(),
        context: "/echowebsocket".to_owned(),
        version: "1.0".to_owned(),
        production_endpoint: "ws://127.0.0.1:8765".to_owned(),
        plans: vec!["plans/Gold".to_owned()],
        ..Api::default()
    };
    let create = CreateApiRequest {
        api: Some(api),
        publish: true,
    };
    let created = ApiServiceClient::new(channel.clone())
        .create_api(with(&token, create))
        .await;
    let created = created.unwrap().into_inner();
    drop(channel);
    running.stop().await;

    let running = start(config(dir.path())).await.unwrap();
    let channel = running.channel().await;
    let list = ListApisRequest::default();
    let listed = ApiServiceClient::new(channel.clone())
        .list_apis(with(&token, list))
        .await;
    assert_eq!(listed.unwrap().into_inner().apis, [created]);
    drop(channel);
    running.stop().await;
}

#[tokio::test]
async fn the_management_listener_speaks_http_1_1_as_well() {
    let dir = tempfile::tempdir().unwrap();
    let running = start(config(dir.path())).await.unwrap();
    let ca = fs::read_to_string(&running.ready.ca_cert).unwrap();
    let tls = tidegate_kit::tls::client_config(&tidegate_kit::tls::Roots::Only(ca), &["http/1.1"]);
    let stream = tokio::net::TcpStream::connect(running.ready.management)
        .await
        .unwrap();
    let name = rustls_pki_types::ServerName::try_from("localhost").unwrap();
    let connector = tokio_rustls::TlsConnector::from(tls.unwrap());
    let mut stream = connector.connect(name, stream).await.unwrap();
    let request = b"GET /oauth2/jwks HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
    stream.write_all(request).await.unwrap();
    let mut said = String::new();
    let read = tokio::time::timeout(Duration::from_secs(10), stream.read_to_string(&mut said));
    read.await.unwrap().unwrap();
    assert!(
        said.starts_with("HTTP/1.1 200") && said.contains("\"kid\""),
        "{said}"
    );
    running.stop().await;
}

#[tokio::test]
async fn a_second_control_plane_on_the_same_data_is_refused_with_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    let running = start(config(dir.path())).await.unwrap();
    let refused = build(config(dir.path())).await.err().unwrap();
    let told = format!("{refused:#}");
    assert!(
        told.contains("in use") && told.contains("data_dir"),
        "{told}"
    );
    running.stop().await;
}

#[tokio::test]
async fn what_is_exported_restores_into_an_empty_folder() {
    let dir = tempfile::tempdir().unwrap();
    let first = config(&dir.path().join("first"));
    start(first.clone()).await.unwrap().stop().await;
    let file = dir.path().join("export.jsonl");
    super::offline::export(&first, &file).unwrap();
    assert!(
        super::offline::export(&first, &file).is_err(),
        "an export overwrites nothing"
    );
    let second = config(&dir.path().join("second"));
    super::offline::restore(&second, &file).unwrap();
    assert!(
        super::offline::restore(&second, &file).is_err(),
        "a restore overwrites nothing"
    );
    let running = start(second).await.unwrap();
    sign_in(&running.channel().await).await;
    running.stop().await;
}

#[tokio::test]
async fn a_blank_join_token_is_refused_and_names_its_setting() {
    let dir = tempfile::tempdir().unwrap();
    for blank in ["", " \n"] {
        let mut config = config(dir.path());
        config.discovery.join_token = Some(Secret::new(blank.to_owned()));
        let error = build(config).await.map(drop).unwrap_err();
        assert!(
            format!("{error:#}").contains("`discovery.join_token` is blank"),
            "{error:#}"
        );
    }
}

#[tokio::test]
async fn a_budget_for_requests_that_lets_nothing_in_is_refused_and_names_its_setting() {
    let dir = tempfile::tempdir().unwrap();
    let mut config = config(dir.path());
    config.limits.request_mib = 1;
    let refused = build(config).await.err().unwrap().to_string();
    assert!(refused.contains("`limits.request_mib` is 1"), "{refused}");
}
