//! Forms as people treat them: filled in wrongly, sent twice, left lying until the session is over, gone back to, edited
//! by two at once, and filled with what is no name.

use std::fs;

use tidegate_integration_tests::{control_plane::PASSWORD, person::Person};
use tidegate_proto::admin::v1::ListApisRequest;
use xtask::browser::Picture;

use super::{CREATOR, House, PUBLISHER, SUBSCRIBER};

const CREATE: &str = "/publisher/apis/create";

/// What would run if it were taken for more than text.
const SCRIPT: &str = "<script>alert(1)</script><img src=x onerror=alert(2)>";

async fn names(house: &House) -> Vec<String> {
    let mut apis = house.admin.apis();
    let listed = apis.list_apis(ListApisRequest::default());
    let apis = listed.await.unwrap().into_inner().apis;
    apis.into_iter().map(|api| api.api_name).collect()
}

async fn fill(person: &Person, name: &str) {
    person.fill("Name", name).await;
    person.fill("Context", &format!("/{name}")).await;
    person.fill("Version", "1.0").await;
}

#[tokio::test]
async fn the_form_of_an_api_tells_each_fault_beside_its_field_and_loses_nothing() {
    let house = House::with(0).await;
    let mut publisher = house.person(PUBLISHER).await;
    publisher.go(CREATE).await;
    publisher.fill("Context", "/sp ace").await;
    publisher.fill("Endpoint", "http://backend").await;
    publisher.tick("Silver").await;
    publisher.follow("Create").await;
    for field in ["Name", "Context", "Version", "Endpoint"] {
        let fault = publisher.fault(field).await;
        assert!(!fault.is_empty(), "nothing is said about {field}");
    }
    publisher.sees("4 fields are invalid.").await;
    assert_eq!(publisher.value("Context").await, "/sp ace");
    assert_eq!(publisher.value("Endpoint").await, "http://backend");
    assert_eq!(
        publisher.page.is_ticked("Silver", None).await.unwrap(),
        Some(true)
    );
    publisher.judges("a form with faults").await;

    // One gets to a field by its fault, as the summary has the focus.
    publisher.page.key("Tab", 9).await.unwrap();
    publisher.page.key("Enter", 13).await.unwrap();
    let focused = "document.activeElement.id === 'f-name' || location.hash === '#f-name'";
    publisher.page.until_true(focused).await.unwrap();

    // To publish, it takes an endpoint and a plan.
    publisher.go(CREATE).await;
    let at_once = "Create and publish";
    let enabled =
        async |publisher: &Person| publisher.page.is_enabled(at_once, None).await.unwrap();
    assert_eq!(enabled(&publisher).await, Some(false));
    fill(&publisher, "first").await;
    publisher.sees("/first/1.0").await;
    publisher.fill("Endpoint", "ws://127.0.0.1:9").await;
    assert_eq!(enabled(&publisher).await, Some(false));
    publisher.tick("Gold").await;
    assert_eq!(enabled(&publisher).await, Some(true));
    publisher.follow(at_once).await;
    publisher.sees("Developers can find the API").await;

    // A context is somebody's.
    publisher.go(CREATE).await;
    fill(&publisher, "second").await;
    publisher.fill("Context", "/first").await;
    publisher.follow("Create").await;
    assert!(!publisher.fault("Context").await.is_empty());
    assert_eq!(publisher.value("Name").await, "second");

    // The same without scripts: nothing is refused by the browser that the server would not refuse.
    let mut plain = house.person(CREATOR).await;
    plain.page.scripts(false).await.unwrap();
    plain.go(CREATE).await;
    fill(&plain, "plain").await;
    plain.follow("Create").await;
    plain.sees("Publishing checklist").await;
    let mut all = names(&house).await;
    all.sort();
    assert_eq!(all, ["first", "plain"]);
}

