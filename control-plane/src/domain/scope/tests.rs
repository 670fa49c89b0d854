//! Which scopes are well formed, and which are granted.

use super::{AllowedScopes, LIST_MAX, SCOPE_MAX, SCOPES_MAX, Scope, joined, requested};
use crate::domain::invalid::{Faults, reason};

fn read(texts: &[&str]) -> Result<AllowedScopes, Vec<(String, &'static str)>> {
    let texts: Vec<_> = texts.iter().map(|&text| text.to_owned()).collect();
    let mut faults = Faults::new();
    let scopes = AllowedScopes::read("scopes", &texts, &mut faults);
    match faults.finish() {
        Ok(()) => Ok(scopes),
        Err(invalid) => Err(invalid
            .violations
            .into_iter()
            .map(|it| (it.field, it.reason))
            .collect()),
    }
}

fn granted(allowed: &[&str], request: &str) -> Option<String> {
    let requested = requested(request).unwrap();
    let granted = read(allowed).unwrap().grant(&requested);
    granted.map(|scopes| joined(&scopes))
}

#[test]
fn what_is_granted_is_what_is_requested_and_allowed() {
    let allowed = ["read", "write"];
    assert_eq!(granted(&allowed, "read").as_deref(), Some("read"));
    assert_eq!(
        granted(&allowed, "write read").as_deref(),
        Some("write read")
    );
    assert_eq!(granted(&allowed, "read admin").as_deref(), Some("read"));
    assert_eq!(granted(&allowed, "read read").as_deref(), Some("read"));
    assert_eq!(granted(&allowed, "").as_deref(), Some(""));
    assert_eq!(granted(&[], "").as_deref(), Some(""));
    assert_eq!(granted(&allowed, "admin"), None);
    assert_eq!(granted(&allowed, "READ"), None);
    assert_eq!(granted(&[], "read"), None);
}

#[test]
fn a_scope_follows_the_grammar_of_the_rfc() {
    for good in [
        "a",
        "api:read",
        "https://scopes.example/a",
        "!",
        "~",
        "#[]^",
    ] {
        assert_eq!(Scope::parse(good).unwrap().as_str(), good);
    }
    for bad in [
        "", "a b", "a\"", "a\\", "\u{e4}", "a\tb", "a\n", "\0", "\u{7f}",
    ] {
        assert!(Scope::parse(bad).is_err(), "{bad:?}");
    }
    assert!(Scope::parse(&"x".repeat(SCOPE_MAX)).is_ok());
    let rule = Scope::parse(&"x".repeat(SCOPE_MAX + 1)).unwrap_err();
    assert_eq!(rule.reason, reason::TOO_LONG);
}

#[test]
fn a_request_has_one_blank_between_scopes_and_an_end() {
    assert_eq!(requested("").unwrap(), []);
    assert_eq!(joined(&requested("a b").unwrap()), "a b");
    for bad in [" ", " a", "a ", "a  b", "a\tb"] {
        assert!(requested(bad).is_err(), "{bad:?}");
    }
    let longest = vec!["x".repeat(99); 10].join(" ");
    assert!(longest.len() < LIST_MAX && requested(&longest).is_ok());
    assert!(requested(&format!("{longest} y")).is_err());
}

#[test]
fn every_fault_of_a_list_is_told_by_its_place() {
    let faults = read(&["a", "a", "b c"]).unwrap_err();
    assert_eq!(
        faults,
        [
            ("scopes[1]".to_owned(), reason::DUPLICATE),
            ("scopes[2]".to_owned(), reason::FORBIDDEN_CHARACTER),
        ]
    );
    let many: Vec<_> = (0..=SCOPES_MAX).map(|n| n.to_string()).collect();
    let many: Vec<_> = many.iter().map(String::as_str).collect();
    assert!(read(&many[..SCOPES_MAX]).is_ok());
    assert_eq!(
        read(&many).unwrap_err(),
        [("scopes".to_owned(), reason::TOO_LONG)]
    );
    let long: Vec<_> = (10..21).map(|n| format!("{n}{}", "x".repeat(98))).collect();
    let long: Vec<_> = long.iter().map(String::as_str).collect();
    assert!(read(&long[..9]).is_ok());
    assert_eq!(
        read(&long).unwrap_err(),
        [("scopes".to_owned(), reason::TOO_LONG)]
    );
}
