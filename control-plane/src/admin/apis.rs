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

use super::{Admin, convert, names, paging, status};
use crate::{
    domain::{actor::Actor, api, invalid::Faults, revision},
    service::{apis::ApiUpdate, listing::ListQuery},
};

/// The order of revisions.
const LATEST_FIRST: &str = "number desc";

#[async_trait]
impl ApiService for Admin {
    async fn create_api(
        &self,
        request: Request<CreateApiRequest>,
    ) -> Result<Response<Api>, Status> {
        let actor = self.actor(&request)?;
        let request = request.into_inner();
        let mut faults = Faults::new();
        let input = message::read_api(request.api.unwrap_or_default(), &mut faults);
        status::check(faults)?;
        let api = self
            .service
            .create_api(&actor, input, request.publish)
            .await
            .map_err(status::of)?;
        Ok(self.api(&api))
    }

    async fn get_api(&self, request: Request<GetApiRequest>) -> Result<Response<Api>, Status> {
        let actor = self.actor(&request)?;
        let id = read_api("name", &request.into_inner().name)?;
        let api = self.service.get_api(&actor, id).map_err(status::of)?;
        let state = self.service.state();
        Ok(Response::new(message::api_for(&actor, &state, &api)))
    }

    async fn list_apis(
        &self,
        request: Request<ListApisRequest>,
    ) -> Result<Response<ListApisResponse>, Status> {
        let actor = self.actor(&request)?;
        let request = request.into_inner();
        let query = ListQuery {
            page_size: request.page_size,
            page_token: request.page_token,
            filter: request.filter,
            order_by: request.order_by,
        };
        let page = self.service.list_apis(&actor, &query).map_err(status::of)?;
        let state = self.service.state();
        let page = paging::answer(page, |api| message::api_for(&actor, &state, api));
        Ok(Response::new(ListApisResponse {
            apis: page.messages,
            next_page_token: page.next_page_token,
            total_size: page.total_size,
        }))
    }

    async fn update_api(
        &self,
        request: Request<UpdateApiRequest>,
    ) -> Result<Response<Api>, Status> {
        let actor = self.actor(&request)?;
        let request = request.into_inner();
        let api = request.api.unwrap_or_default();
        let etag = api.etag.clone();
        let mut faults = Faults::new();
        let id = faults.take("api.name", names::api(&api.name));
        let input = message::read_api(api, &mut faults);
        status::check(faults)?;
        let update = ApiUpdate {
            id: id.expect("what is not taken is a fault"),
            input,
            mask: convert::mask(request.update_mask),
            etag,
        };
        let api = self
            .service
            .update_api(&actor, update)
            .await
            .map_err(status::of)?;
        Ok(self.api(&api))
    }

    async fn delete_api(&self, request: Request<DeleteApiRequest>) -> Result<Response<()>, Status> {
        let actor = self.actor(&request)?;
        let request = request.into_inner();
        let id = read_api("name", &request.name)?;
        self.service
            .delete_api(&actor, id, &request.etag)
            .await
            .map_err(status::of)?;
        Ok(Response::new(()))
    }

    async fn create_api_version(
        &self,
        request: Request<CreateApiVersionRequest>,
    ) -> Result<Response<Api>, Status> {
        let actor = self.actor(&request)?;
        let request = request.into_inner();
        let id = read_api("name", &request.name)?;
        let api = self
            .service
            .create_api_version(&actor, id, &request.version, request.default_version)
            .await
            .map_err(status::of)?;
        Ok(self.api(&api))
    }

    async fn change_lifecycle(
        &self,
        request: Request<ChangeLifecycleRequest>,
    ) -> Result<Response<Api>, Status> {
        let actor = self.actor(&request)?;
        let request = request.into_inner();
        let mut faults = Faults::new();
        let id = faults.take("name", names::api(&request.name));
        let action = faults.take("action", message::read_action(request.action));
        status::check(faults)?;
        let (id, action) = id.zip(action).expect("what is not taken is a fault");
        let api = self
            .service
            .change_lifecycle(&actor, id, action, &request.etag)
            .await
            .map_err(status::of)?;
        Ok(self.api(&api))
    }

    async fn list_lifecycle_events(
        &self,
        request: Request<ListLifecycleEventsRequest>,
    ) -> Result<Response<ListLifecycleEventsResponse>, Status> {
        let actor = self.actor(&request)?;
        let request = request.into_inner();
        let id = read_api("parent", &request.parent)?;
        let api = self.service.get_api(&actor, id).map_err(status::of)?;
        let events: Vec<_> = api.history.iter().rev().collect();
        let (size, token) = (request.page_size, &request.page_token);
        let page = paging::page(&events, size, token, |event| message::event(event))?;
        Ok(Response::new(ListLifecycleEventsResponse {
            lifecycle_events: page.messages,
            next_page_token: page.next_page_token,
            total_size: page.total_size,
        }))
    }

    async fn create_revision(
        &self,
        request: Request<CreateRevisionRequest>,
    ) -> Result<Response<Revision>, Status> {
        let actor = self.actor(&request)?;
        let request = request.into_inner();
        let id = read_api("parent", &request.parent)?;
        let description = request.revision.unwrap_or_default().description;
        let revision = self
            .service
            .create_revision(&actor, id, &description)
            .await
            .map_err(status::of)?;
        self.revision(&actor, &revision)
    }

