//! `CatalogService`: APIs as developers see them, signed in or not.

use tidegate_proto::admin::v1::{
    CatalogApi, GetCatalogApiRequest, ListCatalogApisRequest, ListCatalogApisResponse, Plan, Topic,
    catalog_service_server::CatalogService,
};
use tonic::{Request, Response, async_trait};

use super::{Admin, Reply, apis::message, convert, names, paging, plans};
use crate::{
    domain::{api::Api, resource::Resource as _, user::User},
    service::catalog::Listing,
};

#[async_trait]
impl CatalogService for Admin {
    async fn get_catalog_api(&self, request: Request<GetCatalogApiRequest>) -> Reply<CatalogApi> {
        let viewer = self.viewer(&request)?;
        let id = convert::one("name", names::api(&request.into_inner().name))?;
        let listing = self.service.get_from_catalog(&viewer, id)?;
        Ok(Response::new(catalog_api(listing)))
    }

    async fn list_catalog_apis(
        &self,
        request: Request<ListCatalogApisRequest>,
    ) -> Reply<ListCatalogApisResponse> {
        let viewer = self.viewer(&request)?;
        let request = request.into_inner();
        let query = paging::query(
            request.page_size,
            request.page_token,
            request.filter,
            request.order_by,
        );
        let page = self.service.list_catalog(&viewer, &query)?;
        let page = paging::answer(page, |listing| catalog_api(listing.clone()));
        Ok(Response::new(ListCatalogApisResponse {
            apis: page.messages,
            next_page_token: page.next_page_token,
            total_size: page.total_size,
        }))
    }
}

fn catalog_api(listing: Listing) -> CatalogApi {
    CatalogApi {
        name: Api::name_of(listing.id),
        api_name: listing.name.to_string(),
        display_name: listing.display_name,
        description: listing.description,
        context: listing.context.to_string(),
        version: listing.version.to_string(),
        default_version: listing.default_version,
        tags: listing.tags,
        state: message::lifecycle(listing.state) as i32,
        topics: listing
            .topics
            .into_iter()
            .map(|topic| Topic {
                template: topic.template.to_string(),
                verbs: message::verbs(topic.verbs),
                description: topic.description,
                ..Topic::default()
            })
            .collect(),
        plans: listing
            .plans
            .iter()
            .map(|plan| Plan {
                etag: String::new(),
                ..plans::message(plan)
            })
            .collect(),
        urls: listing.urls.into_iter().map(message::urls).collect(),
        thumbnail_etag: listing.thumbnail.unwrap_or_default(),
        creator: listing.provider.map_or_else(String::new, User::name_of),
        create_time: convert::time(listing.created_at),
        update_time: convert::time(listing.updated_at),
    }
}
