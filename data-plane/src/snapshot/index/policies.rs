//! The policies of a snapshot, by what a handshake looks them up with.
//!
//! Owns that a deny policy is found by hashing, however many there are: by API, application and user, and by address once
//! for each length of range that is in use. Owns, too, which headers and query parameters any condition looks at.

use std::{net::IpAddr, sync::Arc};

use imbl::{HashMap, OrdMap};
use ipnet::IpNet;
use tidegate_proto::ids::DenyPolicyId;

use crate::snapshot::model::policy::{ApiPolicy, ApplicationPolicy, DenyPolicy, Subject, Target};

/// The policies of a snapshot.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::snapshot) struct Policies {
    application: HashMap<Arc<str>, Arc<ApplicationPolicy>>,
    api: HashMap<Arc<str>, Arc<ApiPolicy>>,
    deny: HashMap<DenyPolicyId, Arc<DenyPolicy>>,
    /// Deny policies by whom they are about, but for the inverted.
    by_target: HashMap<Target, Vec<Arc<DenyPolicy>>>,
    /// Inverted address policies, each of which blocks all other addresses. There are few of them.
    inverted: HashMap<DenyPolicyId, Arc<DenyPolicy>>,
    /// How many policies there are about ranges of each length, by the length of an address in bits and that of the range.
    lengths: OrdMap<(u8, u8), usize>,
    /// How many conditions look at each header, and at each query parameter.
    headers: Counts,
    parameters: Counts,
}

/// How many conditions name each name.
type Counts = HashMap<Arc<str>, usize>;

// === impl Policies ===

impl Policies {
    pub(in crate::snapshot) fn application(&self, name: &str) -> Option<&Arc<ApplicationPolicy>> {
        self.application.get(name)
    }

    pub(in crate::snapshot) fn api(&self, name: &str) -> Option<&Arc<ApiPolicy>> {
        self.api.get(name)
    }

    /// The names of headers, in lower case, that conditions look at.
    pub(in crate::snapshot) fn headers(&self) -> impl Iterator<Item = &Arc<str>> {
        self.headers.keys()
    }

    /// The names of query parameters that conditions look at.
    pub(in crate::snapshot) fn parameters(&self) -> impl Iterator<Item = &Arc<str>> {
        self.parameters.keys()
    }

    /// Whether there is no deny policy.
    pub(in crate::snapshot) fn denies_nobody(&self) -> bool {
        self.deny.is_empty()
    }

    /// Whom a deny policy is about.
    pub(in crate::snapshot) fn target(&self, id: DenyPolicyId) -> Option<&Target> {
        self.deny.get(&id).map(|policy| &policy.target)
    }

    /// The deny policies about a target.
    pub(in crate::snapshot) fn about(
        &self,
        target: &Target,
    ) -> impl Iterator<Item = &Arc<DenyPolicy>> {
        self.by_target.get(target).into_iter().flatten()
    }

    /// The deny policies that block an address: those with a range that contains it, and inverted ones with a range
    /// that doesn't.
    pub(in crate::snapshot) fn about_address(
        &self,
        address: IpAddr,
    ) -> impl Iterator<Item = &Arc<DenyPolicy>> {
        let bits = bits(address);
        let lengths = self.lengths.range((bits, 0)..=(bits, bits));
        let within = lengths.filter_map(move |(&(_, length), _)| {
            let range = IpNet::new(address, length).ok()?.trunc();
            self.by_target.get(&Target::Address(range))
        });
        let others = self.inverted.values().filter(move |policy| {
            matches!(policy.target, Target::Address(range) if !range.contains(&address))
        });
        within.flatten().chain(others)
    }

    pub(super) fn put_application(&mut self, policy: Arc<ApplicationPolicy>) {
        self.application.insert(policy.name.clone(), policy);
    }

    pub(super) fn put_api(&mut self, policy: Arc<ApiPolicy>) {
        for subject in policy.subjects() {
            if let Some((names, name)) = self.names(subject) {
                *names.entry(name.clone()).or_default() += 1;
            }
        }
        self.api.insert(policy.name.clone(), policy);
    }

    pub(super) fn put_deny(&mut self, policy: Arc<DenyPolicy>) {
        self.deny.insert(policy.id, policy.clone());
        if policy.invert {
            self.inverted.insert(policy.id, policy);
            return;
        }
        if let Target::Address(range) = policy.target {
            *self.lengths.entry(length(range)).or_default() += 1;
        }
        let about = self.by_target.entry(policy.target.clone()).or_default();
        // In the order of their ids, so that equal configurations are equal values.
        let at = about.partition_point(|other| other.id < policy.id);
        about.insert(at, policy);
    }

    /// Where the name that a condition looks at is counted.
    fn names<'a>(&mut self, subject: &'a Subject) -> Option<(&mut Counts, &'a Arc<str>)> {
        match subject {
            Subject::Header(sought) => Some((&mut self.headers, &sought.name)),
            Subject::Query(sought) => Some((&mut self.parameters, &sought.name)),
            Subject::Address(_) | Subject::Claim(_) => None,
        }
    }

    pub(super) fn take_application(&mut self, name: &str) -> Option<Arc<ApplicationPolicy>> {
        self.application.remove(name)
    }

    pub(super) fn take_api(&mut self, name: &str) -> Option<Arc<ApiPolicy>> {
        let policy = self.api.remove(name)?;
        for subject in policy.subjects() {
            if let Some((names, name)) = self.names(subject)
                && let Some(count) = names.get_mut(name)
            {
                *count -= 1;
                if *count == 0 {
                    names.remove(name);
                }
            }
        }
        Some(policy)
    }

    pub(super) fn take_deny(&mut self, id: DenyPolicyId) -> Option<Arc<DenyPolicy>> {
        let policy = self.deny.remove(&id)?;
        if policy.invert {
            self.inverted.remove(&id);
            return Some(policy);
        }
        if let Target::Address(range) = policy.target {
            let key = length(range);
            if let Some(count) = self.lengths.get_mut(&key) {
                *count -= 1;
                if *count == 0 {
                    self.lengths.remove(&key);
                }
            }
        }
        if let Some(about) = self.by_target.get_mut(&policy.target) {
            about.retain(|other| other.id != id);
            if about.is_empty() {
                self.by_target.remove(&policy.target);
            }
        }
        Some(policy)
    }
}

/// The length of an address of a range in bits, and that of the range.
fn length(range: IpNet) -> (u8, u8) {
    (range.max_prefix_len(), range.prefix_len())
}

fn bits(address: IpAddr) -> u8 {
    match address {
        IpAddr::V4(_) => 32,
        IpAddr::V6(_) => 128,
    }
}
