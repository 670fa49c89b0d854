//! A client of the control plane's management listener: a gRPC channel that trusts the control plane's own CA and carries a
//! bearer token, and the OAuth token endpoint. For `up` and for the integration tests.

use std::{path::Path, sync::Arc, time::Duration};

use anyhow::{Context as _, bail, ensure};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::{
    TlsConnector,
    rustls::{
        ClientConfig, RootCertStore,
        crypto::ring,
        pki_types::{CertificateDer, ServerName, pem::PemObject as _},
    },
};
use tonic::{
    Request, Status,
    metadata::{Ascii, MetadataValue},
    service::{Interceptor, interceptor::InterceptedService},
    transport::{Certificate, ClientTlsConfig, Endpoint},
};

/// A connection to the admin API on which every call carries a token.
pub type Channel = InterceptedService<tonic::transport::Channel, Bearer>;

/// Puts a token on every call.
#[derive(Clone, Debug, Default)]
pub struct Bearer(Option<MetadataValue<Ascii>>);

/// The name that the control plane's certificate carries, whatever address it is reached by.
const NAME: &str = "localhost";

/// How long one call or request may take.
const DEADLINE: Duration = Duration::from_secs(20);

/// An answer of the OAuth endpoints.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The head, with the status line.
    pub head: String,
    /// The body.
    pub body: String,
}

// === impl Bearer ===

impl Bearer {
    /// A token for every call.
    ///
    /// # Errors
    /// When the token cannot be a header's value.
    pub fn new(token: &str) -> anyhow::Result<Self> {
        let value = format!("Bearer {token}")
            .parse()
            .context("the token is not ASCII")?;
        Ok(Self(Some(value)))
    }
}

impl Interceptor for Bearer {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(value) = &self.0 {
            request
                .metadata_mut()
                .insert("authorization", value.clone());
        }
        Ok(request)
    }
}

/// Connects to the admin API at `https://host:port`.
///
/// # Errors
/// When the CA cannot be read or the server doesn't answer.
pub async fn connect(url: &str, ca_cert: &Path, bearer: Bearer) -> anyhow::Result<Channel> {
    let pem = read(ca_cert)?;
    let tls = ClientTlsConfig::new()
        .ca_certificate(Certificate::from_pem(pem))
        .domain_name(NAME);
    let channel = Endpoint::new(url.to_owned())?
        .tls_config(tls)?
        .connect_timeout(DEADLINE)
        .timeout(DEADLINE)
        .connect()
        .await
        .with_context(|| format!("cannot connect to the admin API at {url}"))?;
    Ok(InterceptedService::new(channel, bearer))
}

/// Asks for an access token with an application's client id and secret.
///
/// # Errors
/// When the endpoint doesn't answer with a token.
pub async fn token(url: &str, ca_cert: &Path, id: &str, secret: &str) -> anyhow::Result<String> {
    let form = "grant_type=client_credentials";
    let answer = post_form(url, ca_cert, "/oauth2/token", Some((id, secret)), form).await?;
    ensure!(
        answer.status == 200,
        "the token endpoint answered {}: {}",
        answer.status,
        answer.body
    );
    let body: serde_json::Value =
        serde_json::from_str(&answer.body).context("the token endpoint's answer is no JSON")?;
    let token = body["access_token"].as_str();
    Ok(token.context("the answer has no access_token")?.to_owned())
}

/// Sends a form to the management listener, with HTTP Basic credentials if there are any.
///
/// # Errors
/// When there is no HTTP response.
pub async fn post_form(
    url: &str,
    ca_cert: &Path,
    path: &str,
    basic: Option<(&str, &str)>,
    form: &str,
) -> anyhow::Result<Answer> {
    let authorization = basic.map_or_else(String::new, |(id, secret)| {
        let credentials = base64(format!("{id}:{secret}").as_bytes());
        format!("Authorization: Basic {credentials}\r\n")
    });
    let request = format!(
        "POST {path} HTTP/1.1\r\nHost: {NAME}\r\nConnection: close\r\n{authorization}\
         Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{form}",
        form.len()
    );
    exchange(url, ca_cert, request.as_bytes()).await
}

/// Gets a page of the management listener.
///
/// # Errors
/// When there is no HTTP response.
pub async fn get(url: &str, ca_cert: &Path, path: &str) -> anyhow::Result<Answer> {
    let request = format!("GET {path} HTTP/1.1\r\nHost: {NAME}\r\nConnection: close\r\n\r\n");
    exchange(url, ca_cert, request.as_bytes()).await
}

/// Sends the bytes of one request and reads until the server closes.
///
/// # Errors
/// When there is no HTTP response.
pub async fn exchange(url: &str, ca_cert: &Path, request: &[u8]) -> anyhow::Result<Answer> {
    let address = url
        .strip_prefix("https://")
        .context("the URL must begin with https://")?;
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&read(ca_cert)?) {
        roots.add(certificate?)?;
    }
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let answer = async {
        let tcp = TcpStream::connect(address).await?;
        let name = ServerName::try_from(NAME).expect("a constant name is valid");
        let mut stream = TlsConnector::from(Arc::new(config))
            .connect(name, tcp)
            .await?;
        stream.write_all(request).await?;
        let mut answer = Vec::new();
        match stream.read_to_end(&mut answer).await {
            // A peer that closes TCP without a TLS alert has still sent its response.
            Err(error) if error.kind() != std::io::ErrorKind::UnexpectedEof => Err(error),
            _ => Ok(answer),
        }
    };
    let bytes = timeout(DEADLINE, answer)
        .await
        .with_context(|| format!("{url} did not answer in {} s", DEADLINE.as_secs()))?
        .with_context(|| format!("cannot ask {url}"))?;
    let text = String::from_utf8(bytes).context("the answer is not UTF-8")?;
    let Some((head, body)) = text.split_once("\r\n\r\n") else {
        bail!("the response has an incomplete head: {text}");
    };
    let status = head
        .split(' ')
        .nth(1)
        .and_then(|status| status.parse().ok());
    Ok(Answer {
        status: status.with_context(|| format!("the answer has no status: {head}"))?,
        head: head.to_owned(),
        body: body.to_owned(),
    })
}

fn read(ca_cert: &Path) -> anyhow::Result<Vec<u8>> {
    std::fs::read(ca_cert).with_context(|| format!("cannot read {}", ca_cert.display()))
}

/// RFC 4648, 4, with padding.
fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let group = chunk
            .iter()
            .fold(0_u32, |group, byte| group << 8 | u32::from(*byte))
            << (8 * (3 - chunk.len()));
        for index in 0..4 {
            text.push(if index <= chunk.len() {
                char::from(ALPHABET[(group >> (18 - 6 * index)) as usize & 63])
            } else {
                '='
            });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    #[test]
    fn encodes_the_vectors_of_rfc_4648() {
        let vectors = [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
        ];
        for (plain, coded) in vectors {
            assert_eq!(super::base64(plain.as_bytes()), coded);
        }
    }
}
