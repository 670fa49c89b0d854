//! `ApiService`: APIs, their lifecycle, revisions and deployments.

use tidegate_proto::{
    admin::v1::{
        Api, ChangeLifecycleRequest, CreateApiRequest, CreateApiVersionRequest,
        CreateRevisionRequest, DeleteApiRequest, DeleteRevisionRequest, DeleteThumbnailRequest,
        DeployRevisionRequest, GetApiRequest, GetRevisionRequest, GetThumbnailRequest,
        ListApisRequest, ListApisResponse, ListDeploymentProgressRequest,
        ListDeploymentProgressResponse, ListLifecycleEventsRequest, ListLifecycleEventsResponse,
        ListRevisionsRequest, ListRevisionsResponse, ResetApiQuotaRequest, RestoreRevisionRequest,
        Revision, SetThumbnailRequest, Thumbnail, UndeployRevisionRequest, UpdateApiRequest,
        api_service_server::ApiService,
    },
    ids::{ApiId, RevisionId},
};
use tonic::{Request, Response, Status, async_trait};

pub(super) mod message;

use super::{Admin, Reply, convert, names, paging, status};
use crate::{
    domain::{actor::Actor, api, environment::Environment, invalid::Faults, revision},
    service::{apis::ApiUpdate, listing::ListQuery},
};

/// The order of revisions.
const LATEST_FIRST: &str = "number desc";

#[async_trait]
impl ApiService for Admin {
    async fn create_api(&self, request: Request<CreateApiRequest>) -> Reply<Api> {
        let (actor, req) = self.caller(request)?;
        let mut faults = Faults::new();
        let input = message::read_api(req.api.unwrap_or_default(), &mut faults);
        status::check(faults)?;
        let api = self.service.create_api(&actor, input, req.publish).await?;
        Ok(self.api(&api))
    }

    async fn get_api(&self, request: Request<GetApiRequest>) -> Reply<Api> {
        let (actor, req) = self.caller(request)?;
        let id = read_api("name", &req.name)?;
        let api = self.service.get_api(&actor, id)?;
        let state = self.service.state();
        Ok(Response::new(message::api_for(&actor, &state, &api)))
    }

    async fn list_apis(&self, request: Request<ListApisRequest>) -> Reply<ListApisResponse> {
        let (actor, req) = self.caller(request)?;
        let query = paging::query(req.page_size, req.page_token, req.filter, req.order_by);
        let page = self.service.list_apis(&actor, &query)?;
        let state = self.service.state();
        let page = paging::answer(page, |api| message::api_for(&actor, &state, api));
        Ok(Response::new(ListApisResponse {
            apis: page.messages,
            next_page_token: page.next_page_token,
            total_size: page.total_size,
        }))
    }

    async fn update_api(&self, request: Request<UpdateApiRequest>) -> Reply<Api> {
        let (actor, req) = self.caller(request)?;
        let api = req.api.unwrap_or_default();
        let etag = api.etag.clone();
        let mut faults = Faults::new();
        let id = faults.take("api.name", names::api(&api.name));
        let input = message::read_api(api, &mut faults);
        status::check(faults)?;
        let update = ApiUpdate {
            key: id.expect("what is not taken is a fault"),
            input,
            mask: convert::mask(req.update_mask),
            etag,
        };
        let api = self.service.update_api(&actor, update).await?;
        Ok(self.api(&api))
    }

    async fn delete_api(&self, request: Request<DeleteApiRequest>) -> Reply<()> {
        let (actor, req) = self.caller(request)?;
        let id = read_api("name", &req.name)?;
        self.service.delete_api(&actor, id, &req.etag).await?;
        Ok(Response::new(()))
    }

    async fn create_api_version(&self, request: Request<CreateApiVersionRequest>) -> Reply<Api> {
        let (actor, req) = self.caller(request)?;
        let id = read_api("name", &req.name)?;
        let api = self
            .service
            .create_api_version(&actor, id, &req.version, req.default_version)
            .await?;
        Ok(self.api(&api))
    }

    async fn change_lifecycle(&self, request: Request<ChangeLifecycleRequest>) -> Reply<Api> {
        let (actor, req) = self.caller(request)?;
        let mut faults = Faults::new();
        let id = faults.take("name", names::api(&req.name));
        let action = faults.take("action", message::read_action(req.action));
        status::check(faults)?;
        let (id, action) = id.zip(action).expect("what is not taken is a fault");
        let api = self
            .service
            .change_lifecycle(&actor, id, action, &req.etag)
            .await?;
        Ok(self.api(&api))
    }

    async fn list_lifecycle_events(
        &self,
        request: Request<ListLifecycleEventsRequest>,
    ) -> Reply<ListLifecycleEventsResponse> {
        let (actor, req) = self.caller(request)?;
        let id = read_api("parent", &req.parent)?;
        let api = self.service.get_api(&actor, id)?;
        let events: Vec<_> = api.history.iter().rev().collect();
        let (size, token) = (req.page_size, &req.page_token);
        let page = paging::page(&events, size, token, |event| message::event(event))?;
        Ok(Response::new(ListLifecycleEventsResponse {
            lifecycle_events: page.messages,
            next_page_token: page.next_page_token,
            total_size: page.total_size,
        }))
    }

    async fn create_revision(&self, request: Request<CreateRevisionRequest>) -> Reply<Revision> {
        let (actor, req) = self.caller(request)?;
        let id = read_api("parent", &req.parent)?;
        let description = req.revision.unwrap_or_default().description;
        let revision = self
            .service
            .create_revision(&actor, id, &description)
            .await?;
        self.revision(&actor, &revision)
    }

