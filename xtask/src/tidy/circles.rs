//! No circle of imports between the files of a crate: what several files need stands below all of them.
//!
//! A module counts as using its children. The other way round, an import from an ancestor isn't counted: a child is a part
//! of its parent and may name what the parent declares (`super::Service`). What comes back to the child by a third file is
//! a circle all the same.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::{
    Fault,
    imports::{Import, imports, is_ancestor},
    source::Source,
};

/// The crates that are checked.
const CRATES: &[&str] = &["control-plane/src", "data-plane/src", "proto/kit/src"];

type Edges<'a> = BTreeMap<&'a str, BTreeMap<&'a str, &'a Import>>;

/// One fault for each set of files that import one another.
pub(super) fn faults(sources: &[Source]) -> Vec<Fault> {
    CRATES
        .iter()
        .flat_map(|folder| circles(&imports(sources, folder)))
        .collect()
}

fn circles(imports: &[Import]) -> Vec<Fault> {
    let mut edges = Edges::new();
    for it in imports {
        if !is_ancestor(&it.from, &it.to) {
            let from = edges.entry(it.from.as_str()).or_default();
            from.insert(it.to.as_str(), it);
        }
    }
    let mut told = BTreeSet::new();
    let mut faults = Vec::new();
    for start in edges.keys().copied() {
        if told.contains(start) {
            continue;
        }
        let Some(circle) = shortest(&edges, start) else {
            continue;
        };
        // One circle of several that hang together is enough to begin with.
        let reached = reached(&edges, start);
        let together = reached.iter().filter(|it| reached_from(&edges, it, start));
        told.extend(together.copied());
        let path: Vec<_> = circle.iter().map(|it| it.to.as_str()).collect();
        let path = path.join(" → ");
        faults.push(Fault {
            at: circle[0].at.clone(),
            message: format!(
                "imports in a circle: {start} → {path}. Move what both sides need below them, or turn one dependency round"
            ),
        });
    }
    faults
}

/// The shortest way from a module back to itself.
fn shortest<'a>(edges: &Edges<'a>, start: &'a str) -> Option<Vec<&'a Import>> {
    let mut came_by: BTreeMap<&str, &Import> = BTreeMap::new();
    let mut queue = VecDeque::from([start]);
    while let Some(at) = queue.pop_front() {
        for (to, import) in edges.get(at).into_iter().flatten() {
            if came_by.contains_key(to) {
                continue;
            }
            came_by.insert(to, import);
            queue.push_back(to);
        }
    }
    let mut way = vec![*came_by.get(start)?];
    while way[way.len() - 1].from != start {
        way.push(came_by[way[way.len() - 1].from.as_str()]);
    }
    way.reverse();
    Some(way)
}

fn reached<'a>(edges: &Edges<'a>, start: &'a str) -> BTreeSet<&'a str> {
    let mut reached = BTreeSet::new();
    let mut stack = vec![start];
    while let Some(at) = stack.pop() {
        for to in edges.get(at).into_iter().flat_map(BTreeMap::keys) {
            if reached.insert(*to) {
                stack.push(to);
            }
        }
    }
    reached
}

fn reached_from(edges: &Edges<'_>, from: &str, target: &str) -> bool {
    reached(edges, from).contains(target)
}

#[cfg(test)]
mod tests {
    use super::{CRATES, Source, faults};

    fn check(files: &[(&str, &str)]) -> Vec<String> {
        let sources: Vec<_> = files
            .iter()
            .map(|(path, text)| Source::new(&format!("{}/{path}", CRATES[0]), text))
            .collect();
        faults(&sources)
            .into_iter()
            .map(|fault| format!("{}: {}", fault.at, fault.message))
            .collect()
    }

    #[test]
    fn files_that_import_one_another_are_a_fault() {
        let found = check(&[
            ("a.rs", "//! A.\nuse crate::b::B;"),
            ("b.rs", "use crate::c::C;"),
            ("c.rs", "use super::a;"),
            ("d.rs", "use crate::a;"),
        ]);
        assert_eq!(found.len(), 1, "{found:?}");
        let circle = "src/a.rs:2: imports in a circle: a → b → c → a";
        assert!(found[0].contains(circle), "{found:?}");
    }

    #[test]
    fn a_child_may_name_its_parent_and_the_parent_its_children() {
        let parent = ("a.rs", "pub mod x;\nuse x::X;");
        assert!(check(&[parent, ("a/x.rs", "use super::A;")]).is_empty());
        let found = check(&[
            parent,
            ("a/x.rs", "use crate::b::B;"),
            ("b.rs", "use crate::a::A;"),
        ]);
        assert_eq!(found.len(), 1, "{found:?}");
    }

    #[test]
    fn a_line_of_imports_is_no_circle() {
        let found = check(&[
            ("a.rs", "use crate::{b::B, c::C};"),
            ("b.rs", "use crate::c::C;"),
            ("c.rs", ""),
        ]);
        assert!(found.is_empty(), "{found:?}");
    }
}
