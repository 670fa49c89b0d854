//! The admin portal: each form's faults, what roles may not do, changes that meet, names that are scripts, and what is in
//! use and stays. And everybody's own account.

use http::StatusCode;

use super::{Browser, Fields, PASSWORD, Page, Stage, token_of};
use crate::{
    domain::{
        actor::Actor, plan::Plan, policy::ApiPolicy, policy::ApplicationPolicy, policy::Subject,
    },
    portal::submitted::RESUMED,
    service::{
        application_policies::ApplicationPolicyInput, limits::LimitsInput, listing::ListQuery,
    },
};

/// Posts a form as a page of this browser would.
async fn send(browser: &mut Browser<'_>, path: &str, fields: Fields) -> Page {
    let token = token_of(browser, path);
    browser.post(path, &token, fields).await
}

fn plan(stage: &Stage, name: &str) -> Plan {
    let plan = stage.service.get::<Plan>(&name.parse().unwrap()).unwrap();
    Plan::clone(&plan)
}

/// What is typed for a plan of so many messages a day.
fn typed(name: &str, messages: &str) -> Fields {
    Fields::new()
        .with("name", name)
        .with("limits.messages.amount", messages)
        .with("limits.messages.window_seconds", "1")
        .with("limits.messages.unit", "day")
        .with("limits.stop_on_quota_reach", "1")
}

const FORMS: [&str; 6] = [
    "/admin/plans/create",
    "/admin/application-policies/create",
    "/admin/api-policies/create",
    "/admin/deny-policies/create",
    "/admin/gateways/create",
    "/admin/users/create",
];

#[tokio::test]
async fn every_page_shows_in_its_frame_and_is_small() {
    let stage = Stage::new().await;
    stage.published("Echo", "").await;
    let mut ada = stage.signed_in("ada").await;
    let places = [
        "/admin/gateways",
        "/admin/plans",
        "/admin/application-policies",
        "/admin/api-policies",
        "/admin/deny-policies",
        "/admin/application-keys",
        "/admin/counters",
        "/admin/counters?kind=apis",
        "/admin/counters?kind=applications",
        "/admin/users",
        "/admin/signing-keys",
        "/admin/audit",
        "/admin/settings",
        "/account",
        "/admin/plans/edit/Gold",
        "/admin/gateways/edit/default",
        "/admin/users/edit/sue",
        "/admin/users/edit/ada",
        "/admin/deny-policies/create?kind=api",
        "/admin/deny-policies/create?kind=application",
        "/admin/deny-policies/create?kind=user",
    ];
    for path in places.into_iter().chain(FORMS) {
        let page = ada.get(path).await;
        assert_eq!(page.status, StatusCode::OK, "{path}");
        assert!(page.text.len() < 100 * 1024, "{path}: {}", page.text.len());
        assert!(!page.has("style=\"") && !page.has("onclick="), "{path}");
    }
    for path in [
        "/admin/plans/edit/None",
        "/admin/api-policies/edit/None",
        "/admin/deny-policies/edit/none",
        "/admin/gateways/node/default/none",
        "/admin/users/edit/nobody",
    ] {
        let page = ada.get(path).await;
        assert_eq!(page.status, StatusCode::NOT_FOUND, "{path}");
    }
}

