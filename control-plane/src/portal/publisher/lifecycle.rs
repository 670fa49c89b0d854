//! The lifecycle as people see it: a diagram of the states and the transitions, and what each action does.

use crate::domain::lifecycle::{Action, Lifecycle};

/// The diagram: boxes and arrows in a field of 320 by 232.
pub(super) struct Diagram {
    pub(super) boxes: Vec<StateBox>,
    pub(super) arrows: Vec<Arrow>,
    /// The same for those who don't see it.
    pub(super) description: String,
}

/// A state in the diagram, by its upper left corner.
pub(super) struct StateBox {
    pub(super) name: &'static str,
    pub(super) x: u16,
    pub(super) y: u16,
    pub(super) is_now: bool,
    pub(super) is_next: bool,
}

/// A transition from a state to another one.
pub(super) struct Arrow {
    /// Both ends, as `x1`, `y1`, `x2`, `y2`.
    pub(super) ends: [u16; 4],
    /// Whether it begins at the present state.
    pub(super) is_open: bool,
}

/// Where each state stands.
const POSITIONS: [(Lifecycle, u16, u16); 6] = [
    (Lifecycle::Created, 2, 4),
    (Lifecycle::Prototyped, 198, 4),
    (Lifecycle::Published, 2, 96),
    (Lifecycle::Blocked, 198, 96),
    (Lifecycle::Deprecated, 2, 188),
    (Lifecycle::Retired, 198, 188),
];

/// Where the arrow between two states runs.
const TRANSITIONS: [(Lifecycle, Lifecycle, [u16; 4]); 11] = {
    use Lifecycle::{Blocked, Created, Deprecated, Prototyped, Published, Retired};
    [
        (Created, Prototyped, [122, 18, 194, 18]),
        (Prototyped, Created, [198, 30, 126, 30]),
        (Created, Published, [52, 44, 52, 92]),
        (Published, Created, [72, 96, 72, 48]),
        (Prototyped, Published, [204, 44, 110, 93]),
        (Published, Prototyped, [122, 100, 220, 48]),
        (Published, Blocked, [122, 110, 194, 110]),
        (Blocked, Published, [198, 122, 126, 122]),
        (Published, Deprecated, [62, 136, 62, 184]),
        (Blocked, Deprecated, [210, 136, 116, 185]),
        (Deprecated, Retired, [122, 208, 194, 208]),
    ]
};

// === impl Diagram ===

impl Diagram {
    /// The diagram of an API in a state.
    pub(super) fn of(now: Lifecycle) -> Self {
        let leads = |to| moves(now).any(|action| now.after(action) == Some(to));
        let boxes = POSITIONS.into_iter().map(|(state, x, y)| StateBox {
            name: name(state),
            x,
            y,
            is_now: state == now,
            is_next: leads(state),
        });
        let arrows = TRANSITIONS.into_iter().map(|(from, _, ends)| Arrow {
            ends,
            is_open: from == now,
        });
        let boxes: Vec<_> = boxes.collect();
        let next: Vec<_> = boxes
            .iter()
            .filter(|it| it.is_next)
            .map(|it| it.name)
            .collect();
        let next = if next.is_empty() {
            "No further changes are possible".to_owned()
        } else {
            format!("It can change to {}", next.join(" or "))
        };
        Self {
            description: format!("The API is {}. {next}.", name(now)),
            boxes,
            arrows: arrows.collect(),
        }
    }
}

/// The actions that lead an API out of a state.
pub(super) fn moves(now: Lifecycle) -> impl Iterator<Item = Action> {
    now.actions()
        .filter(move |&action| now.after(action) != Some(now))
}

/// The name of a state.
pub(super) const fn name(state: Lifecycle) -> &'static str {
    match state {
        Lifecycle::Created => "Created",
        Lifecycle::Prototyped => "Prototyped",
        Lifecycle::Published => "Published",
        Lifecycle::Blocked => "Blocked",
        Lifecycle::Deprecated => "Deprecated",
        Lifecycle::Retired => "Retired",
    }
}

/// The name of an action, and what it does.
pub(super) const fn describe(action: Action) -> (&'static str, &'static str) {
    match action {
        Action::Publish => (
            "Publish",
            "Developers can find the API and subscribe. Requires an endpoint and a plan.",
        ),
        Action::DeployAsPrototype => ("Deploy as prototype", "Makes the API available for trials."),
        Action::DemoteToCreated => (
            "Demote to created",
            "Removes the API from the developer portal. Subscriptions stay.",
        ),
        Action::Block => (
            "Block",
            "Gateways refuse all sessions until the API is re-published.",
        ),
        Action::Republish => ("Re-publish", "Gateways accept sessions again."),
        Action::Deprecate => (
            "Deprecate",
            "No new subscriptions; existing ones continue. This can't be undone.",
        ),
        Action::Retire => (
            "Retire",
            "Removes the API from all gateways permanently. This can't be undone.",
        ),
    }
}

/// Reads an action by its name in the admin API.
pub(super) fn read(text: &str) -> Option<Action> {
    Action::ALL.into_iter().find(|it| it.as_str() == text)
}

#[cfg(test)]
mod tests {
    use super::{Diagram, TRANSITIONS, moves};
    use crate::domain::lifecycle::Lifecycle;

    #[test]
    fn the_diagram_has_every_transition_that_is_allowed_and_no_other() {
        for from in Lifecycle::ALL {
            let mut drawn: Vec<_> = TRANSITIONS
                .iter()
                .filter(|it| it.0 == from)
                .map(|it| it.1)
                .collect();
            let mut allowed: Vec<_> = moves(from).filter_map(|it| from.after(it)).collect();
            drawn.sort_unstable();
            allowed.sort_unstable();
            assert_eq!(drawn, allowed, "{from}");
        }
    }

    #[test]
    fn the_diagram_describes_what_it_shows() {
        let description = Diagram::of(Lifecycle::Blocked).description;
        assert_eq!(
            description,
            "The API is Blocked. It can change to Published or Deprecated."
        );
        assert!(
            Diagram::of(Lifecycle::Retired)
                .description
                .contains("No further")
        );
    }
}
