//! Filters that read and filters that do not.

use super::{super::kind, Filter, Kind, Value};
use crate::domain::invalid::reason;

const FIELDS: [(&str, Kind); 11] = [
    ("name", Kind::Text),
    ("state", Kind::Word(|| vec!["CREATED", "PUBLISHED"])),
    ("tags", Kind::Text),
    ("time", Kind::Time),
    ("count", Kind::Number),
    ("plan", kind::PLAN),
    ("policy", kind::API_POLICY),
    ("from", kind::ADDRESS),
    ("by", kind::ACTOR),
    ("api", kind::API),
    ("open", Kind::Bool),
];

fn fits(filter: &str) -> bool {
    let filter = Filter::parse(filter, &FIELDS).unwrap();
    filter.matches(|field| match field {
        "name" => Value::text("Echo \"loud\""),
        "state" => Value::text("PUBLISHED"),
        "tags" => Value::Texts(vec!["chat".to_owned(), "rooms".to_owned()]),
        "time" => Value::Time(1_700_000_000_000),
        "plan" => Value::text("Gold"),
        "policy" => Value::text(""),
        "from" => Value::text("192.0.2.7"),
        "by" => Value::text("users/ann"),
        "api" => Value::text("00000000-0000-0000-0000-00000000000a"),
        "open" => Value::Bool(true),
        _ => Value::Number(7),
    })
}

#[test]
fn comparisons_are_joined_by_and() {
    for (filter, expected) in [
        ("", true),
        ("name : echo", true),
        ("name = echo", false),
        (r#"name = "Echo \"loud\"""#, true),
        ("state = PUBLISHED AND name:LOUD", true),
        ("state=PUBLISHED AND name:quiet", false),
        ("state != PUBLISHED", false),
        ("tags = rooms", true),
        ("tags : cha", true),
        ("tags != chat", false),
        ("tags != news", true),
        ("count >= 7 AND count < 8", true),
        ("state : publ", true),
        ("open = true AND open != false", true),
        (
            "plan = Gold AND plan = plans/Gold AND plan : plans/GO",
            true,
        ),
        ("plan != plans/Gold", false),
        ("policy = \"\"", true),
        ("from = 192.0.2.7/32", true),
        ("by = ann AND by = users/ann", true),
        ("by = system", false),
        ("api = apis/00000000-0000-0000-0000-00000000000A", true),
        ("time > 2023-01-01T00:00:00Z", true),
        ("time > 2024-01-01T00:00:00Z", false),
    ] {
        assert_eq!(fits(filter), expected, "{filter}");
    }
}

#[test]
fn what_does_not_read_is_refused_with_its_place() {
    let parse = |text: &str| Filter::parse(text, &FIELDS).unwrap_err().reason;
    assert_eq!(parse("colour = red"), reason::UNKNOWN_FIELD);
    for broken in [
        "name",
        "name =",
        "= x",
        "name = \"x",
        "name = x name = y",
        "name = x AND",
        "name = x ANDname = y",
        "name = \"\\n\"",
    ] {
        assert_eq!(parse(broken), reason::MALFORMED, "{broken}");
    }
    assert_eq!(parse(&"a".repeat(1001)), reason::TOO_LONG);
}

#[test]
fn a_value_of_the_wrong_kind_is_refused_with_what_is_accepted() {
    for (filter, accepted) in [
        ("state = PUBLISHD", "one of CREATED, PUBLISHED"),
        ("state != published", "one of CREATED, PUBLISHED"),
        ("count = seven", "a whole number"),
        ("count : se", "a whole number"),
        ("time > yesterday", "RFC 3339"),
        ("open = yes", "true or false"),
        ("plan = plan/Gold", "`plans/{name}`"),
        ("plan = \"a plan\"", "`plans/{name}`"),
        ("api = apis/1", "`apis/{uuid}`"),
        ("from = 192.0.2.0/33", "an IP address"),
        ("by = users/", "`users/{name}` or `system`"),
    ] {
        let rule = Filter::parse(filter, &FIELDS).unwrap_err();
        assert_eq!(rule.reason, reason::MALFORMED, "{filter}");
        let field = filter.split(' ').next().unwrap();
        let named = format!("`{field}` must be {accepted}");
        let told = &rule.description;
        assert!(told.contains(&format!("compares `{field}`")), "{told}");
        assert!(told.contains(&named) || told.contains(accepted), "{told}");
    }
}
