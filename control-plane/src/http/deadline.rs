//! A deadline for requests, including the body. The response after it has a gRPC or an HTTP status, as the client
//! expects. A layer of the management listener.

use std::time::Duration;

use axum::{
    extract::Request,
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use http::{HeaderMap, StatusCode, header};
use tonic::Status;

/// Runs the inner service for at most `limit`.
///
/// The response of a stream begins at once, so health watches and reflection may take longer. Reading the body of a
/// unary call or a form is within the deadline, so a body that trickles in is cut.
pub async fn deadline(limit: Duration, request: Request, next: Next) -> Response {
    let grpc = is_grpc(request.headers());
    match tokio::time::timeout(limit, next.run(request)).await {
        Ok(response) => response,
        Err(_) if grpc => Status::deadline_exceeded("the request took too long").into_http(),
        Err(_) => (StatusCode::REQUEST_TIMEOUT, "the request took too long\n").into_response(),
    }
}

/// Whether a request is a gRPC request, by its content type.
#[must_use]
pub fn is_grpc(headers: &HeaderMap) -> bool {
    headers
        .get(header::CONTENT_TYPE)
        .is_some_and(|value| value.as_bytes().starts_with(b"application/grpc"))
}

#[cfg(test)]
mod tests {
    use std::{future::pending, time::Duration};

    use axum::{
        Router,
        body::{Body, Bytes},
        middleware,
        routing::post,
    };
    use http::{Request, StatusCode, header};
    use tonic::{Code, Status};
    use tower::ServiceExt as _;

    use super::deadline;

    /// A router that answers once it has read the whole body, or never.
    fn router() -> Router {
        let limit = Duration::from_secs(30);
        Router::new()
            .route("/never", post(async || pending::<()>().await))
            .route("/read", post(async |body: Bytes| body))
            .layer(middleware::from_fn(move |request, next| {
                deadline(limit, request, next)
            }))
    }

    async fn send(path: &str, kind: &str, body: Body) -> axum::response::Response {
        let request = Request::post(path).header(header::CONTENT_TYPE, kind);
        router().oneshot(request.body(body).unwrap()).await.unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn work_that_takes_too_long_is_cut_in_the_callers_language() {
        let plain = send("/never", "text/plain", Body::empty()).await;
        assert_eq!(plain.status(), StatusCode::REQUEST_TIMEOUT);
        let grpc = send("/never", "application/grpc+proto", Body::empty()).await;
        let status = Status::from_header_map(grpc.headers()).unwrap();
        assert_eq!(status.code(), Code::DeadlineExceeded);
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_never_ends_is_cut_and_one_that_ends_is_not() {
        let endless =
            Body::from_stream(futures_util::stream::pending::<Result<Bytes, std::io::Error>>());
        let cut = send("/read", "text/plain", endless).await;
        assert_eq!(cut.status(), StatusCode::REQUEST_TIMEOUT);
        let whole = send("/read", "text/plain", Body::from("x")).await;
        assert_eq!(whole.status(), StatusCode::OK);
    }
}
