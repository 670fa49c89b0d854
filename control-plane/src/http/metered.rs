//! Charges requests and responses to a budget: head, body and response of a request are charged until the response is
//! written. Also limits the size of bodies. Called by `http` around the router.

use std::{
    error::Error,
    fmt,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    task::{Context, Poll, ready},
};

use axum::{
    Router,
    body::{Body, Bytes},
    response::IntoResponse as _,
};
use http::{Extensions, HeaderValue, Request, Response, StatusCode, header, request::Parts};
use hyper::body::{Body as _, Buf, Frame, Incoming, SizeHint};
use tonic::{Code, Status};
use tower::ServiceExt as _;

use super::{
    budget::{BudgetExceeded, Charge, ConnectionBudget},
    deadline::is_grpc,
    messages::Messages,
};

/// The maximal body of an anonymous client. A service that authenticates the client may allow more.
pub const ANONYMOUS_BYTES: usize = 17 * 1024;
/// The memory of a request besides its content: a task, a stream, bookkeeping.
const REQUEST_BYTES: usize = 4 * 1024;
/// The additional memory of a stream until its response is complete: tasks, channels and buffers.
const STREAM_BYTES: usize = 24 * 1024;
/// The memory of a header field or a piece of a body besides its bytes.
const PIECE_BYTES: usize = 64;
/// When to retry if the budget is exceeded.
const RETRY_SECONDS: u64 = 1;
const OVERLOADED: &str =
    "the control plane holds too many unanswered requests, of this address or of all; try again";

/// The maximal body of a request, as an extension of it: [`ANONYMOUS_BYTES`] until a service that has authenticated the
/// client raises it. Once a stream is answered before its body ends, only the size of its messages is limited.
#[derive(Clone, Debug)]
pub struct BodyLimit(Arc<AtomicUsize>);

/// The error of a body that isn't read any further.
#[derive(Debug)]
struct Refused(Status);

/// The state of a request until it's answered and its body has ended.
#[derive(Debug)]
struct Tally {
    body: Charge,
    limit: BodyLimit,
    answered: AtomicBool,
    overloaded: AtomicBool,
}

/// A request body that charges its pieces.
#[derive(Debug)]
struct MeteredRequest {
    inner: Incoming,
    tally: Arc<Tally>,
    seen: usize,
    messages: Messages,
}

/// A response body whose pieces are charged until they are written.
#[derive(Debug)]
pub struct MeteredResponse {
    inner: Body,
    charged: Charged,
    /// The charge of the request until the response is complete, if responses are charged.
    _request: Option<Charge>,
}

#[derive(Debug)]
enum Charged {
    /// Once, because its length is known.
    Whole(Arc<Charge>),
    /// Piece by piece.
    Pieces(ConnectionBudget),
    /// Not at all: it's empty, or the listener doesn't charge responses.
    Free,
}

/// A piece of a response. It's dropped when it has been written or isn't needed any more.
#[derive(Debug)]
pub struct Piece {
    bytes: Bytes,
    _held: Option<Arc<Charge>>,
}

/// Lets a router answer a request, and charges it to a connection's budget; the response too if `charges_responses`.
pub async fn serve(
    router: Router,
    budget: ConnectionBudget,
    charges_responses: bool,
    request: Request<Incoming>,
) -> Response<MeteredResponse> {
    let (mut parts, body) = request.into_parts();
    let grpc = is_grpc(&parts.headers);
    let head = budget.charge();
    if head.add(REQUEST_BYTES + weight(&parts)).is_err() {
        return overloaded(grpc);
    }
    let limit = BodyLimit(Arc::new(AtomicUsize::new(ANONYMOUS_BYTES)));
    parts.extensions.insert(limit.clone());
    let tally = Arc::new(Tally {
        body: budget.charge(),
        limit,
        answered: AtomicBool::new(false),
        overloaded: AtomicBool::new(false),
    });
    let body = Body::new(MeteredRequest {
        inner: body,
        tally: tally.clone(),
        seen: 0,
        messages: Messages::default(),
    });
    let answered = router.oneshot(Request::from_parts(parts, body)).await;
    let Ok(answer) = answered;
    tally.answered.store(true, Ordering::Relaxed);
    // The handler may have taken this for a client error, but the server is overloaded.
    if tally.overloaded.load(Ordering::Relaxed) {
        return overloaded(grpc);
    }
    let charged = match answer.body().size_hint().exact() {
        _ if !charges_responses => Charged::Free,
        Some(0) => Charged::Free,
        Some(bytes) => match budget.response(usize::try_from(bytes).unwrap_or(usize::MAX)) {
            Ok(charge) => Charged::Whole(Arc::new(charge)),
            Err(BudgetExceeded) => return overloaded(grpc),
        },
        None if head.add(STREAM_BYTES).is_err() => return overloaded(grpc),
        None => Charged::Pieces(budget),
    };
    answer.map(|inner| MeteredResponse {
        inner,
        charged,
        _request: charges_responses.then_some(head),
    })
}

