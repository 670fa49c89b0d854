//! The checks of a cluster under docker-compose.yml, in the order in which a user does these things. Called by
//! `compose_test`.

mod quotas;
mod changes;

use std::time::Duration;

use anyhow::{Context as _, ensure};
use tidegate_proto::admin::v1::Api;
use tokio::{task::JoinSet, time::timeout};

use super::{
    project::{ADMIN_PASSWORD, Project, until},
    publisher::Publisher,
    report::Report,
    sessions::Session,
};

/// How many nodes docker-compose.yml starts by default.
const NODES: usize = 3;

/// The plan of most checks.
const PLAN: &str = "Unlimited";

/// How long containers may take to become healthy.
const HEALTHY: Duration = Duration::from_secs(90);

/// How long a node may take to notice a change around it.
const NOTICED: Duration = Duration::from_secs(60);

/// How many clients are connected when everything stops.
const CLIENTS: usize = 60;

/// An API and a token for it.
struct Demo {
    api: Api,
    path: String,
    token: String,
}

/// All checks, in order.
pub(super) async fn run(project: &Project<'_>, report: &mut Report) -> anyhow::Result<()> {
    report.step("ports are free", Project::check_ports)?;
    report.step("docker compose up --wait, 3 nodes", || {
        project.run(&["up", "--wait", "--wait-timeout=180"])
    })?;
    report
        .check("no process runs as root", users(project))
        .await?;
    fetch_ca(project)?;

    let mut publisher = Publisher::sign_in(&project.ca_cert, ADMIN_PASSWORD).await?;
    let mut demo = None;
    report
        .check("sign in, publish, subscribe, get a token", async {
            demo = Some(publish(&publisher, "echo", PLAN).await?);
            Ok("with TIDEGATE_ADMIN__PASSWORD from the file of settings".to_owned())
        })
        .await?;
    let demo = demo.context("the demo was not published")?;
    report
        .check("echo through each node", each_node(project, &demo))
        .await?;

    report
        .check("Redis asks for its password", redis_password(project))
        .await?;
    quotas::run(project, report, &publisher).await?;
    changes::run(project, report, &demo).await?;

    report
        .check(
            "down: every client gets a close frame",
            closed(project, &demo),
        )
        .await?;
    report
        .check("up keeps what was made", async {
            project.run(&["up", "--wait", "--wait-timeout=180"])?;
            publisher = Publisher::sign_in(&project.ca_cert, ADMIN_PASSWORD).await?;
            ensure!(publisher.count(&demo.api).await? == 1, "the API is gone");
            until_echo(&demo).await?;
            Ok("the same password, API, CA and token".to_owned())
        })
        .await?;
    report
        .check(
            "profile `demo` prints a line that works",
            demo_profile(project),
        )
        .await?;
    report
        .check("a join token replaced", join_token(project))
        .await?;
    report
        .check("another password for a lost one", lost_password(project))
        .await
}

/// Publishes an API at `/<context>/1.0` and gets a token for it.
async fn publish(publisher: &Publisher, context: &str, plan: &str) -> anyhow::Result<Demo> {
    let api = publisher.publish(context, plan).await?;
    let token = publisher.token(&api, plan).await?;
    let path = format!("/{context}/1.0");
    let demo = Demo { api, path, token };
    until_echo(&demo).await?;
    Ok(demo)
}

