//! The pages of the portals that pictures are taken of: who looks, and what is done on the way.

use crate::showcase;

/// A page, and how to come to it.
pub(super) struct Shot {
    /// The name of the file, without theme and width.
    pub(super) name: &'static str,
    /// Who looks; nobody for a stranger.
    pub(super) by: Option<&'static str>,
    pub(super) path: &'static str,
    /// What is done on the way.
    pub(super) steps: &'static [Do],
}

/// A step on the way to a picture.
pub(super) enum Do {
    Follow(&'static str),
    Press(&'static str),
    Fill(&'static str, &'static str),
    See(&'static str),
}

pub(super) const CREATOR: Option<&str> = Some("publisher");
pub(super) const DEVELOPER: Option<&str> = Some("subscriber");
pub(super) const ADMIN: Option<&str> = Some("admin");

const fn shot(
    name: &'static str,
    by: Option<&'static str>,
    path: &'static str,
    steps: &'static [Do],
) -> Shot {
    Shot {
        name,
        by,
        path,
        steps,
    }
}

/// Every page.
pub(super) const SHOTS: &[Shot] = &[
    shot("start", None, "/", &[]),
    shot("sign-in", None, "/sign-in", &[]),
    shot(
        "sign-in-refused",
        None,
        "/sign-in",
        &[
            Do::Fill("User name", "creator"),
            Do::Fill("Password", "guessed"),
            Do::Follow("Sign in"),
        ],
    ),
    shot("publisher-apis", CREATOR, "/publisher/apis", &[]),
    shot(
        "publisher-apis-table",
        CREATOR,
        "/publisher/apis?view=table",
        &[],
    ),
    shot(
        "publisher-nothing-fits",
        CREATOR,
        "/publisher/apis?q=nowhere",
        &[],
    ),
    shot(
        "publisher-create",
        CREATOR,
        "/publisher/apis/create",
        &[
            Do::Fill("Name", "EchoAgain"),
            Do::Fill("Context", "/echoagain"),
            Do::Fill("Version", "1.0"),
        ],
    ),
    shot(
        "publisher-create-faults",
        CREATOR,
        "/publisher/apis/create",
        &[
            Do::Fill("Context", "no slash"),
            Do::Fill("Endpoint", "http://backend"),
            Do::Follow("Create"),
        ],
    ),
    shot(
        "publisher-overview",
        CREATOR,
        "/publisher/apis",
        &[Do::Follow("Tides")],
    ),
    shot(
        "publisher-overview-new",
        CREATOR,
        "/publisher/apis",
        &[Do::Follow("Harbour-Traffic")],
    ),
    shot(
        "publisher-overview-long-name",
        CREATOR,
        "/publisher/apis",
        &[Do::Follow(showcase::LONG_NAME)],
    ),
    shot(
        "publisher-info",
        CREATOR,
        "/publisher/apis",
        &[Do::Follow("Tides"), Do::Follow("Basic info")],
    ),
    shot(
        "publisher-topics",
        CREATOR,
        "/publisher/apis",
        &[Do::Follow("Tides"), Do::Follow("Topics")],
    ),
    shot(
        "publisher-topics-many",
        CREATOR,
        "/publisher/apis",
        &[
            Do::Follow("Harbour-Traffic"),
            Do::Follow("Topics"),
            Do::Follow("Edit topic 3"),
        ],
    ),
    shot(
        "publisher-endpoints",
        CREATOR,
        "/publisher/apis",
        &[Do::Follow("Tides"), Do::Follow("Endpoints")],
    ),
    shot(
        "publisher-plans",
        CREATOR,
        "/publisher/apis",
        &[Do::Follow("Tides"), Do::Follow("Plans")],
    ),
    shot(
        "publisher-deployments",
        CREATOR,
        "/publisher/apis",
        &[Do::Follow("Tides"), Do::Follow("Deployments")],
    ),
    shot(
        "publisher-subscribers",
        CREATOR,
        "/publisher/apis",
        &[Do::Follow("Tides"), Do::Follow("Subscribers")],
    ),
    shot(
        "publisher-documents",
        CREATOR,
        "/publisher/apis",
        &[Do::Follow("Tides"), Do::Follow("Documents")],
    ),
    shot(
        "publisher-document",
        CREATOR,
        "/publisher/apis",
        &[
            Do::Follow("Tides"),
            Do::Follow("Documents"),
            Do::Follow("Getting started"),
        ],
    ),
    shot(
        "publisher-document-new",
        CREATOR,
        "/publisher/apis",
        &[
            Do::Follow("Tides"),
            Do::Follow("Documents"),
            Do::Follow("Add document"),
        ],
    ),
    shot(
        "publisher-version",
        CREATOR,
        "/publisher/apis",
        &[Do::Follow("Tides"), Do::Follow("New version")],
    ),
    shot(
        "publisher-delete",
        CREATOR,
        "/publisher/apis",
        &[Do::Follow("Tides"), Do::Follow("Delete")],
    ),
    shot("devportal-sign-up", None, "/devportal/sign-up", &[]),
    shot("devportal-apis", None, "/devportal/apis", &[]),
    shot(
        "devportal-api",
        DEVELOPER,
        "/devportal/apis",
        &[Do::Follow("Tides")],
    ),
    shot(
        "devportal-documents",
        DEVELOPER,
        "/devportal/apis",
        &[Do::Follow("Tides"), Do::Follow("Documents")],
    ),
    shot(
        "devportal-document",
        DEVELOPER,
        "/devportal/apis",
        &[
            Do::Follow("Tides"),
            Do::Follow("Documents"),
            Do::Follow("Getting started"),
        ],
    ),
    shot(
        "devportal-subscribe",
        DEVELOPER,
        "/devportal/apis",
        &[Do::Follow("EchoWebSocket"), Do::Follow("Subscriptions")],
    ),
    shot(
        "devportal-code",
        DEVELOPER,
        "/devportal/apis",
        &[Do::Follow("Tides"), Do::Follow("Code")],
    ),
    shot(
        "devportal-console",
        DEVELOPER,
        "/devportal/apis",
        &[
            Do::Follow("Tides"),
            Do::Follow("Console"),
            Do::Follow("Get a token"),
            Do::Press("Connect"),
            Do::See("Connected"),
            Do::Fill("Message", "{\"gauge\": \"dover\"}"),
            Do::Press("Send"),
            Do::See("↓ Received"),
        ],
    ),
    shot(
        "devportal-applications",
        DEVELOPER,
        "/devportal/applications",
        &[],
    ),
    shot(
        "devportal-application",
        DEVELOPER,
        "/devportal/applications",
        &[Do::Follow("Dashboard")],
    ),
    shot(
        "devportal-application-edit",
        DEVELOPER,
        "/devportal/applications",
        &[Do::Follow("Dashboard"), Do::Follow("Edit")],
    ),
    shot(
        "devportal-key-made",
        DEVELOPER,
        "/devportal/applications",
        &[
            Do::Follow("Tide clock"),
            Do::Follow("Create sandbox key"),
            Do::See("Client secret"),
        ],
    ),
    shot(
        "devportal-secret",
        DEVELOPER,
        "/devportal/applications",
        &[Do::Follow("Dashboard"), Do::Follow("New secret")],
    ),
    shot(
        "devportal-token",
        DEVELOPER,
        "/devportal/applications",
        &[Do::Follow("Dashboard"), Do::Follow("Get a token")],
    ),
    shot(
        "devportal-application-new",
        DEVELOPER,
        "/devportal/applications/new",
        &[],
    ),
    shot(
        "devportal-usage",
        DEVELOPER,
        "/devportal/apis",
        &[
            Do::Follow("Ship-Positions"),
            Do::Follow("Subscriptions"),
            Do::Follow("Usage and plan of Dashboard"),
        ],
    ),
    shot(
        "devportal-leave",
        DEVELOPER,
        "/devportal/apis",
        &[
            Do::Follow("Ship-Positions"),
            Do::Follow("Subscriptions"),
            Do::Follow("Usage and plan of Dashboard"),
            Do::Follow("Unsubscribe"),
        ],
    ),
    shot(
        "devportal-no-application",
        CREATOR,
        "/devportal/apis",
        &[Do::Follow("Tides")],
    ),
    shot("admin-gateways", ADMIN, "/admin/gateways", &[]),
    shot(
        "admin-node",
        ADMIN,
        "/admin/gateways",
        &[Do::Follow("data-plane-1")],
    ),
    shot(
        "admin-environment",
        ADMIN,
        "/admin/gateways",
        &[Do::Follow("Edit")],
    ),
    shot(
        "admin-environment-new",
        ADMIN,
        "/admin/gateways/create",
        &[],
    ),
    shot("admin-plans", ADMIN, "/admin/plans", &[]),
    shot("admin-plan-new", ADMIN, "/admin/plans/create", &[]),
    shot("admin-plan", ADMIN, "/admin/plans", &[Do::Follow("Gold")]),
    shot(
        "admin-application-policies",
        ADMIN,
        "/admin/application-policies",
        &[],
    ),
    shot(
        "admin-application-policy-new",
        ADMIN,
        "/admin/application-policies/create",
        &[],
    ),
    shot("admin-api-policies", ADMIN, "/admin/api-policies", &[]),
    shot(
        "admin-api-policy",
        ADMIN,
        "/admin/api-policies/edit/Per-Address",
        &[],
    ),
    shot(
        "admin-api-policy-new",
        ADMIN,
        "/admin/api-policies/create",
        &[Do::Follow("Add group")],
    ),
    shot(
        "admin-deny-policy",
        ADMIN,
        "/admin/deny-policies",
        &[Do::Follow("203.0.113.0/24")],
    ),
    shot("admin-deny-policies", ADMIN, "/admin/deny-policies", &[]),
    shot(
        "admin-deny-policy-new",
        ADMIN,
        "/admin/deny-policies/create",
        &[],
    ),
    shot(
        "admin-application-keys",
        ADMIN,
        "/admin/application-keys",
        &[],
    ),
    shot(
        "admin-application-key",
        ADMIN,
        "/admin/application-keys?q=Dashboard",
        &[Do::Follow("Production key")],
    ),
    shot("admin-counters", ADMIN, "/admin/counters", &[]),
    shot("admin-users", ADMIN, "/admin/users", &[]),
    shot("admin-user-new", ADMIN, "/admin/users/create", &[]),
    shot("admin-user", ADMIN, "/admin/users/edit/subscriber", &[]),
    shot("admin-signing-keys", ADMIN, "/admin/signing-keys", &[]),
    shot("admin-audit", ADMIN, "/admin/audit", &[]),
    shot("admin-settings", ADMIN, "/admin/settings", &[]),
    shot("account", DEVELOPER, "/account", &[]),
    shot("not-found", CREATOR, "/publisher/nowhere", &[]),
    shot("refused", DEVELOPER, "/admin/users", &[]),
];
