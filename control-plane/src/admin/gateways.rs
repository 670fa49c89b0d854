//! `GatewayService`: environments, and the nodes in them as the fleet view has them.

use tidegate_proto::admin::v1::{
    CreateEnvironmentRequest as Create, DeleteEnvironmentRequest as Delete, Environment as Message,
    GetEnvironmentRequest as Get, GetNodeRequest, Ledger, LedgerKind,
    ListEnvironmentsRequest as List, ListEnvironmentsResponse as Listed, ListNodesRequest,
    ListNodesResponse, Node, Rejection, UpdateEnvironmentRequest as Change,
    gateway_service_server::GatewayService,
};
use tonic::{Request, Response, async_trait};

use super::{Admin, Reply, convert, duration, names, paging};
use crate::{
    discovery::fleet::{LedgerView, NodeView},
    domain::{
        endpoint::EndpointUrl,
        environment::Environment,
        resource::{Resource as _, node_name},
    },
    service::{edit::Update, environments::EnvironmentInput, error::ServiceError},
};

/// The environment of a list request that asks for the nodes of all (AIP-159).
const ALL: &str = "environments/-";

#[async_trait]
impl GatewayService for Admin {
    async fn create_environment(&self, request: Request<Create>) -> Reply<Message> {
        let (actor, req) = self.caller(request)?;
        let input = read(req.environment.unwrap_or_default());
        let environment = self
            .service
            .create::<Environment>(&actor, &req.environment_id, input)
            .await?;
        Ok(Response::new(message(&environment)))
    }

    async fn get_environment(&self, request: Request<Get>) -> Reply<Message> {
        let (_, req) = self.caller(request)?;
        let name = convert::one("name", names::environment(&req.name))?;
        Ok(Response::new(message(
            &*self.service.get::<Environment>(&name)?,
        )))
    }

    async fn list_environments(&self, request: Request<List>) -> Reply<Listed> {
        let (_, req) = self.caller(request)?;
        let query = paging::query(req.page_size, req.page_token, req.filter, req.order_by);
        let page = paging::answer(self.service.list::<Environment>(&query)?, |it| message(it));
        Ok(Response::new(Listed {
            environments: page.messages,
            next_page_token: page.next_page_token,
            total_size: page.total_size,
        }))
    }

    async fn update_environment(&self, request: Request<Change>) -> Reply<Message> {
        let (actor, req) = self.caller(request)?;
        let environment = req.environment.unwrap_or_default();
        let update = Update {
            key: convert::one("environment.name", names::environment(&environment.name))?,
            etag: environment.etag.clone(),
            input: read(environment),
            mask: convert::mask(req.update_mask),
        };
        let environment = self.service.update::<Environment>(&actor, update).await?;
        Ok(Response::new(message(&environment)))
    }

    async fn delete_environment(&self, request: Request<Delete>) -> Reply<()> {
        let (actor, req) = self.caller(request)?;
        let name = convert::one("name", names::environment(&req.name))?;
        self.service
            .delete::<Environment>(&actor, &name, &req.etag)
            .await?;
        Ok(Response::new(()))
    }

    async fn get_node(&self, request: Request<GetNodeRequest>) -> Reply<Node> {
        let (actor, req) = self.caller(request)?;
        let (environment, node) = convert::one("name", names::node(&req.name))?;
        self.service.may_view_nodes(&actor, Some(&environment))?;
        match self.fleet.node(&environment, node) {
            Some(view) => Ok(Response::new(self.node(view))),
            None => Err(ServiceError::NotFound(req.name).into()),
        }
    }

    async fn list_nodes(&self, request: Request<ListNodesRequest>) -> Reply<ListNodesResponse> {
        let (actor, req) = self.caller(request)?;
        let environment = match req.parent.as_str() {
            ALL => None,
            parent => Some(convert::one("parent", names::environment(parent))?),
        };
        self.service.may_view_nodes(&actor, environment.as_ref())?;
        let views = self.fleet.nodes(environment.as_ref());
        let (size, token) = (req.page_size, &req.page_token);
        let page = paging::page(&views, size, token, |view| self.node(view.clone()))?;
        Ok(Response::new(ListNodesResponse {
            nodes: page.messages,
            next_page_token: page.next_page_token,
            total_size: page.total_size,
        }))
    }
}

impl Admin {
    fn node(&self, view: NodeView) -> Node {
        let lag = view.lag(self.service.state().number());
        let connected = view.connected();
        Node {
            name: node_name(&view.environment, &view.name),
            software: view.software,
            connected,
            disconnect_time: view.away.and_then(|away| convert::time(away.since)),
            stopped: view.away.is_some_and(|away| away.stopped),
            revision_number: view.number.get(),
            lag,
            rejections: view
                .rejections
                .into_iter()
                .map(|rejection| Rejection {
                    resource: rejection.resource,
                    version: format!("{:016x}", rejection.version.get()),
                    reason: rejection.reason,
                })
                .collect(),
            last_seen_time: convert::time(view.last_seen),
            last_seen_age: duration(self.service.now().since(view.last_seen)),
            open_sessions: view.open_sessions,
            ledger: view.ledger.map(ledger),
        }
    }
}

fn ledger(view: LedgerView) -> Ledger {
    let kind = if view.shared {
        LedgerKind::Redis
    } else {
        LedgerKind::InProcess
    };
    Ledger {
        kind: kind.into(),
        fault: view.fault,
    }
}

fn message(environment: &Environment) -> Message {
    let url = |url: &Option<EndpointUrl>| url.as_ref().map(ToString::to_string).unwrap_or_default();
    Message {
        name: environment.resource(),
        display_name: environment.display_name.clone(),
        description: environment.description.clone(),
        ws_url: url(&environment.ws_url),
        wss_url: url(&environment.wss_url),
        etag: environment.meta.etag.to_string(),
        create_time: convert::time(environment.meta.created_at),
        update_time: convert::time(environment.meta.updated_at),
    }
}

fn read(environment: Message) -> EnvironmentInput {
    EnvironmentInput {
        display_name: environment.display_name,
        description: environment.description,
        ws_url: environment.ws_url,
        wss_url: environment.wss_url,
    }
}
