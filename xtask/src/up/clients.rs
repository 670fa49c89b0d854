//! Sets the client URLs of the environment to the gateways that `up` started.

use tidegate_proto::admin::v1::{
    GetEnvironmentRequest, UpdateEnvironmentRequest, gateway_service_client::GatewayServiceClient,
};

use super::stack::Stack;
use crate::client::Channel;

/// Sets the client URLs to the first gateway; the portals show them and connect to them. An environment whose URLs
/// aren't on this machine keeps them.
pub(super) async fn tell_addresses(stack: &Stack, channel: &Channel) -> anyhow::Result<()> {
    let Some(node) = stack.nodes.first() else {
        return Ok(());
    };
    let mut gateways = GatewayServiceClient::new(channel.clone());
    let name = "environments/default".to_owned();
    let request = GetEnvironmentRequest { name };
    let mut environment = gateways.get_environment(request).await?.into_inner();
    let ws_url = format!("ws://localhost:{}", node.ws.port());
    let wss_url = node
        .wss
        .map_or_else(String::new, |wss| format!("wss://localhost:{}", wss.port()));
    let is_told = environment.ws_url == ws_url && environment.wss_url == wss_url;
    if is_told || !environment.ws_url.starts_with("ws://localhost:") {
        return Ok(());
    }
    (environment.ws_url, environment.wss_url) = (ws_url, wss_url);
    let request = UpdateEnvironmentRequest {
        environment: Some(environment),
        update_mask: Some(prost_types::FieldMask {
            paths: vec!["ws_url".to_owned(), "wss_url".to_owned()],
        }),
    };
    gateways.update_environment(request).await?;
    Ok(())
}
