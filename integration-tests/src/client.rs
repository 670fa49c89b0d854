//! A WebSocket client that sends exactly what a test wants: legal frames, illegal frames, or no frames at all.

use std::{io, net::SocketAddr};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};

use crate::{
    wait,
    wire::{CLOSE, Frame, Head, Mask},
};

/// An upgrade request. Every part can be changed or left out.
#[derive(Clone, Debug)]
pub struct Upgrade {
    /// The request line.
    pub first: String,
    /// The fields.
    pub fields: Vec<(String, String)>,
}

/// An open session.
#[derive(Debug)]
pub struct Client {
    /// The connection.
    pub stream: TcpStream,
    /// The head of the response to the upgrade.
    pub head: Head,
}

/// A refused handshake.
#[derive(Clone, Debug)]
pub struct Refusal {
    /// The head of the response.
    pub head: Head,
    /// The body.
    pub body: String,
}

// === impl Upgrade ===

impl Upgrade {
    /// A valid request without credentials.
    #[must_use]
    pub fn to(path: &str) -> Self {
        let upgrade = Self {
            first: format!("GET {path} HTTP/1.1"),
            fields: Vec::new(),
        };
        upgrade
            .with("Host", "gateway.test")
            .with("Connection", "Upgrade")
            .with("Upgrade", "websocket")
            .with("Sec-WebSocket-Version", "13")
            // The sample nonce of RFC 6455, 1.3.
            .with("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")
    }

    /// With one more field.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.fields.push((name.to_owned(), value.to_owned()));
        self
    }

    /// With a bearer token.
    #[must_use]
    pub fn bearer(self, token: &str) -> Self {
        self.with("Authorization", &format!("Bearer {token}"))
    }

    /// Without a field.
    #[must_use]
    pub fn without(mut self, name: &str) -> Self {
        self.fields
            .retain(|(field, _)| !field.eq_ignore_ascii_case(name));
        self
    }

    /// The bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut text = format!("{}\r\n", self.first);
        for (name, value) in &self.fields {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
        text.push_str("\r\n");
        text.into_bytes()
    }

    /// Sends it and expects a session.
    ///
    /// # Panics
    /// When the response isn't a 101.
    pub async fn open(&self, address: SocketAddr) -> Client {
        match self.send(address).await {
            Ok(client) => client,
            Err(refusal) => panic!("refused: {:?}\n{}", refusal.head, refusal.body),
        }
    }

    /// Sends it and expects a refusal.
    ///
    /// # Panics
    /// When the response is a 101.
    pub async fn refused(&self, address: SocketAddr) -> Refusal {
        match self.send(address).await {
            Ok(client) => panic!("not refused: {:?}", client.head),
            Err(refusal) => refusal,
        }
    }

    /// Sends it.
    ///
    /// # Errors
    /// The refusal.
    ///
    /// # Panics
    /// When there is no HTTP response.
    pub async fn send(&self, address: SocketAddr) -> Result<Client, Refusal> {
        send_raw(address, &self.encode())
            .await
            .expect("the gateway answers with HTTP")
    }
}

/// Sends bytes instead of an upgrade request.
///
/// # Errors
/// When the connection ends before a response.
pub async fn send_raw(address: SocketAddr, bytes: &[u8]) -> io::Result<Result<Client, Refusal>> {
    let mut stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    stream.write_all(bytes).await?;
    answer(stream).await
}

/// Reads the response to an upgrade.
///
/// # Errors
/// When the connection ends before a response.
pub async fn answer(mut stream: TcpStream) -> io::Result<Result<Client, Refusal>> {
    let head = Head::read(&mut stream).await?;
    if head.status() == 101 {
        return Ok(Ok(Client { stream, head }));
    }
    let length = head
        .field("content-length")
        .and_then(|length| length.parse().ok());
    let mut body = Vec::new();
    let mut limited = stream.take(length.unwrap_or(u64::MAX));
    wait::within("the body of a refusal", limited.read_to_end(&mut body)).await?;
    let body = String::from_utf8_lossy(&body).into_owned();
    Ok(Err(Refusal { head, body }))
}

// === impl Refusal ===

impl Refusal {
    /// The status.
    #[must_use]
    pub fn status(&self) -> u16 {
        self.head.status()
    }

    /// The `reason` of the problem body.
    ///
    /// # Panics
    /// When the body isn't a problem in the documented form.
    #[must_use]
    pub fn reason(&self) -> String {
        let problem: serde_json::Value = serde_json::from_str(&self.body)
            .unwrap_or_else(|error| panic!("{error} in the body {:?}", self.body));
        let reason = problem["reason"].as_str();
        reason
            .unwrap_or_else(|| panic!("no reason in {problem}"))
            .to_owned()
    }
}

// === impl Client ===

impl Client {
    /// Sends a frame, masked as a client must.
    ///
    /// # Panics
    /// When the connection is closed.
    pub async fn send(&mut self, frame: &Frame) {
        self.send_bytes(&frame.encode(Mask::Fixed)).await;
    }

    /// Sends bytes.
    ///
    /// # Panics
    /// When the connection is closed.
    pub async fn send_bytes(&mut self, bytes: &[u8]) {
        self.stream
            .write_all(bytes)
            .await
            .expect("the gateway reads");
    }

    /// The next frame; `None` when the connection has ended.
    ///
    /// # Panics
    /// When neither happens in time.
    pub async fn next(&mut self) -> Option<Frame> {
        match Frame::read(&mut self.stream).await {
            Ok(frame) => frame,
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => None,
            Err(error) => panic!("no frame: {error}"),
        }
    }

    /// Sends a text and expects its echo.
    ///
    /// # Panics
    /// When something else arrives.
    pub async fn echo(&mut self, text: &str) {
        self.send(&Frame::text(text)).await;
        assert_eq!(self.next().await, Some(Frame::text(text)));
    }

    /// Reads until a close frame arrives and returns its code; `None` when the connection ends without one.
    ///
    /// # Panics
    /// When neither happens in time.
    pub async fn until_close(&mut self) -> Option<u16> {
        while let Some(frame) = self.next().await {
            if frame.opcode == CLOSE {
                return Some(frame.close_code().unwrap_or(1005));
            }
        }
        None
    }

    /// Sends a close frame, and expects the answer and the end of the connection.
    ///
    /// # Panics
    /// When the session doesn't end like that.
    pub async fn close(mut self) {
        self.send(&Frame::close(1000, "")).await;
        assert_eq!(self.until_close().await, Some(1000));
        self.until_end().await;
    }

    /// Expects that the connection ends.
    ///
    /// # Panics
    /// When it doesn't in time.
    pub async fn until_end(&mut self) {
        let end = async { while self.next().await.is_some() {} };
        assert!(
            timeout(wait::DEADLINE, end).await.is_ok(),
            "the connection does not end"
        );
    }
}
