//! Business plans: what a subscription may consume.

use tidegate_proto::quota::{Allowance, Amount, Limits, Window};

use super::{meta::ResourceMeta, name::PlanName, time::Timestamp};

/// A business plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// The name, unique but for letter case. Does not change.
    pub name: PlanName,
    /// What people read.
    pub display_name: String,
    /// What it is for.
    pub description: String,
    /// What each subscription under it may use.
    pub limits: Limits,
    /// When it was created and last changed, and its etag.
    pub meta: ResourceMeta,
}

/// The plans that ship: name and messages a day.
const SHIPPED: [(&str, Option<u64>); 4] = [
    ("Unlimited", None),
    ("Gold", Some(50_000)),
    ("Silver", Some(25_000)),
    ("Bronze", Some(5_000)),
];

// === impl Plan ===

impl Plan {
    /// The plans of a new store.
    pub fn shipped(now: Timestamp) -> impl Iterator<Item = Self> {
        SHIPPED.into_iter().map(move |(name, limit)| Self {
            name: PlanName::parse(name).expect("shipped names are valid"),
            display_name: name.to_owned(),
            description: match limit {
                Some(limit) => format!("{limit} messages a day"),
                None => "no limit".to_owned(),
            },
            limits: Limits {
                messages: limit.map(|messages| Allowance {
                    amount: Amount::try_new(messages).expect("shipped amounts are valid"),
                    window: Window::DAY,
                }),
                ..Limits::default()
            },
            meta: ResourceMeta::new(now),
        })
    }
}
