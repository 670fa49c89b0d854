//! Requests and answers on a budget: what a request's head, its body and its answer hold is charged until it is written,
//! and a body is no longer than its sender may have it. Called by `http` around everything that answers.

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
    budget::{Account, Charge, Spent},
    deadline::is_grpc,
    messages::Messages,
};

/// The bytes of a body that may be read of anybody. Whoever knows who asks allows more.
pub const STRANGERS_BYTES: usize = 17 * 1024;
/// What a request holds besides what its sender put into it: a task, a stream, the names of things.
const REQUEST_BYTES: usize = 4 * 1024;
/// What a stream holds besides for as long as its answer goes on: its tasks, channels and buffers.
const STREAM_BYTES: usize = 24 * 1024;
/// What a field of a head, or a piece of a body, holds besides its bytes.
const PIECE_BYTES: usize = 64;
/// When to come back where there is no room.
const RETRY_SECONDS: u64 = 1;
const NO_ROOM: &str =
    "the control plane holds too many unanswered requests, of this address or of all; try again";

/// How long the body of a request may be, as an extension of it: [`STRANGERS_BYTES`] until somebody who has verified its
/// sender allows more. A stream that is answered before its body ends has only its messages limited.
#[derive(Clone, Debug)]
pub struct Allowance(Arc<AtomicUsize>);

/// A body that is not read any further.
#[derive(Debug)]
struct Refused(Status);

/// What a request holds, from its head until it is answered and its body has ended.
#[derive(Debug)]
struct Tally {
    body: Charge,
    allowance: Allowance,
    answered: AtomicBool,
    no_room: AtomicBool,
}

/// A request's body that counts what it gives.
#[derive(Debug)]
struct Counted {
    inner: Incoming,
    tally: Arc<Tally>,
    seen: usize,
    messages: Messages,
}

/// An answer's body whose pieces are charged until they are written.
#[derive(Debug)]
pub struct Answer {
    inner: Body,
    paid: Paid,
    /// What the request holds until the answer has ended, where answers are charged.
    _request: Option<Charge>,
}

#[derive(Debug)]
enum Paid {
    /// As a whole, because its length is known.
    Whole(Arc<Charge>),
    /// Each piece as it comes.
    Pieces(Account),
    /// Not at all: it is short, or the listener does not charge for answers.
    Free,
}

/// A piece of an answer. Dropping it says that it is written, or that nobody wants it.
#[derive(Debug)]
pub struct Piece {
    bytes: Bytes,
    _held: Option<Arc<Charge>>,
}

/// Lets a router answer a request on an account. Answers are charged where `answers` says so.
pub async fn serve(
    router: Router,
    account: Account,
    answers: bool,
    request: Request<Incoming>,
) -> Response<Answer> {
    let (mut parts, body) = request.into_parts();
    let grpc = is_grpc(&parts.headers);
    let head = account.charge();
    if head.add(REQUEST_BYTES + weight(&parts)).is_err() {
        return no_room(grpc);
    }
    let allowance = Allowance(Arc::new(AtomicUsize::new(STRANGERS_BYTES)));
    parts.extensions.insert(allowance.clone());
    let tally = Arc::new(Tally {
        body: account.charge(),
        allowance,
        answered: AtomicBool::new(false),
        no_room: AtomicBool::new(false),
    });
    let body = Body::new(Counted {
        inner: body,
        tally: tally.clone(),
        seen: 0,
        messages: Messages::default(),
    });
    let answered = router.oneshot(Request::from_parts(parts, body)).await;
    let Ok(answer) = answered;
    tally.answered.store(true, Ordering::Relaxed);
    // Whatever the handler made of the body's end: it is not the sender who was wrong.
    if tally.no_room.load(Ordering::Relaxed) {
        return no_room(grpc);
    }
    let paid = match answer.body().size_hint().exact() {
        _ if !answers => Paid::Free,
        Some(0) => Paid::Free,
        Some(bytes) => match account.answer(usize::try_from(bytes).unwrap_or(usize::MAX)) {
            Ok(charge) => Paid::Whole(Arc::new(charge)),
            Err(Spent) => return no_room(grpc),
        },
        None if head.add(STREAM_BYTES).is_err() => return no_room(grpc),
        None => Paid::Pieces(account),
    };
    answer.map(|inner| Answer {
        inner,
        paid,
        _request: answers.then_some(head),
    })
}

/// What the head of a request holds.
fn weight(parts: &Parts) -> usize {
    let fields = parts.headers.iter();
    let fields = fields.map(|(name, value)| name.as_str().len() + value.len() + PIECE_BYTES);
    let target = parts.uri.path_and_query().map_or(0, |it| it.as_str().len());
    fields.sum::<usize>() + target
}

fn no_room(grpc: bool) -> Response<Answer> {
    let mut response = if grpc {
        Status::unavailable(NO_ROOM).into_http()
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, format!("{NO_ROOM}\n")).into_response()
    };
    let seconds = HeaderValue::from(RETRY_SECONDS);
    response.headers_mut().insert(header::RETRY_AFTER, seconds);
    response.map(|inner| Answer {
        inner,
        paid: Paid::Free,
        _request: None,
    })
}

// === impl Allowance ===

impl Allowance {
    /// Lets the body of a request be longer, because its sender is known. Where nobody counts, nothing is done.
    pub fn raise(extensions: &Extensions, bytes: usize) {
        if let Some(Self(most)) = extensions.get::<Self>() {
            most.fetch_max(bytes, Ordering::Relaxed);
        }
    }
}

// === impl Counted ===

impl Counted {
    /// Charges a piece. It is copied: as it comes it holds on to all of the buffer that it was read with, however short it
    /// is itself.
    fn take(&mut self, piece: &Bytes) -> Result<Bytes, Refused> {
        let bytes = piece.len();
        self.seen = self.seen.saturating_add(bytes);
        let unfinished = self.messages.read(piece);
        let charged = if self.tally.answered.load(Ordering::Relaxed) {
            self.tally.body.set(unfinished + PIECE_BYTES)
        } else {
            let most = self.tally.allowance.0.load(Ordering::Relaxed);
            if self.seen > most {
                return Err(Refused(Status::resource_exhausted(format!(
                    "the body of the request is longer than the {most} bytes that this caller may send"
                ))));
            }
            self.tally.body.add(bytes + PIECE_BYTES)
        };
        if charged.is_err() {
            self.tally.no_room.store(true, Ordering::Relaxed);
            return Err(Refused(Status::unavailable(NO_ROOM)));
        }
        Ok(Bytes::copy_from_slice(piece))
    }
}

impl hyper::body::Body for Counted {
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

/// Whether this is, or comes from, a body that was longer than its sender may send.
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

/// The status is the source, because gRPC looks for one there.
impl Error for Refused {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.0)
    }
}

// === impl Answer ===

impl hyper::body::Body for Answer {
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
        let held = match (&self.paid, next.data_ref()) {
            (Paid::Whole(charge), Some(_)) => Some(charge.clone()),
            (Paid::Pieces(account), Some(bytes)) => match account.answer(bytes.len()) {
                Ok(charge) => Some(Arc::new(charge)),
                Err(Spent) => {
                    let refused = Refused(Status::unavailable(NO_ROOM));
                    return Poll::Ready(Some(Err(refused.into())));
                }
            },
            (Paid::Free, _) | (_, None) => None,
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
