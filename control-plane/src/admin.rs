//! The admin API over gRPC: one file for each service, which reads the request, calls a use case and writes the answer.
//! Nothing is decided here: who may do what and what is valid is said by `service`. Built by `app`, served by `http`.

use std::time::Duration;

use axum::{Router, middleware};
use prost::Message as _;
use prost_types::FileDescriptorSet;
use tidegate_proto::admin::{
    FILE_DESCRIPTOR_SET,
    v1::{
        api_policy_service_server::ApiPolicyServiceServer, api_service_server::ApiServiceServer,
        application_policy_service_server::ApplicationPolicyServiceServer,
        application_service_server::ApplicationServiceServer,
        audit_service_server::AuditServiceServer, catalog_service_server::CatalogServiceServer,
        deny_policy_service_server::DenyPolicyServiceServer,
        document_service_server::DocumentServiceServer,
        gateway_service_server::GatewayServiceServer,
        key_manager_service_server::KeyManagerServiceServer,
        plan_service_server::PlanServiceServer, session_service_server::SessionServiceServer,
        settings_service_server::SettingsServiceServer,
        subscription_service_server::SubscriptionServiceServer,
        user_service_server::UserServiceServer,
    },
};
use tonic::{Response, Status, service::RoutesBuilder};

mod caller;
mod status;
mod wire;
mod names;
mod convert;
mod paging;
mod sessions;
mod users;
mod apis;
mod limits;
mod plans;
mod application_policies;
mod api_policies;
mod deny_policies;
mod applications;
mod subscriptions;
mod usage;
mod gateways;
mod signing_keys;
mod audit;
mod catalog;
mod documents;
mod settings;

use crate::{
    discovery::fleet::Fleet,
    oauth::{KeyManager, rotation::Rotation},
    service::Service,
};

/// The bytes that a call's message may have; the longest valid ones, an API or an API policy with every field at its
/// limit, have less.
const MESSAGE_BYTES: usize = 1024 * 1024;
/// The bytes that a message may have in a call that needs no token; the longest valid ones have less.
const ANONYMOUS_BYTES: usize = 16 * 1024;

/// What a call answers.
type Reply<M> = Result<Response<M>, Status>;

/// All services of the admin API.
#[derive(Clone)]
pub struct Admin {
    service: Service,
    fleet: Fleet,
    rotation: Rotation,
    key_manager: KeyManager,
}

/// Descriptors that cannot be served: the build is broken.
#[derive(Debug, thiserror::Error)]
pub enum ReflectionError {
    /// They do not decode.
    #[error("cannot read the descriptors of the admin API: {0}")]
    Decode(#[from] prost::DecodeError),
    /// They do not fit together.
    #[error("cannot serve reflection: {0}")]
    Build(#[from] tonic_reflection::server::Error),
}

// === impl Admin ===

impl Admin {
    /// The admin API over the use cases.
    #[must_use]
    pub const fn new(
        service: Service,
        fleet: Fleet,
        rotation: Rotation,
        key_manager: KeyManager,
    ) -> Self {
        Self {
            service,
            fleet,
            rotation,
            key_manager,
        }
    }

    /// The routes of all services, with server reflection (v1 and v1alpha) and the standard health service. Nothing of a
    /// call is read before its bearer token is checked, except where a call needs none.
    ///
    /// # Errors
    /// When the descriptors cannot be served.
    pub async fn routes(&self) -> Result<Router, ReflectionError> {
        let mut routes = RoutesBuilder::default();
        macro_rules! serve {
            ($($server:ident: $bytes:expr),* $(,)?) => {{
                let (health, server) = tonic_health::server::health_reporter();
                $(
                    health.set_serving::<$server<Self>>().await;
                    routes.add_service(
                        $server::new(self.clone()).max_decoding_message_size($bytes),
                    );
                )*
                routes.add_service(server.max_decoding_message_size(ANONYMOUS_BYTES));
            }};
        }
        serve!(
            SessionServiceServer: ANONYMOUS_BYTES,
            UserServiceServer: MESSAGE_BYTES,
            ApiServiceServer: MESSAGE_BYTES,
            PlanServiceServer: MESSAGE_BYTES,
            ApplicationPolicyServiceServer: MESSAGE_BYTES,
            ApiPolicyServiceServer: MESSAGE_BYTES,
            DenyPolicyServiceServer: MESSAGE_BYTES,
            ApplicationServiceServer: MESSAGE_BYTES,
            SubscriptionServiceServer: MESSAGE_BYTES,
            GatewayServiceServer: MESSAGE_BYTES,
            KeyManagerServiceServer: MESSAGE_BYTES,
            AuditServiceServer: MESSAGE_BYTES,
            CatalogServiceServer: ANONYMOUS_BYTES,
            DocumentServiceServer: MESSAGE_BYTES,
            SettingsServiceServer: MESSAGE_BYTES,
        );
        let (v1, v1alpha) = (reflection()?.build_v1()?, reflection()?.build_v1alpha()?);
        routes.add_service(v1.max_decoding_message_size(ANONYMOUS_BYTES));
        routes.add_service(v1alpha.max_decoding_message_size(ANONYMOUS_BYTES));
        let routes = routes.routes().into_axum_router();
        Ok(routes
            .layer(middleware::map_response(wire::clear))
            .route_layer(middleware::from_fn_with_state(
                self.service.clone(),
                caller::demand_token,
            )))
    }
}

/// What this listener serves: the configuration stream has its own.
fn reflection() -> Result<tonic_reflection::server::Builder<'static>, ReflectionError> {
    let mut files = FileDescriptorSet::decode(FILE_DESCRIPTOR_SET)?;
    files
        .file
        .retain(|file| !file.package().starts_with("tidegate.discovery"));
    Ok(tonic_reflection::server::Builder::configure()
        .register_file_descriptor_set(files)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        // Either version by itself would name only itself.
        .include_reflection_service(false)
        .register_encoded_file_descriptor_set(tonic_reflection::pb::v1::FILE_DESCRIPTOR_SET)
        .register_encoded_file_descriptor_set(tonic_reflection::pb::v1alpha::FILE_DESCRIPTOR_SET)
        // The details of errors, which clients could not name otherwise.
        .register_encoded_file_descriptor_set(tonic_types::pb::FILE_DESCRIPTOR_SET))
}

/// A protobuf duration; what is longer than protobuf can say is not set.
fn duration(duration: Duration) -> Option<prost_types::Duration> {
    prost_types::Duration::try_from(duration).ok()
}

#[cfg(test)]
mod tests;
