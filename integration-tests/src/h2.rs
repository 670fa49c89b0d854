//! A hand-written HTTP/2 connection (RFC 9113), for tests that do what no library does: endless bodies, floods of
//! control frames, responses that aren't read.

use std::{collections::BTreeMap, io, net::SocketAddr, path::Path, time::Duration};

use tidegate_kit::tls::{Roots, client_config};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::{Instant, timeout, timeout_at},
};
use tokio_rustls::{TlsConnector, client::TlsStream, rustls::pki_types::ServerName};

/// Frame type of DATA.
pub const DATA: u8 = 0;
/// Frame type of HEADERS.
pub const HEADERS: u8 = 1;
/// Frame type of PRIORITY.
pub const PRIORITY: u8 = 2;
/// Frame type of `RST_STREAM`.
pub const RST_STREAM: u8 = 3;
/// Frame type of SETTINGS.
pub const SETTINGS: u8 = 4;
/// Frame type of PING.
pub const PING: u8 = 6;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;

const ACK: u8 = 1;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

/// The setting for the initial window of a stream.
pub const INITIAL_WINDOW_SIZE: u16 = 4;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// The largest frame that every peer accepts.
const CHUNK: usize = 16 * 1024;
const DEFAULT_WINDOW: i64 = 65_535;

/// An open connection.
#[derive(Debug)]
pub struct Connection {
    io: TlsStream<TcpStream>,
    unread: Vec<u8>,
    window: i64,
    stream_window: i64,
    streams: BTreeMap<u32, Stream>,
    next: u32,
    over: bool,
}

#[derive(Debug)]
struct Stream {
    window: i64,
    sent: usize,
    /// Whether the peer has answered or reset it.
    done: bool,
}

/// Opens a TLS connection to a control plane's listener.
///
/// # Errors
/// When it is refused.
///
/// # Panics
/// When the authority's certificate cannot be read.
pub async fn tls(
    address: SocketAddr,
    ca_cert: &Path,
    alpn: &str,
) -> io::Result<TlsStream<TcpStream>> {
    let pem = std::fs::read_to_string(ca_cert).expect("the control plane made an authority");
    let config = client_config(&Roots::Only(pem), &[alpn]).expect("the authority is one");
    let name = ServerName::try_from("localhost").expect("a name");
    let tcp = TcpStream::connect(address).await?;
    tcp.set_nodelay(true)?;
    TlsConnector::from(config).connect(name, tcp).await
}

/// The bytes of a frame.
#[must_use]
pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap_or(u32::MAX);
    let mut bytes = length.to_be_bytes()[1..].to_vec();
    bytes.extend([kind, flags]);
    bytes.extend(stream.to_be_bytes());
    bytes.extend(payload);
    bytes
}

/// The bytes of a HEADERS frame: literal fields, nothing indexed, nothing compressed (RFC 7541, 6.2.2).
#[must_use]
pub fn headers(stream: u32, fields: &[(&str, &str)], ends: bool) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in fields {
        block.push(0);
        for text in [name, value] {
            let mut length = text.len();
            if length < 127 {
                block.push(u8::try_from(length).unwrap_or_default());
            } else {
                block.push(127);
                length -= 127;
                while length >= 128 {
                    block.push(u8::try_from(length % 128).unwrap_or_default() | 128);
                    length /= 128;
                }
                block.push(u8::try_from(length).unwrap_or_default());
            }
            block.extend(text.as_bytes());
        }
    }
    let flags = END_HEADERS | if ends { END_STREAM } else { 0 };
    frame(HEADERS, flags, stream, &block)
}

// === impl Connection ===

impl Connection {
    /// Opens one, with these settings.
    ///
    /// # Errors
    /// When it is refused.
    pub async fn open(
        address: SocketAddr,
        ca_cert: &Path,
        settings: &[(u16, u32)],
    ) -> io::Result<Self> {
        let mut connection = Self {
            io: tls(address, ca_cert, "h2").await?,
            unread: Vec::new(),
            window: DEFAULT_WINDOW,
            stream_window: DEFAULT_WINDOW,
            streams: BTreeMap::new(),
            next: 1,
            over: false,
        };
        let payload: Vec<_> = settings
            .iter()
            .flat_map(|(key, value)| [&key.to_be_bytes()[..], &value.to_be_bytes()].concat())
            .collect();
        let hello = [PREFACE.to_vec(), frame(SETTINGS, 0, 0, &payload)].concat();
        connection.write(&hello).await;
        // The server's settings come first.
        connection.listen(Duration::from_millis(200)).await;
        Ok(connection)
    }

    /// Whether the peer has closed it or sent GOAWAY.
    #[must_use]
    pub const fn is_over(&self) -> bool {
        self.over
    }

