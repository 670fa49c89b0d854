//! One enum for every reason to refuse a handshake or end a session. Each reason has an HTTP status, a close code, a
//! metric label, a side and the numeric code that users of API managers know.
//!
//! `docs/SESSIONS.md` is generated from this file. There is no catch-all variant, so every new reason gets a name.

use std::fmt;

use http::StatusCode;

/// Who caused a refusal or the end of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Side {
    /// The client that connected to the gateway.
    Client,
    /// The backend.
    Backend,
    /// The gateway itself, by policy or by fault.
    Gateway,
}

/// Why a handshake was refused or a session ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reason {
    // Refusals before the caller is identified.
    /// Not a valid HTTP/1.1 request, or not a valid upgrade (RFC 6455, 4.2.1).
    MalformedRequest,
    /// The request head is larger than the gateway accepts.
    RequestTooLarge,
    /// The request head did not arrive in time.
    HandshakeTimeout,
    /// A plain HTTP request instead of a WebSocket upgrade.
    UpgradeRequired,
    /// A `Sec-WebSocket-Version` other than 13.
    UnsupportedVersion,
    /// The node has reached its connection limit.
    ConnectionLimit,
    /// The node has no configuration yet.
    NotReady,

    // Refusals by routing and API state.
    /// No API matches the path.
    ApiNotFound,
    /// The API has no such topic.
    TopicNotFound,
    /// The API is in the state Blocked.
    ApiBlocked,
    /// The API was retired or undeployed.
    ApiWithdrawn,
    /// The API has no endpoint for this type of key.
    EndpointMissing,

    // Refusals by credential. Expiry and configuration changes also end open sessions.
    /// The handshake has no credential.
    CredentialMissing,
    /// The token is malformed, its signature is invalid, or its key is unknown.
    CredentialInvalid,
    /// The token has expired.
    CredentialExpired,
    /// The token is not valid yet.
    CredentialNotYetValid,
    /// No key manager of this gateway issued the token.
    IssuerUnknown,
    /// The token is for another audience.
    AudienceMismatch,
    /// The application of the token, or its key, no longer exists.
    ApplicationUnknown,
    /// The application has no subscription to the API.
    SubscriptionMissing,
    /// The subscription is blocked.
    SubscriptionBlocked,

    // Refusals by policy. All but the limits on handshakes also end open sessions.
    /// A deny policy blocks the caller.
    DeniedByPolicy,
    /// The limit of the API's policy is reached.
    ApiQuota,
    /// The limit of the topic's policy is reached.
    TopicQuota,
    /// The limit of the subscription's plan is reached.
    SubscriptionQuota,
    /// The limit of the application's policy is reached.
    ApplicationQuota,
    /// The limit of open sessions of a plan or policy is reached.
    SessionLimit,
    /// The limit of new sessions per second of a plan or policy is reached.
    ConnectionRate,
    /// The shared ledger is unavailable, and a plan or policy denies traffic without it.
    LedgerUnavailable,

    // Refusals by the backend connection.
    /// The backend answered the upgrade with another status, which is relayed.
    BackendRefused,
    /// The backend's name does not resolve, or the connection is refused.
    BackendUnreachable,
    /// The backend did not answer in time.
    BackendTimeout,
    /// The TLS handshake with the backend failed, for example because its certificate is not trusted.
    BackendTls,
    /// The backend's answer is not a valid WebSocket handshake.
    BackendHandshake,

    // Reasons that end sessions.
    /// The client closed with a close frame.
    ClientClosed,
    /// The backend closed with a close frame.
    BackendClosed,
    /// The client's connection ended without a close frame.
    ClientLost,
    /// The backend's connection ended without a close frame.
    BackendLost,
    /// The client sent a frame that RFC 6455 forbids.
    ClientProtocolError,
    /// The backend sent a frame that RFC 6455 forbids.
    BackendProtocolError,
    /// No data message passed in either direction for `relay.idle_seconds`.
    IdleTimeout,
    /// The client did not answer a ping.
    ClientUnresponsive,
    /// The backend did not answer a ping.
    BackendUnresponsive,
    /// The node is shutting down.
    Draining,
    /// An internal error of the gateway.
    GatewayFault,
}

// === impl Side ===

