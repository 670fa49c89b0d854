//! What the protobuf library says of bytes that are no message, said as the caller's fault and with details. A layer
//! over all services.

use axum::response::Response;
use http::HeaderValue;
use tonic::{Code, Status};

use super::status;

/// How the library's decoder begins what it says (`prost::DecodeError`), as it stands in the header.
const UNDECODABLE: &[u8] = b"failed to decode Protobuf message";

/// Turns INTERNAL for bytes that do not decode, non-UTF-8 text among them, into INVALID_ARGUMENT.
///
/// The library answers those before any service is called, so that only the answer's head can tell.
pub(super) async fn clear(response: Response) -> Response {
    let status = response.headers().get("grpc-status");
    if status.map(HeaderValue::as_bytes) != Some(b"13") {
        return response;
    }
    match Status::from_header_map(response.headers()) {
        Some(said)
            if said.code() == Code::Internal
                && said.message().as_bytes().starts_with(UNDECODABLE) =>
        {
            let cause = &said.message()[UNDECODABLE.len()..];
            status::undecodable(cause.trim_start_matches([':', ' '])).into_http()
        }
        _ => response,
    }
}
