//! `CatalogService`: APIs as developers see them, signed in or not.

use tidegate_proto::admin::v1::{
    CatalogApi, GatewayUrl, GetCatalogApiRequest, ListCatalogApisRequest, ListCatalogApisResponse,
    Plan, Topic, catalog_service_server::CatalogService,
};
use tonic::{Request, Response, Status, async_trait};

use super::{Admin, apis::message, convert, names, paging, plans, status};
use crate::service::{
    catalog::{GatewayUrls, Listing},
    listing::ListQuery,
};

#[async_trait]
impl CatalogService for Admin {
    async fn get_catalog_api(
        &self,
        request: Request<GetCatalogApiRequest>,
    ) -> Result<Response<CatalogApi>, Status> {
        let visitor = self.visitor(&request)?;
        let id = convert::one("name", names::api(&request.into_inner().name))?;
        let listing = self
            .service
            .get_from_catalog(&visitor, id)
            .map_err(status::of)?;
        Ok(Response::new(catalog_api(listing)))
    }

    async fn list_catalog_apis(
        &self,
        request: Request<ListCatalogApisRequest>,
    ) -> Result<Response<ListCatalogApisResponse>, Status> {
        let visitor = self.visitor(&request)?;
        let request = request.into_inner();
        let query = ListQuery {
            page_size: request.page_size,
            page_token: request.page_token,
            filter: request.filter,
            order_by: request.order_by,
        };
        let page = self
            .service
            .list_catalog(&visitor, &query)
            .map_err(status::of)?;
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
        name: format!("apis/{}", listing.id),
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
        urls: listing.urls.into_iter().map(urls).collect(),
        thumbnail_etag: listing.thumbnail.unwrap_or_default(),
        creator: listing
            .provider
            .map_or_else(String::new, |name| format!("users/{name}")),
        create_time: convert::time(listing.created_at),
        update_time: convert::time(listing.updated_at),
    }
}

/// Where clients reach an API, as callers see it.
pub(super) fn urls(urls: GatewayUrls) -> GatewayUrl {
    GatewayUrl {
        environment: format!("environments/{}", urls.environment),
        environment_display_name: urls.display_name,
        ws_url: urls.ws.unwrap_or_default(),
        wss_url: urls.wss.unwrap_or_default(),
        default_ws_url: urls.default_ws.unwrap_or_default(),
        default_wss_url: urls.default_wss.unwrap_or_default(),
    }
}