    /// Sends a request's head, and returns its stream.
    pub async fn request(&mut self, fields: &[(&str, &str)], ends: bool) -> u32 {
        let id = self.next;
        self.next += 2;
        let stream = Stream {
            window: self.stream_window,
            sent: 0,
            done: false,
        };
        self.streams.insert(id, stream);
        self.write(&headers(id, fields, ends)).await;
        id
    }

    /// Sends bytes and returns whether that succeeded. If the peer accepts none in time, the connection is over.
    pub async fn write(&mut self, bytes: &[u8]) -> bool {
        let written = timeout(Duration::from_secs(2), self.io.write_all(bytes)).await;
        let sent = matches!(written, Ok(Ok(())));
        self.over |= !sent;
        sent
    }

    /// Repeats bytes for as long as the peer accepts them, without reading. Returns the number of repetitions.
    pub async fn flood(&mut self, bytes: &[u8], time: Duration) -> usize {
        let until = Instant::now() + time;
        let mut times = 0;
        while let Ok(Ok(())) = timeout_at(until, self.io.write_all(bytes)).await {
            times += 1;
        }
        times
    }

    /// Sends endless bodies: up to `bytes` on each open stream, as the peer's windows allow, until nothing more is
    /// accepted.
    pub async fn feed(&mut self, bytes: usize, time: Duration) {
        let until = Instant::now() + time;
        let zeros = vec![b'a'; CHUNK];
        while !self.over && Instant::now() < until {
            let room = self.window.min(i64::try_from(CHUNK).unwrap_or_default());
            let hungry = self.streams.iter().find_map(|(id, stream)| {
                let left = i64::try_from(bytes.saturating_sub(stream.sent)).unwrap_or_default();
                let most = room.min(stream.window).min(left);
                (!stream.done && most > 0).then_some((*id, most))
            });
            match hungry {
                Some((id, most)) => {
                    let count = usize::try_from(most).unwrap_or_default();
                    if let Some(stream) = self.streams.get_mut(&id) {
                        stream.sent += count;
                        stream.window -= most;
                    }
                    self.window -= most;
                    self.write(&frame(DATA, 0, id, &zeros[..count])).await;
                    self.listen(Duration::ZERO).await;
                }
                None if self.streams.values().all(|it| it.done || it.sent >= bytes) => return,
                None => self.listen(Duration::from_millis(300)).await,
            }
        }
    }

    /// Reads what the peer has sent, and waits up to `time` for the first frame.
    pub async fn listen(&mut self, time: Duration) {
        let mut buffer = vec![0; 64 * 1024];
        match timeout(time, self.io.read(&mut buffer)).await {
            Ok(Ok(count)) if count > 0 => self.unread.extend(&buffer[..count]),
            Err(_) => return,
            Ok(_) => {
                self.over = true;
                return;
            }
        }
        while let Some((kind, flags, id, payload)) = self.take() {
            self.received(kind, flags, id, &payload).await;
        }
    }

    fn take(&mut self) -> Option<(u8, u8, u32, Vec<u8>)> {
        let head: [u8; 9] = self.unread.get(..9)?.try_into().ok()?;
        let [a, b, c, kind, flags, s, t, u, v] = head;
        let end = 9 + usize::try_from(u32::from_be_bytes([0, a, b, c])).ok()?;
        let payload = self.unread.get(9..end)?.to_vec();
        self.unread.drain(..end);
        Some((kind, flags, u32::from_be_bytes([s, t, u, v]), payload))
    }

    async fn received(&mut self, kind: u8, flags: u8, id: u32, payload: &[u8]) {
        let number = |bytes: &[u8]| bytes.try_into().map(u32::from_be_bytes).unwrap_or(0);
        match kind {
            SETTINGS if flags & ACK == 0 => {
                for setting in payload.chunks_exact(6) {
                    if setting[..2] == INITIAL_WINDOW_SIZE.to_be_bytes() {
                        self.stream_window = number(&setting[2..]).into();
                    }
                }
                self.write(&frame(SETTINGS, ACK, 0, &[])).await;
            }
            PING if flags & ACK == 0 => {
                self.write(&frame(PING, ACK, 0, payload)).await;
            }
            WINDOW_UPDATE if id == 0 => self.window += i64::from(number(payload)),
            WINDOW_UPDATE => {
                if let Some(stream) = self.streams.get_mut(&id) {
                    stream.window += i64::from(number(payload));
                }
            }
            HEADERS | RST_STREAM => {
                if let Some(stream) = self.streams.get_mut(&id) {
                    stream.done = true;
                }
            }
            GOAWAY => self.over = true,
            _ => {}
        }
    }
}
