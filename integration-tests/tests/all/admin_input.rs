//! Bad input at the admin API and the token endpoint: the error names every violation, and nothing changes.

use http::uri::PathAndQuery;
use tidegate_integration_tests::{admin::Admin, stack::Stack};
use tidegate_proto::admin::v1::{
    Api, ChangeLifecycleRequest, CreateApiRequest, GetApiRequest, LifecycleAction, ListApisRequest,
    ListApisResponse, Topic, UpdateApiRequest,
};
use tonic::{Code, Status, client::Grpc};
use tonic_types::StatusExt as _;
use xtask::client;

async fn create(admin: &Admin, api: Api) -> Status {
    let request = CreateApiRequest {
        api: Some(api),
        publish: false,
    };
    admin
        .apis()
        .create_api(request)
        .await
        .expect_err("it was created")
}

fn violations(status: &Status) -> Vec<String> {
    let details = status.get_error_details();
    let bad = details.bad_request();
    let fields = bad.map(|bad| bad.field_violations.iter().map(|fault| fault.field.clone()));
    let mut fields: Vec<_> = fields.into_iter().flatten().collect();
    fields.sort();
    fields
}

#[tokio::test]
async fn every_fault_of_a_request_is_named_at_once_and_nothing_is_created() {
    let stack = Stack::builder().data_planes(0).start().await;
    let admin = stack.admin().await;

    let missing = create(&admin, Api::default()).await;
    assert_eq!(missing.code(), Code::InvalidArgument, "{missing:?}");
    let fields = violations(&missing);
    for field in ["api.api_name", "api.context", "api.version"] {
        assert!(
            fields.iter().any(|fault| fault == field),
            "{field} is not in {fields:?}"
        );
    }

    let overlong = Api {
        api_name: "n".repeat(10_000),
        context: format!("/{}", "c".repeat(10_000)),
        version: "v".repeat(10_000),
        description: "d".repeat(100_000),
        tags: vec!["t".repeat(10_000)],
        production_endpoint: "http://not.a.websocket".to_owned(),
        topics: vec![Topic {
            template: "no slash".to_owned(),
            ..Topic::default()
        }],
        plans: vec!["plans/NoSuchPlan".to_owned()],
        ..Api::default()
    };
    let overlong = create(&admin, overlong).await;
    assert_eq!(overlong.code(), Code::InvalidArgument, "{overlong:?}");
    let fields = violations(&overlong);
    for field in [
        "api.api_name",
        "api.context",
        "api.version",
        "api.description",
        "api.tags",
        "api.production_endpoint",
        "api.topics",
    ] {
        assert!(
            fields.iter().any(|fault| fault.starts_with(field)),
            "{field} is not in {fields:?}"
        );
    }
    let info = overlong
        .get_error_details()
        .error_info()
        .cloned()
        .expect("a stable reason");
    assert_eq!(info.domain, "tidegate");
    assert!(!info.reason.is_empty());

    let listed = admin
        .apis()
        .list_apis(ListApisRequest::default())
        .await
        .unwrap()
        .into_inner();
    assert_eq!(listed.total_size, 0);
}

#[tokio::test]
async fn what_contradicts_itself_or_never_changes_is_refused_and_not_ignored() {
    let stack = Stack::builder().data_planes(0).start().await;
    let admin = stack.admin().await;
    let api = admin.publish("steady", "ws://127.0.0.1:9").await;

    let update = async |change: fn(&mut Api), path: &str| {
        let mut changed = api.clone();
        change(&mut changed);
        let request = UpdateApiRequest {
            api: Some(changed),
            update_mask: Some(prost_types::FieldMask {
                paths: vec![path.to_owned()],
            }),
        };
        admin
            .apis()
            .update_api(request)
            .await
            .expect_err("it was changed")
    };
    let status = update(|api| api.context = "/elsewhere".to_owned(), "context").await;
    assert_eq!(status.code(), Code::InvalidArgument, "{status:?}");
    let status = update(|api| api.version = "2.0".to_owned(), "version").await;
    assert_eq!(status.code(), Code::InvalidArgument, "{status:?}");
    let status = update(|_| {}, "no_such_field").await;
    assert_eq!(status.code(), Code::InvalidArgument, "{status:?}");
    let status = update(|api| api.etag = "stale".to_owned(), "description").await;
    assert_eq!(status.code(), Code::Aborted, "{status:?}");

    let get = GetApiRequest {
        name: api.name.clone(),
    };
    let now = admin.apis().get_api(get).await.unwrap().into_inner();
    assert_eq!(now, api, "a refused call changed something");
}

