//! The subset of `grpcurl` that the documents use, so that their commands run unchanged. It knows the project's
//! messages only by server reflection.

use std::{collections::HashMap, io::Read as _, path::PathBuf};

use anyhow::{Context as _, bail, ensure};
use prost_reflect::{
    DescriptorPool, DynamicMessage, MessageDescriptor, MethodDescriptor,
    prost::Message as _,
    prost_types::{FileDescriptorProto, FileDescriptorSet},
};
use serde_json::Value;
use tonic::{
    Request, Status,
    client::Grpc,
    codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder},
    metadata::{AsciiMetadataKey, AsciiMetadataValue},
    transport::{Certificate, Channel, ClientTlsConfig, Endpoint},
};
use tonic_reflection::pb::v1::{
    ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
    server_reflection_request::MessageRequest, server_reflection_response::MessageResponse,
};

/// A command line of `grpcurl`.
#[derive(Debug, Default, PartialEq, Eq)]
struct Line {
    ca_cert: Option<PathBuf>,
    headers: Vec<(String, String)>,
    data: Option<String>,
    words: Vec<String>,
}

/// Runs a command line and returns what `grpcurl` prints on stdout.
///
/// # Errors
/// What it prints on stderr.
pub async fn run(arguments: impl Iterator<Item = String>) -> anyhow::Result<String> {
    let line = Line::parse(arguments)?;
    let [address, rest @ ..] = line.words.as_slice() else {
        bail!("no address was given");
    };
    let channel = connect(address, line.ca_cert.as_ref()).await?;
    match rest
        .iter()
        .map(String::as_str)
        .collect::<Vec<_>>()
        .as_slice()
    {
        ["list"] => {
            let mut services = list(channel).await?;
            services.sort();
            Ok(services.join("\n"))
        }
        ["list", service] => {
            let pool = reflect(channel, service).await?;
            let service = pool
                .get_service_by_name(service)
                .context("no such service")?;
            let methods: Vec<_> = service
                .methods()
                .map(|m| m.full_name().to_owned())
                .collect();
            Ok(methods.join("\n"))
        }
        ["describe", symbol] => {
            reflect(channel, symbol).await?;
            Ok(format!("{symbol} is described"))
        }
        [method] => call(channel, method, &line).await,
        words => bail!("cannot do {words:?}"),
    }
}

// === impl Line ===

impl Line {
    fn parse(mut arguments: impl Iterator<Item = String>) -> anyhow::Result<Self> {
        let mut line = Self::default();
        while let Some(argument) = arguments.next() {
            let mut value = || {
                arguments
                    .next()
                    .with_context(|| format!("{argument} needs a value"))
            };
            match argument.trim_start_matches('-') {
                "cacert" => line.ca_cert = Some(value()?.into()),
                "H" | "rpc-header" => {
                    let header = value()?;
                    let (name, value) = header.split_once(':').context("a header has no colon")?;
                    line.headers
                        .push((name.trim().to_lowercase(), value.trim().to_owned()));
                }
                "d" => line.data = Some(value()?),
                _ if argument.starts_with('-') => bail!("{argument} is not known here"),
                _ => line.words.push(argument),
            }
        }
        Ok(line)
    }

    fn json(&self) -> anyhow::Result<String> {
        match self.data.as_deref() {
            None => Ok("{}".to_owned()),
            Some("@") => {
                let mut text = String::new();
                std::io::stdin().read_to_string(&mut text)?;
                Ok(text)
            }
            Some(text) => Ok(text.to_owned()),
        }
    }
}

async fn connect(address: &str, ca_cert: Option<&PathBuf>) -> anyhow::Result<Channel> {
    let mut tls = ClientTlsConfig::new();
    if let Some(path) = ca_cert {
        let pem = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
        tls = tls.ca_certificate(Certificate::from_pem(pem));
    }
    let endpoint = Endpoint::new(format!("https://{address}"))?.tls_config(tls)?;
    endpoint
        .connect()
        .await
        .with_context(|| format!("failed to dial {address}"))
}

async fn ask(channel: Channel, question: MessageRequest) -> anyhow::Result<MessageResponse> {
    let request = ServerReflectionRequest {
        host: String::new(),
        message_request: Some(question),
    };
    let mut client = ServerReflectionClient::new(channel).max_decoding_message_size(16 << 20);
    let answers = client
        .server_reflection_info(tokio_stream::once(request))
        .await?;
    let answer = answers
        .into_inner()
        .message()
        .await?
        .context("reflection says nothing")?;
    match answer.message_response.context("reflection says nothing")? {
        MessageResponse::ErrorResponse(error) => bail!("{}", error.error_message),
        answer => Ok(answer),
    }
}

async fn list(channel: Channel) -> anyhow::Result<Vec<String>> {
    match ask(channel, MessageRequest::ListServices(String::new())).await? {
        MessageResponse::ListServicesResponse(list) => Ok(list
            .service
            .into_iter()
            .map(|service| service.name)
            .collect()),
        other => bail!("reflection answers another question: {other:?}"),
    }
}

