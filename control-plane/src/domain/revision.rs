//! Revisions, which are immutable copies of an API's design, and deployments, which put one on an environment.

use tidegate_proto::{
    ids::{ApiId, RevisionId},
    revision::RevisionNumber,
};

use super::{api::Design, name::EnvironmentName, time::Timestamp};

/// How many revisions an API may have at a time.
pub const REVISIONS_MAX: usize = 5;

/// An immutable copy of an API's design.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revision {
    /// The id.
    pub id: RevisionId,
    /// The API it is a copy of.
    pub api: ApiId,
    /// 1 for the first of the API, and so on; numbers are not used again.
    pub number: u32,
    /// Why it was made.
    pub description: String,
    /// The copy.
    pub design: Design,
    /// Who made it, by name.
    pub created_by: String,
    /// When it was made.
    pub created_at: Timestamp,
}

/// A revision that runs on a gateway environment; an API has at most one on each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deployment {
    /// The API.
    pub api: ApiId,
    /// Where it runs.
    pub environment: EnvironmentName,
    /// The revision that runs.
    pub revision: RevisionId,
    /// Who deployed it, by name.
    pub deployed_by: String,
    /// When it was deployed.
    pub deployed_at: Timestamp,
    /// The number of the state that has it; zero where that was not kept yet. Nodes at this number or a later one have
    /// seen it.
    pub number: RevisionNumber,
}