#[tokio::test]
async fn a_form_outlives_its_session_and_is_done_once_however_often_it_is_sent() {
    let house = House::with(0).await;
    let mut creator = house.person(CREATOR).await;
    creator.go(CREATE).await;
    fill(&creator, "late").await;
    creator.tick("Gold").await;
    creator.session_expires(&house.stack.control_plane).await;
    creator.follow("Create").await;
    creator
        .sees("Your session has expired. What you typed is kept")
        .await;
    creator.judges("signing in again").await;
    creator.sign_in(CREATOR, "wrong").await;
    creator.sign_in(CREATOR, PASSWORD).await;
    creator.sees("What you typed is kept").await;
    assert_eq!(
        names(&house).await,
        Vec::<String>::new(),
        "nothing is done unasked"
    );
    creator.follow("Continue").await;
    assert_eq!(creator.value("Name").await, "late");
    assert_eq!(creator.value("Context").await, "/late");
    assert_eq!(
        creator.page.is_ticked("Gold", None).await.unwrap(),
        Some(true)
    );
    creator.follow("Create").await;
    creator.sees("Publishing checklist").await;
    assert_eq!(names(&house).await, ["late"]);

    creator.go(CREATE).await;
    fill(&creator, "twice").await;
    creator.page.follow_twice("Create").await.unwrap();
    creator.sees("Publishing checklist").await;
    assert_eq!(creator.page.heading().await.unwrap(), "twice");
    assert_eq!(names(&house).await.len(), 2);

    // What was sent is not sent again by going back, forward, or loading again.
    let overview = creator.path().await;
    creator.page.travel(-1).await.unwrap();
    assert_eq!(creator.path().await, CREATE);
    creator.page.travel(1).await.unwrap();
    assert_eq!(creator.path().await, overview);
    creator.page.reload().await.unwrap();
    creator.sees("Publishing checklist").await;
    assert_eq!(names(&house).await.len(), 2);

    // From a form that is gone back to, one sends it again, and hears that the API is there.
    creator.page.travel(-1).await.unwrap();
    fill(&creator, "twice").await;
    creator.follow("Create").await;
    assert!(creator.says("invalid").await);
    assert_eq!(names(&house).await.len(), 2);
}

#[tokio::test]
async fn of_two_editors_the_second_is_told_and_both_are_kept() {
    let house = House::with(0).await;
    let (mut first, mut second) = (house.person(CREATOR).await, house.person(PUBLISHER).await);
    first.go(CREATE).await;
    fill(&first, "shared").await;
    first.follow("Create").await;
    first.follow("Basic info").await;
    second.go("/publisher/apis").await;
    second.follow("shared").await;
    second.follow("Basic info").await;

    first.fill("Display name", "From the first").await;
    first.follow("Save").await;
    first.sees("Basic info updated").await;
    second.fill("Display name", "From the second").await;
    second.fill("Tags", "sea").await;
    second.follow("Save").await;
    second
        .sees("Somebody else changed this while you were editing.")
        .await;
    second.sees("From the first").await;
    assert_eq!(second.value("Display name").await, "From the second");
    assert_eq!(second.value("Tags").await, "sea");
    second.judges("a conflict").await;
    second.follow("Save").await;
    second.sees("Basic info updated").await;
    first.page.reload().await.unwrap();
    assert_eq!(first.value("Display name").await, "From the second");
}

#[tokio::test]
async fn what_people_write_is_shown_as_they_wrote_it_and_never_runs() {
    let house = House::with(0).await;
    let mut publisher = house.person(PUBLISHER).await;
    publisher.go(CREATE).await;
    publisher.fill("Name", SCRIPT).await;
    publisher.fill("Context", SCRIPT).await;
    publisher.fill("Version", SCRIPT).await;
    publisher.fill("Endpoint", SCRIPT).await;
    publisher.follow("Create").await;
    assert_eq!(publisher.value("Name").await, SCRIPT);
    fill(&publisher, "harmless").await;
    publisher.fill("Endpoint", "ws://127.0.0.1:9").await;
    publisher.tick("Gold").await;
    publisher.follow("Create and publish").await;
    publisher.follow("Basic info").await;
    publisher
        .fill("Display name", "<script>alert(3)</script>")
        .await;
    let description =
        format!("{SCRIPT} [a link](javascript:alert(4)) ![a picture](https://example.com/x)");
    publisher.fill("Description", &description).await;
    publisher.follow("Save").await;
    publisher.sees("Basic info updated").await;
    assert_eq!(
        publisher.page.heading().await.unwrap(),
        "<script>alert(3)</script>"
    );
    publisher
        .go("/publisher/apis?q=%3Cscript%3Ealert(5)%3C/script%3E&tag=%22%3E%3Cscript%3E")
        .await;
    publisher.sees("No matches").await;

    let mut subscriber = house.person(SUBSCRIBER).await;
    subscriber.go("/devportal/apis").await;
    subscriber.follow("<script>alert(3)</script>").await;
    let links = "[...document.querySelectorAll('main a, main img')].every((it) => !/^(javascript|https:.*example)/.test(it.href ?? it.src))";
    assert!(subscriber.page.evaluate::<bool>(links).await.unwrap());
    for tab in ["Documents", "Subscriptions", "Code", "Console"] {
        subscriber.follow(tab).await;
    }
    subscriber.go("/devportal/applications/new").await;
    subscriber.fill("Name", "<b onclick=alert(6)>").await;
    subscriber.fill("Description", SCRIPT).await;
    subscriber.follow("Create application").await;
    subscriber.go("/sign-in?next=//example.com").await;
    assert!(!subscriber.path().await.contains("example.com"));

    let mut admin = house.person("admin").await;
    for path in ["/admin/audit", "/admin/users", "/publisher/apis?view=table"] {
        admin.go(path).await;
    }
    for person in [&publisher, &subscriber, &admin] {
        let load = person.load().await;
        assert_eq!(load.dialogs, Vec::<String>::new(), "something ran");
        assert_eq!(load.complaints, Vec::<String>::new());
        let is_ours = |url: &&String| {
            ["https://localhost:", "data:"]
                .iter()
                .any(|it| url.starts_with(it))
        };
        assert_eq!(load.urls.iter().find(|url| !is_ours(url)), None);
    }
}

