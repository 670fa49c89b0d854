//! Which module of a crate imports which. Read as text from `use` items and from paths such as `crate::a::b` in code;
//! tests, and modules that are only compiled for tests, are left out.

use std::{
    collections::BTreeMap,
    iter::{Peekable, from_fn},
    str::CharIndices,
};

use super::source::{Source, code, module};

/// One file names something of another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Import {
    /// The module that imports, such as `store::record`; empty for the root of the crate.
    pub(super) from: String,
    /// The module that owns what is imported. An item that is re-exported belongs to the module that re-exports it.
    pub(super) to: String,
    /// The file and line.
    pub(super) at: String,
}

#[derive(Clone, Copy, Debug)]
struct Token<'a> {
    text: &'a str,
    line: usize,
}

/// A path as it is written, in segments.
type Segments<'a> = Vec<Token<'a>>;

/// The imports between the files below a folder, which is the `src` of a crate. `main.rs` is a crate of its own.
pub(super) fn imports(sources: &[Source], folder: &str) -> Vec<Import> {
    let modules: BTreeMap<String, &Source> = sources
        .iter()
        .filter(|source| !source.is_test())
        .filter_map(|source| Some((module_of(&source.path, folder)?, source)))
        .collect();
    let mut found: Vec<Import> = Vec::new();
    for (from, source) in &modules {
        let children: Vec<_> = source
            .production()
            .filter_map(|(_, line)| module(line))
            .filter(|name| modules.contains_key(&join(from, name)))
            .collect();
        let tokens = tokens(source);
        for path in paths(&tokens, &children) {
            let line = path[0].line;
            let Some(to) = resolve(from, &path, &children, &modules) else {
                continue;
            };
            let at = format!("{}:{line}", source.path);
            if to != *from && !found.iter().any(|it| it.from == *from && it.to == to) {
                let from = from.clone();
                found.push(Import { from, to, at });
            }
        }
    }
    found
}

/// Whether a module is an ancestor of another.
pub(super) fn is_ancestor(of: &str, module: &str) -> bool {
    module.is_empty() && !of.is_empty()
        || of
            .strip_prefix(module)
            .is_some_and(|rest| rest.starts_with("::"))
}

fn module_of(path: &str, folder: &str) -> Option<String> {
    let inner = path.strip_prefix(folder)?.strip_prefix('/')?;
    match inner.strip_suffix(".rs")? {
        "lib" => Some(String::new()),
        "main" => None,
        name => Some(name.replace('/', "::")),
    }
}

fn join(parent: &str, child: &str) -> String {
    if parent.is_empty() {
        child.to_owned()
    } else {
        format!("{parent}::{child}")
    }
}

fn parent(module: &str) -> String {
    let parent = module.rsplit_once("::").map(|(parent, _)| parent);
    parent.unwrap_or_default().to_owned()
}

/// The module with the longest path that is a beginning of this one; `None` where the path leads to another crate.
fn resolve(
    from: &str,
    path: &[Token<'_>],
    children: &[&str],
    modules: &BTreeMap<String, &Source>,
) -> Option<String> {
    let mut rest = path;
    let mut at = match path[0].text {
        "crate" => String::new(),
        "self" | "super" => from.to_owned(),
        child if children.contains(&child) => join(from, child),
        _ => return None,
    };
    if path[0].text != "super" {
        rest = &rest[1..];
    }
    while rest.first().is_some_and(|it| it.text == "super") {
        at = parent(&at);
        rest = &rest[1..];
    }
    for segment in rest {
        let next = join(&at, segment.text);
        if !modules.contains_key(&next) {
            break;
        }
        at = next;
    }
    Some(at)
}

/// The paths of a file that may lead to another file of the crate.
fn paths<'a>(tokens: &[Token<'a>], children: &[&str]) -> Vec<Segments<'a>> {
    let text = |at: usize| tokens.get(at).map_or("", |token| token.text);
    let mut found = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        let before = at.checked_sub(1).map_or("", text);
        let is_item = matches!(before, "" | ";" | "{" | "}" | "]" | ")" | "pub");
        if text(at) == "use" && is_item {
            at = use_tree(tokens, at + 1, &[], &mut found);
            continue;
        }
        let is_local =
            matches!(text(at), "crate" | "self" | "super") || children.contains(&text(at));
        if !is_local || text(at + 1) != "::" || matches!(before, "::" | "." | "in") {
            at += 1;
            continue;
        }
        let mut path = vec![tokens[at]];
        at += 1;
        while text(at) == "::" && is_name(text(at + 1)) {
            path.push(tokens[at + 1]);
            at += 2;
        }
        found.push(path);
    }
    found
}

