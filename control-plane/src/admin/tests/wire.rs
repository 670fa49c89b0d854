//! Bytes that are no call.

use std::convert::Infallible;

use axum::body::{Body, Bytes};
use http::{HeaderMap, Request, StatusCode, header};
use http_body_util::BodyExt as _;
use tonic::{Code, Status};
use tower::ServiceExt as _;

use super::{Stage, reason};

const SIGN_IN: &str = "/tidegate.admin.v1.SessionService/SignIn";

/// A unary call with these bytes as its message.
async fn call(stage: &Stage, path: &str, message: &[u8]) -> Status {
    let length = u32::try_from(message.len()).unwrap().to_be_bytes();
    let framed = [&[0], &length[..], message].concat();
    raw(stage, path, framed).await
}

async fn raw(stage: &Stage, path: &str, body: Vec<u8>) -> Status {
    let request = Request::post(path)
        .header(header::CONTENT_TYPE, "application/grpc")
        .header(header::TE, "trailers")
        .body(Body::from(body))
        .unwrap();
    let response = stage.door.clone().oneshot(request).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    let head = response.headers().clone();
    let body = response.into_body().collect().await.unwrap();
    let trailers = body.trailers().cloned().unwrap_or_else(HeaderMap::new);
    Status::from_header_map(&head)
        .or_else(|| Status::from_header_map(&trailers))
        .unwrap()
}

#[tokio::test]
async fn text_that_is_not_utf_8_is_the_callers_fault() {
    let stage = Stage::new().await;
    // Field 1, a string of two bytes that are no UTF-8.
    let status = call(&stage, SIGN_IN, &[0x0a, 0x02, 0xff, 0xfe]).await;
    assert_eq!(status.code(), Code::InvalidArgument);
    assert_eq!(reason(&status), "MALFORMED_MESSAGE");
    assert!(status.message().contains("UTF-8"), "{}", status.message());
}

#[tokio::test]
async fn messages_that_are_cut_short_or_garbage_are_the_callers_fault() {
    let stage = Stage::new().await;
    for message in [&[0x0a, 0x7f, b'x'][..], &[0xff; 9], &[0x08, 0xff, 0xff]] {
        let status = call(&stage, SIGN_IN, message).await;
        assert_eq!(
            status.code(),
            Code::InvalidArgument,
            "{message:?} {status:?}"
        );
    }
}

#[tokio::test]
async fn a_message_that_is_too_long_is_refused_by_its_length() {
    let stage = Stage::new().await;
    let status = call(&stage, SIGN_IN, &vec![0; 2 * 1024 * 1024]).await;
    assert_eq!(status.code(), Code::OutOfRange);
    assert!(status.message().contains("limit"), "{}", status.message());
}

#[tokio::test]
async fn nothing_of_a_strangers_call_is_read_but_of_a_short_one_to_sign_in() {
    let stage = Stage::new().await;
    let endless = || Body::from_stream(tokio_stream::pending::<Result<Bytes, Infallible>>());
    let send = |path: &'static str, token: &str, body: Body| {
        let request = Request::post(path)
            .header(header::CONTENT_TYPE, "application/grpc")
            .header(header::AUTHORIZATION, format!("Bearer {token}"))
            .body(body);
        let answer = stage.door.clone().oneshot(request.unwrap());
        async { Status::from_header_map(answer.await.unwrap().headers()).unwrap() }
    };
    for path in [
        "/tidegate.admin.v1.ApiService/CreateApi",
        "/tidegate.admin.v1.ApiService/NoCall",
        "/tidegate.admin.v1.SessionService/WhoAmI",
        "/tidegate.admin.v1.SessionService/SignIn/",
    ] {
        let refused = send(path, "unknown", endless()).await;
        assert_eq!(refused.code(), Code::Unauthenticated, "{path}");
        assert_eq!(reason(&refused), "UNAUTHENTICATED", "{path}");
    }
    for path in [SIGN_IN, "/grpc.health.v1.Health/Check"] {
        let status = call(&stage, path, &vec![0; 17 * 1024]).await;
        assert_eq!(status.code(), Code::OutOfRange, "{path}");
    }
    let name = "x".repeat(15 * 1024);
    let refused = stage.sign_in(&name, "a password").await.err().unwrap();
    assert_eq!(refused.code(), Code::Unauthenticated);
}

#[tokio::test]
async fn a_call_without_a_whole_message_is_refused() {
    let stage = Stage::new().await;
    for body in [vec![], vec![0, 0, 0], vec![0, 0, 0, 0, 9, 1]] {
        let status = raw(&stage, SIGN_IN, body).await;
        assert_ne!(status.code(), Code::Ok);
    }
}

#[tokio::test]
async fn what_is_not_there_is_told_in_the_callers_language() {
    let stage = Stage::new().await;
    for path in [
        "/tidegate.admin.v1.NoService/Call",
        "/grpc.health.v1.Health/NoCall",
    ] {
        assert_eq!(
            call(&stage, path, &[]).await.code(),
            Code::Unimplemented,
            "{path}"
        );
    }
    let request = Request::get("/nothing").body(Body::empty()).unwrap();
    let response = stage.door.clone().oneshot(request).await.unwrap();
    assert_eq!(response.status(), StatusCode::NOT_FOUND);
    let request = Request::get("/healthz").body(Body::empty()).unwrap();
    let response = stage.door.clone().oneshot(request).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
}
