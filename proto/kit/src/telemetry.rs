//! Logs to standard error, and spans to an OpenTelemetry collector where one is named.
//!
//! Only spans with the target `session` are exported: one for each session, none for messages.

use opentelemetry::{KeyValue, trace::TracerProvider as _};
use opentelemetry_otlp::WithExportConfig as _;
use opentelemetry_sdk::{Resource, trace::SdkTracerProvider};
use serde::{Deserialize, Serialize};
use tracing_subscriber::{
    EnvFilter, Layer as _, filter::Targets, fmt, layer::SubscriberExt as _,
    util::SubscriberInitExt as _,
};

/// The target of spans that are exported.
pub const SESSION_TARGET: &str = "session";

/// Configuration of logs and traces.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TelemetryConfig {
    /// What is logged: a level, or directives such as `info,tidegate_data_plane::control=debug`.
    pub log: String,
    /// The format of log lines.
    pub format: Format,
    /// The collector that spans are sent to by OTLP over gRPC, for example `http://collector:4317`. When left out, spans
    /// aren't exported.
    pub otlp_endpoint: Option<String>,
}

/// The format of log lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// Why telemetry could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// Log directives that do not parse.
    #[error("`telemetry.log` is not a list of log directives: {0}")]
    Directives(#[from] tracing_subscriber::filter::ParseError),
    /// A collector that cannot be used.
    #[error("`telemetry.otlp_endpoint` cannot be used: {0}")]
    Exporter(#[from] opentelemetry_otlp::ExporterBuildError),
    /// Logging was set up before.
    #[error("logging is set up already: {0}")]
    Again(#[from] tracing_subscriber::util::TryInitError),
}

/// Exports the remaining spans when it is dropped.
#[must_use = "spans are lost when the guard is dropped early"]
#[derive(Debug)]
pub struct Telemetry(Option<SdkTracerProvider>);

impl Default for TelemetryConfig {
    fn default() -> Self {
        Self {
            log: "info".to_owned(),
            format: Format::Text,
            otlp_endpoint: None,
        }
    }
}

/// Sets up logging for the process; must be called inside a tokio runtime when a collector is named.
///
/// # Errors
/// When the directives do not parse or the collector's address cannot be used.
pub fn init(
    service: &'static str,
    node: &str,
    config: &TelemetryConfig,
) -> Result<Telemetry, TelemetryError> {
    let filter = EnvFilter::try_new(&config.log)?;
    let log = fmt::layer().with_writer(std::io::stderr);
    let log = match config.format {
        Format::Text => log
            .with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr()))
            .boxed(),
        Format::Json => log.json().flatten_event(true).boxed(),
    };
    let provider = match config.otlp_endpoint.as_deref() {
        Some(endpoint) if !endpoint.is_empty() => Some(exporter(service, node, endpoint)?),
        _ => None,
    };
    let spans = provider.as_ref().map(|provider| {
        tracing_opentelemetry::layer()
            .with_tracer(provider.tracer(service))
            .with_filter(Targets::new().with_target(SESSION_TARGET, tracing::Level::INFO))
    });
    tracing_subscriber::registry()
        .with(spans)
        .with(log.with_filter(filter))
        .try_init()?;
    Ok(Telemetry(provider))
}

fn exporter(
    service: &'static str,
    node: &str,
    endpoint: &str,
) -> Result<SdkTracerProvider, TelemetryError> {
    let exporter = opentelemetry_otlp::SpanExporter::builder()
        .with_tonic()
        .with_endpoint(endpoint)
        .build()?;
    let resource = Resource::builder()
        .with_service_name(service)
        .with_attribute(KeyValue::new("service.instance.id", node.to_owned()))
        .build();
    Ok(SdkTracerProvider::builder()
        .with_batch_exporter(exporter)
        .with_resource(resource)
        .build())
}

impl Drop for Telemetry {
    fn drop(&mut self) {
        if let Some(provider) = &self.0
            && let Err(cause) = provider.shutdown()
        {
            tracing::warn!(%cause, "the last spans did not reach the collector");
        }
    }
}
