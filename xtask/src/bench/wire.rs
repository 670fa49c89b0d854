//! The load generator's WebSocket client: minimal handshakes, and frames that are built once, so that the load
//! generator uses less CPU time than what it measures. Used by every benchmark.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use anyhow::{Context as _, ensure};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::{
    TlsConnector,
    rustls::{
        self, ClientConfig, DigitallySignedStruct, SignatureScheme,
        client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
        crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature},
        pki_types::{CertificateDer, ServerName, UnixTime},
    },
};

/// How long any step besides the measurement may take.
pub(super) const DEADLINE: Duration = Duration::from_secs(20);

/// An address to connect to, and the request.
#[derive(Clone, Debug)]
pub(super) struct Endpoint {
    pub(super) address: SocketAddr,
    /// Path and query.
    pub(super) target: String,
    /// An access token, if one is needed.
    pub(super) token: Option<String>,
}

impl Endpoint {
    /// Connects without TLS and does the WebSocket handshake. Returns the connection and how many bytes followed the
    /// response.
    pub(super) async fn open(&self, query: &str) -> anyhow::Result<(TcpStream, usize)> {
        let io = TcpStream::connect(self.address).await?;
        io.set_nodelay(true)?;
        self.upgrade(io, query).await
    }

    /// Does the WebSocket handshake on a connection.
    pub(super) async fn upgrade<T>(&self, mut io: T, query: &str) -> anyhow::Result<(T, usize)>
    where
        T: AsyncRead + AsyncWrite + Unpin,
    {
        let mark = if self.target.contains('?') { '&' } else { '?' };
        let mut request = format!(
            "GET {}{mark}{query} HTTP/1.1\r\nHost: {}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n",
            self.target, self.address
        );
        if let Some(token) = &self.token {
            request.push_str(&format!("Authorization: Bearer {token}\r\n"));
        }
        request.push_str("\r\n");
        io.write_all(request.as_bytes()).await?;
        let (head, rest) = timeout(DEADLINE, read_head(&mut io))
            .await
            .context("no answer to the handshake")??;
        ensure!(
            head.starts_with("HTTP/1.1 101 "),
            "the handshake was refused: {head}"
        );
        Ok((io, rest.len()))
    }
}

/// Reads an HTTP head. Returns it and the bytes that followed it.
pub(super) async fn read_head<T: AsyncRead + Unpin>(
    io: &mut T,
) -> anyhow::Result<(String, Vec<u8>)> {
    let mut bytes = Vec::with_capacity(1024);
    loop {
        ensure!(
            io.read_buf(&mut bytes).await? > 0,
            "the connection ended within a head"
        );
        if let Some(at) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            let rest = bytes.split_off(at + 4);
            return Ok((String::from_utf8(bytes)?, rest));
        }
    }
}

/// A binary frame of `size` bytes, masked as clients must.
pub(super) fn frame(size: usize, masked: bool) -> Vec<u8> {
    let bit = if masked { 0x80 } else { 0 };
    let mut frame = vec![0x82];
    match size {
        0..=125 => frame.push(size as u8 | bit),
        126..=0xFFFF => {
            frame.push(126 | bit);
            frame.extend((size as u16).to_be_bytes());
        }
        _ => {
            frame.push(127 | bit);
            frame.extend((size as u64).to_be_bytes());
        }
    }
    if masked {
        frame.extend([0x11, 0x22, 0x33, 0x44]);
    }
    frame.resize(frame.len() + size, b'x');
    frame
}

/// The payload size that a frame's header declares.
pub(super) fn declared(header: &[u8]) -> Option<usize> {
    match header.get(1)? & 0x7F {
        126 => Some(u16::from_be_bytes(*header.get(2..)?.first_chunk()?).into()),
        127 => usize::try_from(u64::from_be_bytes(*header.get(2..)?.first_chunk()?)).ok(),
        size => Some(size.into()),
    }
}

/// TLS without verification: the load generator measures the cost of encryption only.
pub(super) fn connector() -> TlsConnector {
    let provider = Arc::new(ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .expect("ring knows the default versions")
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(NoVerification(provider)))
        .with_no_client_auth();
    Arc::new(config).into()
}

/// Accepts any certificate.
#[derive(Debug)]
struct NoVerification(Arc<CryptoProvider>);

impl ServerCertVerifier for NoVerification {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