#[tokio::test]
async fn what_the_state_of_things_does_not_allow_is_refused() {
    let stack = Stack::builder().data_planes(0).start().await;
    let admin = stack.admin().await;
    let api = admin.publish("steady", "ws://127.0.0.1:9").await;

    let publish_nothing = CreateApiRequest {
        api: Some(Api {
            api_name: "No endpoint".to_owned(),
            context: "/no-endpoint".to_owned(),
            version: "1.0".to_owned(),
            ..Api::default()
        }),
        publish: true,
    };
    let status = admin
        .apis()
        .create_api(publish_nothing)
        .await
        .expect_err("it was published");
    assert!(
        [Code::FailedPrecondition, Code::InvalidArgument].contains(&status.code()),
        "{status:?}"
    );

    let twice = create(
        &admin,
        Api {
            name: String::new(),
            ..api.clone()
        },
    )
    .await;
    assert_eq!(twice.code(), Code::AlreadyExists, "{twice:?}");

    let request = ChangeLifecycleRequest {
        name: api.name.clone(),
        action: LifecycleAction::Retire.into(),
        etag: String::new(),
    };
    let status = admin
        .apis()
        .change_lifecycle(request)
        .await
        .expect_err("Published to Retired");
    assert_eq!(status.code(), Code::FailedPrecondition, "{status:?}");
    let request = ChangeLifecycleRequest {
        name: api.name.clone(),
        action: 99,
        etag: String::new(),
    };
    let status = admin
        .apis()
        .change_lifecycle(request)
        .await
        .expect_err("there is no such action");
    assert_eq!(status.code(), Code::InvalidArgument, "{status:?}");
    for page_token in ["garbage", "\u{1F300}"] {
        let request = ListApisRequest {
            page_token: page_token.to_owned(),
            ..ListApisRequest::default()
        };
        let status = admin
            .apis()
            .list_apis(request)
            .await
            .expect_err("a page of nowhere");
        assert_eq!(status.code(), Code::InvalidArgument, "{status:?}");
    }
    let get = GetApiRequest {
        name: api.name.clone(),
    };
    let now = admin.apis().get_api(get).await.unwrap().into_inner();
    assert_eq!(now, api, "a refused call changed something");
}

/// A message of bytes, sent as they are.
#[derive(Clone, Copy, Default)]
struct Raw;

impl tonic::codec::Codec for Raw {
    type Encode = Vec<u8>;
    type Decode = Vec<u8>;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl tonic::codec::Encoder for Raw {
    type Item = Vec<u8>;
    type Error = Status;

    fn encode(
        &mut self,
        item: Vec<u8>,
        to: &mut tonic::codec::EncodeBuf<'_>,
    ) -> Result<(), Status> {
        bytes::BufMut::put_slice(to, &item);
        Ok(())
    }
}

impl tonic::codec::Decoder for Raw {
    type Item = Vec<u8>;
    type Error = Status;