impl Side {
    /// The metric label and log value.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Backend => "backend",
            Self::Gateway => "gateway",
        }
    }
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.label())
    }
}

// === impl Reason ===

impl Reason {
    /// Every reason, in the order of the documentation.
    pub const ALL: &[Self] = &[
        Self::MalformedRequest,
        Self::RequestTooLarge,
        Self::HandshakeTimeout,
        Self::UpgradeRequired,
        Self::UnsupportedVersion,
        Self::ConnectionLimit,
        Self::NotReady,
        Self::ApiNotFound,
        Self::TopicNotFound,
        Self::ApiBlocked,
        Self::ApiWithdrawn,
        Self::EndpointMissing,
        Self::CredentialMissing,
        Self::CredentialInvalid,
        Self::CredentialExpired,
        Self::CredentialNotYetValid,
        Self::IssuerUnknown,
        Self::AudienceMismatch,
        Self::ApplicationUnknown,
        Self::SubscriptionMissing,
        Self::SubscriptionBlocked,
        Self::DeniedByPolicy,
        Self::ApiQuota,
        Self::TopicQuota,
        Self::SubscriptionQuota,
        Self::ApplicationQuota,
        Self::SessionLimit,
        Self::ConnectionRate,
        Self::LedgerUnavailable,
        Self::BackendRefused,
        Self::BackendUnreachable,
        Self::BackendTimeout,
        Self::BackendTls,
        Self::BackendHandshake,
        Self::ClientClosed,
        Self::BackendClosed,
        Self::ClientLost,
        Self::BackendLost,
        Self::ClientProtocolError,
        Self::BackendProtocolError,
        Self::IdleTimeout,
        Self::ClientUnresponsive,
        Self::BackendUnresponsive,
        Self::Draining,
        Self::GatewayFault,
    ];

    /// The HTTP status of a refused handshake, or `None` if the reason only ends sessions.
    ///
    /// For [`Self::BackendRefused`], this is the fallback when the backend's own status cannot be relayed.
    #[must_use]
    pub const fn status(self) -> Option<StatusCode> {
        Some(match self {
            Self::MalformedRequest => StatusCode::BAD_REQUEST,
            Self::RequestTooLarge => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            Self::HandshakeTimeout => StatusCode::REQUEST_TIMEOUT,
            Self::UpgradeRequired | Self::UnsupportedVersion => StatusCode::UPGRADE_REQUIRED,
            Self::CredentialMissing
            | Self::CredentialInvalid
            | Self::CredentialExpired
            | Self::CredentialNotYetValid
            | Self::IssuerUnknown
            | Self::ApplicationUnknown => StatusCode::UNAUTHORIZED,
            Self::AudienceMismatch
            | Self::SubscriptionMissing
            | Self::SubscriptionBlocked
            | Self::DeniedByPolicy
            | Self::EndpointMissing => StatusCode::FORBIDDEN,
            Self::ApiQuota
            | Self::TopicQuota
            | Self::SubscriptionQuota
            | Self::ApplicationQuota
            | Self::SessionLimit
            | Self::ConnectionRate => StatusCode::TOO_MANY_REQUESTS,
            Self::ApiNotFound | Self::TopicNotFound | Self::ApiWithdrawn => StatusCode::NOT_FOUND,
            Self::BackendRefused
            | Self::BackendUnreachable
            | Self::BackendTls
            | Self::BackendHandshake => StatusCode::BAD_GATEWAY,
            Self::ConnectionLimit
            | Self::NotReady
            | Self::ApiBlocked
            | Self::LedgerUnavailable
            | Self::Draining => StatusCode::SERVICE_UNAVAILABLE,
            Self::BackendTimeout => StatusCode::GATEWAY_TIMEOUT,
            Self::GatewayFault => StatusCode::INTERNAL_SERVER_ERROR,
            Self::ClientClosed
            | Self::BackendClosed
            | Self::ClientLost
            | Self::BackendLost
            | Self::ClientProtocolError
            | Self::BackendProtocolError
            | Self::IdleTimeout
            | Self::ClientUnresponsive
            | Self::BackendUnresponsive => return None,
        })
    }

