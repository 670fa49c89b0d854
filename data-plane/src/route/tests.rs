//! Which paths lead where, and which lead nowhere.

use proptest::prelude::{prop_assert, proptest};
use tidegate_proto::{
    discovery::v1::{self, resource::Body},
    reason::Reason,
};

use super::route;
use crate::snapshot::{
    Snapshot,
    fixture::{api, reservation, snapshot},
};

fn chat() -> Snapshot {
    let topics = [
        ("/*", ""),
        ("/rooms/{room}", ""),
        ("/rooms/lobby", ""),
        (
            "/rooms/{room}/{user}",
            "/r?room={uri.var.room}&by={uri.var.user}",
        ),
        ("/files/*", ""),
        ("/old", "/new/path/"),
        ("/dropped", "/"),
    ];
    snapshot(vec![
        Body::Api(v1::Api {
            default_version: true,
            production_endpoint: "ws://chat:8080/v2/?fixed=1".to_owned(),
            ..api(1, "/chat", "1.0", &topics)
        }),
        Body::Api(api(2, "/chat/1.0", "2", &[("/", ""), ("/only", "")])),
        Body::Api(api(3, "/{version}/echo", "3", &[("/", ""), ("/a/{b}", "")])),
        Body::Api(v1::Api {
            state: v1::ApiState::Blocked.into(),
            ..api(4, "/blocked", "1", &[("/x", "")])
        }),
    ])
}

fn leads(path: &str) -> Result<(String, String), Reason> {
    let matched = route(&chat(), path)?;
    Ok((
        matched.api.name.to_string(),
        matched.topic().template.to_string(),
    ))
}

#[test]
fn the_longest_base_path_wins_and_then_the_most_specific_topic() {
    for (path, api, topic) in [
        ("/chat/1.0", "api-1", "/*"),
        ("/chat/1.0/", "api-1", "/*"),
        ("/chat", "api-1", "/*"),
        ("/chat/anything/below", "api-1", "/*"),
        ("/chat/1.0/rooms/lobby", "api-1", "/rooms/lobby"),
        ("/chat/1.0/rooms/lobby/", "api-1", "/rooms/lobby"),
        ("/chat/1.0/rooms/7", "api-1", "/rooms/{room}"),
        ("/chat/rooms/7", "api-1", "/rooms/{room}"),
        ("/chat/1.0/rooms/7/me", "api-1", "/rooms/{room}/{user}"),
        ("/chat/1.0/rooms/7/me/more", "api-1", "/*"),
        ("/chat/1.0/rooms", "api-1", "/*"),
        ("/chat/1.0/files", "api-1", "/files/*"),
        ("/chat/1.0/files/a/b", "api-1", "/files/*"),
        ("/chat/1.0/2/only", "api-2", "/only"),
        ("/chat/1.0/2", "api-2", "/"),
        ("/3/echo/a/b", "api-3", "/a/{b}"),
        ("/%63hat/1%2E0/rooms/%6cobby", "api-1", "/rooms/lobby"),
    ] {
        let expected = Ok((api.to_owned(), topic.to_owned()));
        assert_eq!(leads(path), expected, "{path}");
    }
}

#[test]
fn what_leads_nowhere_says_whether_api_or_topic_is_missing() {
    for (path, reason) in [
        ("/", Reason::ApiNotFound),
        ("", Reason::ApiNotFound),
        ("/nobody", Reason::ApiNotFound),
        ("/Chat/1.0", Reason::ApiNotFound),
        ("/chatter", Reason::ApiNotFound),
        ("//chat/1.0", Reason::ApiNotFound),
        ("/chat%2F1.0/x", Reason::ApiNotFound),
        ("/echo", Reason::ApiNotFound),
        ("/chat/1.0/2/other", Reason::TopicNotFound),
        ("/3/echo/a", Reason::TopicNotFound),
        ("/3/echo/a//", Reason::TopicNotFound),
        ("/blocked/1/x", Reason::ApiBlocked),
        ("/blocked/1/y", Reason::TopicNotFound),
    ] {
        assert_eq!(leads(path).err(), Some(reason), "{path}");
    }
}