#[tokio::test]
async fn what_a_role_may_not_do_is_neither_shown_nor_possible() {
    let stage = Stage::new().await;
    let before = stage.service.state().number();
    for name in ["carl", "pat"] {
        let mut browser = stage.signed_in(name).await;
        let page = browser.get("/admin/gateways").await;
        assert_eq!(page.status, StatusCode::OK);
        for hidden in ["/admin/plans", "/admin/users", "create", "Edit"] {
            assert!(!page.has(hidden), "{name} sees {hidden}");
        }
        for path in [
            "/admin/plans",
            "/admin/application-policies",
            "/admin/api-policies",
            "/admin/deny-policies",
            "/admin/application-keys",
            "/admin/application-keys/edit/x/y",
            "/admin/counters",
            "/admin/users",
            "/admin/signing-keys",
            "/admin/audit",
            "/admin/settings",
            "/admin/plans/edit/Gold",
            "/admin/gateways/edit/default",
            "/admin/users/edit/carl",
        ]
        .into_iter()
        .chain(FORMS)
        {
            let page = browser.get(path).await;
            assert_eq!(page.status, StatusCode::FORBIDDEN, "{name} at {path}");
        }
        let api = tidegate_proto::ids::ApiId::generate();
        let counters = format!("/admin/counters/apis/{api}");
        for path in [
            "/admin/plans/edit/Gold",
            "/admin/plans/delete/Gold",
            "/admin/application-policies/edit/Some",
            "/admin/application-policies/delete/Some",
            "/admin/api-policies/edit/Some",
            "/admin/api-policies/delete/Some",
            "/admin/gateways/edit/default",
            "/admin/gateways/delete/default",
            "/admin/users/edit/sue",
            "/admin/users/password/sue",
            "/admin/users/sign-out/sue",
            "/admin/users/delete/sue",
            "/admin/signing-keys/rotate",
            "/admin/settings",
            counters.as_str(),
        ]
        .into_iter()
        .chain(FORMS)
        {
            let page = send(&mut browser, path, typed("New", "5")).await;
            assert_eq!(page.status, StatusCode::FORBIDDEN, "{name} to {path}");
        }
    }
    let signed_in = 2;
    let after = stage.service.state().number();
    assert_eq!(after.get(), before.get() + signed_in, "nothing was changed");
}

