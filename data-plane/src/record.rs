//! RECORD: exactly one line in the access log and one set of counts for every session and every refusal.
//!
//! `Record` is a guard: it is begun when a connection is accepted and writes what it knows when it is dropped, whatever
//! ended the connection. It decides nothing. Called by `connection`.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use http::header;
use tidegate_proto::reason::Reason;
use tracing::Span;

use crate::{
    auth::Principal,
    handshake::refusal::Refusal,
    listen::peer::Peer,
    metrics::{ApiLabels, ApiMetrics, DropCause, Metrics, Phase},
    record::event::{Event, Outcome},
    relay::Ended,
    route::Match,
    session::{Session, SessionHandle, id::SessionId},
};

pub mod event;
pub mod access_log;

/// What is known of a connection so far; written when it is dropped.
#[derive(Debug)]
pub struct Record {
    metrics: Arc<Metrics>,
    event: Box<Event>,
    began: Instant,
    opened: Option<(SessionHandle, ApiMetrics)>,
    silent: bool,
}

// === impl Record ===

impl Record {
    /// Begins the record of an accepted connection; `traced` opens a span that leaves by OTLP.
    #[must_use]
    pub fn begin(metrics: &Arc<Metrics>, session: SessionId, peer: Peer, traced: bool) -> Self {
        let span = if traced {
            access_log::span(session)
        } else {
            Span::none()
        };
        Self {
            metrics: metrics.clone(),
            event: Box::new(Event::new(session, peer, span)),
            began: Instant::now(),
            opened: None,
            silent: false,
        }
    }

    /// The session's id.
    #[must_use]
    pub fn session(&self) -> SessionId {
        self.event.session
    }

    /// A request was read.
    pub fn asked(&mut self, uri: &http::Uri, headers: &http::HeaderMap) {
        self.event.path = Some(access_log::redact(uri).into());
        self.event.user_agent = headers
            .get(header::USER_AGENT)
            .map(|value| access_log::shorten(value).into());
        self.metrics.phase(Phase::Read, self.began.elapsed());
    }

    /// The path led to an API.
    pub fn routed(&mut self, matched: &Match) {
        self.event.api = ApiLabels {
            api: matched.api.name.clone(),
            version: Arc::from(matched.api.version.as_str()),
        };
        self.event.topic = Some(matched.topic().template.as_str().into());
    }

    /// The credential was good.
    pub fn authenticated(&mut self, principal: &Principal) {
        self.event.application = Some(principal.application.name.clone());
        self.event.plan = Some(principal.plan.name.clone());
    }

    /// A part of the handshake took so long.
    pub fn phase(&self, phase: Phase, took: Duration) {
        self.metrics.phase(phase, took);
    }

    /// The handshake was refused.
    pub fn refused(&mut self, refusal: &Refusal) {
        self.event.outcome = Outcome::Refused {
            reason: refusal.reason,
            status: refusal.status().map(|status| status.as_u16()),
            cause: refusal.cause.as_deref().map(Into::into),
        };
    }

    /// The client left before it asked for anything: there is nothing to write a line about.
    pub fn silent(&mut self) {
        self.silent = true;
    }

    /// The client has its 101.
    pub fn opened(&mut self, handle: SessionHandle) {
        self.metrics.phase(Phase::Total, self.began.elapsed());
        let counters = self.metrics.session_opened(&self.event.api);
        handle.session().opened(counters.clone());
        self.opened = Some((handle, counters));
    }

    /// The session ended.
    pub fn ended(&mut self, ended: Ended) {
        self.event.outcome = Outcome::Ended(ended);
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        if self.silent {
            self.metrics.connection_dropped(DropCause::NoData);
            return;
        }
        self.event.duration = self.began.elapsed();
        match &self.opened {
            Some((handle, counters)) => {
                let ended = match self.event.outcome {
                    Outcome::Ended(ended) => ended,
                    // The process did not wait for the session's own end.
                    Outcome::Refused { .. } => cut_off(handle.session()),
                };
                handle.session().count(ended.to_backend, ended.to_client);
                self.event.outcome = Outcome::Ended(ended);
                self.metrics
                    .session_ended(&self.event.api, counters, ended.reason);
            }
            None => {
                let reason = self.event.outcome.reason();
                self.metrics.handshake_refused(&self.event.api, reason);
            }
        }
        access_log::write(&self.event);
    }
}

fn cut_off(session: &Session) -> Ended {
    let (to_backend, to_client) = session.live().traffic();
    Ended {
        reason: session.termination().unwrap_or(Reason::GatewayFault),
        close_code: None,
        fault: None,
        to_backend,
        to_client,
    }
}

#[cfg(test)]
mod tests;
