//! Signing in and out, and what each role is offered.

use tidegate_integration_tests::control_plane::PASSWORD;

use super::{CREATOR, House, PUBLISHER, REVIEWER, SUBSCRIBER};

#[tokio::test]
async fn people_sign_in_to_where_they_were_going_and_are_offered_what_their_roles_may_do() {
    let house = House::with(0).await;

    let mut stranger = house.stranger().await;
    stranger.go("/publisher/apis?q=echo").await;
    assert!(stranger.path().await.starts_with("/sign-in?next="));
    stranger.sign_in(CREATOR, "wrong").await;
    stranger
        .sees("The user name or password is incorrect.")
        .await;
    assert_eq!(
        stranger.value("User name").await,
        CREATOR,
        "what was typed is kept"
    );
    assert_eq!(stranger.value("Password").await, "");
    stranger.sign_in(CREATOR, PASSWORD).await;
    assert_eq!(stranger.path().await, "/publisher/apis?q=echo");

    // It is one session over all portals, and one signs out of all of them.
    stranger.go("/devportal").await;
    assert!(!stranger.is_offered("Sign in").await);
    stranger.press(CREATOR).await;
    stranger.follow("Sign out").await;
    stranger.sees("You're signed out.").await;
    stranger.page.travel(-1).await.unwrap();
    assert!(
        stranger.is_offered("Sign in").await,
        "a page of before is not shown from memory"
    );
    stranger.go("/publisher").await;
    assert!(stranger.path().await.starts_with("/sign-in?next="));

    let rooms = ["Publisher", "Developer portal", "Admin"];
    for (name, entered, creates) in [
        ("admin", &rooms[..], true),
        (CREATOR, &rooms[..], true),
        (PUBLISHER, &rooms[..], true),
        (REVIEWER, &rooms[..], false),
        (SUBSCRIBER, &rooms[1..2], false),
    ] {
        let mut person = house.person(name).await;
        for room in rooms {
            assert_eq!(
                person.is_offered(room).await,
                entered.contains(&room),
                "{name}: {room}"
            );
        }
        if entered.contains(&"Publisher") {
            person.go("/publisher/apis").await;
            assert_eq!(person.is_offered("Create API").await, creates, "{name}");
        }
    }
}

#[tokio::test]
async fn strangers_sign_up_where_an_admin_lets_them() {
    let house = House::with(0).await;
    let mut stranger = house.stranger().await;
    stranger.go("/devportal/apis").await;
    assert!(!stranger.is_offered("Sign up").await);
    stranger.go("/devportal/sign-up").await;
    stranger.judges("no sign-up").await;

    let mut admin = house.person("admin").await;
    admin.go("/admin/settings").await;
    admin
        .tick("Allow anyone to sign up as a developer, with the role subscriber")
        .await;
    admin.follow("Save").await;

    stranger.go("/devportal/apis").await;
    stranger.follow("Sign up").await;
    stranger.fill("User name", "nora").await;
    stranger.fill("Password", "long enough").await;
    stranger.fill("Repeat password", "long enouhg").await;
    stranger.follow_near("Sign up", "Repeat password").await;
    assert!(!stranger.fault("Repeat password").await.is_empty());
    assert_eq!(stranger.value("User name").await, "nora");
    stranger.judges("a refused sign-up").await;
    stranger.fill("Password", "long enough").await;
    stranger.fill("Repeat password", "long enough").await;
    stranger.follow_near("Sign up", "Repeat password").await;
    // Signed in at once, as a subscriber.
    assert!(stranger.is_offered("nora").await);
    assert!(stranger.is_offered("Applications").await);
    assert!(!stranger.is_offered("Publisher").await);
}