/// A form, what is typed into it, what sends it, and the field that has the fault.
type Wrong = (
    &'static str,
    &'static [(&'static str, &'static str)],
    &'static str,
    &'static str,
);

/// Below an API.
const WRONG_OF_AN_API: &[Wrong] = &[
    (
        "endpoints",
        &[("Production", "http://backend")],
        "Save",
        "Production",
    ),
    ("topics", &[("Topic", "no-slash")], "Save", "Topic"),
    ("info", &[("Tags", "<b>")], "Save", "Tags"),
    (
        "version",
        &[("Version", "1 0")],
        "Create version",
        "Version",
    ),
    ("documents/create", &[("Name", "")], "Save", "Name"),
    (
        "delete",
        &[("Type Api faulty to confirm", "Api")],
        "Delete the API",
        "Type Api faulty to confirm",
    ),
];

const WRONG_OF_ADMINS: &[Wrong] = &[
    (
        "plans/create",
        &[("Name", "a b"), ("Concurrent sessions", "-1")],
        "Create plan",
        "Concurrent sessions",
    ),
    (
        "application-policies/create",
        &[("Name", "a b")],
        "Create application policy",
        "Name",
    ),
    (
        "api-policies/create",
        &[("Name", "")],
        "Create API policy",
        "Name",
    ),
    (
        "deny-policies/create",
        &[("Address or range", "300.0.0.1")],
        "Create deny policy",
        "Address or range",
    ),
    (
        "gateways/create",
        &[("Name", "x"), ("ws:// address", "http://x")],
        "Create environment",
        "ws:// address",
    ),
    (
        "users/create",
        &[("User name", "x"), ("Password", "short")],
        "Create user",
        "Password",
    ),
    (
        "users/edit/sam",
        &[("New password", "short")],
        "Set password",
        "New password",
    ),
];

/// Fills forms in wrongly, one after another.
async fn fill_in_wrongly(person: &mut Person, below: &str, forms: &[Wrong]) {
    for (path, typed, button, faulty) in forms {
        person.go(&format!("{below}/{path}")).await;
        for (label, text) in *typed {
            person.fill(label, text).await;
        }
        person.follow(button).await;
        let fault = person.fault(faulty).await;
        assert!(
            !fault.is_empty(),
            "nothing is said about {faulty} at {path}"
        );
        for (label, text) in typed.iter().filter(|(label, _)| !label.contains("assword")) {
            assert_eq!(person.value(label).await, *text, "{label} at {path}");
        }
        person.judges(path).await;
    }
}

