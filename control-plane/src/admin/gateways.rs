//! `GatewayService`: environments, and the nodes in them as the fleet view has them.

use tidegate_proto::admin::v1::{
    CreateEnvironmentRequest, DeleteEnvironmentRequest, Environment as Message,
    GetEnvironmentRequest, GetNodeRequest, Ledger, LedgerKind, ListEnvironmentsRequest,
    ListEnvironmentsResponse, ListNodesRequest, ListNodesResponse, Node, Rejection,
    UpdateEnvironmentRequest, gateway_service_server::GatewayService,
};
use tonic::{Request, Response, Status, async_trait};

use super::{Admin, convert, duration, names, paging, status};
use crate::{
    discovery::fleet::{LedgerView, NodeView},
    domain::{
        endpoint::EndpointUrl, environment::Environment, invalid::Rule, name::EnvironmentName,
    },
    service::{environments::EnvironmentInput, error::ServiceError, listing::ListQuery},
};

/// The environment of a list request that asks for the nodes of all (AIP-159).
const ALL: &str = "environments/-";

#[async_trait]
impl GatewayService for Admin {
    async fn create_environment(
        &self,
        request: Request<CreateEnvironmentRequest>,
    ) -> Result<Response<Message>, Status> {
        let actor = self.actor(&request)?;
        let request = request.into_inner();
        let environment = request.environment.unwrap_or_default();
        let input = read(request.environment_id, environment);
        let environment = self
            .service
            .create_environment(&actor, input)
            .await
            .map_err(status::of)?;
        Ok(Response::new(message(&environment)))
    }

    async fn get_environment(
        &self,
        request: Request<GetEnvironmentRequest>,
    ) -> Result<Response<Message>, Status> {
        let actor = self.actor(&request)?;
        let name = read_name("name", &request.into_inner().name)?;
        let environment = self
            .service
            .get_environment(&actor, name.as_str())
            .map_err(status::of)?;
        Ok(Response::new(message(&environment)))
    }

    async fn list_environments(
        &self,
        request: Request<ListEnvironmentsRequest>,
    ) -> Result<Response<ListEnvironmentsResponse>, Status> {
        let actor = self.actor(&request)?;
        let request = request.into_inner();
        let query = ListQuery {
            page_size: request.page_size,
            page_token: request.page_token,
            filter: request.filter,
            order_by: request.order_by,
        };
        let page = self
            .service
            .list_environments(&actor, &query)
            .map_err(status::of)?;
        let page = paging::answer(page, |it| message(it));
        Ok(Response::new(ListEnvironmentsResponse {
            environments: page.messages,
            next_page_token: page.next_page_token,
            total_size: page.total_size,
        }))
    }

    async fn update_environment(
        &self,
        request: Request<UpdateEnvironmentRequest>,
    ) -> Result<Response<Message>, Status> {
        let actor = self.actor(&request)?;
        let request = request.into_inner();
        let environment = request.environment.unwrap_or_default();
        let name = read_name("environment.name", &environment.name)?;
        let etag = environment.etag.clone();
        let input = read(name.to_string(), environment);
        let mask = convert::mask(request.update_mask);
        let environment = self
            .service
            .update_environment(&actor, input, mask, &etag)
            .await
            .map_err(status::of)?;
        Ok(Response::new(message(&environment)))
    }

    async fn delete_environment(
        &self,
        request: Request<DeleteEnvironmentRequest>,
    ) -> Result<Response<()>, Status> {
        let actor = self.actor(&request)?;
        let request = request.into_inner();
        let name = read_name("name", &request.name)?;
        self.service
            .delete_environment(&actor, name.as_str(), &request.etag)
            .await
            .map_err(status::of)?;
        Ok(Response::new(()))
    }

    async fn get_node(&self, request: Request<GetNodeRequest>) -> Result<Response<Node>, Status> {
        let actor = self.actor(&request)?;
        let name = request.into_inner().name;
        let (environment, node) = convert::one("name", names::node(&name))?;
        self.service
            .may_view_nodes(&actor, Some(environment.as_str()))
            .map_err(status::of)?;
        match self.fleet.node(&environment, node) {
            Some(view) => Ok(Response::new(self.node(view))),
            None => Err(status::of(ServiceError::NotFound(name))),
        }
    }

    async fn list_nodes(
        &self,
        request: Request<ListNodesRequest>,
    ) -> Result<Response<ListNodesResponse>, Status> {
        let actor = self.actor(&request)?;
        let request = request.into_inner();
        let environment = match request.parent.as_str() {
            ALL => None,
            parent => Some(read_name("parent", parent)?),
        };
        self.service
            .may_view_nodes(&actor, environment.as_ref().map(EnvironmentName::as_str))
            .map_err(status::of)?;
        let views = self.fleet.nodes(environment.as_ref());
        let (size, token) = (request.page_size, &request.page_token);
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
            name: format!("environments/{}/nodes/{}", view.environment, view.name),
            software: view.software,
            connected,
            away_since_time: view.away.and_then(|away| convert::time(away.since)),
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
            last_word_time: convert::time(view.last_word),
            last_word_age: duration(self.service.now().since(view.last_word)),
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
        name: format!("environments/{}", environment.name),
        display_name: environment.display_name.clone(),
        description: environment.description.clone(),
        ws_url: url(&environment.ws_url),
        wss_url: url(&environment.wss_url),
        etag: environment.etag.to_string(),
        create_time: convert::time(environment.created_at),
        update_time: convert::time(environment.updated_at),
    }
}

fn read(name: String, environment: Message) -> EnvironmentInput {
    EnvironmentInput {
        name,
        display_name: environment.display_name,
        description: environment.description,
        ws_url: environment.ws_url,
        wss_url: environment.wss_url,
    }
}

fn read_name(field: &str, name: &str) -> Result<EnvironmentName, Status> {
    let checked: Result<EnvironmentName, Rule> = names::environment(name);
    convert::one(field, checked)
}
