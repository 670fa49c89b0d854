//! Pages, filters and orders.

use prost::Message as _;
use tidegate_proto::admin::v1::{
    Api, CreateRevisionRequest, ListApisRequest, ListAuditEntriesRequest, ListCatalogApisRequest,
    ListPlansRequest, ListRevisionsRequest, Topic,
};

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
        (
            "name = \"Api 04\" AND plans = Gold AND plans = plans/Silver",
            &["Api 04"],
        ),
        (
            "creator = admin AND creator = users/admin AND name = \"Api 05\"",
            &["Api 05"],
        ),
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
async fn filters_that_do_not_read_or_that_no_value_can_fit_are_refused() {
    let stage = Stage::new().await;
    let admin = stage.admin().await;
    let long = "x".repeat(100_000);
    for filter in [
        "colour = red",
        "api_name =",
        "state = PUBLISHD",
        "plans = \"plan/Gold\"",
        "create_time > yesterday",
        &long,
    ] {
        let request = ListApisRequest {
            filter: filter.to_owned(),
            ..ListApisRequest::default()
        };
        let refused = admin.apis().list_apis(request).await.unwrap_err();
        assert_eq!(faults(&refused)[0].0, "filter");
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

/// What clients take without being asked.
const CLIENTS_TAKE: usize = 4 * 1024 * 1024;

#[tokio::test]
async fn no_page_is_larger_than_what_clients_take_without_being_asked() {
    let stage = Stage::new().await;
    let admin = stage.admin().await;
    let wide = |n: usize| "\u{10ffff}".repeat(n);
    let topics = (0..200).map(|n| Topic {
        template: format!("/{n}"),
        description: wide(512),
        ..Topic::default()
    });
    let large = Api {
        description: wide(32_766),
        topics: topics.collect(),
        ..echo()
    };
    let mut apis = Vec::new();
    for n in 0..9 {
        let api = Api {
            api_name: format!("Api {n}"),
            context: format!("/api{n}"),
            ..large.clone()
        };
        apis.push(admin.create(api, true).await.unwrap().name);
    }
    let parent = apis[0].clone();
    for _ in 0..4 {
        let request = CreateRevisionRequest {
            parent: parent.clone(),
            revision: None,
        };
        admin.apis().create_revision(request).await.unwrap();
    }
    macro_rules! sizes {
        ($client:ident.$call:ident($request:ident { $($field:ident: $value:expr),* }), $items:ident) => {{
            let (mut sizes, mut names) = (Vec::new(), Vec::new());
            let mut page_token = String::new();
            loop {
                #[allow(clippy::needless_update, reason = "some requests have no other fields")]
                let request = $request { page_size: 500, page_token, $($field: $value,)* ..Default::default() };
                let page = admin.$client().$call(request).await.unwrap().into_inner();
                sizes.push(page.encoded_len());
                names.extend(page.$items.into_iter().map(|it| it.name));
                page_token = page.next_page_token;
                if page_token.is_empty() {
                    break (sizes, names);
                }
            }
        }};
    }
    let (sizes, names) = sizes!(apis.list_apis(ListApisRequest {}), apis);
    assert_eq!(names, apis);
    assert!(sizes.iter().all(|&size| size < CLIENTS_TAKE), "{sizes:?}");
    assert!(sizes.len() > 1);
    let (sizes, names) = sizes!(catalog.list_catalog_apis(ListCatalogApisRequest {}), apis);
    assert_eq!(names, apis);
    assert!(sizes.iter().all(|&size| size < CLIENTS_TAKE), "{sizes:?}");
    let (sizes, names) = sizes!(
        apis.list_revisions(ListRevisionsRequest {
            parent: parent.clone()
        }),
        revisions
    );
    assert_eq!(names.len(), 5);
    assert!(sizes.iter().all(|&size| size < CLIENTS_TAKE), "{sizes:?}");
    let (sizes, names) = sizes!(
        audit.list_audit_entries(ListAuditEntriesRequest {}),
        audit_entries
    );
    let latest = stage.service.state().number().get();
    let all: Vec<_> = (1..=latest)
        .rev()
        .map(|n| format!("auditEntries/{n}"))
        .collect();
    assert_eq!(names, all);
    assert!(sizes.iter().all(|&size| size < CLIENTS_TAKE), "{sizes:?}");
}