/// Reads what follows `use`, or a part of it, and returns where it ends.
fn use_tree<'a>(
    tokens: &[Token<'a>],
    mut at: usize,
    prefix: &[Token<'a>],
    found: &mut Vec<Segments<'a>>,
) -> usize {
    let text = |at: usize| tokens.get(at).map_or(";", |token| token.text);
    let mut path = prefix.to_vec();
    loop {
        match text(at) {
            "{" => {
                at += 1;
                while !matches!(text(at), "}" | ";") {
                    at = use_tree(tokens, at, &path, found);
                    if text(at) == "," {
                        at += 1;
                    }
                }
                return at + 1;
            }
            "::" => at += 1,
            name if is_name(name) || name == "*" => {
                // `a::{self, b}` imports `a`.
                if name != "self" || path.is_empty() {
                    path.push(tokens[at]);
                }
                at += 1;
                if text(at) == "as" {
                    at += 2;
                }
                if text(at) != "::" {
                    found.push(path);
                    return at;
                }
            }
            _ => return at + 1,
        }
    }
}

fn is_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_alphabetic() || c == '_')
}

/// The names and signs of a file's production code.
fn tokens(source: &Source) -> Vec<Token<'_>> {
    let lines = source.production();
    lines
        .flat_map(|(line, text)| {
            let text = code(text);
            let mut chars = text.char_indices().peekable();
            from_fn(move || next(text, &mut chars)).map(move |text| Token { text, line })
        })
        .collect()
}

fn next<'a>(text: &'a str, chars: &mut Peekable<CharIndices<'a>>) -> Option<&'a str> {
    let part_of_name = |c: char| c.is_alphanumeric() || c == '_';
    loop {
        let (from, first) = chars.next()?;
        let mut to = from + first.len_utf8();
        if first == '"' {
            // A string that goes on in the next line takes the rest of this one.
            while let Some((_, c)) = chars.next() {
                match c {
                    '\\' => drop(chars.next()),
                    '"' => break,
                    _ => {}
                }
            }
            continue;
        }
        if first.is_whitespace() {
            continue;
        }
        if part_of_name(first) {
            while let Some((at, c)) = chars.next_if(|(_, c)| part_of_name(*c)) {
                to = at + c.len_utf8();
            }
        } else if first == ':' && chars.next_if(|(_, c)| *c == ':').is_some() {
            to += 1;
        }
        return Some(&text[from..to]);
    }
}

#[cfg(test)]
mod tests {
    use super::{Source, imports, is_ancestor};

    fn of_b(text: &str) -> Vec<String> {
        let sources = [
            Source::new("p/src/lib.rs", "pub mod a;\npub mod b;\nmod c;"),
            Source::new("p/src/a.rs", "pub mod x;\npub mod y;"),
            Source::new("p/src/a/x.rs", ""),
            Source::new("p/src/a/y.rs", ""),
            Source::new("p/src/b.rs", text),
            Source::new("p/src/b/child.rs", ""),
            Source::new("p/src/c.rs", ""),
        ];
        let found = imports(&sources, "p/src").into_iter();
        found
            .filter(|it| it.from == "b")
            .map(|it| it.to)
            .collect::<Vec<_>>()
    }

    #[test]
    fn a_use_tree_leads_to_every_file_in_it() {
        let text = "use crate::{\n    a::{self, x::{A, B}, y},\n    c::C as D,\n};\nuse std::a;";
        assert_eq!(of_b(text), ["a", "a::x", "a::y", "c"]);
    }

    #[test]
    fn a_path_in_code_leads_to_a_file_and_one_in_a_comment_or_a_string_does_not() {
        assert_eq!(of_b("fn f() { crate::a::x::g::<T>(); }"), ["a::x"]);
        assert_eq!(of_b("fn f() { super::c::g(); }"), ["c"]);
        assert!(of_b("// crate::a\nconst A: &str = \"crate::a\";").is_empty());
        assert!(of_b("pub(in crate::a) fn f() {}").is_empty());
    }

    #[test]
    fn a_module_imports_its_children_by_their_names() {
        assert_eq!(of_b("mod child;\nuse child::C;"), ["b::child"]);
        assert_eq!(of_b("mod child;\nfn f() { child::g(); }"), ["b::child"]);
        assert!(of_b("fn f() { child::g(); }").is_empty());
    }

    #[test]
    fn tests_import_what_they_like() {
        assert!(of_b("#[cfg(test)]\nmod tests {\nuse crate::a;\n}").is_empty());
    }

    #[test]
    fn an_ancestor_is_a_beginning_of_the_path() {
        assert!(is_ancestor("a::b::c", "a::b") && is_ancestor("a", ""));
        assert!(
            !is_ancestor("a::bc", "a::b") && !is_ancestor("a", "a") && !is_ancestor("a", "a::b")
        );
    }
}
