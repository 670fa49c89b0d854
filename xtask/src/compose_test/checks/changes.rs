//! Changes around open sessions: the control plane restarts or is unreachable, a node is stopped, nodes are added and
//! removed. Called by `checks`.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use tokio::{
    task::JoinSet,
    time::{Instant, sleep, timeout},
};

use super::{Demo, HEALTHY, NODES, NOTICED, PLAN, publish, quotas::ready};
use crate::compose_test::{
    project::{ADMIN_PASSWORD, NAME, Project},
    publisher::Publisher,
    report::Report,
    sessions::{Crowd, Session},
};

/// How many sessions stay open through each change.
const CROWD: usize = 60;

/// How long the control plane is unreachable.
const AWAY: Duration = Duration::from_secs(30);

/// How many sessions a node has when it is stopped.
const SESSIONS: usize = 200;

/// The grace period of the compose file.
const GRACE: Duration = Duration::from_secs(45);

/// A longer gap is too long for a client that reconnects at once.
const GAP: Duration = Duration::from_secs(10);

/// All changes.
pub(super) async fn run(
    project: &Project<'_>,
    report: &mut Report,
    demo: &Demo,
) -> anyhow::Result<()> {
    report
        .check("control plane restarted", restarted(project, demo))
        .await?;
    report
        .check("control plane away for 30 s, and back", away(project, demo))
        .await?;
    report
        .check("a node stopped with 200 sessions", stopped(project, demo))
        .await?;
    report
        .check("a node killed (kill -9)", node_killed(project, demo))
        .await?;
    report
        .check("3, then 5, then 2 nodes", scaled(project, demo))
        .await?;
    report
        .check("back to 3 nodes", async {
            project.run(&["up", "--wait", "--no-recreate", "--scale=data-plane=3"])?;
            Ok(String::new())
        })
        .await
}

async fn restarted(project: &Project<'_>, demo: &Demo) -> anyhow::Result<String> {
    let crowd = Crowd::connect(CROWD, &demo.path, &demo.token).await?;
    project.run(&["restart", "control-plane"])?;
    connected(project).await?;
    let seen = crowd.stop().await?;
    ensure!(seen.reconnected == 0, "{} sessions ended", seen.reconnected);
    Ok(format!("{CROWD} sessions stayed open"))
}

/// The nodes keep serving their snapshot, and get the changes once they have reconnected.
async fn away(project: &Project<'_>, demo: &Demo) -> anyhow::Result<String> {
    let crowd = Crowd::connect(CROWD, &demo.path, &demo.token).await?;
    let network = format!("{NAME}_default");
    let container = project.container("control-plane")?;
    project.docker(&["network", "disconnect", &network, &container])?;
    sleep(AWAY).await;
    Session::open(&demo.path, &demo.token)
        .await
        .context("no new session without the control plane")?
        .echo("hello")
        .await?;
    project.docker(&[
        "network",
        "connect",
        "--alias=control-plane",
        &network,
        &container,
    ])?;
    connected(project).await?;
    let seen = crowd.stop().await?;
    ensure!(seen.reconnected == 0, "{} sessions ended", seen.reconnected);
    // The old channel may have broken with the network.
    let publisher = Publisher::sign_in(&project.ca_cert, ADMIN_PASSWORD).await?;
    publish(&publisher, "after", PLAN).await?;
    Ok(format!("{CROWD} sessions stayed open, a new API arrived"))
}

/// Every session of the node gets its close frame, and no other session ends.
async fn stopped(project: &Project<'_>, demo: &Demo) -> anyhow::Result<String> {
    let mut sessions = Vec::new();
    for _ in 0..SESSIONS * NODES {
        sessions.push(Session::open(&demo.path, &demo.token).await?);
    }
    let nodes = project.nodes()?;
    let (victim, status) = nodes
        .iter()
        .max_by_key(|(_, node)| node.sessions)
        .context("no node runs")?;
    ensure!(
        status.sessions >= SESSIONS,
        "it has {} sessions",
        status.sessions
    );
    let others = SESSIONS * NODES - status.sessions;
    let began = Instant::now();
    let mut ends = JoinSet::new();
    for session in sessions {
        ends.spawn(session.until_close());
    }
    // The clients run on other threads.
    project.docker(&["stop", "--time=45", victim])?;
    let took = began.elapsed();
    let mut codes = Vec::new();
    while codes.len() < status.sessions {
        let ended = timeout(NOTICED, ends.join_next()).await;
        codes.push(
            ended
                .context("a session of the node did not end")?
                .context("all ended")??,
        );
    }
    ensure!(
        codes.iter().all(|code| *code == Some(1001)),
        "sessions ended with {codes:?}"
    );
    ensure!(ends.len() == others, "sessions of other nodes ended");
    ensure!(took < GRACE, "it took {} s", took.as_secs());
    ends.shutdown().await;
    project.docker(&["start", victim])?;
    ready(project).await?;
    Ok(format!(
        "{} sessions ended with 1001 in {:.0} s, {others} others went on",
        codes.len(),
        took.as_secs_f32()
    ))
}

/// Clients of a killed node reconnect to the others.
async fn node_killed(project: &Project<'_>, demo: &Demo) -> anyhow::Result<String> {
    let crowd = Crowd::connect(CROWD, &demo.path, &demo.token).await?;
    let nodes = project.containers("data-plane")?;
    let victim = nodes.first().context("no node runs")?;
    project.docker(&["kill", "--signal=KILL", victim])?;
    sleep(Duration::from_secs(5)).await;
    let seen = crowd.stop().await?;
    ensure!(seen.reconnected > 0, "the node had no session");
    ensure!(
        seen.longest_gap < GAP,
        "the longest gap was {:?}",
        seen.longest_gap
    );
    project.docker(&["start", victim])?;
    ready(project).await?;
    Ok(format!(
        "{} of {CROWD} sessions reconnected, longest gap {:.1} s",
        seen.reconnected,
        seen.longest_gap.as_secs_f32()
    ))
}

/// Clients stay connected while the cluster grows and shrinks.
async fn scaled(project: &Project<'_>, demo: &Demo) -> anyhow::Result<String> {
    let crowd = Crowd::connect(CROWD, &demo.path, &demo.token).await?;
    for nodes in [5, 2] {
        let scale = format!("--scale=data-plane={nodes}");
        project.run(&["up", "--wait", "--no-recreate", &scale])?;
        project
            .until_nodes("the nodes are ready", HEALTHY, |seen| {
                seen.len() == nodes && seen.iter().all(|(_, node)| node.ready)
            })
            .await?;
    }
    let seen = crowd.stop().await?;
    ensure!(seen.reconnected > 0, "no session was moved");
    ensure!(
        seen.longest_gap < GAP,
        "the longest gap was {:?}",
        seen.longest_gap
    );
    Ok(format!(
        "{CROWD} sessions, {} times reconnected, longest gap {:.1} s",
        seen.reconnected,
        seen.longest_gap.as_secs_f32()
    ))
}

async fn connected(project: &Project<'_>) -> anyhow::Result<()> {
    project
        .until_nodes("every node is connected again", NOTICED, |nodes| {
            nodes.len() == NODES && nodes.iter().all(|(_, node)| node.control_plane_connected)
        })
        .await
}