    /// The code of the close frame that the gateway sends to the client, or `None` if it sends none: the reason only refuses
    /// handshakes, or a peer's own close frame is passed on.
    ///
    /// Users of API managers know the codes from 4000. 1014 is registered with IANA as "bad gateway". It is also sent for a
    /// backend's invalid frame, because 1002 would blame the client.
    #[must_use]
    pub const fn close_code(self) -> Option<u16> {
        match self {
            Self::ClientLost | Self::ApiWithdrawn | Self::IdleTimeout | Self::Draining => {
                Some(1001)
            }
            Self::ClientProtocolError => Some(1002),
            Self::BackendLost | Self::BackendProtocolError | Self::BackendUnresponsive => {
                Some(1014)
            }
            Self::ClientUnresponsive => Some(1001),
            Self::CredentialExpired | Self::IssuerUnknown | Self::ApplicationUnknown => Some(4001),
            Self::SubscriptionMissing
            | Self::SubscriptionBlocked
            | Self::EndpointMissing
            | Self::ApiBlocked => Some(4002),
            Self::ApiQuota
            | Self::TopicQuota
            | Self::SubscriptionQuota
            | Self::ApplicationQuota => Some(4003),
            Self::LedgerUnavailable | Self::GatewayFault => Some(4004),
            Self::DeniedByPolicy => Some(4006),
            Self::MalformedRequest
            | Self::RequestTooLarge
            | Self::HandshakeTimeout
            | Self::UpgradeRequired
            | Self::UnsupportedVersion
            | Self::ConnectionLimit
            | Self::NotReady
            | Self::ApiNotFound
            | Self::TopicNotFound
            | Self::CredentialMissing
            | Self::CredentialInvalid
            | Self::CredentialNotYetValid
            | Self::AudienceMismatch
            | Self::SessionLimit
            | Self::ConnectionRate
            | Self::BackendRefused
            | Self::BackendUnreachable
            | Self::BackendTimeout
            | Self::BackendTls
            | Self::BackendHandshake
            | Self::ClientClosed
            | Self::BackendClosed => None,
        }
    }

    /// Whether it ends open sessions; the other reasons only refuse handshakes.
    #[must_use]
    pub const fn ends_sessions(self) -> bool {
        matches!(self, Self::ClientClosed | Self::BackendClosed) || self.close_code().is_some()
    }

    /// The code of the close frame that the gateway sends to the backend when it ends the session: 1002 if the backend sent
    /// an invalid frame, else 1001, because from the backend's view the client is going away.
    #[must_use]
    pub const fn backend_close_code(self) -> u16 {
        match self {
            Self::BackendProtocolError => 1002,
            _ => 1001,
        }
    }

    /// Who caused it.
    #[must_use]
    pub const fn side(self) -> Side {
        match self {
            Self::MalformedRequest
            | Self::RequestTooLarge
            | Self::HandshakeTimeout
            | Self::UpgradeRequired
            | Self::UnsupportedVersion
            | Self::ApiNotFound
            | Self::TopicNotFound
            | Self::CredentialMissing
            | Self::CredentialInvalid
            | Self::CredentialExpired
            | Self::CredentialNotYetValid
            | Self::IssuerUnknown
            | Self::AudienceMismatch
            | Self::ApplicationUnknown
            | Self::SubscriptionMissing
            | Self::SubscriptionBlocked
            | Self::DeniedByPolicy
            | Self::ApiQuota
            | Self::TopicQuota
            | Self::SubscriptionQuota
            | Self::ApplicationQuota
            | Self::SessionLimit
            | Self::ConnectionRate
            | Self::ClientClosed
            | Self::ClientLost
            | Self::ClientProtocolError
            | Self::ClientUnresponsive => Side::Client,
            Self::BackendRefused
            | Self::BackendUnreachable
            | Self::BackendTimeout
            | Self::BackendTls
            | Self::BackendHandshake
            | Self::BackendClosed
            | Self::BackendLost
            | Self::BackendProtocolError
            | Self::BackendUnresponsive => Side::Backend,
            Self::ConnectionLimit
            | Self::NotReady
            | Self::ApiBlocked
            | Self::ApiWithdrawn
            | Self::EndpointMissing
            | Self::LedgerUnavailable
            | Self::IdleTimeout
            | Self::Draining
            | Self::GatewayFault => Side::Gateway,
        }
    }

