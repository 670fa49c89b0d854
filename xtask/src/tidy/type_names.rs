//! One type name for one concept: no name stands twice in a plane for different things. Associated types are left out, and
//! so are types that only one file can see and that are called what everybody calls them.

use std::collections::BTreeMap;

use super::{
    Fault,
    source::{Source, code},
};

/// The crates that are checked.
const CRATES: &[&str] = &["proto/src/", "proto/kit/src/"];

/// Private names that are the usual ones in Rust for what is inside a handle, or for a row of a page.
const USUAL: &[&str] = &["Shared", "Row"];

/// The names that stand for two types or more.
pub(super) fn faults(sources: &[Source]) -> Vec<Fault> {
    CRATES
        .iter()
        .flat_map(|folder| {
            let of_crate = sources
                .iter()
                .filter(|source| source.path.starts_with(folder));
            twice(of_crate)
        })
        .collect()
}

fn twice<'a>(sources: impl Iterator<Item = &'a Source>) -> Vec<Fault> {
    let mut definitions: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for source in sources {
        for (number, line) in source.production() {
            match defined(code(line)) {
                Some((name, public)) if public || !USUAL.contains(&name) => {
                    let at = format!("{}:{number}", source.path);
                    definitions.entry(name).or_default().push(at);
                }
                _ => {}
            }
        }
    }
    definitions
        .into_iter()
        .filter(|(_, at)| at.len() > 1)
        .map(|(name, at)| Fault {
            message: format!(
                "`{name}` is also the name of a type in {}: call each by what it is",
                at[1..].join(", ")
            ),
            at: at[0].clone(),
        })
        .collect()
}

/// The type that a line defines, and whether other files may see it. An indented `type` is an associated one.
fn defined(line: &str) -> Option<(&str, bool)> {
    let item = line.trim_start();
    let (item, public) = match item.strip_prefix("pub") {
        Some(rest) => {
            let rest = match rest.strip_prefix('(') {
                Some(within) => within.split_once(')')?.1,
                None => rest,
            };
            (rest.trim_start(), true)
        }
        None => (item, false),
    };
    let (kind, rest) = item.split_once(' ')?;
    let is_type = match kind {
        "struct" | "enum" | "trait" | "union" => true,
        "type" => !line.starts_with(char::is_whitespace),
        _ => false,
    };
    let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_');
    let name = &rest[..end.unwrap_or(rest.len())];
    (is_type && name.starts_with(char::is_uppercase)).then_some((name, public))
}

#[cfg(test)]
mod tests {
    use super::{Source, defined, faults};

    fn check(first: &str, second: &str) -> usize {
        let sources = [
            Source::new("proto/src/a.rs", first),
            Source::new("proto/src/b.rs", second),
        ];
        faults(&sources).len()
    }

    #[test]
    fn a_name_that_stands_for_two_types_is_a_fault() {
        assert_eq!(check("pub struct Place {", "enum Place {"), 1);
        assert_eq!(check("pub struct Place {", "pub struct Seat;"), 0);
    }

    #[test]
    fn a_test_may_call_its_types_as_it_likes() {
        let test = "#[cfg(test)]\nmod tests {\n    struct Place;\n}";
        assert_eq!(check("pub struct Place {", test), 0);
    }

    #[test]
    fn what_is_inside_a_handle_may_have_the_usual_name() {
        assert_eq!(check("struct Shared {", "struct Shared {"), 0);
        assert_eq!(check("pub struct Shared {", "pub struct Shared {"), 1);
    }

    #[test]
    fn definitions_are_told_from_associated_types() {
        assert_eq!(defined("pub(super) struct A<T> {"), Some(("A", true)));
        assert_eq!(defined("    enum B {"), Some(("B", false)));
        assert_eq!(defined("type C = D;"), Some(("C", false)));
        assert_eq!(defined("    type Error = E;"), None);
        assert_eq!(defined("pub fn f() {}"), None);
    }
}