#[test]
fn a_path_that_a_backend_could_read_otherwise_is_refused() {
    for path in [
        "/chat/1.0/..",
        "/chat/1.0/../admin",
        "/chat/1.0/./x",
        "/chat/1.0/%2e%2E/admin",
        "/chat/1.0/.%2e/admin",
        "/chat/1.0/..%2fadmin",
        "/chat/1.0/x%2f..%2fadmin",
        "/chat/1.0/..%5cadmin",
        "/chat/1.0/a\\b",
        "/chat/1.0/..;/admin",
        "/chat/1.0/.;x=1/admin",
        "/chat/1.0/%2e.%3b/admin",
        "/chat/1.0/%252e%252e/admin",
        "/chat/1.0/x%25252f..%255cadmin",
        "/chat/1.0/%00",
        "/chat/1.0/%0d%0aX:",
        "/chat/1.0/%zz",
        "/chat/1.0/%+1",
        "/chat/1.0/%",
        "/chat/1.0/ü",
        "chat/1.0",
    ] {
        assert_eq!(leads(path).err(), Some(Reason::MalformedRequest), "{path}");
    }
}

#[test]
fn the_backend_is_asked_for_the_topics_own_path_or_for_its_mapping() {
    for (path, query, expected) in [
        ("/chat/1.0", None, "/v2/?fixed=1"),
        ("/chat/1.0/", Some("a=1"), "/v2/?fixed=1&a=1"),
        ("/chat/1.0/rooms/7/", Some(""), "/v2/rooms/7?fixed=1"),
        ("/chat/rooms/%6c%2Fx", None, "/v2/rooms/%6c%2Fx?fixed=1"),
        ("/chat/1.0/a//b", None, "/v2/a//b?fixed=1"),
        (
            "/chat/1.0/rooms/a&b=c/m%26e",
            Some("q"),
            "/v2/r?fixed=1&room=a%26b%3Dc&by=m%26e&q",
        ),
        ("/chat/1.0/old", None, "/v2/new/path?fixed=1"),
        ("/chat/1.0/dropped", None, "/v2/?fixed=1"),
    ] {
        let matched = route(&chat(), path).unwrap();
        let endpoint = matched.api.production.as_ref().unwrap();
        assert_eq!(matched.backend_path(endpoint, query), expected, "{path}");
    }
}

#[test]
fn a_bare_endpoint_is_asked_for_its_root() {
    let matched = route(&chat(), "/3/echo").unwrap();
    let endpoint = matched.api.production.as_ref().unwrap();
    assert_eq!(matched.backend_path(endpoint, None), "/");
    let matched = route(&chat(), "/3/echo/a/x").unwrap();
    assert_eq!(matched.backend_path(endpoint, Some("q=1")), "/a/x?q=1");
    assert_eq!(matched.params(), [("b".to_owned(), "x".to_owned())]);
}

proptest! {
    #[test]
    fn no_path_leads_out_of_its_endpoint(
        base in "/(chat|chat/1.0|3/echo)",
        below in "(/|\\.|%2[eEfF]|%5[cC]|%25|[a-z0-9%&=+;]|rooms|files){0,12}",
    ) {
        let path = format!("{base}/{below}");
        if let Ok(matched) = route(&chat(), &path) {
            let endpoint = matched.api.production.as_ref().unwrap();
            let target = matched.backend_path(endpoint, None);
            let (asked, query) = target.split_once('?').unwrap_or((&target, ""));
            prop_assert!(asked.starts_with(endpoint.path.trim_end_matches('/')), "{target}");
            let mut decoded = asked.to_lowercase();
            for (encoded, plain) in [("%2e", "."), ("%2f", "/"), ("%5c", "/")] {
                decoded = decoded.replace(encoded, plain);
            }
            prop_assert!(decoded.split('/').all(|s| s != "." && s != ".."), "{target}");
            // A parameter's value stays one value.
            let own = query.split('&').filter(|pair| !pair.is_empty());
            let expected = if matched.topic().mapping.is_some() { 1..=3 } else { 0..=1 };
            prop_assert!(expected.contains(&own.count()), "{target}");
        }
    }

    #[test]
    fn any_path_is_answered(path in "\\PC{0,300}") {
        drop(route(&chat(), &path));
    }
}

