//! `cargo xtask up` as a new user runs it: one line of JSON when everything is ready, an echo with what it prints, and
//! no process left when it's stopped.

use std::{collections::HashSet, net::TcpListener, path::Path, process::Stdio};

use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use serde_json::Value;
use tidegate_integration_tests::{client::Upgrade, process, wait};
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    net::TcpStream,
    process::{Child, Command},
};
use xtask::{
    client,
    redis::{self, Reply},
};

/// A running `up`.
pub(crate) struct Up {
    child: Child,
    /// What it printed.
    pub(crate) line: Value,
}

fn command(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = process::command("xtask");
    command
        .args(["up", "--json", "--no-build", "--data-dir"])
        .arg(folder)
        .args(arguments);
    let mut command = Command::from(command);
    command.stdin(Stdio::null()).kill_on_drop(true);
    command
}

impl Up {
    pub(crate) async fn start(folder: &Path, arguments: &[&str]) -> Self {
        let mut command = command(folder, arguments);
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let line = wait::within("`up` is ready", lines.next_line())
            .await
            .unwrap();
        let line = serde_json::from_str(&line.expect("`up` ended before it was ready")).unwrap();
        Self { child, line }
    }

    pub(crate) fn text(&self, pointer: &str) -> &str {
        let value = self.line.pointer(pointer).and_then(Value::as_str);
        value.unwrap_or_else(|| panic!("no {pointer} in {}", self.line))
    }

    fn pid(&self, pointer: &str) -> Pid {
        let value = self.line.pointer(pointer).and_then(Value::as_i64);
        let pid = value.and_then(|pid| Pid::from_raw(i32::try_from(pid).ok()?));
        pid.unwrap_or_else(|| panic!("no {pointer} in {}", self.line))
    }

    fn own_pid(&self) -> Pid {
        let pid = self
            .child
            .id()
            .and_then(|pid| Pid::from_raw(i32::try_from(pid).ok()?));
        pid.expect("it runs")
    }

    async fn echo(&self, node: usize, token: &str) {
        let address = self.text(&format!("/data_planes/{node}/ws"));
        let address = address.trim_start_matches("ws://").parse().unwrap();
        let upgrade = Upgrade::to("/echowebsocket/1.0").bearer(token);
        upgrade.open(address).await.echo("hello").await;
    }

    /// The demo's page in the developer portal, as an anonymous user sees it.
    async fn page_of_the_demo(&self) -> String {
        let (url, ca_cert) = (self.text("/admin/url"), self.text("/admin/ca_cert"));
        let page = async |path: &str| client::get(url, ca_cert.as_ref(), path).await.unwrap().body;
        let catalogue = page("/devportal/apis").await;
        let link = catalogue.split("/devportal/apis/").nth(1);
        let id = link.and_then(|rest| rest.split(['"', '/']).next());
        page(&format!(
            "/devportal/apis/{}",
            id.expect("an API is listed")
        ))
        .await
    }

    pub(crate) async fn stop(mut self, signal: Signal) -> std::process::ExitStatus {
        kill_process(self.own_pid(), signal).unwrap();
        wait::within("`up` ends", self.child.wait()).await.unwrap()
    }
}

fn gone(pid: Pid) -> bool {
    test_kill_process(pid).is_err()
}

#[tokio::test]
async fn up_echoes_at_once_keeps_its_data_and_deletes_it_if_asked() {
    let folder = tempfile::tempdir().unwrap();
    let up = Up::start(folder.path(), &["--ports", "auto", "--data-planes", "2"]).await;
    assert!(up.text("/admin/url").starts_with("https://127.0.0.1:"));
    assert_eq!(up.text("/admin/username"), "admin");
    assert!(Path::new(up.text("/admin/ca_cert")).is_file());
    let portal = up.text("/portal/publisher");
    assert!(portal.starts_with("https://localhost:") && portal.ends_with("/publisher"));
    let accounts = up.line["portal"]["accounts"].clone();
    let names: Vec<_> = (0..4)
        .map(|index| accounts[index]["username"].clone())
        .collect();
    assert_eq!(names, ["creator", "publisher", "subscriber", "admin"]);
    assert!(up.text("/demo/url").ends_with("/echowebsocket/1.0"));
    assert!(up.text("/data_planes/0/wss").starts_with("wss://"));
    assert!(
        up.text("/data_planes/1/admin")
            .starts_with("http://127.0.0.1:")
    );
    for token in ["/demo/token", "/demo/unlimited_token"] {
        for node in [0, 1] {
            up.echo(node, up.text(token)).await;
        }
    }
    let password = up.text("/admin/password").to_owned();
    let client = client_of(up.text("/demo/token"));
    let mut pids = HashSet::new();
    for pointer in [
        "/control_plane/pid",
        "/data_planes/0/pid",
        "/data_planes/1/pid",
    ] {
        pids.insert(up.pid(pointer));
    }
    assert_eq!(pids.len(), 3, "separate processes");
    assert!(up.stop(Signal::INT).await.success());
    assert!(pids.iter().all(|pid| gone(*pid)), "a process was left");

    let again = Up::start(folder.path(), &["--ports", "auto"]).await;
    again.echo(0, again.text("/demo/token")).await;
    assert_eq!(again.text("/admin/password"), password);
    assert_eq!(again.line["portal"]["accounts"], accounts);
    assert_eq!(
        client_of(again.text("/demo/token")),
        client,
        "the same application's key"
    );
    assert!(again.stop(Signal::TERM).await.success());

    let fresh = Up::start(folder.path(), &["--ports", "auto", "--fresh"]).await;
    fresh.echo(0, fresh.text("/demo/token")).await;
    assert_ne!(
        client_of(fresh.text("/demo/token")),
        client,
        "it was to be forgotten"
    );
    assert!(fresh.stop(Signal::TERM).await.success());
}