    fn decode(
        &mut self,
        from: &mut tonic::codec::DecodeBuf<'_>,
    ) -> Result<Option<Vec<u8>>, Status> {
        let length = bytes::Buf::remaining(from);
        Ok(Some(bytes::Buf::copy_to_bytes(from, length).to_vec()))
    }
}

#[tokio::test]
async fn bytes_that_are_no_message_are_refused() {
    let stack = Stack::builder().data_planes(0).start().await;
    let admin = stack.admin().await;
    // Field 1, length-delimited, "\xff\xfe": no UTF-8. Then a length beyond the end, then a wire type that is none.
    let messages: [&[u8]; 3] = [&[0x0a, 2, 0xff, 0xfe], &[0x0a, 0x7f, b'x'], &[0x0f]];
    for bytes in messages {
        let mut grpc = Grpc::new(admin.channel.clone());
        grpc.ready().await.expect("the connection is open");
        let path = PathAndQuery::from_static("/tidegate.admin.v1.ApiService/GetApi");
        let answer = grpc
            .unary(tonic::Request::new(bytes.to_vec()), path, Raw)
            .await;
        let status = answer.expect_err("it was answered");
        assert!(
            [Code::InvalidArgument, Code::Internal].contains(&status.code()),
            "{status:?}"
        );
    }
    let ListApisResponse { total_size, .. } = admin
        .apis()
        .list_apis(ListApisRequest::default())
        .await
        .unwrap()
        .into_inner();
    assert_eq!(total_size, 0);
}

#[tokio::test]
async fn nobody_gets_in_without_a_session() {
    let stack = Stack::builder().data_planes(0).start().await;
    let admin = stack.admin().await;
    for bearer in [
        client::Bearer::default(),
        client::Bearer::new("made-up").unwrap(),
    ] {
        let channel = client::connect(&admin.url, &admin.ca_cert, bearer)
            .await
            .unwrap();
        let anonymous = Admin {
            channel,
            ..admin.clone()
        };
        let listed = anonymous.apis().list_apis(ListApisRequest::default()).await;
        assert_eq!(
            listed.expect_err("it was listed").code(),
            Code::Unauthenticated
        );
    }
}

#[tokio::test]
async fn the_token_endpoint_refuses_as_rfc_6749_says() {
    let stack = Stack::builder().data_planes(0).start().await;
    let admin = stack.admin().await;
    let api = admin.publish("tokens", "ws://127.0.0.1:9").await;
    let subscriber = admin.subscribe(&api, "Gold").await;
    let good = Some((
        subscriber.client_id.as_str(),
        subscriber.client_secret.as_str(),
    ));
    let wrong = Some((subscriber.client_id.as_str(), "wrong"));
    let cases = [
        (
            "a wrong secret",
            wrong,
            "grant_type=client_credentials",
            401,
            "invalid_client",
        ),
        (
            "an unknown client",
            Some(("x", "y")),
            "grant_type=client_credentials",
            401,
            "invalid_client",
        ),
        (
            "no client",
            None,
            "grant_type=client_credentials",
            401,
            "invalid_client",
        ),
        (
            "another grant",
            good,
            "grant_type=password",
            400,
            "unsupported_grant_type",
        ),
        ("no grant", good, "", 400, "invalid_request"),
        (
            "a grant twice",
            good,
            "grant_type=client_credentials&grant_type=client_credentials",
            400,
            "invalid_request",
        ),
    ];
    for (what, basic, form, status, error) in cases {
        let answer = client::post_form(&admin.url, &admin.ca_cert, "/oauth2/token", basic, form);
        let answer = answer.await.unwrap();
        let body: serde_json::Value = serde_json::from_str(&answer.body).unwrap();
        assert_eq!(
            (answer.status, body["error"].as_str()),
            (status, Some(error)),
            "{what}: {body}"
        );
    }
    let keys = client::get(&admin.url, &admin.ca_cert, "/oauth2/jwks")
        .await
        .unwrap();
    assert_eq!(keys.status, 200);
    assert!(
        keys.body.contains("\"kty\"") && !keys.body.contains("\"d\""),
        "{}",
        keys.body
    );
}
