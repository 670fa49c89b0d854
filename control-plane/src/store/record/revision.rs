//! The records of revisions and deployments.

use serde::{Deserialize, Serialize};
use tidegate_proto::{
    ids::{ApiId, RevisionId},
    revision::RevisionNumber,
};
use uuid::Uuid;

use super::{
    Unreadable,
    api::uuid,
    design::{DesignV1, DesignV2},
    part,
};
use crate::domain::{
    name::EnvironmentName,
    revision::{Deployment, Revision},
    time::Timestamp,
};

#[derive(Serialize, Deserialize)]
pub(super) enum RevisionRecord {
    V1(RevisionV1),
    V2(RevisionV2),
    V3(RevisionV3),
}

#[derive(Serialize, Deserialize)]
pub(super) enum DeploymentRecord {
    V1(DeploymentV1),
    V2(DeploymentV2),
}

/// Knew no policies of topics.
#[derive(Serialize, Deserialize)]
pub(super) struct RevisionV1 {
    id: Uuid,
    api: Uuid,
    number: u32,
    description: String,
    design: DesignV1,
    created_by: String,
    created_at: u64,
}

/// Knew no setting for sandbox keys: it is off.
#[derive(Serialize, Deserialize)]
pub(super) struct RevisionV2 {
    id: Uuid,
    api: Uuid,
    number: u32,
    description: String,
    design: DesignV2,
    created_by: String,
    created_at: u64,
}

#[derive(Serialize, Deserialize)]
pub(super) struct RevisionV3 {
    #[serde(flatten)]
    v2: RevisionV2,
    sandbox_keys_on_production_endpoint: bool,
}

/// Knew not with which commit it began.
#[derive(Serialize, Deserialize)]
pub(super) struct DeploymentV1 {
    api: Uuid,
    environment: String,
    revision: Uuid,
    deployed_by: String,
    deployed_at: u64,
}

#[derive(Serialize, Deserialize)]
pub(super) struct DeploymentV2 {
    api: Uuid,
    environment: String,
    revision: Uuid,
    deployed_by: String,
    deployed_at: u64,
    number: u64,
}

// === impl RevisionRecord ===

impl From<&Revision> for RevisionRecord {
    fn from(revision: &Revision) -> Self {
        let v2 = RevisionV2 {
            id: uuid(revision.id.as_bytes()),
            api: uuid(revision.api.as_bytes()),
            number: revision.number,
            description: revision.description.clone(),
            design: DesignV2::from(&revision.design),
            created_by: revision.created_by.clone(),
            created_at: revision.created_at.millis(),
        };
        Self::V3(RevisionV3 {
            v2,
            sandbox_keys_on_production_endpoint: revision
                .design
                .endpoints
                .sandbox_keys_on_production,
        })
    }
}

impl RevisionRecord {
    pub(super) fn object(self) -> Result<Revision, Unreadable> {
        let RevisionV3 {
            v2: it,
            sandbox_keys_on_production_endpoint,
        } = match self {
            Self::V1(it) => it.next().next(),
            Self::V2(it) => it.next(),
            Self::V3(it) => it,
        };
        Ok(Revision {
            id: RevisionId::new(it.id),
            api: ApiId::new(it.api),
            number: it.number,
            description: it.description,
            design: it.design.design(sandbox_keys_on_production_endpoint)?,
            created_by: it.created_by,
            created_at: Timestamp::from_millis(it.created_at),
        })
    }
}

// === impl RevisionV1 ===

impl RevisionV1 {
    fn next(self) -> RevisionV2 {
        RevisionV2 {
            id: self.id,
            api: self.api,
            number: self.number,
            description: self.description,
            design: self.design.next(),
            created_by: self.created_by,
            created_at: self.created_at,
        }
    }
}

// === impl RevisionV2 ===

impl RevisionV2 {
    const fn next(self) -> RevisionV3 {
        RevisionV3 {
            v2: self,
            sandbox_keys_on_production_endpoint: false,
        }
    }
}

// === impl DeploymentRecord ===

impl From<&Deployment> for DeploymentRecord {
    fn from(deployment: &Deployment) -> Self {
        Self::V2(DeploymentV2 {
            api: uuid(deployment.api.as_bytes()),
            environment: deployment.environment.to_string(),
            revision: uuid(deployment.revision.as_bytes()),
            deployed_by: deployment.deployed_by.clone(),
            deployed_at: deployment.deployed_at.millis(),
            number: deployment.number.get(),
        })
    }
}

impl DeploymentRecord {
    pub(super) fn object(self) -> Result<Deployment, Unreadable> {
        let it = match self {
            Self::V1(it) => it.next(),
            Self::V2(it) => it,
        };
        Ok(Deployment {
            api: ApiId::new(it.api),
            environment: part("environment", EnvironmentName::parse(&it.environment))?,
            revision: RevisionId::new(it.revision),
            deployed_by: it.deployed_by,
            deployed_at: Timestamp::from_millis(it.deployed_at),
            number: RevisionNumber::new(it.number),
        })
    }
}

// === impl DeploymentV1 ===

impl DeploymentV1 {
    fn next(self) -> DeploymentV2 {
        DeploymentV2 {
            api: self.api,
            environment: self.environment,
            revision: self.revision,
            deployed_by: self.deployed_by,
            deployed_at: self.deployed_at,
            number: 0,
        }
    }
}