    /// The metric label, log value and `reason` of a problem body. Stable.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::MalformedRequest => "malformed_request",
            Self::RequestTooLarge => "request_too_large",
            Self::HandshakeTimeout => "handshake_timeout",
            Self::UpgradeRequired => "upgrade_required",
            Self::UnsupportedVersion => "unsupported_version",
            Self::ConnectionLimit => "connection_limit",
            Self::NotReady => "not_ready",
            Self::ApiNotFound => "api_not_found",
            Self::TopicNotFound => "topic_not_found",
            Self::ApiBlocked => "api_blocked",
            Self::ApiWithdrawn => "api_withdrawn",
            Self::EndpointMissing => "endpoint_missing",
            Self::CredentialMissing => "credential_missing",
            Self::CredentialInvalid => "credential_invalid",
            Self::CredentialExpired => "credential_expired",
            Self::CredentialNotYetValid => "credential_not_yet_valid",
            Self::IssuerUnknown => "issuer_unknown",
            Self::AudienceMismatch => "audience_mismatch",
            Self::ApplicationUnknown => "application_unknown",
            Self::SubscriptionMissing => "subscription_missing",
            Self::SubscriptionBlocked => "subscription_blocked",
            Self::DeniedByPolicy => "denied_by_policy",
            Self::ApiQuota => "api_quota",
            Self::TopicQuota => "topic_quota",
            Self::SubscriptionQuota => "subscription_quota",
            Self::ApplicationQuota => "application_quota",
            Self::SessionLimit => "session_limit",
            Self::ConnectionRate => "connection_rate",
            Self::LedgerUnavailable => "ledger_unavailable",
            Self::BackendRefused => "backend_refused",
            Self::BackendUnreachable => "backend_unreachable",
            Self::BackendTimeout => "backend_timeout",
            Self::BackendTls => "backend_tls",
            Self::BackendHandshake => "backend_handshake",
            Self::ClientClosed => "client_closed",
            Self::BackendClosed => "backend_closed",
            Self::ClientLost => "client_lost",
            Self::BackendLost => "backend_lost",
            Self::ClientProtocolError => "client_protocol_error",
            Self::BackendProtocolError => "backend_protocol_error",
            Self::IdleTimeout => "idle_timeout",
            Self::ClientUnresponsive => "client_unresponsive",
            Self::BackendUnresponsive => "backend_unresponsive",
            Self::Draining => "draining",
            Self::GatewayFault => "gateway_fault",
        }
    }

    /// The numeric code that users of the leading API manager know, in a problem body's `code`; the HTTP status or
    /// close code where there is none.
    #[must_use]
    pub const fn code(self) -> u32 {
        match self {
            Self::CredentialMissing => 900_902,
            Self::CredentialInvalid
            | Self::CredentialExpired
            | Self::CredentialNotYetValid
            | Self::IssuerUnknown
            | Self::ApplicationUnknown
            | Self::EndpointMissing => 900_901,
            Self::SubscriptionBlocked => 900_907,
            Self::SubscriptionMissing => 900_908,
            Self::AudienceMismatch => 900_914,
            Self::ApiQuota => 900_800,
            Self::TopicQuota => 900_802,
            Self::ApplicationQuota => 900_803,
            Self::SubscriptionQuota => 900_804,
            Self::DeniedByPolicy => 900_805,
            Self::ConnectionRate => 900_807,
            Self::ApiBlocked => 700_700,
            _ => match (self.status(), self.close_code()) {
                (Some(status), _) => status.as_u16() as u32,
                (None, Some(code)) => code as u32,
                (None, None) => 0,
            },
        }
    }

    /// What a client is told, in a problem body's `detail` or a close frame's reason (below 123 bytes, RFC 6455, 5.5).
    /// Safe to show to strangers.
    #[must_use]
    pub const fn message(self) -> &'static str {
        match self {
            Self::MalformedRequest => "the request is not a valid WebSocket handshake",
            Self::RequestTooLarge => "the request head is too large",
            Self::HandshakeTimeout => "the request head did not arrive in time",
            Self::UpgradeRequired => "this address accepts WebSocket only; send an upgrade request",
            Self::UnsupportedVersion => "only WebSocket version 13 is supported",
            Self::ConnectionLimit => {
                "this gateway node has reached its connection limit; try again"
            }
            Self::NotReady => "this gateway node has no configuration yet; try again",
            Self::ApiNotFound => "no API matches this path",
            Self::TopicNotFound => "the API has no such topic",
            Self::ApiBlocked => "the API is temporarily blocked",
            Self::ApiWithdrawn => "the API is no longer available here",
            Self::EndpointMissing => "the API has no endpoint for this kind of key",
            Self::CredentialMissing => {
                "send an access token as Authorization: Bearer, as ?access_token=, or after the subprotocol tidegate.token"
            }
            Self::CredentialInvalid => "the access token is not valid",
            Self::CredentialExpired => "the access token has expired",
            Self::CredentialNotYetValid => "the access token is not valid yet",
            Self::IssuerUnknown => "the access token is from an unknown issuer",
            Self::AudienceMismatch => "the access token is for another audience",
            Self::ApplicationUnknown => "the access token belongs to no known application",
            Self::SubscriptionMissing => "the application is not subscribed to this API",
            Self::SubscriptionBlocked => "the subscription to this API is blocked",
            Self::DeniedByPolicy => "a deny policy blocks this caller",
            Self::ApiQuota => "the limit of this API is reached",
            Self::TopicQuota => "the limit of this topic is reached",
            Self::SubscriptionQuota => "the limit of the subscription's plan is reached",
            Self::ApplicationQuota => "the limit of the application is reached",
            Self::SessionLimit => "the limit of open sessions is reached",
            Self::ConnectionRate => "the limit of new sessions per second is reached",
            Self::LedgerUnavailable => "quotas are temporarily unavailable; try again",
            Self::BackendRefused => "the backend refused the connection",
            Self::BackendUnreachable => "the backend cannot be reached",
            Self::BackendTimeout => "the backend did not answer in time",
            Self::BackendTls => "the secure connection to the backend failed",
            Self::BackendHandshake => "the backend did not answer with a WebSocket handshake",
            Self::ClientClosed => "the client closed the connection",
            Self::BackendClosed => "the backend closed the connection",
            Self::ClientLost => "the connection to the client was lost",
            Self::BackendLost => "the connection to the backend was lost",
            Self::ClientProtocolError => "the client sent an invalid frame",
            Self::BackendProtocolError => "the backend sent an invalid frame",
            Self::IdleTimeout => "the session was idle for too long",
            Self::ClientUnresponsive => "the client does not answer pings",
            Self::BackendUnresponsive => "the backend does not answer pings",
            Self::Draining => "this gateway node is shutting down; reconnect",
            Self::GatewayFault => "the gateway failed",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.label())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::Reason;

    #[test]
    fn every_reason_is_listed_once_under_a_label_of_its_own() {
        let labels: HashSet<_> = Reason::ALL.iter().map(|r| r.label()).collect();
        assert_eq!(labels.len(), Reason::ALL.len());
        let last = Reason::ALL[Reason::ALL.len() - 1] as usize;
        assert_eq!(last + 1, Reason::ALL.len(), "a variant is missing from ALL");
        for (index, reason) in Reason::ALL.iter().enumerate() {
            assert_eq!(*reason as usize, index, "{reason} is out of order");
        }
    }

    #[test]
    fn every_message_fits_into_a_close_frame() {
        for reason in Reason::ALL {
            assert!(reason.message().len() <= 123, "{reason}");
        }
    }

    #[test]
    fn what_is_judged_at_the_handshake_alone_ends_no_session() {
        for reason in [
            Reason::ApiNotFound,
            Reason::TopicNotFound,
            Reason::CredentialMissing,
            Reason::CredentialInvalid,
            Reason::CredentialNotYetValid,
            Reason::AudienceMismatch,
            Reason::SessionLimit,
            Reason::ConnectionRate,
            Reason::BackendRefused,
        ] {
            assert!(!reason.ends_sessions(), "{reason}");
            assert_eq!(reason.close_code(), None, "{reason}");
        }
        for reason in [
            Reason::CredentialExpired,
            Reason::ApiBlocked,
            Reason::ClientClosed,
        ] {
            assert!(reason.ends_sessions(), "{reason}");
        }
    }

    #[test]
    fn every_reason_says_something_to_somebody() {
        for reason in Reason::ALL {
            assert!(
                reason.status().is_some() || reason.ends_sessions(),
                "{reason}"
            );
        }
    }
}
