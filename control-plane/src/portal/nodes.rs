//! Gateway nodes on pages: there may be thousands, so those that need a look come first, and the rest is counted.

use crate::discovery::fleet::NodeView;

/// How many stand on a page, over all that the page is about.
const MOST: usize = 40;
/// How many stand with each thing even where there are many things.
const LEAST: usize = 2;

/// Classes of badges, the worst first.
const TONES: [&str; 4] = ["bad", "off", "warn", "good"];

/// How many stand with each of so many things on a page.
pub(super) fn share(things: usize) -> usize {
    (MOST / things.max(1)).max(LEAST)
}

/// As many of the nodes as are shown, the worst first by the class of the badge that each has, and how many more there are.
pub(super) fn worst_first(
    mut nodes: Vec<NodeView>,
    most: usize,
    tone: impl Fn(&NodeView) -> &'static str,
) -> (Vec<NodeView>, usize) {
    let rank = |node: &NodeView| TONES.iter().position(|it| *it == tone(node));
    nodes.sort_by_key(rank);
    let more = nodes.len().saturating_sub(most);
    nodes.truncate(most);
    (nodes, more)
}