#[tokio::test]
async fn the_portals_show_where_the_gateway_listens_after_each_start() {
    let folder = tempfile::tempdir().unwrap();
    let mut before = String::new();
    for start in ["first", "second"] {
        let up = Up::start(folder.path(), &["--ports", "auto"]).await;
        let shown = up.text("/demo/url").replace("127.0.0.1", "localhost");
        assert_ne!(shown, before, "the ports are others");
        assert!(
            up.page_of_the_demo().await.contains(&shown),
            "{start}: {shown}"
        );
        before = shown;
        assert!(up.stop(Signal::INT).await.success());
    }
}

/// The client id in an access token.
fn client_of(token: &str) -> String {
    use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};

    let claims = URL_SAFE_NO_PAD
        .decode(token.split('.').nth(1).unwrap())
        .unwrap();
    let claims: Value = serde_json::from_slice(&claims).unwrap();
    claims["client_id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn no_process_outlives_a_killed_up_and_a_dead_process_ends_up() {
    let folder = tempfile::tempdir().unwrap();
    let up = Up::start(folder.path(), &["--ports", "auto"]).await;
    let pids = [up.pid("/control_plane/pid"), up.pid("/data_planes/0/pid")];
    up.stop(Signal::KILL).await;
    wait::until("its processes are gone", async || {
        pids.iter().all(|pid| gone(*pid)).then_some(())
    })
    .await;

    let up = Up::start(folder.path(), &["--ports", "auto", "--no-demo"]).await;
    assert_eq!(up.line.get("demo"), None);
    let control_plane = up.pid("/control_plane/pid");
    kill_process(up.pid("/data_planes/0/pid"), Signal::KILL).unwrap();
    let mut child = up.child;
    let status = wait::within("`up` ends", child.wait()).await.unwrap();
    assert!(!status.success());
    assert!(gone(control_plane), "it brings the rest down");
}

#[tokio::test]
async fn a_taken_port_is_an_error_that_names_it() {
    // Somebody else's, if it is taken already.
    let _taken = TcpListener::bind("127.0.0.1:9443");
    let folder = tempfile::tempdir().unwrap();
    let output = wait::within("`up` ends", command(folder.path(), &[]).output())
        .await
        .unwrap();
    assert!(!output.status.success());
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(text.contains("9443"), "{text}");
    assert!(output.stdout.is_empty());
}

#[tokio::test]
async fn up_starts_a_private_redis_if_asked_and_stops_it_with_the_rest() {
    let folder = tempfile::tempdir().unwrap();
    let arguments = ["--ports", "auto", "--data-planes", "2"];
    let alone = Up::start(folder.path(), &arguments).await;
    assert!(alone.line["redis"].is_null(), "{}", alone.line);
    assert!(alone.stop(Signal::TERM).await.success());

    let arguments = [&arguments[..], &["--redis", "auto"]].concat();
    let up = Up::start(folder.path(), &arguments).await;
    let url = up.text("/redis/url").trim_start_matches("redis://:");
    let (password, address) = url.split_once('@').unwrap();
    let mut io = BufReader::new(TcpStream::connect(address).await.unwrap());
    let refused = redis::ask(&mut io, &["PING"]).await.unwrap();
    assert!(matches!(refused, Reply::Error(_)), "without its password");
    let answer = redis::ask(&mut io, &["AUTH", password]).await.unwrap();
    assert_eq!(answer, Reply::Text("OK".to_owned()));
    for node in [0, 1] {
        up.echo(node, up.text("/demo/token")).await;
    }
    let address = address.to_owned();
    assert!(up.stop(Signal::TERM).await.success());
    assert!(TcpStream::connect(address).await.is_err(), "Redis was left");
}

#[tokio::test]
async fn an_invalid_redis_is_an_error_before_anything_starts() {
    let folder = tempfile::tempdir().unwrap();
    let fails = async |redis: &str, path: &str| {
        let mut command = command(folder.path(), &["--ports", "auto", "--redis", redis]);
        let output = wait::within("`up` ends", command.env("PATH", path).output());
        let output = output.await.unwrap();
        assert!(!output.status.success());
        assert!(output.stdout.is_empty());
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    let path = std::env::var("PATH").unwrap();
    let text = fails("localhost:6379", &path).await;
    assert!(text.contains("redis://127.0.0.1:6379"), "{text}");
    let text = fails("redis://:secret@127.0.0.1:1", &path).await;
    assert!(text.contains("nothing listens at 127.0.0.1:1 "), "{text}");
    let text = fails("auto", "/nowhere").await;
    assert!(text.contains("redis-server is not installed"), "{text}");
    assert!(!text.contains("started"), "{text}");
}
