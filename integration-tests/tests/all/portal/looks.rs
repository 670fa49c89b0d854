//! Every page as people with disabilities and people with telephones meet it, and what it weighs.

use super::House;

#[tokio::test]
async fn every_page_of_a_new_system_can_be_used_by_everybody() {
    let house = House::with(1).await;
    let mut stranger = house.stranger().await;
    for path in ["/", "/sign-in", "/devportal/apis", "/devportal/nowhere"] {
        stranger.visits(path).await;
    }
    stranger.go("/sign-in").await;
    stranger.sign_in("nobody", "nothing").await;
    stranger.judges("a refused sign-in").await;

    let mut admin = house.person("admin").await;
    for path in [
        "/",
        "/publisher/apis",
        "/publisher/apis?q=nothing&view=table",
        "/devportal/apis",
        "/admin/gateways",
    ] {
        admin.visits(path).await;
    }
}
