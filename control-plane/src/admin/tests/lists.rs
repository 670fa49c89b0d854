//! Pages, filters and orders.

use tidegate_proto::admin::v1::{Api, ListApisRequest, ListPlansRequest};

use super::{Caller, Stage, echo, faults};

async fn twelve(admin: &Caller) {
    for n in 1..=12 {
        let api = Api {
            api_name: format!("Api {n:02}"),
            context: format!("/api{n}"),
            tags: vec![if n % 2 == 0 { "even" } else { "odd" }.to_owned()],
            ..echo()
        };
        admin.create(api, n % 3 == 0).await.unwrap();
    }
}

async fn names(caller: &Caller, request: ListApisRequest) -> (Vec<String>, String, i32) {
    let page = caller.apis().list_apis(request).await.unwrap().into_inner();
    let names = page.apis.into_iter().map(|api| api.api_name).collect();
    (names, page.next_page_token, page.total_size)
}

#[tokio::test]
async fn pages_cover_everything_once() {
    let stage = Stage::new().await;
    let admin = stage.admin().await;
    twelve(&admin).await;
    let mut seen = Vec::new();
    let mut page_token = String::new();
    loop {
        let request = ListApisRequest {
            page_size: 5,
            page_token,
            order_by: "api_name desc".to_owned(),
            ..ListApisRequest::default()
        };
        let (page, next, total) = names(&admin, request).await;
        assert_eq!(total, 12);
        seen.extend(page);
        if next.is_empty() {
            break;
        }
        page_token = next;
    }
    let expected: Vec<_> = (1..=12).rev().map(|n| format!("Api {n:02}")).collect();
    assert_eq!(seen, expected);
}

#[tokio::test]
async fn filters_choose() {
    let stage = Stage::new().await;
    let admin = stage.admin().await;
    twelve(&admin).await;
    for (filter, expected) in [
        ("api_name = \"Api 07\"", &["Api 07"][..]),
        ("context = /api3", &["Api 03"]),
        ("state = PUBLISHED AND tags : even", &["Api 06", "Api 12"]),
        ("api_name : \"api 1\"", &["Api 10", "Api 11", "Api 12"]),
        ("api_name = Nobody", &[]),
    ] {
        let request = ListApisRequest {
            filter: filter.to_owned(),
            order_by: "api_name".to_owned(),
            ..ListApisRequest::default()
        };
        let (page, _, total) = names(&admin, request).await;
        assert_eq!(page, expected, "{filter}");
        assert_eq!(usize::try_from(total).unwrap(), expected.len(), "{filter}");
    }
}

#[tokio::test]
async fn queries_that_do_not_read_are_refused_by_field() {
    let stage = Stage::new().await;
    let admin = stage.admin().await;
    twelve(&admin).await;
    let (_, other_token, _) = names(
        &admin,
        ListApisRequest {
            page_size: 5,
            ..ListApisRequest::default()
        },
    )
    .await;
    let default = ListApisRequest::default;
    for (field, request) in [
        (
            "page_size",
            ListApisRequest {
                page_size: -1,
                ..default()
            },
        ),
        (
            "page_token",
            ListApisRequest {
                page_token: "garbage".to_owned(),
                ..default()
            },
        ),
        (
            "page_token",
            ListApisRequest {
                page_token: other_token,
                filter: "state = CREATED".to_owned(),
                ..default()
            },
        ),
        (
            "filter",
            ListApisRequest {
                filter: "colour = red".to_owned(),
                ..default()
            },
        ),
        (
            "filter",
            ListApisRequest {
                filter: "api_name =".to_owned(),
                ..default()
            },
        ),
        (
            "filter",
            ListApisRequest {
                filter: "x".repeat(100_000),
                ..default()
            },
        ),
        (
            "order_by",
            ListApisRequest {
                order_by: "colour".to_owned(),
                ..default()
            },
        ),
        (
            "order_by",
            ListApisRequest {
                order_by: "api_name, api_name desc".to_owned(),
                ..default()
            },
        ),
    ] {
        let refused = admin.apis().list_apis(request).await.unwrap_err();
        let found = faults(&refused);
        assert!(found[0].0.starts_with(field), "{field}: {found:?}");
    }
}

#[tokio::test]
async fn the_plans_that_ship_are_listed_by_name() {
    let stage = Stage::new().await;
    let plans = stage
        .admin()
        .await
        .plans()
        .list_plans(ListPlansRequest::default())
        .await;
    let plans = plans.unwrap().into_inner().plans;
    let got: Vec<_> = plans
        .iter()
        .map(|plan| {
            let of = plan.limits.and_then(|limits| limits.messages);
            let (amount, window) = of.map_or((0, 0), |of| (of.amount, of.window_seconds));
            (plan.name.as_str(), amount, window)
        })
        .collect();
    assert_eq!(
        got,
        [
            ("plans/Bronze", 5_000, 86_400),
            ("plans/Gold", 50_000, 86_400),
            ("plans/Silver", 25_000, 86_400),
            ("plans/Unlimited", 0, 0),
        ]
    );
}
