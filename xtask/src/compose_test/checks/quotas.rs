//! A plan that three nodes share: they never pass more than it allows, whatever fails. Called by `checks`.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, ensure};
use tokio::time::sleep;

use super::{Demo, HEALTHY, NODES, NOTICED, publish, spread};
use crate::compose_test::{
    project::Project, publisher::Publisher, report::Report, sessions::Session,
};

/// Messages in a minute.
const LIMIT: usize = 10;
const PLAN: &str = "TenPerMinute";

/// All checks of the plan.
pub(super) async fn run(
    project: &Project<'_>,
    report: &mut Report,
    publisher: &Publisher,
) -> anyhow::Result<()> {
    publisher.plan_per_minute(PLAN, LIMIT as i64).await?;
    let demo = publish(publisher, "counted", PLAN).await?;
    report
        .check("10 a minute over three nodes", shared(project, &demo))
        .await?;
    report
        .check(
            "the same while a node is killed (kill -9)",
            killed(project, &demo),
        )
        .await?;
    report
        .check("the same after the node is back", shared(project, &demo))
        .await?;
    report
        .check(
            "the same while Redis is stopped",
            without_redis(project, &demo),
        )
        .await?;
    report
        .check("the same after Redis is back", shared(project, &demo))
        .await
}

/// In one window, sessions at all nodes send three times as much as the plan allows.
async fn shared(project: &Project<'_>, demo: &Demo) -> anyhow::Result<String> {
    fresh_window().await;
    let mut sessions = spread(project, demo).await?;
    let echoes = flood(&mut sessions).await?;
    ensure!(echoes == LIMIT, "{echoes} messages passed, not {LIMIT}");
    Ok(format!(
        "{echoes} of {} messages passed",
        sessions.len() * LIMIT
    ))
}

/// A node dies with its grant: no other node may pass these messages again.
async fn killed(project: &Project<'_>, demo: &Demo) -> anyhow::Result<String> {
    fresh_window().await;
    let mut sessions = spread(project, demo).await?;
    let mut echoes = 0;
    for session in &mut sessions {
        echoes += session.count_echoes(1).await?;
    }
    let nodes = project.containers("data-plane")?;
    let victim = nodes.first().context("no node runs")?;
    project.docker(&["kill", "--signal=KILL", victim])?;
    // The session at the dead node ends; the others go on.
    let mut left = 0;
    for session in &mut sessions {
        if let Ok(more) = session.count_echoes(LIMIT).await {
            echoes += more;
            left += 1;
        }
    }
    ensure!(
        left > 0,
        "no session survived the loss of one node of {NODES}"
    );
    ensure!(
        echoes <= LIMIT,
        "{echoes} messages passed, more than {LIMIT}"
    );
    project.docker(&["start", victim])?;
    ready(project).await?;
    Ok(format!(
        "{echoes} passed in that minute, {left} sessions went on"
    ))
}

/// Without the ledger each node has its share, and all shares together are no more than the limit.
async fn without_redis(project: &Project<'_>, demo: &Demo) -> anyhow::Result<String> {
    project.run(&["stop", "redis"])?;
    project
        .until_nodes("every node reports that Redis is gone", NOTICED, |nodes| {
            nodes.iter().all(|(_, node)| !node.ledger_fault.is_empty())
        })
        .await?;
    fresh_window().await;
    let mut sessions = spread(project, demo).await?;
    let echoes = flood(&mut sessions).await?;
    ensure!(
        echoes <= LIMIT,
        "{echoes} messages passed, more than {LIMIT}"
    );
    ensure!(echoes > 0, "no message passed without Redis");
    project.run(&["start", "redis"])?;
    project
        .until_nodes("every node reaches Redis again", NOTICED, |nodes| {
            nodes.len() == NODES && nodes.iter().all(|(_, node)| node.ledger_fault.is_empty())
        })
        .await?;
    Ok(format!("{echoes} passed in that minute"))
}

async fn flood(sessions: &mut [Session]) -> anyhow::Result<usize> {
    let mut echoes = 0;
    for session in sessions {
        echoes += session.count_echoes(LIMIT).await?;
    }
    Ok(echoes)
}

/// Waits until all nodes are ready and the load balancer has had time to notice.
pub(super) async fn ready(project: &Project<'_>) -> anyhow::Result<()> {
    project
        .until_nodes("all nodes are ready", HEALTHY, |nodes| {
            nodes.len() == NODES
                && nodes
                    .iter()
                    .all(|(_, node)| node.ready && node.control_plane_connected)
        })
        .await?;
    sleep(Duration::from_secs(5)).await;
    Ok(())
}

/// Waits for the next minute: windows are minutes of the clock, and earlier checks have used up some of this one.
async fn fresh_window() {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    // One second later, so that all clocks have reached the minute.
    sleep(Duration::from_secs(61 - now.as_secs() % 60)).await;
}