/// Version 1 of `/chat` is the default one; 2 is retired, 3 is blocked and not deployed here, and 4 runs. So does version 1
/// of `/chat/nested`, whose version 2 was withdrawn. Version 5 of `/chat` and `/chat/draft` are drafts.
fn versions() -> Vec<Body> {
    let default = v1::Api {
        default_version: true,
        ..api(1, "/chat", "1", &[("/*", "")])
    };
    let mut bodies = vec![
        Body::Api(default),
        Body::Api(api(4, "/chat", "4", &[("/room", "")])),
        Body::Api(api(5, "/chat/nested", "1", &[("/*", "")])),
        Body::Reservation(v1::Reservation {
            blocked: true,
            ..reservation(3, "/chat", "3")
        }),
        Body::Reservation(v1::Reservation {
            default_version: true,
            ..reservation(6, "/chat/nested", "2")
        }),
        Body::Reservation(v1::Reservation {
            draft: true,
            ..reservation(7, "/chat/draft", "1")
        }),
        Body::Reservation(v1::Reservation {
            draft: true,
            ..reservation(8, "/chat", "5")
        }),
    ];
    for (n, context, version) in [
        (1, "/chat", "1"),
        (2, "/chat", "2"),
        (4, "/chat", "4"),
        (5, "/chat/nested", "1"),
    ] {
        bodies.push(Body::Reservation(reservation(n, context, version)));
    }
    bodies
}

#[test]
fn no_topic_of_another_version_answers_at_the_path_of_one_that_exists_and_does_not_run() {
    let snapshot = snapshot(versions());
    let leads = |path| route(&snapshot, path).map(|it| it.api.name.to_string());
    for (path, expected) in [
        ("/chat/room", Ok("api-1")),
        ("/chat/1/room", Ok("api-1")),
        ("/chat/2/room", Err(Reason::ApiNotFound)),
        ("/chat/2", Err(Reason::ApiNotFound)),
        ("/chat/2/", Err(Reason::ApiNotFound)),
        ("/chat/%32/room", Err(Reason::ApiNotFound)),
        ("/chat/3/room", Err(Reason::ApiBlocked)),
        ("/chat/4/room", Ok("api-4")),
        ("/chat/4/elsewhere", Err(Reason::TopicNotFound)),
        // No version is called so.
        ("/chat/20/room", Ok("api-1")),
        ("/chat/1/2/room", Ok("api-1")),
        // Below the path of another API, too, its own default path included.
        ("/chat/nested/1/room", Ok("api-5")),
        ("/chat/nested/2/room", Err(Reason::ApiNotFound)),
        ("/chat/nested/room", Err(Reason::ApiNotFound)),
        // A draft only reserves paths against versions in its own context.
        ("/chat/draft/1/room", Ok("api-1")),
        ("/chat/5/room", Err(Reason::ApiNotFound)),
    ] {
        assert_eq!(leads(path), expected.map(str::to_owned), "{path}");
    }
}

#[test]
fn the_path_of_a_version_that_is_deleted_is_free_again() {
    let mut bodies = versions();
    bodies.retain(|body| !matches!(body, Body::Reservation(it) if it.version == "2"));
    let after = snapshot(bodies);
    let matched = route(&after, "/chat/2/room").unwrap();
    assert_eq!(matched.api.name.as_ref(), "api-1");
}
