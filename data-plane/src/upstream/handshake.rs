//! The upgrade on the backend's leg (RFC 6455, 4.1 and 4.2.2): which headers the backend sees, and whether its answer
//! is one.
//!
//! `hyper` writes the request and reads the answer; nothing of it is left when the relay begins. Called by `upstream`.

use std::{
    future::poll_fn,
    pin::{Pin, pin},
    task::Poll,
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Empty};
use hyper::{body::Incoming, client::conn::http1::Builder};
use hyper_util::rt::TokioIo;
use tidegate_proto::reason::Reason;

use crate::{
    auth::credential,
    handshake::{
        answer::SESSION_HEADER,
        deflate::{self, Agreed},
        headers::{Offer, accept_for, end_to_end, has_token, list, new_key, the_one},
        refusal::{Refusal, Relayed},
    },
    socket::{Leg, Socket},
    upstream::{ConnectRequest, Upstream},
};

mod bounded;

use bounded::Bounded;

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");

/// A backend's head may be as long as a lavish client's.
const HEAD_BYTES: usize = 64 * 1024;
/// How much of a refusal's body is passed on.
const BODY_BYTES: usize = 64 * 1024;

/// How much is read in all until the answer is whole: interim answers and the framing of chunks count, too.
const ANSWER_BYTES: usize = 4 * (HEAD_BYTES + BODY_BYTES);

/// What is wrong with a backend's 101.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
enum Fault {
    #[error("it does not switch to websocket")]
    NoSwitch,
    #[error("its Sec-WebSocket-Accept does not answer the key")]
    WrongAccept,
    #[error("it chose a subprotocol that the client did not offer")]
    Subprotocol,
    #[error("it chose an extension that was not offered")]
    Extension,
}

/// Asks a connected backend to switch to WebSocket.
///
/// # Errors
/// When it refuses, does not answer in time, or answers nonsense.
pub async fn upgrade(
    io: Socket,
    ask: &ConnectRequest<'_>,
    deadline: Duration,
) -> Result<Upstream, Refusal> {
    tokio::time::timeout(deadline, exchange(io, ask))
        .await
        .unwrap_or_else(|_| {
            Err(Refusal::because(
                Reason::BackendTimeout,
                format!("no answer to the upgrade within {deadline:?}"),
            ))
        })
}

async fn exchange(io: Socket, ask: &ConnectRequest<'_>) -> Result<Upstream, Refusal> {
    let key = new_key();
    let accept = accept_for(&key);
    let (mut sender, conn) = Builder::new()
        .max_buf_size(HEAD_BYTES)
        .handshake(TokioIo::new(Bounded::new(io, ANSWER_BYTES)))
        .await
        .map_err(unreadable)?;
    let mut conn = conn.with_upgrades();
    let asked = sender.send_request(request(ask, key)?);
    let response = drive(&mut conn, asked).await.map_err(unreadable)?;
    if response.status() != StatusCode::SWITCHING_PROTOCOLS {
        return Err(refusal(&mut conn, response).await);
    }
    judge(response.headers(), ask.offer, &accept)
        .map_err(|fault| Refusal::because(Reason::BackendHandshake, fault))?;
    let mut headers = response.headers().clone();
    let deflate = agree(&mut headers, ask)
        .map_err(|fault| Refusal::because(Reason::BackendHandshake, fault))?;
    let upgraded = drive(&mut conn, hyper::upgrade::on(response))
        .await
        .map_err(unreadable)?;
    let parts = upgraded
        .downcast::<TokioIo<Bounded>>()
        .expect("the connection was made of this type of socket");
    Ok(Upstream {
        leg: Leg {
            io: parts.io.into_inner().into_inner(),
            read_ahead: parts.read_buf,
        },
        headers,
        deflate,
    })
}

/// Polls a connection while waiting for something that it produces.
async fn drive<W: Future>(conn: &mut (impl Future + Unpin), work: W) -> W::Output {
    let mut work = pin!(work);
    let mut conn = Pin::new(conn);
    let mut over = false;
    poll_fn(|cx| {
        if let Poll::Ready(done) = work.as_mut().poll(cx) {
            return Poll::Ready(done);
        }
        if !over && conn.as_mut().poll(cx).is_ready() {
            over = true;
            // How it went, the work learns by itself, and now at the latest.
            return work.as_mut().poll(cx);
        }
        Poll::Pending
    })
    .await
}

