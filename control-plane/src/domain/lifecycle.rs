//! The lifecycle of an API: its states, the named actions, and the one table of which action is allowed when.

use std::fmt;

use super::time::Timestamp;

/// The state of an API in its lifecycle.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Lifecycle {
    /// Being designed; seen by creators and publishers only.
    Created,
    /// Open for trials.
    Prototyped,
    /// Offered: visible and open for subscriptions.
    Published,
    /// Visible, but gateways refuse every session.
    Blocked,
    /// No new subscriptions; those that exist go on.
    Deprecated,
    /// Gone from the gateways for good.
    Retired,
}

/// A named step from one state to the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Action {
    /// Offers the API.
    Publish,
    /// Opens the API for trials.
    DeployAsPrototype,
    /// Takes the API back to design; subscriptions stay.
    DemoteToCreated,
    /// Closes the API for now.
    Block,
    /// Opens a blocked API again.
    Republish,
    /// Ends new subscriptions.
    Deprecate,
    /// Takes the API off the gateways for good.
    Retire,
}

/// One step of an API's history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LifecycleEvent {
    /// When.
    pub at: Timestamp,
    /// Who, by name.
    pub by: String,
    /// The action; `None` for the creation.
    pub action: Option<Action>,
    /// The state before; `None` for the creation.
    pub from: Option<Lifecycle>,
    /// The state after.
    pub to: Lifecycle,
}

/// How many steps of history an API keeps; older ones stay in the audit log.
pub const HISTORY_MAX: usize = 100;

/// Every allowed move. What is not in it is refused.
const MOVES: [(Lifecycle, Action, Lifecycle); 13] = {
    use Action::{
        Block, DemoteToCreated, DeployAsPrototype, Deprecate, Publish, Republish, Retire,
    };
    use Lifecycle::{Blocked, Created, Deprecated, Prototyped, Published, Retired};
    [
        (Created, Publish, Published),
        (Created, DeployAsPrototype, Prototyped),
        (Prototyped, Publish, Published),
        (Prototyped, DemoteToCreated, Created),
        (Prototyped, DeployAsPrototype, Prototyped),
        (Published, Block, Blocked),
        (Published, DeployAsPrototype, Prototyped),
        (Published, DemoteToCreated, Created),
        (Published, Deprecate, Deprecated),
        (Published, Publish, Published),
        (Blocked, Republish, Published),
        (Blocked, Deprecate, Deprecated),
        (Deprecated, Retire, Retired),
    ]
};

// === impl LifecycleEvent ===

impl LifecycleEvent {
    /// The first step: the creation.
    #[must_use]
    pub const fn created(at: Timestamp, by: String) -> Self {
        Self {
            at,
            by,
            action: None,
            from: None,
            to: Lifecycle::Created,
        }
    }
}

// === impl Lifecycle ===

impl Lifecycle {
    /// Every state.
    pub const ALL: [Self; 6] = [
        Self::Created,
        Self::Prototyped,
        Self::Published,
        Self::Blocked,
        Self::Deprecated,
        Self::Retired,
    ];

    /// The state after an action, or `None` when the action is not allowed in this state.
    #[must_use]
    pub fn after(self, action: Action) -> Option<Self> {
        MOVES
            .iter()
            .find(|(from, by, _)| (*from, *by) == (self, action))
            .map(|(_, _, to)| *to)
    }

    /// The actions that are allowed in this state.
    pub fn actions(self) -> impl Iterator<Item = Action> {
        Action::ALL
            .into_iter()
            .filter(move |&action| self.after(action).is_some())
    }

    /// Whether subscribers without a subscription see the API.
    #[must_use]
    pub const fn is_listed(self) -> bool {
        matches!(self, Self::Prototyped | Self::Published | Self::Blocked)
    }

    /// Whether applications may subscribe.
    #[must_use]
    pub const fn takes_subscriptions(self) -> bool {
        matches!(self, Self::Prototyped | Self::Published)
    }

    /// The name, as filters and the admin API write it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Created => "CREATED",
            Self::Prototyped => "PROTOTYPED",
            Self::Published => "PUBLISHED",
            Self::Blocked => "BLOCKED",
            Self::Deprecated => "DEPRECATED",
            Self::Retired => "RETIRED",
        }
    }
}

impl fmt::Display for Lifecycle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

// === impl Action ===

impl Action {
    /// Every action.
    pub const ALL: [Self; 7] = [
        Self::Publish,
        Self::DeployAsPrototype,
        Self::DemoteToCreated,
        Self::Block,
        Self::Republish,
        Self::Deprecate,
        Self::Retire,
    ];

    /// The name, as the admin API writes it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Publish => "PUBLISH",
            Self::DeployAsPrototype => "DEPLOY_AS_PROTOTYPE",
            Self::DemoteToCreated => "DEMOTE_TO_CREATED",
            Self::Block => "BLOCK",
            Self::Republish => "REPUBLISH",
            Self::Deprecate => "DEPRECATE",
            Self::Retire => "RETIRE",
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, prop_assert, proptest};

    use super::{Action, Lifecycle};

    #[test]
    fn each_state_allows_the_actions_that_users_know() {
        use Action::{
            Block, DemoteToCreated, DeployAsPrototype, Deprecate, Publish, Republish, Retire,
        };
        for (state, actions) in [
            (Lifecycle::Created, &[Publish, DeployAsPrototype][..]),
            (
                Lifecycle::Prototyped,
                &[Publish, DeployAsPrototype, DemoteToCreated],
            ),
            (
                Lifecycle::Published,
                &[
                    Publish,
                    DeployAsPrototype,
                    DemoteToCreated,
                    Block,
                    Deprecate,
                ],
            ),
            (Lifecycle::Blocked, &[Republish, Deprecate]),
            (Lifecycle::Deprecated, &[Retire]),
            (Lifecycle::Retired, &[]),
        ] {
            assert_eq!(state.actions().collect::<Vec<_>>(), actions, "{state}");
        }
    }

    proptest! {
        #[test]
        fn whatever_is_tried_an_action_leads_to_one_state_and_nothing_leaves_retired(
            tries in proptest::collection::vec(any::<u8>(), 0..64),
        ) {
            let mut state = Lifecycle::Created;
            let mut deprecated = false;
            for n in tries {
                let action = Action::ALL[usize::from(n) % Action::ALL.len()];
                let Some(next) = state.after(action) else { continue };
                prop_assert!(state != Lifecycle::Retired);
                let expected = match action {
                    Action::Publish | Action::Republish => Lifecycle::Published,
                    Action::DeployAsPrototype => Lifecycle::Prototyped,
                    Action::DemoteToCreated => Lifecycle::Created,
                    Action::Block => Lifecycle::Blocked,
                    Action::Deprecate => Lifecycle::Deprecated,
                    Action::Retire => Lifecycle::Retired,
                };
                prop_assert!(next == expected);
                // Nothing comes back from deprecation but retirement.
                prop_assert!(!deprecated || next == Lifecycle::Retired);
                deprecated |= next == Lifecycle::Deprecated;
                state = next;
            }
        }
    }
}
