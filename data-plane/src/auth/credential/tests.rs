//! Where tokens are found, and what is left when they are taken out.

use std::borrow::Cow;

use http::{
    HeaderMap, HeaderValue,
    header::{AUTHORIZATION, SEC_WEBSOCKET_PROTOCOL},
};
use tidegate_proto::reason::Reason;

use proptest::prelude::{prop_assert, prop_assert_eq, proptest};

use super::{Carried, MARKER, Places, find, is_credential, strip_header, strip_query};

fn found_in<'a>(
    headers: &'a HeaderMap,
    carried: Option<&'a Carried>,
    query: Option<&'a str>,
) -> Result<Cow<'a, str>, Reason> {
    find(Places {
        headers,
        carried,
        query,
    })
}

fn headers(values: &[&str]) -> HeaderMap {
    values
        .iter()
        .map(|v| (AUTHORIZATION, HeaderValue::from_str(v).unwrap()))
        .collect()
}

#[test]
fn a_token_is_found_in_the_header_before_the_query() {
    for (header, query, token) in [
        (&["Bearer h"][..], Some("access_token=q"), Ok("h")),
        (&["bearer  h "], None, Ok("h")),
        (&[], Some("a=1&access_token=q.q&b"), Ok("q.q")),
        (&[], Some("access_token=q%2Eq"), Ok("q.q")),
        (&["Basic x"], Some("access_token=q"), Ok("q")),
        (&[], Some("xaccess_token=q"), Err(Reason::CredentialMissing)),
        (&[], Some("access_token="), Err(Reason::CredentialMissing)),
        (&[], Some("access_token=%F"), Err(Reason::CredentialInvalid)),
        (
            &[],
            Some("access_token=a&access_token=b"),
            Err(Reason::CredentialInvalid),
        ),
        (
            &[],
            Some("access_token=a&access%5Ftoken=a"),
            Err(Reason::CredentialInvalid),
        ),
        (
            &["Bearer h"],
            Some("access_token=a&access_token=b"),
            Ok("h"),
        ),
        (&["Bearer"], None, Err(Reason::CredentialMissing)),
        (&["Bearerx y"], None, Err(Reason::CredentialMissing)),
        (&[], None, Err(Reason::CredentialMissing)),
        (
            &["Bearer a", "Bearer b"],
            None,
            Err(Reason::CredentialInvalid),
        ),
    ] {
        let headers = headers(header);
        let found = found_in(&headers, None, query);
        assert_eq!(
            found.as_deref(),
            token.as_ref().copied(),
            "{header:?} {query:?}"
        );
    }
}

#[test]
fn stripping_leaves_every_other_byte_of_the_query_as_it_was() {
    for (query, left) in [
        (Some("access_token=q"), None),
        (Some("a=%20+&access_token=q&b=&&c"), Some("a=%20+&b=&&c")),
        (Some("access_token=1&access_token=2&x"), Some("x")),
        (Some("access%5Ftoken=1&x=%zz"), Some("x=%zz")),
        (Some("a=access_token"), Some("a=access_token")),
        (Some(""), Some("")),
        (None, None),
    ] {
        assert_eq!(strip_query(query).as_deref(), left, "{query:?}");
    }
}

#[test]
fn stripping_removes_bearer_headers_only() {
    let mut both = headers(&["Bearer a", "Basic b"]);
    strip_header(&mut both);
    assert_eq!(both, headers(&["Basic b"]));
}

fn offers(lines: &[&str]) -> HeaderMap {
    lines
        .iter()
        .map(|&line| {
            let line = HeaderValue::from_bytes(line.as_bytes()).unwrap();
            (SEC_WEBSOCKET_PROTOCOL, line)
        })
        .collect()
}

#[test]
fn marker_and_token_are_taken_out_of_the_subprotocols_and_the_others_stay() {
    for (lines, token, left) in [
        (&["tidegate.token, a.b-c_d"][..], Ok("a.b-c_d"), None),
        (
            &["mqtt,tidegate.token ,t, ocpp1.6"],
            Ok("t"),
            Some("mqtt, ocpp1.6"),
        ),
        (
            &["mqtt", "tidegate.token", "t", "stomp"],
            Ok("t"),
            Some("mqtt, stomp"),
        ),
        (&["tidegate.token"], Err(Reason::CredentialMissing), None),
        (
            &["mqtt, tidegate.token, "],
            Err(Reason::CredentialMissing),
            Some("mqtt"),
        ),
        (
            &["tidegate.token, a b, mqtt"],
            Err(Reason::CredentialInvalid),
            Some("mqtt"),
        ),
        (
            &["tidegate.token, \"t\""],
            Err(Reason::CredentialInvalid),
            None,
        ),
        (
            &["tidegate.token, t\u{e9}"],
            Err(Reason::CredentialInvalid),
            None,
        ),
        (
            &["tidegate.token, t, tidegate.token, u"],
            Err(Reason::CredentialInvalid),
            None,
        ),
        (
            &["tidegate.token, tidegate.token, t"],
            Err(Reason::CredentialInvalid),
            None,
        ),
        (
            &["\"x, tidegate.token, t\""],
            Err(Reason::CredentialInvalid),
            Some("\"x"),
        ),
    ] {
        let mut headers = offers(lines);
        let carried = Carried::take(&mut headers).expect("the marker is among them");
        let found = found_in(&headers, Some(&carried), Some("access_token=q"));
        assert_eq!(found.as_deref(), token.as_ref().copied(), "{lines:?}");
        let left = left.map_or_else(HeaderMap::new, |left| offers(&[left]));
        assert_eq!(headers, left, "{lines:?}");
    }
}

#[test]
fn without_the_marker_no_subprotocol_is_touched() {
    for lines in [&["mqtt,ocpp1.6", "x"][..], &["Tidegate.Token, t"], &[]] {
        let mut headers = offers(lines);
        assert!(Carried::take(&mut headers).is_none());
        assert_eq!(headers, offers(lines));
    }
}

#[test]
fn a_token_in_the_header_goes_before_one_behind_the_marker() {
    let mut subprotocols = offers(&["tidegate.token, s"]);
    let carried = Carried::take(&mut subprotocols).unwrap();
    let headers = headers(&["Bearer h"]);
    let found = found_in(&headers, Some(&carried), None);
    assert_eq!(found.as_deref(), Ok("h"));
}

#[test]
fn the_marker_is_answered_only_where_the_backend_chose_nothing() {
    let mut offered = offers(&["tidegate.token, t"]);
    let carried = Carried::take(&mut offered).unwrap();
    assert!(!format!("{carried:?}").contains("\"t\""));
    let mut chosen = offers(&["mqtt"]);
    carried.answer(&mut chosen);
    assert_eq!(chosen, offers(&["mqtt"]));
    let mut none = HeaderMap::new();
    carried.answer(&mut none);
    assert_eq!(none, offers(&[MARKER]));
}

proptest! {
    #[test]
    fn what_is_stripped_holds_no_credential_and_everything_else_in_order(
        query in "(access_token|access%5ftoken|a|=|&|%|%3[dD]|[b-z]){0,12}",
    ) {
        let stripped = strip_query(Some(&query)).unwrap_or_default();
        let no_headers = HeaderMap::new();
        let found = found_in(&no_headers, None, Some(&stripped));
        prop_assert_eq!(found.err(), Some(Reason::CredentialMissing));
        let left = stripped.split('&').filter(|pair| !pair.is_empty());
        let kept = query.split('&').filter(|pair| !pair.is_empty() && !is_credential(pair));
        prop_assert!(kept.eq(left), "{}", stripped);
    }
}
