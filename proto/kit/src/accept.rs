//! The accept loop of a listener: what an error of `accept` means, and how long to wait after one.
//!
//! Owns classification, back-off and the log line about it. The caller owns the listening socket's address and what
//! happens to a connection.

use std::{io, net::SocketAddr, time::Duration};

use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

use crate::{backoff::Backoff, fault_log::FaultLog};

/// Lines in the log in a minute about a listener that cannot accept.
const LINES: usize = 6;

const FIRST_WAIT: Duration = Duration::from_millis(10);
const LONGEST_WAIT: Duration = Duration::from_secs(1);

/// Accepts connections on one listening socket.
#[derive(Debug)]
pub struct Acceptor {
    name: &'static str,
    listener: TcpListener,
    backoff: Backoff,
    log: FaultLog,
}

/// What an error of `accept` means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AcceptFault {
    /// The listening socket is broken.
    Fatal,
    /// Only this connection broke, before it was accepted.
    Connection,
    /// The process or the machine is out of file descriptors, memory or buffers; trying again at once would spin.
    Exhausted,
}

// === impl Acceptor ===

impl Acceptor {
    /// Accepts on `listener`; `name` is what log lines call it.
    #[must_use]
    pub const fn new(name: &'static str, listener: TcpListener) -> Self {
        Self {
            name,
            listener,
            backoff: Backoff::new(FIRST_WAIT, LONGEST_WAIT),
            log: FaultLog::new(LINES),
        }
    }

    /// Waits for the next connection, or for `stop`, and then returns `None`. Faults that pass are reported to
    /// `on_fault` and waited out.
    ///
    /// # Errors
    /// When the listening socket is broken.
    pub async fn accept(
        &mut self,
        stop: &CancellationToken,
        on_fault: impl Fn(AcceptFault),
    ) -> io::Result<Option<(TcpStream, SocketAddr)>> {
        loop {
            // Stopping first: a process that drains accepts nothing more, however many connections are waiting.
            let accepted = tokio::select! {
                biased;
                () = stop.cancelled() => return Ok(None),
                accepted = self.listener.accept() => accepted,
            };
            let cause = match accepted {
                Ok(accepted) => {
                    self.backoff.reset();
                    return Ok(Some(accepted));
                }
                Err(cause) => cause,
            };
            let fault = AcceptFault::of(&cause);
            match fault {
                AcceptFault::Fatal => return Err(cause),
                AcceptFault::Connection => on_fault(fault),
                AcceptFault::Exhausted => {
                    on_fault(fault);
                    let wait = self.backoff.wait();
                    self.warn(&cause, wait);
                    tokio::select! {
                        biased;
                        () = stop.cancelled() => return Ok(None),
                        () = tokio::time::sleep(wait) => {}
                    }
                }
            }
        }
    }

    fn warn(&self, cause: &io::Error, wait: Duration) {
        // Each connection that ends makes room for one, so success and failure alternate.
        if let Some(line) = self.log.fault(&cause.to_string()) {
            tracing::warn!(
                listener = self.name,
                %cause,
                ?wait,
                suppressed = line.suppressed,
                "cannot accept connections for now; raise the limit on open files if this lasts"
            );
        }
    }
}

// === impl AcceptFault ===

impl AcceptFault {
    /// Classifies an error of `accept`.
    #[must_use]
    pub fn of(error: &io::Error) -> Self {
        use io::ErrorKind;

        /// `EBADF` is 9 on every Unix.
        const BAD_DESCRIPTOR: i32 = 9;

        if error.raw_os_error() == Some(BAD_DESCRIPTOR) {
            return Self::Fatal;
        }
        match error.kind() {
            ErrorKind::InvalidInput | ErrorKind::NotConnected | ErrorKind::Unsupported => {
                Self::Fatal
            }
            // accept(2): errors already pending on the new socket are passed on as errors of accept.
            ErrorKind::ConnectionAborted
            | ErrorKind::ConnectionReset
            | ErrorKind::ConnectionRefused
            | ErrorKind::Interrupted
            | ErrorKind::WouldBlock
            | ErrorKind::TimedOut
            | ErrorKind::PermissionDenied
            | ErrorKind::HostUnreachable
            | ErrorKind::NetworkUnreachable
            | ErrorKind::NetworkDown => Self::Connection,
            // EMFILE, ENFILE, ENOBUFS and ENOMEM; and an error that is not known here must not cause a hot loop either.
            _ => Self::Exhausted,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{self, ErrorKind};

    use super::AcceptFault;

    #[test]
    fn an_error_of_accept_is_about_the_listener_one_connection_or_the_process() {
        for (error, fault) in [
            // EMFILE, ENFILE, ENOBUFS and ENOMEM of Linux.
            (io::Error::from_raw_os_error(24), AcceptFault::Exhausted),
            (io::Error::from_raw_os_error(23), AcceptFault::Exhausted),
            (io::Error::from_raw_os_error(105), AcceptFault::Exhausted),
            (io::Error::from_raw_os_error(12), AcceptFault::Exhausted),
            (ErrorKind::ConnectionAborted.into(), AcceptFault::Connection),
            (ErrorKind::ConnectionReset.into(), AcceptFault::Connection),
            (ErrorKind::ConnectionRefused.into(), AcceptFault::Connection),
            (ErrorKind::PermissionDenied.into(), AcceptFault::Connection),
            // EBADF and EINVAL: the listening socket is closed or does not listen.
            (io::Error::from_raw_os_error(9), AcceptFault::Fatal),
            (ErrorKind::InvalidInput.into(), AcceptFault::Fatal),
        ] {
            assert_eq!(AcceptFault::of(&error), fault, "{error}");
        }
    }
}