    async fn get_revision(
        &self,
        request: Request<GetRevisionRequest>,
    ) -> Result<Response<Revision>, Status> {
        let actor = self.actor(&request)?;
        let (api, id) = read_revision(&request.into_inner().name)?;
        let revision = self
            .service
            .get_revision(&actor, api, id)
            .map_err(status::of)?;
        self.revision(&actor, &revision)
    }

    async fn list_revisions(
        &self,
        request: Request<ListRevisionsRequest>,
    ) -> Result<Response<ListRevisionsResponse>, Status> {
        let actor = self.actor(&request)?;
        let request = request.into_inner();
        let id = read_api("parent", &request.parent)?;
        let query = ListQuery {
            page_size: request.page_size,
            page_token: request.page_token,
            order_by: LATEST_FIRST.to_owned(),
            ..ListQuery::default()
        };
        let page = self
            .service
            .list_revisions(&actor, id, &query)
            .map_err(status::of)?;
        let api = self.service.get_api(&actor, id).map_err(status::of)?;
        let state = self.service.state();
        let page = paging::answer(page, |it| message::revision(&state, &api, it));
        Ok(Response::new(ListRevisionsResponse {
            revisions: page.messages,
            next_page_token: page.next_page_token,
            total_size: page.total_size,
        }))
    }

    async fn delete_revision(
        &self,
        request: Request<DeleteRevisionRequest>,
    ) -> Result<Response<()>, Status> {
        let actor = self.actor(&request)?;
        let (api, id) = read_revision(&request.into_inner().name)?;
        self.service
            .delete_revision(&actor, api, id)
            .await
            .map_err(status::of)?;
        Ok(Response::new(()))
    }

    async fn restore_revision(
        &self,
        request: Request<RestoreRevisionRequest>,
    ) -> Result<Response<Api>, Status> {
        let actor = self.actor(&request)?;
        let request = request.into_inner();
        let (api, id) = read_revision(&request.name)?;
        let api = self
            .service
            .restore_revision(&actor, api, id, &request.etag)
            .await
            .map_err(status::of)?;
        Ok(self.api(&api))
    }

    async fn deploy_revision(
        &self,
        request: Request<DeployRevisionRequest>,
    ) -> Result<Response<Revision>, Status> {
        let actor = self.actor(&request)?;
        let request = request.into_inner();
        let (api, id) = read_revision(&request.name)?;
        let revision = self
            .service
            .deploy_revision(&actor, api, id, &environments(&request.environments))
            .await
            .map_err(status::of)?;
        self.revision(&actor, &revision)
    }

    async fn list_deployment_progress(
        &self,
        request: Request<ListDeploymentProgressRequest>,
    ) -> Result<Response<ListDeploymentProgressResponse>, Status> {
        let actor = self.actor(&request)?;
        let id = read_api("parent", &request.into_inner().parent)?;
        let deployments = self
            .service
            .list_deployments(&actor, id)
            .map_err(status::of)?;
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
    ) -> Result<Response<Revision>, Status> {
        let actor = self.actor(&request)?;
        let request = request.into_inner();
        let (api, id) = read_revision(&request.name)?;
        let revision = self
            .service
            .undeploy_revision(&actor, api, id, &environments(&request.environments))
            .await
            .map_err(status::of)?;
        self.revision(&actor, &revision)
    }

    async fn set_thumbnail(
        &self,
        request: Request<SetThumbnailRequest>,
    ) -> Result<Response<Thumbnail>, Status> {
        let actor = self.actor(&request)?;
        let request = request.into_inner();
        let id = convert::one("name", names::thumbnail(&request.name))?;
        let thumbnail = self
            .service
            .set_thumbnail(&actor, id, request.image)
            .await
            .map_err(status::of)?;
        Ok(Response::new(message::thumbnail(&thumbnail)))
    }

    async fn get_thumbnail(
        &self,
        request: Request<GetThumbnailRequest>,
    ) -> Result<Response<Thumbnail>, Status> {
        let visitor = self.visitor(&request)?;
        let id = convert::one("name", names::thumbnail(&request.into_inner().name))?;
        let thumbnail = self
            .service
            .get_thumbnail(&visitor, id)
            .map_err(status::of)?;
        Ok(Response::new(Thumbnail {
            image: thumbnail.image.to_vec(),
            ..message::thumbnail(&thumbnail)
        }))
    }

    async fn delete_thumbnail(
        &self,
        request: Request<DeleteThumbnailRequest>,
    ) -> Result<Response<()>, Status> {
        let actor = self.actor(&request)?;
        let id = convert::one("name", names::thumbnail(&request.into_inner().name))?;
        self.service
            .delete_thumbnail(&actor, id)
            .await
            .map_err(status::of)?;
        Ok(Response::new(()))
    }

    async fn reset_api_quota(
        &self,
        request: Request<ResetApiQuotaRequest>,
    ) -> Result<Response<Api>, Status> {
        let actor = self.actor(&request)?;
        let id = read_api("name", &request.into_inner().name)?;
        let api = self
            .service
            .reset_api_quota(&actor, id)
            .await
            .map_err(status::of)?;
        Ok(self.api(&api))
    }
}

impl Admin {
    fn api(&self, api: &api::Api) -> Response<Api> {
        Response::new(message::api(&self.service.state(), api))
    }

    fn revision(
        &self,
        actor: &Actor,
        revision: &revision::Revision,
    ) -> Result<Response<Revision>, Status> {
        let api = self
            .service
            .get_api(actor, revision.api)
            .map_err(status::of)?;
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

fn environments(names: &[String]) -> Vec<String> {
    names
        .iter()
        .map(|name| convert::bare("environments", name).to_owned())
        .collect()
}
