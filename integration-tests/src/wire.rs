//! Bytes on the wire: RFC 6455 frames, legal or not, and HTTP/1.1 heads. No library stands between a test and what is
//! sent, or it could not send what is wrong.

use std::{io, time::Duration};

use tokio::{
    io::{AsyncRead, AsyncReadExt as _},
    time::timeout,
};

/// A frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Whether it ends its message.
    pub fin: bool,
    /// The three reserved bits, as the number `0b000` to `0b111`.
    pub reserved: u8,
    /// The opcode.
    pub opcode: u8,
    /// The payload, unmasked.
    pub payload: Vec<u8>,
}

/// Opcode of a further fragment.
pub const CONTINUATION: u8 = 0;
/// Opcode of text.
pub const TEXT: u8 = 1;
/// Opcode of binary data.
pub const BINARY: u8 = 2;
/// Opcode of a close frame.
pub const CLOSE: u8 = 8;
/// Opcode of a ping.
pub const PING: u8 = 9;
/// Opcode of a pong.
pub const PONG: u8 = 10;

/// Whether a frame carries a mask: a client's does, a server's does not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mask {
    /// No mask.
    None,
    /// A fixed one, so that bytes can be compared.
    Fixed,
}

const KEY: [u8; 4] = [0x12, 0x34, 0x56, 0x78];

/// How long a test waits for bytes that should come.
const READ: Duration = Duration::from_secs(10);

/// An HTTP/1.1 head.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// The first line.
    pub first: String,
    /// The fields, names in lower case.
    pub fields: Vec<(String, String)>,
}

// === impl Frame ===

impl Frame {
    /// A whole message in one frame, or a control frame.
    #[must_use]
    pub fn new(opcode: u8, payload: impl Into<Vec<u8>>) -> Self {
        Self {
            fin: true,
            reserved: 0,
            opcode,
            payload: payload.into(),
        }
    }

    /// A text message.
    #[must_use]
    pub fn text(text: &str) -> Self {
        Self::new(TEXT, text)
    }

    /// A close frame with a code and a reason.
    #[must_use]
    pub fn close(code: u16, reason: &str) -> Self {
        let mut payload = code.to_be_bytes().to_vec();
        payload.extend_from_slice(reason.as_bytes());
        Self::new(CLOSE, payload)
    }

    /// The same frame as a fragment that others follow.
    #[must_use]
    pub fn unfinished(mut self) -> Self {
        self.fin = false;
        self
    }

    /// The same frame with reserved bits.
    #[must_use]
    pub fn with_reserved(mut self, bits: u8) -> Self {
        self.reserved = bits;
        self
    }

    /// The code of a close frame, if this is one with a code.
    #[must_use]
    pub fn close_code(&self) -> Option<u16> {
        let code = self.payload.first_chunk::<2>()?;
        (self.opcode == CLOSE).then(|| u16::from_be_bytes(*code))
    }

    /// The bytes.
    ///
    /// # Panics
    /// Never: a length fits into 64 bits.
    #[must_use]
    pub fn encode(&self, mask: Mask) -> Vec<u8> {
        let masked = if mask == Mask::Fixed { 0x80 } else { 0 };
        let mut bytes = vec![u8::from(self.fin) << 7 | self.reserved << 4 | self.opcode];
        let length = self.payload.len();
        match (u8::try_from(length), u16::try_from(length)) {
            (Ok(short @ ..=125), _) => bytes.push(masked | short),
            (_, Ok(medium)) => {
                bytes.push(masked | 126);
                bytes.extend_from_slice(&medium.to_be_bytes());
            }
            _ => {
                bytes.push(masked | 127);
                bytes.extend_from_slice(&(length as u64).to_be_bytes());
            }
        }
        if mask == Mask::Fixed {
            bytes.extend_from_slice(&KEY);
            bytes.extend(
                self.payload
                    .iter()
                    .zip(KEY.iter().cycle())
                    .map(|(byte, key)| byte ^ key),
            );
        } else {
            bytes.extend_from_slice(&self.payload);
        }
        bytes
    }

    /// Reads a frame; `None` at the end of the stream.
    ///
    /// # Errors
    /// When the stream ends inside a frame, fails, or is silent for too long.
    pub async fn read(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Option<Self>> {
        let silent = |_| io::Error::new(io::ErrorKind::TimedOut, "no frame came");
        timeout(READ, Self::read_whole(stream))
            .await
            .map_err(silent)?
    }

    async fn read_whole(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Option<Self>> {
        let first = match stream.read_u8().await {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
            first => first?,
        };
        let second = stream.read_u8().await?;
        let length = match second & 0x7f {
            126 => stream.read_u16().await?.into(),
            127 => stream.read_u64().await?,
            short => short.into(),
        };
        let mut key = [0; 4];
        if second & 0x80 != 0 {
            stream.read_exact(&mut key).await?;
        }
        let length = usize::try_from(length).map_err(io::Error::other)?;
        let mut payload = vec![0; length];
        stream.read_exact(&mut payload).await?;
        for (byte, key) in payload.iter_mut().zip(key.iter().cycle()) {
            *byte ^= key;
        }
        Ok(Some(Self {
            fin: first & 0x80 != 0,
            reserved: first >> 4 & 7,
            opcode: first & 0xf,
            payload,
        }))
    }
}

// === impl Head ===

impl Head {
    /// Reads a head, byte by byte, so that what follows it stays in the stream.
    ///
    /// # Errors
    /// When the stream ends, fails, or is silent for too long before the head is whole.
    pub async fn read(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Self> {
        let whole = async {
            let mut bytes = Vec::new();
            while !bytes.ends_with(b"\r\n\r\n") {
                bytes.push(stream.read_u8().await?);
            }
            io::Result::Ok(bytes)
        };
        let silent = |_| io::Error::new(io::ErrorKind::TimedOut, "no head came");
        let bytes = timeout(READ, whole).await.map_err(silent)??;
        let text = String::from_utf8(bytes).map_err(io::Error::other)?;
        let mut lines = text.lines();
        let first = lines.next().unwrap_or_default().to_owned();
        let fields = lines
            .filter_map(|line| line.split_once(':'))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
            .collect();
        Ok(Self { first, fields })
    }

    /// The value of a field.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&str> {
        let mut fields = self.fields.iter();
        fields
            .find(|(field, _)| field == name)
            .map(|(_, value)| value.as_str())
    }

    /// The status of an answer.
    ///
    /// # Panics
    /// When this is none.
    #[must_use]
    pub fn status(&self) -> u16 {
        let status = self
            .first
            .split(' ')
            .nth(1)
            .and_then(|status| status.parse().ok());
        status.unwrap_or_else(|| panic!("no status in {:?}", self.first))
    }
}