    async fn get_revision(&self, request: Request<GetRevisionRequest>) -> Reply<Revision> {
        let (actor, req) = self.caller(request)?;
        let (api, id) = read_revision(&req.name)?;
        let revision = self.service.get_revision(&actor, api, id)?;
        self.revision(&actor, &revision)
    }

    async fn list_revisions(
        &self,
        request: Request<ListRevisionsRequest>,
    ) -> Reply<ListRevisionsResponse> {
        let (actor, req) = self.caller(request)?;
        let id = read_api("parent", &req.parent)?;
        let query = ListQuery {
            page_size: req.page_size,
            page_token: req.page_token,
            order_by: LATEST_FIRST.to_owned(),
            ..ListQuery::default()
        };
        let page = self.service.list_revisions(&actor, id, &query)?;
        let api = self.service.get_api(&actor, id)?;
        let state = self.service.state();
        let page = paging::answer(page, |it| message::revision(&state, &api, it));
        Ok(Response::new(ListRevisionsResponse {
            revisions: page.messages,
            next_page_token: page.next_page_token,
            total_size: page.total_size,
        }))
    }

    async fn delete_revision(&self, request: Request<DeleteRevisionRequest>) -> Reply<()> {
        let (actor, req) = self.caller(request)?;
        let (api, id) = read_revision(&req.name)?;
        self.service.delete_revision(&actor, api, id).await?;
        Ok(Response::new(()))
    }

    async fn restore_revision(&self, request: Request<RestoreRevisionRequest>) -> Reply<Api> {
        let (actor, req) = self.caller(request)?;
        let (api, id) = read_revision(&req.name)?;
        let api = self
            .service
            .restore_revision(&actor, api, id, &req.etag)
            .await?;
        Ok(self.api(&api))
    }

    async fn deploy_revision(&self, request: Request<DeployRevisionRequest>) -> Reply<Revision> {
        let (actor, req) = self.caller(request)?;
        let (api, id) = read_revision(&req.name)?;
        let revision = self
            .service
            .deploy_revision(&actor, api, id, &environments(req.environments))
            .await?;
        self.revision(&actor, &revision)
    }

    async fn list_deployment_progress(
        &self,
        request: Request<ListDeploymentProgressRequest>,
    ) -> Reply<ListDeploymentProgressResponse> {
        let (actor, req) = self.caller(request)?;
        let id = read_api("parent", &req.parent)?;
        let deployments = self.service.list_deployments(&actor, id)?;
        let now = self.service.now();
        let progress = deployments.iter().map(|deployment| {
            let nodes = self.fleet.nodes(Some(&deployment.environment));
            message::progress(deployment, &nodes, now)
        });
        Ok(Response::new(ListDeploymentProgressResponse {
            deployments: progress.collect(),
        }))
    }

    async fn undeploy_revision(
        &self,
        request: Request<UndeployRevisionRequest>,
    ) -> Reply<Revision> {
        let (actor, req) = self.caller(request)?;
        let (api, id) = read_revision(&req.name)?;
        let revision = self
            .service
            .undeploy_revision(&actor, api, id, &environments(req.environments))
            .await?;
        self.revision(&actor, &revision)
    }

    async fn set_thumbnail(&self, request: Request<SetThumbnailRequest>) -> Reply<Thumbnail> {
        let (actor, req) = self.caller(request)?;
        let id = convert::one("name", names::thumbnail(&req.name))?;
        let thumbnail = self.service.set_thumbnail(&actor, id, req.image).await?;
        Ok(Response::new(message::thumbnail(&thumbnail)))
    }

    async fn get_thumbnail(&self, request: Request<GetThumbnailRequest>) -> Reply<Thumbnail> {
        let viewer = self.viewer(&request)?;
        let id = convert::one("name", names::thumbnail(&request.into_inner().name))?;
        let thumbnail = self.service.get_thumbnail(&viewer, id)?;
        Ok(Response::new(Thumbnail {
            image: thumbnail.image.to_vec(),
            ..message::thumbnail(&thumbnail)
        }))
    }

    async fn delete_thumbnail(&self, request: Request<DeleteThumbnailRequest>) -> Reply<()> {
        let (actor, req) = self.caller(request)?;
        let id = convert::one("name", names::thumbnail(&req.name))?;
        self.service.delete_thumbnail(&actor, id).await?;
        Ok(Response::new(()))
    }

    async fn reset_api_quota(&self, request: Request<ResetApiQuotaRequest>) -> Reply<Api> {
        let (actor, req) = self.caller(request)?;
        let id = read_api("name", &req.name)?;
        let api = self.service.reset_api_quota(&actor, id).await?;
        Ok(self.api(&api))
    }
}

impl Admin {
    fn api(&self, api: &api::Api) -> Response<Api> {
        Response::new(message::api(&self.service.state(), api))
    }

    fn revision(&self, actor: &Actor, revision: &revision::Revision) -> Reply<Revision> {
        let api = self.service.get_api(actor, revision.api)?;
        let state = self.service.state();
        Ok(Response::new(message::revision(&state, &api, revision)))
    }
}

fn read_api(field: &str, name: &str) -> Result<ApiId, Status> {
    convert::one(field, names::api(name))
}

fn read_revision(name: &str) -> Result<(ApiId, RevisionId), Status> {
    convert::one("name", names::revision(name))
}

fn environments(names: Vec<String>) -> Vec<String> {
    names
        .into_iter()
        .map(convert::bare::<Environment>)
        .collect()
}