fn request(ask: &ConnectRequest<'_>, key: HeaderValue) -> Result<Request<Empty<Bytes>>, Refusal> {
    let fault = |cause: http::Error| Refusal::because(Reason::GatewayFault, cause);
    let mut request = Request::get(ask.path).body(Empty::new()).map_err(fault)?;
    let host =
        HeaderValue::try_from(&*ask.endpoint.authority).map_err(|cause| fault(cause.into()))?;
    let offer = ask.offer;
    let headers = request.headers_mut();
    *headers = end_to_end(&offer.headers);
    credential::strip_header(headers);
    forward(headers, ask);
    headers.insert(header::HOST, host);
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(
        header::SEC_WEBSOCKET_VERSION,
        HeaderValue::from_static("13"),
    );
    headers.insert(header::SEC_WEBSOCKET_KEY, key);
    headers.remove(header::SEC_WEBSOCKET_EXTENSIONS);
    if let Some(extensions) = deflate::offer(offer.extensions(), ask.may_drop) {
        headers.insert(header::SEC_WEBSOCKET_EXTENSIONS, extensions);
    }
    headers.insert(SESSION_HEADER, ask.session.header());
    Ok(request)
}

/// Adds the forwarding headers for the backend. A list of previous proxies is kept and appended to; scheme and host
/// from the client aren't trusted.
fn forward(headers: &mut HeaderMap, ask: &ConnectRequest<'_>) {
    let mut route: Vec<String> = list(headers, &FORWARDED_FOR).map(str::to_owned).collect();
    route.push(ask.peer.ip().to_string());
    if let Ok(route) = HeaderValue::try_from(route.join(", ")) {
        headers.insert(FORWARDED_FOR, route);
    }
    let scheme = if ask.peer.secure { "https" } else { "http" };
    headers.insert(FORWARDED_PROTO, HeaderValue::from_static(scheme));
    if let Some(host) = ask.offer.headers.get(header::HOST) {
        headers.insert(FORWARDED_HOST, host.clone());
    }
}

/// Validates a 101, except for its extensions.
fn judge(headers: &HeaderMap, offer: &Offer, accept: &HeaderValue) -> Result<(), Fault> {
    if !has_token(headers, &header::UPGRADE, "websocket")
        || !has_token(headers, &header::CONNECTION, "upgrade")
    {
        return Err(Fault::NoSwitch);
    }
    if the_one(headers, &header::SEC_WEBSOCKET_ACCEPT) != Some(accept) {
        return Err(Fault::WrongAccept);
    }
    if headers.contains_key(header::SEC_WEBSOCKET_PROTOCOL) {
        the_one(headers, &header::SEC_WEBSOCKET_PROTOCOL)
            .and_then(|chosen| chosen.to_str().ok())
            .filter(|chosen| offer.offers_subprotocol(chosen.trim()))
            .ok_or(Fault::Subprotocol)?;
    }
    Ok(())
}

/// Validates the extension that a 101 chose, and sets the header for the client.
fn agree(headers: &mut HeaderMap, ask: &ConnectRequest<'_>) -> Result<Option<Agreed>, Fault> {
    let chosen: Vec<_> = list(headers, &header::SEC_WEBSOCKET_EXTENSIONS).collect();
    let is_offered =
        |chosen| deflate::is_deflate(chosen) && ask.offer.extensions().any(deflate::is_deflate);
    match chosen[..] {
        [] => Ok(None),
        [one] if is_offered(one) => {
            let (agreed, answer) = deflate::answer(one, ask.may_drop);
            headers.insert(header::SEC_WEBSOCKET_EXTENSIONS, answer);
            Ok(Some(agreed))
        }
        _ => Err(Fault::Extension),
    }
}

/// What becomes of an answer that is no 101: a refusal is the backend's to give, anything else is not understood.
async fn refusal(conn: &mut (impl Future + Unpin), response: Response<Incoming>) -> Refusal {
    let status = response.status();
    if !(status.is_client_error() || status.is_server_error() || status.is_redirection()) {
        return Refusal::because(
            Reason::BackendHandshake,
            format!("the backend answered the upgrade with {status}"),
        );
    }
    let headers = end_to_end(response.headers());
    let mut incoming = response.into_body();
    let mut body = Vec::new();
    while body.len() < BODY_BYTES {
        // A body that breaks off is passed on as far as it came.
        let Some(Ok(frame)) = drive(conn, incoming.frame()).await else {
            break;
        };
        if let Some(data) = frame.data_ref() {
            let room = BODY_BYTES - body.len();
            body.extend_from_slice(&data[..data.len().min(room)]);
        }
    }
    Refusal {
        reason: Reason::BackendRefused,
        cause: Some(format!("the backend answered the upgrade with {status}")),
        retry_seconds: None,
        relayed: Some(Box::new(Relayed {
            status,
            headers,
            body: Bytes::from(body),
        })),
    }
}

fn unreadable(error: hyper::Error) -> Refusal {
    Refusal::because(
        Reason::BackendHandshake,
        format!("the backend's answer to the upgrade cannot be read: {error}"),
    )
}

#[cfg(test)]
mod tests;