#[tokio::test]
async fn every_form_tells_its_faults_beside_its_fields_and_keeps_what_was_typed() {
    let house = House::with(0).await;
    let api = house.admin.publish("faulty", "ws://127.0.0.1:9").await;
    let id = api.name.trim_start_matches("apis/");
    let mut publisher = house.person(PUBLISHER).await;
    fill_in_wrongly(
        &mut publisher,
        &format!("/publisher/apis/{id}"),
        WRONG_OF_AN_API,
    )
    .await;
    let mut admin = house.person("admin").await;
    fill_in_wrongly(&mut admin, "/admin", WRONG_OF_ADMINS).await;
    let mut subscriber = house.person(SUBSCRIBER).await;
    let forms: &[Wrong] = &[
        (
            "devportal/applications/new",
            &[("Name", "")],
            "Create application",
            "Name",
        ),
        (
            "account",
            &[
                ("Current password", "guessed"),
                ("New password", "long enough"),
                ("Repeat new password", "long enough"),
            ],
            "Change password",
            "Current password",
        ),
    ];
    fill_in_wrongly(&mut subscriber, "", forms).await;
}

#[tokio::test]
async fn all_but_the_console_works_without_scripts() {
    let house = House::with(1).await;
    let mut publisher = house.person(PUBLISHER).await;
    publisher.page.scripts(false).await.unwrap();
    publisher.go("/publisher").await;
    publisher.press("Create API").await;
    publisher.follow("Design a new WebSocket API").await;
    fill(&publisher, "plain").await;
    publisher.fill("Endpoint", "ws://127.0.0.1:9").await;
    publisher.tick("Gold").await;
    publisher.follow("Create and publish").await;
    publisher.sees("Developers can find the API").await;
    publisher.follow("Deployments").await;
    publisher.reloads_until("Acknowledged").await;

    let mut subscriber = house.person(SUBSCRIBER).await;
    subscriber.page.scripts(false).await.unwrap();
    subscriber.go("/devportal/apis").await;
    subscriber.follow("plain").await;
    subscriber.follow("Subscribe").await;
    subscriber.follow("Create application").await;
    subscriber.fill("Name", "Terminal").await;
    subscriber.follow("Create application").await;
    subscriber.choose("Plan", "Gold").await;
    subscriber.follow("Subscribe").await;
    subscriber.sees("Subscription created").await;
    subscriber.follow("Applications").await;
    subscriber.follow("Terminal").await;
    subscriber.follow("Create production key").await;
    subscriber.sees("Client secret").await;
    subscriber.go("/devportal/apis").await;
    subscriber.follow("plain").await;
    subscriber.follow("Code").await;
    subscriber.follow("Get a token").await;
    subscriber.tick("wscat").await;
    subscriber.sees("wscat -c").await;
    subscriber.follow("Console").await;
    subscriber.sees("The console needs JavaScript").await;
    subscriber.press(SUBSCRIBER).await;
    subscriber.follow("Sign out").await;
    subscriber.sees("You're signed out.").await;
}

#[tokio::test]
async fn a_picture_is_taken_from_a_file_and_anything_else_is_refused() {
    let house = House::with(0).await;
    let api = house.admin.publish("pictured", "ws://127.0.0.1:9").await;
    let id = api.name.trim_start_matches("apis/");
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        fs::write(&path, bytes).unwrap();
        path
    };
    let script = file("picture.png", SCRIPT.as_bytes());
    let heavy = file("heavy.png", &vec![0; 600 * 1024]);

    let mut publisher = house.person(PUBLISHER).await;
    publisher.go(&format!("/publisher/apis/{id}/info")).await;
    // Any picture will do: one of the page itself.
    let picture = Picture {
        quality: 50,
        height_max: 100,
    };
    let picture = file(
        "picture.webp",
        &publisher.page.picture(picture).await.unwrap(),
    );
    for refused in [&script, &heavy] {
        publisher.attach("File", refused).await;
        publisher.follow("Upload thumbnail").await;
        let fault = publisher.fault("File").await;
        assert!(!fault.is_empty(), "{}", refused.display());
    }
    publisher.judges("a refused picture").await;
    publisher.attach("File", &picture).await;
    publisher.follow("Upload thumbnail").await;

    let shown = "document.querySelector('main img')?.naturalWidth > 0";
    publisher.page.until_true(shown).await.unwrap();
    let mut stranger = house.stranger().await;
    stranger.go("/devportal/apis").await;
    stranger.page.until_true(shown).await.unwrap();
    publisher.follow("Delete thumbnail").await;
    stranger.page.reload().await.unwrap();
    let gone = "!document.querySelector('main img')";
    stranger.page.until_true(gone).await.unwrap();
}
