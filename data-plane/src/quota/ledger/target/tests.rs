//! What is read out of a URL, what goes with the keys beside it, and that no password is repeated.

use tidegate_kit::secret::Secret;

use super::{Group, InvalidTarget, Place, Target, Watch};
use crate::quota::ledger::credentials::Credentials;

fn parse(url: &str) -> Result<Target, InvalidTarget> {
    Target::parse(url, None, Credentials::default())
}

#[test]
fn every_form_of_redis_is_understood() {
    for url in [
        "redis://localhost",
        "redis://:secret@localhost:6380/2",
        "rediss://user:secret@redis.example:6380",
    ] {
        assert!(matches!(parse(url).unwrap().place, Place::One(_)), "{url}");
    }
    let sentinel = "redis+sentinel://:secret@a:26379,b:26379/main";
    assert!(matches!(
        parse(sentinel).unwrap().place,
        Place::Sentinel { .. }
    ));
    let cluster = parse("redis+cluster://a:6379,b").unwrap();
    assert!(cluster.is_cluster());
}

#[test]
fn what_no_url_may_hold_is_written_with_percent_signs_in_every_form() {
    let group = Group::parse("us%3Aer:p%40ss%2F@a:26379/main", 1).unwrap();
    let user = group
        .user
        .map(|(user, password)| (user.into_owned(), password.into_owned()));
    assert_eq!(user, Some(("us:er".to_owned(), "p@ss/".to_owned())));
    let broken = parse("redis+cluster://:geheim%4@a:1").unwrap_err();
    let broken = broken.to_string();
    assert!(
        broken.contains("`%`") && !broken.contains("geheim"),
        "{broken}"
    );
}

#[test]
fn sentinels_may_ask_for_more_than_their_master() {
    let group = Group::parse("a/main?sentinel_password=p%26q&sentinel_tls=true", 1).unwrap();
    assert_eq!(group.path, "main");
    let watch = Watch {
        user: None,
        password: Some("p&q".to_owned()),
        is_secure: true,
    };
    assert_eq!(Watch::parse(group.query).unwrap(), watch);
    assert_eq!(Watch::parse("").unwrap(), Watch::default());
}

#[test]
fn what_leads_nowhere_is_refused_and_no_password_is_repeated() {
    for (url, expected) in [
        ("localhost:6379", "no scheme"),
        ("http://:geheim@localhost", "begins with `http://`"),
        ("redis+sentinel://:geheim@a:26379", "names no master"),
        ("redis+cluster://:geheim@a:port", "no usable address"),
        ("redis+cluster://:geheim@a:1?sentinel_tls=true", "no query"),
        ("redis+sentinel://a/m?password=geheim", "something else"),
        ("redis+cluster://:geheim", "no usable address"),
        ("redis://:geh/eim@a:1", "`ledger.password`"),
        ("redis+sentinel://a/m?sentinel_tls=geheim", "true or false"),
    ] {
        let error = parse(url).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
        assert!(!error.contains("geheim"), "{error}");
    }
}

#[test]
fn a_user_or_a_password_that_stands_twice_and_a_user_without_a_password_are_refused() {
    let secret = Secret::new("hunter2".to_owned());
    let with =
        |username: &str, password: &Secret| Credentials::new(Some(username), Some(password), None);
    let none = Secret::new(String::new());
    for (url, credentials, expected) in [
        (
            "redis://:geheim@a",
            with("", &secret),
            "holds a password, and so does `ledger.password`",
        ),
        (
            "redis+cluster://:geheim@a",
            with("", &secret),
            "holds a password",
        ),
        (
            "redis+sentinel://:geheim@a/m",
            with("", &secret),
            "holds a password",
        ),
        (
            "redis://u:geheim@a",
            with("me", &none),
            "names a user, and so does `ledger.username`",
        ),
        ("redis://u@a", with("", &none), "no password"),
        ("redis+cluster://a", with("me", &none), "no password"),
    ] {
        let error = Target::parse(url, None, credentials)
            .unwrap_err()
            .to_string();
        assert!(error.contains(expected), "{url}: {error}");
        assert!(
            !error.contains("geheim") && !error.contains("hunter2"),
            "{error}"
        );
    }
    for (url, credentials) in [
        ("redis://:geheim@a", with("", &none)),
        ("redis://:geheim@a", with("me", &none)),
        ("redis://u@a", with("", &secret)),
        ("redis+sentinel://a/m", with("me", &secret)),
        ("redis+cluster://a", with("", &secret)),
    ] {
        Target::parse(url, None, credentials).unwrap();
    }
}
