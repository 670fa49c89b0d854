//! What counts as a WebSocket handshake, and what crosses the gateway.

use http::{HeaderMap, HeaderName, HeaderValue, Request, header};
use proptest::prelude::{prop_assert_eq, proptest};
use tidegate_proto::reason::Reason;

use super::{Offer, accept_for, end_to_end, list, new_key};

fn headers(lines: &[(&str, &str)]) -> HeaderMap {
    lines
        .iter()
        .map(|&(name, value)| {
            (
                HeaderName::try_from(name).unwrap(),
                HeaderValue::from_str(value).unwrap(),
            )
        })
        .collect()
}

const GOOD: [(&str, &str); 5] = [
    ("host", "gateway"),
    ("upgrade", "websocket"),
    ("connection", "Upgrade"),
    ("sec-websocket-version", "13"),
    ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
];

/// The good request with some lines replaced or added; an empty value removes the line.
fn judged(changes: &[(&str, &str)]) -> Result<Offer, Reason> {
    let mut lines: Vec<_> = GOOD
        .into_iter()
        .filter(|(name, _)| changes.iter().all(|(changed, _)| changed != name))
        .collect();
    lines.extend(changes.iter().filter(|(_, value)| !value.is_empty()));
    let mut request = Request::get("/echo/1.0").body(()).unwrap();
    for (name, value) in lines {
        request.headers_mut().append(
            HeaderName::try_from(name).unwrap(),
            HeaderValue::from_str(value).unwrap(),
        );
    }
    Offer::validate(request.into_parts().0)
}

#[test]
fn the_example_of_the_rfc_is_accepted_with_its_accept_key() {
    let offer = judged(&[]).unwrap();
    assert_eq!(offer.accept, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
}

#[test]
fn tokens_are_found_in_lists_and_in_any_case() {
    assert!(judged(&[("connection", "keep-alive, UPGRADE")]).is_ok());
    assert!(judged(&[("upgrade", "h2c, WebSocket")]).is_ok());
    assert!(judged(&[("content-length", "0")]).is_ok());
}

#[test]
fn what_is_no_upgrade_is_told_to_upgrade() {
    for change in [("upgrade", ""), ("upgrade", "h2c")] {
        assert_eq!(judged(&[change]).unwrap_err(), Reason::UpgradeRequired);
    }
}

#[test]
fn another_version_is_told_which_one_is_spoken() {
    for version in ["8", "14", "0"] {
        assert_eq!(
            judged(&[("sec-websocket-version", version)]).unwrap_err(),
            Reason::UnsupportedVersion
        );
    }
}

#[test]
fn an_upgrade_that_breaks_the_rfc_is_malformed() {
    for changes in [
        &[("connection", "")][..],
        &[("connection", "keep-alive")],
        &[("host", "")],
        &[("host", "a"), ("host", "b")],
        &[("sec-websocket-version", "")],
        &[("sec-websocket-version", "thirteen")],
        &[
            ("sec-websocket-version", "13"),
            ("sec-websocket-version", "13"),
        ],
        &[("sec-websocket-key", "")],
        &[("sec-websocket-key", "short")],
        &[("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ")],
        &[("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZSBpcyBsb25nZXI=")],
        &[
            ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
            ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ],
        &[("content-length", "5")],
        &[("transfer-encoding", "chunked")],
    ] {
        assert_eq!(
            judged(changes).unwrap_err(),
            Reason::MalformedRequest,
            "{changes:?}"
        );
    }
}

#[test]
fn only_get_over_http_1_1_to_a_path_upgrades() {
    let with = |change: fn(&mut Request<()>)| {
        let mut request = Request::get("/echo").body(()).unwrap();
        *request.headers_mut() = headers(&GOOD);
        change(&mut request);
        Offer::validate(request.into_parts().0).map(|_| ())
    };
    assert_eq!(with(|_| ()), Ok(()));
    let malformed = Err(Reason::MalformedRequest);
    assert_eq!(with(|r| *r.method_mut() = http::Method::POST), malformed);
    assert_eq!(
        with(|r| *r.version_mut() = http::Version::HTTP_10),
        malformed
    );
    assert_eq!(
        with(|r| *r.uri_mut() = http::Uri::from_static("*")),
        malformed
    );
    assert_eq!(
        with(|r| *r.uri_mut() = http::Uri::from_static("http://gateway/echo")),
        Ok(())
    );
}

#[test]
fn hop_by_hop_headers_and_those_that_connection_names_stay_behind() {
    let kept = end_to_end(&headers(&[
        ("connection", "upgrade, X-Hop"),
        ("x-hop", "1"),
        ("upgrade", "websocket"),
        ("keep-alive", "timeout=5"),
        ("te", "trailers"),
        ("trailer", "x"),
        ("transfer-encoding", "chunked"),
        ("proxy-authorization", "Basic eA=="),
        ("content-length", "3"),
        ("sec-websocket-key", "k"),
        ("sec-websocket-version", "13"),
        ("sec-websocket-protocol", "chat"),
        ("origin", "https://example.org"),
        ("cookie", "a=1"),
        ("cookie", "b=2"),
    ]));
    assert_eq!(
        kept,
        headers(&[
            ("sec-websocket-protocol", "chat"),
            ("origin", "https://example.org"),
            ("cookie", "a=1"),
            ("cookie", "b=2"),
        ])
    );
}

#[test]
fn subprotocols_are_compared_letter_for_letter() {
    let offer = judged(&[
        ("sec-websocket-protocol", "chat, ocpp1.6"),
        ("sec-websocket-protocol", "mqtt"),
    ])
    .unwrap();
    for (name, offered) in [
        ("chat", true),
        ("ocpp1.6", true),
        ("mqtt", true),
        ("Chat", false),
    ] {
        assert_eq!(offer.offers_subprotocol(name), offered, "{name}");
    }
}

#[test]
fn every_new_key_is_another_and_is_valid() {
    let (one, other) = (new_key(), new_key());
    assert_ne!(one, other);
    assert_ne!(accept_for(&one), accept_for(&other));
    assert!(judged(&[("sec-websocket-key", one.to_str().unwrap())]).is_ok());
}

proptest! {
    #[test]
    fn a_list_of_plain_tokens_reads_back_however_it_is_spread_over_lines(
        lines in proptest::collection::vec(proptest::collection::vec("[a-z0-9.-]{1,8}", 1..4), 0..4)
    ) {
        let mut map = HeaderMap::new();
        for line in &lines {
            let line = line.join(" ,");
            map.append(header::SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_str(&line).unwrap());
        }
        let read: Vec<_> = list(&map, &header::SEC_WEBSOCKET_PROTOCOL).collect();
        prop_assert_eq!(read, lines.concat());
    }
}