/// Waits until the gateways serve what was just changed.
async fn until_echo(demo: &Demo) -> anyhow::Result<()> {
    let mut last = None;
    let deadline = tokio::time::Instant::now() + NOTICED;
    while tokio::time::Instant::now() < deadline {
        match echo(&demo.path, &demo.token).await {
            Ok(()) => return Ok(()),
            Err(error) => last = Some(error),
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let last = last.unwrap_or_else(|| anyhow::anyhow!("it was not tried"));
    Err(last.context(format!("no echo at {}", demo.path)))
}

async fn echo(path: &str, token: &str) -> anyhow::Result<()> {
    Session::open(path, token).await?.echo("hello").await
}

/// Opens sessions until every node has one.
async fn spread(project: &Project<'_>, demo: &Demo) -> anyhow::Result<Vec<Session>> {
    let mut sessions = Vec::new();
    while sessions.len() < 4 * NODES {
        sessions.push(Session::open(&demo.path, &demo.token).await?);
        let nodes = project.nodes()?;
        if sessions.len() >= nodes.len() && nodes.iter().all(|(_, node)| node.sessions > 0) {
            return Ok(sessions);
        }
    }
    anyhow::bail!("{} sessions did not reach every node", sessions.len())
}

async fn each_node(project: &Project<'_>, demo: &Demo) -> anyhow::Result<String> {
    let mut sessions = spread(project, demo).await?;
    let nodes = project.nodes()?.len();
    ensure!(nodes == NODES, "{nodes} nodes run, not {NODES}");
    for session in &mut sessions {
        session.echo("hello").await?;
    }
    Ok(format!("{} sessions over {nodes} nodes", sessions.len()))
}

/// Checks the user id of the first process of each container.
async fn users(project: &Project<'_>) -> anyhow::Result<String> {
    let mut seen = Vec::new();
    for service in [
        "control-plane",
        "data-plane",
        "balancer",
        "redis",
        "demo-backend",
    ] {
        for container in project.containers(service)? {
            let status = project.docker(&["exec", &container, "cat", "/proc/1/status"])?;
            let uids = status.lines().find_map(|line| line.strip_prefix("Uid:"));
            let uid = uids.and_then(|uids| uids.split_whitespace().nth(1));
            let uid = uid.with_context(|| format!("{service} says no user"))?;
            ensure!(uid != "0", "{service} runs as root");
            seen.push(uid.to_owned());
        }
    }
    ensure!(seen.len() == NODES + 4, "{} containers run", seen.len());
    Ok(format!("user ids {}", seen.join(", ")))
}

/// `docker compose down` while clients are connected: each gets a close frame with code 1001 (going away).
async fn closed(project: &Project<'_>, demo: &Demo) -> anyhow::Result<String> {
    let mut ends = JoinSet::new();
    for _ in 0..CLIENTS {
        let session = Session::open(&demo.path, &demo.token).await?;
        ends.spawn(session.until_close());
    }
    project.run(&["down"])?;
    let codes = timeout(NOTICED, ends.join_all())
        .await
        .context("a session did not end")?;
    let closed = codes.iter().filter(|code| **code == Some(1001)).count();
    ensure!(closed == CLIENTS, "sessions ended with {codes:?}");
    Ok(format!("{closed} of {CLIENTS} sessions ended with 1001"))
}

fn fetch_ca(project: &Project<'_>) -> anyhow::Result<()> {
    let to = project.ca_cert.display().to_string();
    project.run(&["cp", "control-plane:/var/lib/tidegate/tls/ca.pem", &to])?;
    Ok(())
}

async fn redis_password(project: &Project<'_>) -> anyhow::Result<String> {
    let answer = project.run(&["exec", "-T", "redis", "redis-cli", "ping"])?;
    ensure!(
        answer.contains("NOAUTH"),
        "without a password it answers {answer}"
    );
    project
        .until_nodes("every node reaches Redis", NOTICED, |nodes| {
            nodes.iter().all(|(_, node)| node.ledger_fault.is_empty())
        })
        .await?;
    Ok("NOAUTH without it; every node reaches Redis with it".to_owned())
}

/// Runs the demo as a user would, and tries the command that it prints.
async fn demo_profile(project: &Project<'_>) -> anyhow::Result<String> {
    let printed = project.run(&["run", "--rm", "-T", "demo"])?;
    let line = printed
        .lines()
        .find(|line| line.trim_start().starts_with("websocat"))
        .context("no line to paste")?;
    let (before, url) = line.rsplit_once("' ").context("the line has no URL")?;
    let (_, token) = before.rsplit_once(' ').context("the line has no token")?;
    let path = url
        .strip_prefix(super::sessions::GATEWAY)
        .with_context(|| format!("{url} is not at the published port"))?;
    echo(path, token).await?;
    let copy = "docker compose cp control-plane:/var/lib/tidegate/tls/ca.pem ca.pem";
    ensure!(
        printed.contains(copy),
        "it does not say how to fetch the CA"
    );
    Ok(format!("an echo at {url}"))
}

/// Replaces a join token with an overlap, as described in docs/DEPLOYMENT.md; a node that starts afterwards joins.
async fn join_token(project: &Project<'_>) -> anyhow::Result<String> {
    let rotate = [
        "exec",
        "-T",
        "control-plane",
        "tidegate-control-plane",
        "rotate-join-token",
    ];
    project.run(&rotate)?;
    project.run(&["run", "--rm", "-T", "enrolment"])?;
    project.run(&[&rotate[..], &["--finish"]].concat())?;
    let nodes = project.containers("data-plane")?;
    let node = nodes.first().context("no node runs")?;
    project.docker(&["restart", node])?;
    project
        .until_nodes("the restarted node has joined", HEALTHY, |nodes| {
            nodes.len() == NODES
                && nodes
                    .iter()
                    .all(|(_, node)| node.ready && node.control_plane_connected)
        })
        .await?;
    Ok("a node restarted with the new one has joined".to_owned())
}

/// Resets a lost password of `admin`, as described in docs/DEPLOYMENT.md.
async fn lost_password(project: &Project<'_>) -> anyhow::Result<String> {
    project.run(&["stop", "control-plane"])?;
    let closed = project.run(&[
        "run",
        "--rm",
        "--no-deps",
        "-T",
        "control-plane",
        "reset-password",
        "admin",
    ])?;
    project.run(&["start", "control-plane"])?;
    let container = project.container("control-plane")?;
    until("the control plane is healthy", HEALTHY, || {
        let state = [
            "inspect",
            "--format",
            "{{.State.Health.Status}}",
            &container,
        ];
        project
            .docker(&state)
            .is_ok_and(|state| state.trim() == "healthy")
    })
    .await?;
    let password = closed
        .split_whitespace()
        .last()
        .context("no password was printed")?;
    Publisher::sign_in(&project.ca_cert, password).await?;
    Ok("reset-password admin, then signed in with what it printed".to_owned())
}
