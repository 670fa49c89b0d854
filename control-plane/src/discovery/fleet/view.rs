//! The fleet view of a node, by its last message. Read by `admin` and `portal`.

use tidegate_proto::revision::{ContentVersion, RevisionNumber};

use crate::domain::{name::EnvironmentName, revision::Deployment, time::Timestamp};

/// How a node is doing, by its last message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeView {
    /// The environment whose deployments it runs.
    pub environment: EnvironmentName,
    /// Its name, unique in the environment.
    pub name: String,
    /// The version of its software.
    pub software: String,
    /// Since when its stream is closed; `None` while it is open. How a node is that is not connected is not known, only
    /// what it said last.
    pub away: Option<Away>,
    /// The number of the configuration that it runs; zero when it has none.
    pub number: RevisionNumber,
    /// What it could not accept. It runs the last good version of each.
    pub rejections: Vec<RejectionView>,
    /// When it last said anything.
    pub last_seen: Timestamp,
    /// How many sessions were open on it then.
    pub open_sessions: u64,
    /// How it counted quotas then; `None` before it has said so.
    pub ledger: Option<LedgerView>,
}

/// A node whose stream is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Away {
    /// Since when.
    pub since: Timestamp,
    /// Whether it said goodbye, as a node does that is stopped: it is not expected back.
    pub stopped: bool,
}

/// How far a node is with a deployment, by its last message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress<'a> {
    /// It runs the deployment.
    Acknowledged,
    /// It runs a configuration from before the deployment.
    Behind,
    /// It could not accept the API as it is now, for this reason of the node.
    Rejected(&'a str),
}

/// The ledger of a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LedgerView {
    /// Whether other nodes share it.
    pub shared: bool,
    /// What is wrong with it, as the node reports; empty while it answers.
    pub fault: String,
}

/// A resource that a node could not accept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RejectionView {
    /// The resource's name in the stream, for example `apis/{uuid}`.
    pub resource: String,
    /// The version that was rejected.
    pub version: ContentVersion,
    /// What is wrong with it, as the node reports.
    pub reason: String,
}

// === impl NodeView ===

impl NodeView {
    /// Whether its stream is open.
    #[must_use]
    pub const fn connected(&self) -> bool {
        self.away.is_none()
    }

    /// How many commits the node is behind a state.
    #[must_use]
    pub const fn lag(&self, latest: RevisionNumber) -> u64 {
        self.number.lag_behind(latest)
    }

    /// How far the node is with a deployment on its environment.
    #[must_use]
    pub fn progress(&self, deployment: &Deployment) -> Progress<'_> {
        if self.number < deployment.number || self.number == RevisionNumber::ZERO {
            return Progress::Behind;
        }
        // On the wire an API and what is deployed of it are one resource.
        let resource = format!("apis/{}", deployment.api);
        match self.rejections.iter().find(|it| it.resource == resource) {
            Some(rejection) => Progress::Rejected(&rejection.reason),
            None => Progress::Acknowledged,
        }
    }
}