#[tokio::test]
async fn a_plan_is_made_with_all_of_its_limits_and_shown_in_words() {
    let stage = Stage::new().await;
    let mut ada = stage.signed_in("ada").await;
    let path = "/admin/plans/create";
    let fields = typed("Trial", "1 000")
        .with("display_name", "Try it")
        .with("limits.bytes.amount", "3")
        .with("limits.bytes.size", "MB")
        .with("limits.bytes.window_seconds", "2")
        .with("limits.bytes.unit", "hour")
        .with("limits.burst.messages", "10")
        .with("limits.burst.per", "second")
        .with("limits.sessions", "4")
        .with("limits.connections_per_second", "2")
        .with("limits.counts", "client")
        .with("limits.on_limit", "close-1008")
        .with("limits.without_ledger", "deny");
    let page = send(&mut ada, path, fields).await;
    assert_eq!(page.location(), "/admin/plans");
    let page = ada.get("/admin/plans").await;
    for text in [
        "Plan Trial created",
        "1,000 messages per day",
        "3 MB per 2 hours",
        "bursts of 10 messages per second",
        "4 concurrent sessions",
        "2 new sessions per second",
        "Close with 1008",
    ] {
        assert!(page.has(text), "{text}");
    }
    let made = plan(&stage, "Trial");
    assert_eq!(made.limits.bytes.unwrap().amount.get(), 3_000_000);
    assert!(!made.limits.count_only);

    // What its form shows, sent back, changes nothing.
    let page = ada.get("/admin/plans/edit/Trial").await;
    assert!(page.has(r#"value="close-1008" selected"#) && page.has(r#"value="MB" selected"#));
    assert!(ada.get("/admin/plans?q=tri").await.has("1 plan<"));
    assert!(ada.get("/admin/plans?q=zzz").await.has("No matches"));
}

#[tokio::test]
async fn each_fault_of_limits_stands_beside_its_field_and_nothing_typed_is_lost() {
    let stage = Stage::new().await;
    let mut ada = stage.signed_in("ada").await;
    let fields = typed("no good", "many")
        .with("limits.sessions", "-3")
        .with("limits.unlimited", "1");
    let page = send(&mut ada, "/admin/plans/create", fields).await;
    assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY);
    for text in [
        r##"href="#f-name""##,
        r##"href="#f-limits.messages.amount""##,
        r##"href="#f-limits.sessions""##,
        r##"href="#f-limits.unlimited""##,
        r#"id="f-limits.messages.amount-fault""#,
        "Must be between 1 and 9007199254740991",
        r#"value="many""#,
        r#"value="-3""#,
        r#"value="no good""#,
    ] {
        assert!(page.has(text), "{text}\n{}", page.text);
    }
    let page = send(
        &mut ada,
        "/admin/plans/create",
        Fields::new().with("name", "X"),
    )
    .await;
    assert!(
        page.has("Names no limit"),
        "a plan limits something or says so"
    );
    let taken = send(&mut ada, "/admin/plans/create", typed("gold", "1")).await;
    assert!(taken.has("exists already") && taken.has(r#"value="gold""#));
    let long = "w".repeat(60);
    for path in [
        "/admin/application-policies/create",
        "/admin/api-policies/create",
        "/admin/gateways/create",
    ] {
        let page = send(&mut ada, path, typed(&long, "1")).await;
        assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY, "{path}");
        assert!(page.has(r##"href="#f-name""##) && page.has(&long), "{path}");
    }
}

#[tokio::test]
async fn the_second_of_two_editors_is_told_and_sees_both() {
    let stage = Stage::new().await;
    let mut ada = stage.signed_in("ada").await;
    let path = "/admin/plans/edit/Gold";
    let etag = plan(&stage, "Gold").meta.etag;
    let first = typed("", "60000").with("_etag", etag.to_string());
    assert_eq!(send(&mut ada, path, first).await.location(), "/admin/plans");
    let second = typed("", "70000").with("_etag", etag.to_string());
    let page = send(&mut ada, path, second.clone()).await;
    assert_eq!(page.status, StatusCode::CONFLICT);
    assert!(page.has("Somebody else changed this") && page.has(r#"value="70000""#));
    assert!(page.has("<q>60000</q>"));
    let amount = plan(&stage, "Gold").limits.messages.unwrap().amount;
    assert_eq!(amount.get(), 60_000, "nothing of the second is saved");

    let outdated = Fields::new().with("_etag", etag.to_string());
    let page = send(&mut ada, "/admin/plans/delete/Gold", outdated).await;
    assert!(page.has("Review it before you delete it"));
    plan(&stage, "Gold");
    for (path, etag) in [
        ("/admin/gateways/edit/default", "99"),
        ("/admin/users/edit/sue", "99"),
        ("/admin/settings", "99"),
    ] {
        let fields = Fields::new()
            .with("_etag", etag)
            .with("roles", "subscriber");
        let page = send(&mut ada, path, fields).await;
        assert_eq!(page.status, StatusCode::CONFLICT, "{path}");
    }
}

#[tokio::test]
async fn a_plan_in_use_is_not_deleted_and_one_that_is_not_is() {
    let stage = Stage::new().await;
    stage.published("Echo", "").await;
    let mut ada = stage.signed_in("ada").await;
    let page = send(&mut ada, "/admin/plans/delete/Gold", Fields::new()).await;
    assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(page.has("The plan is offered by 1 APIs"), "{}", page.text);
    plan(&stage, "Gold");
    let page = send(&mut ada, "/admin/plans/delete/Silver", Fields::new()).await;
    assert_eq!(page.location(), "/admin/plans");
    assert!(ada.get("/admin/plans").await.has("Plan Silver deleted"));
    let page = ada.get("/admin/plans/edit/Silver").await;
    assert_eq!(page.status, StatusCode::NOT_FOUND);

    let page = send(&mut ada, "/admin/gateways/delete/default", Fields::new()).await;
    assert!(page.has("The environment that ships cannot be deleted"));
    assert!(!page.has("Delete environment"), "nor is it offered");
}

#[tokio::test]
async fn an_application_policy_is_made_changed_and_deleted() {
    let stage = Stage::new().await;
    let mut ada = stage.signed_in("ada").await;
    let list = "/admin/application-policies";
    assert!(ada.get(list).await.has("No application policies yet"));
    let fields = typed("Each", "10").with("per_token", "1");
    let page = send(&mut ada, "/admin/application-policies/create", fields).await;
    assert_eq!(page.location(), list);
    assert!(ada.get(list).await.has("each token"));
    let page = send(
        &mut ada,
        "/admin/application-policies/edit/Each",
        typed("", "20"),
    )
    .await;
    assert_eq!(page.location(), list);
    let page = ada.get(list).await;
    assert!(page.has("20 messages per day") && page.has("all tokens together"));
    let page = send(
        &mut ada,
        "/admin/application-policies/delete/Each",
        Fields::new(),
    )
    .await;
    assert_eq!(page.location(), list);
}

#[tokio::test]
async fn groups_are_added_moved_and_removed_without_scripts_and_saved_in_their_order() {
    let stage = Stage::new().await;
    let mut ada = stage.signed_in("ada").await;
    let path = "/admin/api-policies/create";
    let own = typed("Guard", "100").with("per", "ADDRESS");
    let page = send(&mut ada, path, own.clone().with("change", "add-group")).await;
    assert_eq!(page.status, StatusCode::OK, "nothing is saved yet");
    for text in [
        r#"name="groups[0].conditions[0].kind""#,
        r#"name="groups[0].limits.messages.amount""#,
        r#"value="Guard""#,
        r#"value="remove-group.0""#,
        r#"value="100""#,
    ] {
        assert!(page.has(text), "{text}");
    }
    let group = |fields: Fields, at: &str, kind: &str, name: &str, value: &str| {
        fields
            .with(at, "1")
            .with(format!("{at}.limits.unlimited"), "1")
            .with(format!("{at}.conditions[0]"), "1")
            .with(format!("{at}.conditions[0].kind"), kind)
            .with(format!("{at}.conditions[0].name"), name)
            .with(format!("{at}.conditions[0].value"), value)
    };
    let both = group(own, "groups[0]", "header", "X-Tier", "gold");
    let both = group(both, "groups[1]", "address", "", "192.0.2.0/24")
        .with("groups[1].conditions[0].invert", "1");
    let page = send(&mut ada, path, both.clone().with("change", "raise-group.1")).await;
    let (first, _) = page.text.split_once("groups[1]\"").unwrap();
    assert!(first.contains("192.0.2.0/24") && !first.contains("X-Tier"));

    let page = send(&mut ada, path, both).await;
    assert_eq!(page.location(), "/admin/api-policies");
    let policy = stage
        .service
        .get::<ApiPolicy>(&"Guard".parse().unwrap())
        .unwrap();
    assert!(
        matches!(&policy.groups[0].conditions[0].subject, Subject::Header(it) if it.name == "x-tier")
    );
    assert!(policy.groups[1].conditions[0].invert);
    let page = ada.get("/admin/api-policies/edit/Guard").await;
    assert!(page.has(r#"value="192.0.2.0/24""#) && page.has(r#"value="x-tier""#));
}

#[tokio::test]
async fn faults_of_conditions_come_to_their_rows() {
    let stage = Stage::new().await;
    let mut ada = stage.signed_in("ada").await;
    let fields = typed("Guard", "100")
        .with("per", "API")
        // With a gap: they are numbered anew, and so are their faults.
        .with("groups[3]", "1")
        .with("groups[3].conditions[0]", "1")
        .with("groups[3].conditions[0].kind", "claim")
        .with("groups[3].conditions[0].name", "sub")
        .with("groups[3].conditions[1]", "1")
        .with("groups[3].conditions[1].kind", "address")
        .with("groups[3].conditions[1].value", "300.0.0.1")
        .with("groups[3].conditions[2]", "1")
        .with("groups[3].conditions[2].kind", "?")
        .with("groups[7]", "1")
        .with("groups[7].limits.unlimited", "1");
    let page = send(&mut ada, "/admin/api-policies/create", fields).await;
    assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY);
    for id in [
        "groups[0].conditions[0].name",
        "groups[0].conditions[1].value",
        "groups[0].conditions[2].kind",
        "groups[0].limits",
        "groups[1].conditions",
    ] {
        assert!(page.has(&format!(r##"href="#f-{id}""##)), "{id}");
        assert!(page.has(&format!(r#"id="f-{id}-fault""#)), "{id}");
        assert!(page.has(&format!(r#"id="f-{id}""#)), "{id}");
    }
    assert!(page.has("Group 1, condition 2, value must be an IP address"));
}

#[tokio::test]
async fn whom_a_deny_policy_is_about_is_chosen_and_stays() {
    let stage = Stage::new().await;
    stage.published("Echo", "").await;
    let mut ada = stage.signed_in("ada").await;
    let create = "/admin/deny-policies/create";
    let list = "/admin/deny-policies";
    let page = ada.get(&format!("{create}?kind=api")).await;
    assert!(page.has("Echo 1.0 · /echo/1.0"));
    let of = |kind: &str, value: &str| Fields::new().with("kind", kind).with(kind, value);
    for (kind, value) in [
        ("api", ""),
        ("application", "no id"),
        ("user", "nobody"),
        ("address", "1.2.3"),
    ] {
        let page = send(&mut ada, create, of(kind, value)).await;
        assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY, "{kind}");
        assert!(page.has(&format!(r##"href="#f-{kind}""##)), "{kind}");
        assert!(page.has(&format!(r#"id="f-{kind}""#)), "{kind}");
    }
    let past = of("user", "sue").with("expire_time", "2001-01-01T00:00");
    let page = send(&mut ada, create, past).await;
    assert!(page.has("Must lie in the future") && page.has("2001-01-01T00:00"));

    let fields = of("address", "192.0.2.0/24")
        .with("invert", "1")
        .with("expire_time", "2100-01-01T00:00")
        .with("description", "Only the <office>");
    assert_eq!(send(&mut ada, create, fields).await.location(), list);
    let page = ada.get(list).await;
    assert!(page.has("All addresses except") && page.has("Active"));
    assert!(page.has("Only the &#60;office&#62;"));
    let again = of("address", "192.0.2.0/24").with("invert", "1");
    assert!(send(&mut ada, create, again).await.has("same target"));

    let all = ListQuery::default();
    let policies = stage
        .service
        .list_deny_policies(&Actor::system(), &all)
        .unwrap();
    let id = policies.items[0].id;
    let page = ada.get(&format!("{list}/edit/{id}")).await;
    assert!(page.has(r#"value="2100-01-01T00:00:00""#));
    let off = Fields::new().with("disabled", "1");
    let page = send(&mut ada, &format!("{list}/edit/{id}"), off).await;
    assert_eq!(page.location(), list);
    assert!(ada.get(list).await.has("Disabled"));
    let page = send(&mut ada, &format!("{list}/delete/{id}"), Fields::new()).await;
    assert_eq!(page.location(), list);
    assert!(ada.get(list).await.has("No deny policies yet"));
}

#[tokio::test]
async fn an_environment_is_made_changed_and_deleted() {
    let stage = Stage::new().await;
    let mut ada = stage.signed_in("ada").await;
    let fields = Fields::new()
        .with("name", "europe")
        .with("ws_url", "http://nowhere");
    let page = send(&mut ada, "/admin/gateways/create", fields).await;
    assert!(page.has(r##"href="#f-ws_url""##) && page.has("http://nowhere"));
    let fields = Fields::new()
        .with("name", "europe")
        .with("wss_url", "wss://eu.example:8099");
    let page = send(&mut ada, "/admin/gateways/create", fields).await;
    assert_eq!(page.location(), "/admin/gateways");
    assert!(
        ada.get("/admin/gateways")
            .await
            .has("wss://eu.example:8099")
    );
    let fields = Fields::new().with("display_name", "Europe");
    send(&mut ada, "/admin/gateways/edit/europe", fields).await;
    let page = ada.get("/admin/gateways").await;
    assert!(page.has(">Europe ") && !page.has("wss://eu.example"));
    let page = send(&mut ada, "/admin/gateways/delete/europe", Fields::new()).await;
    assert_eq!(page.location(), "/admin/gateways");
}

#[tokio::test]
async fn users_are_made_given_roles_and_passwords_signed_out_and_deleted() {
    let stage = Stage::new().await;
    let mut ada = stage.signed_in("ada").await;
    let create = "/admin/users/create";
    let wrong = Fields::new().with("name", "a b").with("password", "short");
    let page = send(&mut ada, create, wrong).await;
    for field in ["name", "password", "roles"] {
        assert!(page.has(&format!(r##"href="#f-{field}""##)), "{field}");
    }
    assert!(!page.has("short\""), "a password does not come back");
    let fields = Fields::new()
        .with("name", "tom@example.org")
        .with("password", PASSWORD)
        .with("roles", "creator")
        .with("roles", "publisher");
    assert_eq!(
        send(&mut ada, create, fields).await.location(),
        "/admin/users"
    );
    let mut tom = stage.signed_in("tom@example.org").await;
    assert!(tom.get("/publisher/apis").await.has("Design a new"));

    let edit = "/admin/users/edit/tom@example.org";
    let page = ada.get(edit).await;
    assert_eq!(page.text.matches(" checked").count(), 2);
    let page = send(&mut ada, edit, Fields::new()).await;
    assert!(page.has(r##"href="#f-roles""##), "somebody without a role");
    let publisher = Fields::new().with("roles", "publisher");
    send(&mut ada, edit, publisher).await.location();
    assert!(!tom.get("/publisher/apis").await.has("Design a new"));

    let out = "/admin/users/sign-out/tom@example.org";
    assert_eq!(send(&mut ada, out, Fields::new()).await.location(), edit);
    assert!(
        tom.get("/publisher/apis")
            .await
            .location()
            .starts_with("/sign-in")
    );
    let set = "/admin/users/password/tom@example.org";
    let short = Fields::new().with("new_password", "short");
    let page = send(&mut ada, set, short).await;
    assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(page.has(r##"href="#f-new_password""##));
    let other = Fields::new().with("new_password", "another long password");
    assert_eq!(send(&mut ada, set, other).await.location(), edit);
    let page = stage
        .browser()
        .sign_in("tom@example.org", PASSWORD, "")
        .await;
    assert_eq!(page.status, StatusCode::UNAUTHORIZED);
    let delete = "/admin/users/delete/tom@example.org";
    assert_eq!(
        send(&mut ada, delete, Fields::new()).await.location(),
        "/admin/users"
    );
    let page = ada.get("/admin/users?role=publisher").await;
    assert!(page.has(">pat</a>") && !page.has(">tom@"));
}

#[tokio::test]
async fn the_last_admin_stays_admin_and_has_no_button_to_leave() {
    let stage = Stage::new().await;
    let mut ada = stage.signed_in("ada").await;
    let page = ada.get("/admin/users/edit/ada").await;
    assert!(page.has("This is you") && !page.has("Delete user"));
    let fields = Fields::new().with("roles", "creator");
    let page = send(&mut ada, "/admin/users/edit/ada", fields).await;
    assert!(page.has("No admin would be left"));
    let page = send(&mut ada, "/admin/users/delete/ada", Fields::new()).await;
    assert!(page.has("No admin would be left"));
    assert_eq!(ada.get("/admin/users").await.status, StatusCode::OK);
}

#[tokio::test]
async fn names_and_texts_that_are_scripts_are_text_everywhere() {
    let stage = Stage::new().await;
    let evil = "\"><script>alert(1)</script>";
    stage.published("Echo", evil).await;
    let input = ApplicationPolicyInput {
        display_name: evil.to_owned(),
        description: evil.to_owned(),
        limits: Some(LimitsInput {
            unlimited: true,
            ..LimitsInput::default()
        }),
        ..ApplicationPolicyInput::default()
    };
    let system = Actor::system();
    stage
        .service
        .create::<ApplicationPolicy>(&system, "P", input)
        .await
        .unwrap();
    let mut ada = stage.signed_in("ada").await;
    let query = "?q=%22%3E%3Cscript%3E&actor=%3Cscript%3E&kind=%3Cscript%3E&role=%3Cscript%3E";
    for path in [
        "/admin/application-policies",
        "/admin/application-policies/edit/P",
        "/admin/plans",
        "/admin/deny-policies",
        "/admin/application-keys",
        "/admin/counters",
        "/admin/counters?kind=apis",
        "/admin/users",
        "/admin/audit",
    ] {
        for path in [path.to_owned(), format!("{path}{query}")] {
            let page = ada.get(&path).await;
            // Nobody has a role of that name, so a filter by it is refused.
            let is_refused = path.starts_with("/admin/users?");
            let status = if is_refused {
                StatusCode::BAD_REQUEST
            } else {
                StatusCode::OK
            };
            assert_eq!(page.status, status, "{path}");
            assert!(!page.has("<script>"), "{path}");
        }
    }
    for path in FORMS {
        let fields = ["name", "display_name", "description", "address", "ws_url"];
        let fields = fields
            .into_iter()
            .fold(Fields::new().with("kind", "address"), |it, name| {
                it.with(name, evil)
            });
        let page = send(&mut ada, path, fields).await;
        assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY, "{path}");
        assert!(!page.has("<script>"), "{path}");
    }
}

#[tokio::test]
async fn a_key_is_rotated_once_and_another_waits_for_it() {
    let stage = Stage::new().await;
    let mut ada = stage.signed_in("ada").await;
    let list = "/admin/signing-keys";
    let page = ada.get(list).await;
    assert!(page.has(">Active<") && !page.has(">Next<"));
    let page = send(&mut ada, "/admin/signing-keys/rotate", Fields::new()).await;
    assert_eq!(page.location(), list);
    let page = ada.get(list).await;
    assert!(page.has(">Active<") && page.has(">Next<"));
    let page = send(&mut ada, "/admin/signing-keys/rotate", Fields::new()).await;
    assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(page.has("A new key waits to sign already"));
    let private = stage
        .service
        .state()
        .active_signing_key()
        .unwrap()
        .private_key
        .clone();
    assert!(!page.has(private.expose()));
}

#[tokio::test]
async fn the_audit_log_is_filtered_by_who_what_and_when_in_pages() {
    let stage = Stage::new().await;
    let mut ada = stage.signed_in("ada").await;
    for n in 0..30 {
        let fields = typed(&format!("P{n}"), "7");
        send(&mut ada, "/admin/plans/create", fields)
            .await
            .location();
    }
    let page = ada.get("/admin/audit?action=CreatePlan&actor=ada").await;
    assert_eq!(page.text.matches("class=\"log-head\"").count(), 25);
    assert!(page.has("plans/P29") && page.has("limits.messages.amount"));
    let (_, next) = page.text.rsplit_once("href=\"/admin/audit?").unwrap();
    let next = next.split('"').next().unwrap().replace("&#38;", "&");
    let page = ada.get(&format!("/admin/audit?{next}")).await;
    assert_eq!(page.text.matches("class=\"log-head\"").count(), 5);
    assert!(page.has("plans/P0<") && page.has("Latest"));
    assert!(
        ada.get("/admin/audit?resource=users%2Fsue")
            .await
            .has("CreateUser")
    );
    assert!(
        ada.get("/admin/audit?from=2100-01-01T00:00")
            .await
            .has("No matches")
    );
    let page = ada.get("/admin/audit?until=2100-01-01T00:00").await;
    assert!(page.has("plans/P29"));
    let page = ada.get("/admin/audit?from=yesterday").await;
    assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(page.has("From must be a date and a time"));
    assert!(!page.has("argon2"), "no hash of a password is shown");
}

#[tokio::test]
async fn an_admin_allows_strangers_to_sign_up() {
    let stage = Stage::new().await;
    let mut ada = stage.signed_in("ada").await;
    let path = "/admin/settings";
    assert!(!ada.get(path).await.has(" checked"));
    let allowed = Fields::new().with("sign_up_allowed", "1");
    assert_eq!(send(&mut ada, path, allowed).await.location(), path);
    assert!(stage.service.is_sign_up_allowed());
    assert!(ada.get(path).await.has(" checked"));
    send(&mut ada, path, Fields::new()).await.location();
    assert!(!stage.service.is_sign_up_allowed());
}

#[tokio::test]
async fn an_admin_allows_a_key_scopes_and_its_owner_chooses_among_them() {
    let stage = Stage::new().await;
    let mut ada = stage.signed_in("ada").await;
    let list = "/admin/application-keys";
    assert!(ada.get(list).await.has("No applications yet"));
    let mut sue = stage.signed_in("sue").await;
    let new = "/devportal/applications/new";
    send(&mut sue, new, Fields::new().with("name", "Dashboard")).await;
    let of = *stage.service.state().applications().keys().next().unwrap();
    let application = format!("/devportal/applications/{of}");
    let production = Fields::new().with("key_type", "PRODUCTION");
    send(&mut sue, &format!("{application}/keys"), production).await;
    let key = || {
        stage
            .service
            .state()
            .keys()
            .values()
            .next()
            .unwrap()
            .clone()
    };
    let client_id = key().client_id.to_string();
    let token = format!("{application}/keys/{client_id}/token");
    assert!(sue.get(&token).await.has("has no allowed scopes"));

    let edit = format!("{list}/edit/{of}/{client_id}");
    let page = ada.get(list).await;
    assert!(page.has(&edit) && page.has("no scopes") && page.has("of sue"));
    let scopes = |text: &str| Fields::new().with("scopes", text);
    let page = send(&mut sue, &edit, scopes("read")).await;
    assert_eq!(page.status, StatusCode::FORBIDDEN);
    let page = send(&mut ada, &edit, scopes("read re\"ad")).await;
    assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(page.has("id=\"f-scopes-fault\"") && page.has("Item 2: must not contain"));
    assert!(key().scopes.is_empty());
    let page = send(&mut ada, &edit, scopes(" write\n read ")).await;
    assert_eq!(page.location(), list);
    assert!(ada.get(list).await.has("read write"));
    assert!(ada.get(&edit).await.has("value=\"read write\""));

    assert!(sue.get(&application).await.has("read write"));
    let page = sue.get(&token).await;
    assert!(page.has("value=\"read\"") && page.has("value=\"write\"") && !page.has(" checked"));
    let chosen = Fields::new().with("scope", "write").with("scope", "read");
    let page = send(&mut sue, &token, chosen).await;
    assert!(
        page.has("eyJ") && page.has("<code>write read</code>"),
        "{}",
        page.text
    );
    let page = send(&mut sue, &token, Fields::new().with("scope", "admin")).await;
    assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(page.has("id=\"f-scope-fault\"") && !page.has("eyJ"));

    for gone in [
        format!("{list}/edit/{of}/nobody"),
        format!("{list}/edit/x/{client_id}"),
    ] {
        assert_eq!(ada.get(&gone).await.status, StatusCode::NOT_FOUND, "{gone}");
    }
    send(&mut ada, &edit, scopes("")).await;
    assert!(key().scopes.is_empty());
}

#[tokio::test]
async fn counters_begin_anew() {
    let stage = Stage::new().await;
    stage.published("Echo", "").await;
    let mut ada = stage.signed_in("ada").await;
    assert!(ada.get("/admin/counters").await.has("No subscriptions yet"));
    assert!(ada.get("/admin/counters?kind=apis").await.has("Echo 1.0"));
    let id = *stage.service.state().apis().keys().next().unwrap();
    let path = format!("/admin/counters/apis/{id}");
    let page = send(&mut ada, &path, Fields::new()).await;
    assert_eq!(page.location(), "/admin/counters?kind=apis");
    assert_eq!(stage.service.state().apis()[&id].quota_generation, 1);
    for path in ["/admin/counters/apis/x", "/admin/counters/x/y"] {
        let page = send(&mut ada, path, Fields::new()).await;
        assert_eq!(page.status, StatusCode::NOT_FOUND, "{path}");
    }
}

#[tokio::test]
async fn a_button_pressed_in_a_session_that_was_over_does_nothing_and_says_so() {
    let stage = Stage::new().await;
    stage.published("Echo", "").await;
    let mut ada = stage.signed_in("ada").await;
    let id = *stage.service.state().apis().keys().next().unwrap();
    let counters = format!("/admin/counters/apis/{id}");
    let number = stage.service.state().number();
    for path in [
        &counters,
        "/admin/signing-keys/rotate",
        "/admin/users/sign-out/sue",
        "/admin/users/delete/sue",
        "/admin/plans/delete/Gold",
        "/account/sign-out-everywhere",
    ] {
        let page = send(&mut ada, path, Fields::new().with(RESUMED, "1")).await;
        let back = ada.get(page.location()).await;
        assert!(back.has("Nothing has changed yet"), "{path}");
    }
    assert_eq!(stage.service.state().number(), number);
}

#[tokio::test]
async fn everybody_changes_their_own_password_and_leaves_all_sessions() {
    let stage = Stage::new().await;
    let mut elsewhere = stage.signed_in("sue").await;
    let mut sue = stage.signed_in("sue").await;
    assert!(sue.get("/devportal/apis").await.has("href=\"/account\""));
    let path = "/account/password";
    let change = |old: &str, new: &str, repeated: &str| {
        Fields::new()
            .with("old_password", old)
            .with("new_password", new)
            .with("repeated_password", repeated)
    };
    let new = "quite another password";
    for (fields, field) in [
        (change("wrong", new, new), "old_password"),
        (change(PASSWORD, "short", "short"), "new_password"),
        (change(PASSWORD, new, "slipped"), "repeated_password"),
    ] {
        let page = send(&mut sue, path, fields).await;
        assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY, "{field}");
        assert!(page.has(&format!(r#"id="f-{field}-fault""#)), "{field}");
        assert!(!page.has(PASSWORD) && !page.has(new), "{field}");
        stage.clock.advance(std::time::Duration::from_secs(60));
    }
    let page = send(&mut sue, path, change(PASSWORD, new, new)).await;
    assert_eq!(page.location(), "/account");
    assert!(sue.get("/account").await.has("Password changed"));
    assert_eq!(
        elsewhere.get("/account").await.location(),
        "/sign-in?next=%2Faccount"
    );

    let mut again = stage.browser();
    again.sign_in("sue", new, "").await.location();
    let page = send(&mut sue, "/account/sign-out-everywhere", Fields::new()).await;
    assert_eq!(page.location(), "/");
    assert!(
        again
            .get("/account")
            .await
            .location()
            .starts_with("/sign-in")
    );
    assert!(sue.get("/account").await.location().starts_with("/sign-in"));
}