/// The memory of a request's head.
fn weight(parts: &Parts) -> usize {
    let fields = parts.headers.iter();
    let fields = fields.map(|(name, value)| name.as_str().len() + value.len() + PIECE_BYTES);
    let target = parts.uri.path_and_query().map_or(0, |it| it.as_str().len());
    fields.sum::<usize>() + target
}

fn overloaded(grpc: bool) -> Response<MeteredResponse> {
    let mut response = if grpc {
        Status::unavailable(OVERLOADED).into_http()
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, format!("{OVERLOADED}\n")).into_response()
    };
    let seconds = HeaderValue::from(RETRY_SECONDS);
    response.headers_mut().insert(header::RETRY_AFTER, seconds);
    response.map(|inner| MeteredResponse {
        inner,
        charged: Charged::Free,
        _request: None,
    })
}

// === impl BodyLimit ===

impl BodyLimit {
    /// Raises the limit for the body of an authenticated request. Does nothing if the request isn't metered.
    pub fn raise(extensions: &Extensions, bytes: usize) {
        if let Some(Self(most)) = extensions.get::<Self>() {
            most.fetch_max(bytes, Ordering::Relaxed);
        }
    }
}

// === impl MeteredRequest ===

impl MeteredRequest {
    /// Charges a piece and copies it: the original keeps the whole read buffer alive, however short the piece is.
    fn take(&mut self, piece: &Bytes) -> Result<Bytes, Refused> {
        let bytes = piece.len();
        self.seen = self.seen.saturating_add(bytes);
        let unfinished = self.messages.read(piece);
        let charged = if self.tally.answered.load(Ordering::Relaxed) {
            self.tally.body.set(unfinished + PIECE_BYTES)
        } else {
            let most = self.tally.limit.0.load(Ordering::Relaxed);
            if self.seen > most {
                return Err(Refused(Status::resource_exhausted(format!(
                    "the body of the request is longer than the {most} bytes that this caller may send"
                ))));
            }
            self.tally.body.add(bytes + PIECE_BYTES)
        };
        if charged.is_err() {
            self.tally.overloaded.store(true, Ordering::Relaxed);
            return Err(Refused(Status::unavailable(OVERLOADED)));
        }
        Ok(Bytes::copy_from_slice(piece))
    }
}

impl hyper::body::Body for MeteredRequest {
    type Data = Bytes;
    type Error = Box<dyn Error + Send + Sync>;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let next = match ready!(Pin::new(&mut self.inner).poll_frame(cx)) {
            None => return Poll::Ready(None),
            Some(Err(error)) => return Poll::Ready(Some(Err(error.into()))),
            Some(Ok(frame)) => frame,
        };
        Poll::Ready(Some(match next.data_ref() {
            None => Ok(next),
            Some(piece) => self.take(piece).map(Frame::data).map_err(Into::into),
        }))
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

// === impl Refused ===

/// Whether this error was caused by a body over its limit.
#[must_use]
pub fn is_too_long(error: &(dyn Error + 'static)) -> bool {
    match error.downcast_ref::<Refused>() {
        Some(refused) => refused.0.code() == Code::ResourceExhausted,
        None => error.source().is_some_and(is_too_long),
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.message())
    }
}

/// The status is the source, because tonic looks for one there.
impl Error for Refused {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.0)
    }
}

// === impl MeteredResponse ===

impl hyper::body::Body for MeteredResponse {
    type Data = Piece;
    type Error = Box<dyn Error + Send + Sync>;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Piece>, Self::Error>>> {
        let next = match ready!(Pin::new(&mut self.inner).poll_frame(cx)) {
            None => return Poll::Ready(None),
            Some(Err(error)) => return Poll::Ready(Some(Err(error.into()))),
            Some(Ok(frame)) => frame,
        };
        let held = match (&self.charged, next.data_ref()) {
            (Charged::Whole(charge), Some(_)) => Some(charge.clone()),
            (Charged::Pieces(budget), Some(bytes)) => match budget.response(bytes.len()) {
                Ok(charge) => Some(Arc::new(charge)),
                Err(BudgetExceeded) => {
                    let refused = Refused(Status::unavailable(OVERLOADED));
                    return Poll::Ready(Some(Err(refused.into())));
                }
            },
            (Charged::Free, _) | (_, None) => None,
        };
        Poll::Ready(Some(
            Ok(next.map_data(|bytes| Piece { bytes, _held: held })),
        ))
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

// === impl Piece ===

impl Buf for Piece {
    fn remaining(&self) -> usize {
        self.bytes.remaining()
    }

    fn chunk(&self) -> &[u8] {
        self.bytes.chunk()
    }

    fn advance(&mut self, count: usize) {
        self.bytes.advance(count);
    }
}
