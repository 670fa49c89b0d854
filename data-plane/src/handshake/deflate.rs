//! The negotiation of `permessage-deflate` (RFC 7692, 7.1) between a client and a backend, and what is changed about it
//! where messages may be dropped.
//!
//! A sender that keeps its compression window refers to earlier messages, so the receiver can't read what follows a
//! dropped one. If the limits of a session may drop messages, the backend is asked not to keep its window, and the
//! client is told not to. Pure functions from header values to header values. Called by `upstream::handshake`.

use http::HeaderValue;

/// The name of the extension, the only one that the relay can check.
pub const NAME: &str = "permessage-deflate";

/// That the backend, or the client, does not keep its window (7.1.1.1 and 7.1.1.2).
const SERVER_FORGETS: &str = "server_no_context_takeover";
const CLIENT_FORGETS: &str = "client_no_context_takeover";

/// What a client and a backend have agreed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Agreed {
    /// Whether the client keeps its window from one message to the next.
    pub client_keeps: bool,
    /// Whether the backend does.
    pub backend_keeps: bool,
}

/// Whether an element of `Sec-WebSocket-Extensions` is this extension.
#[must_use]
pub fn is_deflate(element: &str) -> bool {
    parts(element)
        .next()
        .is_some_and(|name| name.eq_ignore_ascii_case(NAME))
}

/// The offer to the backend; `None` if the client offers nothing suitable. If messages may be dropped, it asks the
/// backend not to keep its window: the backend must accept, or decline compression.
pub fn offer<'a>(offered: impl Iterator<Item = &'a str>, may_drop: bool) -> Option<HeaderValue> {
    let elements: Vec<_> = offered
        .filter(|element| is_deflate(element))
        .map(|element| with(element, SERVER_FORGETS, may_drop))
        .collect();
    let offer = HeaderValue::from_str(&elements.join(", ")).expect("it came out of a header");
    (!elements.is_empty()).then_some(offer)
}

/// Reads the backend's choice and builds the answer to the client. If messages may be dropped, it tells the client not
/// to keep its window, which a server may do unasked.
#[must_use]
pub fn answer(chosen: &str, may_drop: bool) -> (Agreed, HeaderValue) {
    let answer = with(chosen, CLIENT_FORGETS, may_drop);
    let agreed = Agreed {
        client_keeps: !has(&answer, CLIENT_FORGETS),
        backend_keeps: !has(&answer, SERVER_FORGETS),
    };
    let answer = HeaderValue::from_str(&answer).expect("it came out of a header");
    (agreed, answer)
}

fn with(element: &str, parameter: &str, wanted: bool) -> String {
    if !wanted || has(element, parameter) {
        return element.to_owned();
    }
    format!("{element}; {parameter}")
}

fn has(element: &str, parameter: &str) -> bool {
    parts(element)
        .skip(1)
        .any(|part| part.eq_ignore_ascii_case(parameter))
}

/// The name and the parameters. The values that this extension knows are numbers: none has a semicolon in it.
fn parts(element: &str) -> impl Iterator<Item = &str> {
    element.split(';').map(str::trim)
}

#[cfg(test)]
mod tests {
    use super::{Agreed, answer, is_deflate, offer};

    fn offered(elements: &[&str], may_drop: bool) -> Option<String> {
        let value = offer(elements.iter().copied(), may_drop)?;
        Some(value.to_str().unwrap().to_owned())
    }

    fn answered(chosen: &str, may_drop: bool) -> (Agreed, String) {
        let (agreed, value) = answer(chosen, may_drop);
        (agreed, value.to_str().unwrap().to_owned())
    }

    #[test]
    fn an_extension_is_known_by_its_name() {
        assert!(is_deflate("Permessage-Deflate ; a=1"));
        assert!(!is_deflate("x-webkit-deflate-frame"));
        assert!(!is_deflate(""));
    }

    #[test]
    fn only_the_extension_that_the_relay_understands_is_offered_on() {
        let deflate = "permessage-deflate; client_max_window_bits";
        for may_drop in [false, true] {
            assert_eq!(offered(&["x-webkit-deflate-frame"], may_drop), None);
        }
        let among_others = ["x-webkit-deflate-frame", deflate, "foo; a=\"b,c\""];
        assert_eq!(offered(&among_others, false).as_deref(), Some(deflate));
    }

    #[test]
    fn a_backend_whose_messages_may_be_dropped_is_asked_in_every_offer_to_forget() {
        let offers = [
            "permessage-deflate; client_max_window_bits",
            "permessage-deflate; Server_No_Context_Takeover",
            "permessage-deflate",
        ];
        let expected = "permessage-deflate; client_max_window_bits; server_no_context_takeover, \
                        permessage-deflate; Server_No_Context_Takeover, \
                        permessage-deflate; server_no_context_takeover";
        assert_eq!(offered(&offers, true).as_deref(), Some(expected));
    }

    #[test]
    fn what_was_agreed_is_read_and_passed_on_as_it_is_where_nothing_is_dropped() {
        for (chosen, client_keeps, backend_keeps) in [
            ("permessage-deflate", true, true),
            (
                "permessage-deflate; server_no_context_takeover",
                true,
                false,
            ),
            ("permessage-deflate;client_no_context_takeover", false, true),
            (
                "permessage-deflate; client_no_context_takeover; server_max_window_bits=9; server_no_context_takeover",
                false,
                false,
            ),
        ] {
            let agreed = Agreed {
                client_keeps,
                backend_keeps,
            };
            assert_eq!(answered(chosen, false), (agreed, chosen.to_owned()));
        }
    }

    #[test]
    fn a_client_whose_messages_may_be_dropped_is_told_to_forget_once() {
        for chosen in [
            "permessage-deflate; server_no_context_takeover",
            "permessage-deflate; server_no_context_takeover; client_no_context_takeover",
        ] {
            let (agreed, told) = answered(chosen, true);
            assert!(!agreed.client_keeps && !agreed.backend_keeps, "{told}");
            assert_eq!(told.matches("client_no_context_takeover").count(), 1);
        }
        // A backend that does not do as it is asked is not believed to.
        let (agreed, _) = answered("permessage-deflate", true);
        assert!(agreed.backend_keeps);
    }
}