/// All descriptors that a symbol needs.
async fn reflect(channel: Channel, symbol: &str) -> anyhow::Result<DescriptorPool> {
    let mut files = HashMap::<String, FileDescriptorProto>::new();
    let mut questions = vec![MessageRequest::FileContainingSymbol(symbol.to_owned())];
    while let Some(question) = questions.pop() {
        let MessageResponse::FileDescriptorResponse(answer) =
            ask(channel.clone(), question).await?
        else {
            bail!("reflection answers another question");
        };
        for bytes in answer.file_descriptor_proto {
            let file = FileDescriptorProto::decode(bytes.as_slice())?;
            files.insert(file.name().to_owned(), file);
        }
        let wanted = files.values().flat_map(|file| &file.dependency);
        let missing = wanted.filter(|name| !files.contains_key(*name)).min();
        questions.extend(missing.map(|name| MessageRequest::FileByFilename(name.clone())));
    }
    let set = FileDescriptorSet {
        file: files.into_values().collect(),
    };
    let mut pool = DescriptorPool::new();
    pool.add_file_descriptor_set(set)?;
    Ok(pool)
}

async fn call(channel: Channel, name: &str, line: &Line) -> anyhow::Result<String> {
    let (service, method) = name
        .rsplit_once('/')
        .or_else(|| name.rsplit_once('.'))
        .with_context(|| format!("{name} is no method"))?;
    let pool = reflect(channel.clone(), service).await?;
    let service = pool
        .get_service_by_name(service)
        .with_context(|| format!("no {service}"))?;
    let found = service
        .methods()
        .find(|candidate| candidate.name() == method);
    let method = found.with_context(|| format!("{} has no {method}", service.name()))?;
    ensure!(
        !method.is_client_streaming() && !method.is_server_streaming(),
        "streams are not known here"
    );

    let json = line.json()?;
    let tree = as_it_reads(serde_json::from_str(&json)?)?;
    let message = DynamicMessage::deserialize(method.input(), tree)
        .with_context(|| format!("error getting request data for {name} from {json}"))?;
    let mut request = Request::new(message);
    for (name, value) in &line.headers {
        let name: AsciiMetadataKey = name.parse().context("a header's name is wrong")?;
        let value: AsciiMetadataValue = value.parse().context("a header's value is wrong")?;
        request.metadata_mut().insert(name, value);
    }
    let path = format!("/{}/{}", service.full_name(), method.name()).parse()?;
    let mut grpc = Grpc::new(channel).max_decoding_message_size(16 << 20);
    grpc.ready().await?;
    match grpc.unary(request, path, Dynamic(method)).await {
        Ok(answer) => Ok(serde_json::to_string_pretty(answer.get_ref())?),
        Err(status) => bail!(
            "ERROR:\n  Code: {:?}\n  Message: {}",
            status.code(),
            status.message()
        ),
    }
}

/// `grpcurl` reads a field mask as a message and not as a string, unlike the JSON format of Protocol Buffers.
fn as_it_reads(mut tree: Value) -> anyhow::Result<Value> {
    if let Some(mask) = tree.get_mut("update_mask") {
        let paths = mask.get("paths").and_then(Value::as_array);
        let paths = paths.with_context(|| {
            format!("bad input: expecting start of JSON object: '{{' ; instead got {mask}")
        })?;
        let paths: Vec<_> = paths.iter().filter_map(Value::as_str).collect();
        *mask = paths.join(",").into();
    }
    Ok(tree)
}

/// The messages of a method, as reflection describes them.
struct Dynamic(MethodDescriptor);

struct Writer;
struct Reader(MessageDescriptor);

impl Codec for Dynamic {
    type Encode = DynamicMessage;
    type Decode = DynamicMessage;
    type Encoder = Writer;
    type Decoder = Reader;

    fn encoder(&mut self) -> Writer {
        Writer
    }

    fn decoder(&mut self) -> Reader {
        Reader(self.0.output())
    }
}

impl Encoder for Writer {
    type Item = DynamicMessage;
    type Error = Status;

    fn encode(&mut self, item: DynamicMessage, to: &mut EncodeBuf<'_>) -> Result<(), Status> {
        item.encode(to)
            .map_err(|error| Status::internal(error.to_string()))
    }
}

impl Decoder for Reader {
    type Item = DynamicMessage;
    type Error = Status;

    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<DynamicMessage>, Status> {
        DynamicMessage::decode(self.0.clone(), from)
            .map(Some)
            .map_err(|error| Status::internal(error.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::Line;

    #[test]
    fn reads_a_line_as_grpcurl_does() {
        let words = [
            "-cacert",
            "ca.pem",
            "-H",
            "Authorization: Bearer x",
            "-d",
            "{}",
            "h:1",
            "a.B/C",
        ];
        let line = Line::parse(words.iter().map(|&word| word.to_owned())).unwrap();
        let expected = Line {
            ca_cert: Some("ca.pem".into()),
            headers: vec![("authorization".to_owned(), "Bearer x".to_owned())],
            data: Some("{}".to_owned()),
            words: vec!["h:1".to_owned(), "a.B/C".to_owned()],
        };
        assert_eq!(line, expected);
        assert!(Line::parse(["-no-such-flag".to_owned()].into_iter()).is_err());
    }
}
