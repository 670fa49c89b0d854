//! `SubscriptionService`: which application may use which API, under which plan.

use tidegate_proto::{
    admin::v1::{
        self, BlockSubscriptionRequest, CreateSubscriptionRequest, DeleteSubscriptionRequest,
        GetSubscriptionRequest, GetSubscriptionUsageRequest, ListSubscriptionsRequest,
        ListSubscriptionsResponse, ResetSubscriptionQuotaRequest, Subscription as Message,
        SubscriptionUsage, UnblockSubscriptionRequest, UpdateSubscriptionRequest,
        subscription_service_server::SubscriptionService,
    },
    ids::SubscriptionId,
};
use tonic::{Request, Response, Status, async_trait};

use super::{Admin, convert, names, paging, status, usage};
use crate::{
    domain::{
        invalid::{Faults, Rule},
        name::EnvironmentName,
        subscription::{Subscription, SubscriptionState},
    },
    service::{
        listing::ListQuery,
        subscriptions::{Parties, SubscriptionUpdate},
    },
};

#[async_trait]
impl SubscriptionService for Admin {
    async fn create_subscription(
        &self,
        request: Request<CreateSubscriptionRequest>,
    ) -> Result<Response<Message>, Status> {
        let actor = self.actor(&request)?;
        let subscription = request.into_inner().subscription.unwrap_or_default();
        let mut faults = Faults::new();
        let application = names::application(&subscription.application);
        let application = faults.take("subscription.application", application);
        let api = faults.take("subscription.api", names::api(&subscription.api));
        let plan = faults.take("subscription.plan", names::plan(&subscription.plan));
        status::check(faults)?;
        let ((application, api), plan) = application
            .zip(api)
            .zip(plan)
            .expect("what is not taken is a fault");
        let subscription = self
            .service
            .create_subscription(&actor, application, api, plan.as_str())
            .await
            .map_err(status::of)?;
        Ok(Response::new(self.subscription(&subscription)))
    }

    async fn get_subscription(
        &self,
        request: Request<GetSubscriptionRequest>,
    ) -> Result<Response<Message>, Status> {
        let actor = self.actor(&request)?;
        let id = read("name", &request.into_inner().name)?;
        let subscription = self
            .service
            .get_subscription(&actor, id)
            .map_err(status::of)?;
        Ok(Response::new(self.subscription(&subscription)))
    }

    async fn list_subscriptions(
        &self,
        request: Request<ListSubscriptionsRequest>,
    ) -> Result<Response<ListSubscriptionsResponse>, Status> {
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
            .list_subscriptions(&actor, &query)
            .map_err(status::of)?;
        let page = paging::answer(page, |it| self.subscription(it));
        Ok(Response::new(ListSubscriptionsResponse {
            subscriptions: page.messages,
            next_page_token: page.next_page_token,
            total_size: page.total_size,
        }))
    }

    async fn update_subscription(
        &self,
        request: Request<UpdateSubscriptionRequest>,
    ) -> Result<Response<Message>, Status> {
        let actor = self.actor(&request)?;
        let request = request.into_inner();
        let subscription = request.subscription.unwrap_or_default();
        let mut faults = Faults::new();
        let id = faults.take("subscription.name", names::subscription(&subscription.name));
        let application = unless_empty(&subscription.application, names::application);
        let application = faults.take("subscription.application", application);
        let api = unless_empty(&subscription.api, names::api);
        let api = faults.take("subscription.api", api);
        status::check(faults)?;
        let update = SubscriptionUpdate {
            id: id.expect("what is not taken is a fault"),
            plan: convert::bare("plans", &subscription.plan).to_owned(),
            application: application.flatten(),
            api: api.flatten(),
            mask: convert::mask(request.update_mask),
            etag: subscription.etag,
        };
        let subscription = self
            .service
            .update_subscription(&actor, update)
            .await
            .map_err(status::of)?;
        Ok(Response::new(self.subscription(&subscription)))
    }

    async fn delete_subscription(
        &self,
        request: Request<DeleteSubscriptionRequest>,
    ) -> Result<Response<()>, Status> {
        let actor = self.actor(&request)?;
        let request = request.into_inner();
        let id = read("name", &request.name)?;
        self.service
            .delete_subscription(&actor, id, &request.etag)
            .await
            .map_err(status::of)?;
        Ok(Response::new(()))
    }

    async fn block_subscription(
        &self,
        request: Request<BlockSubscriptionRequest>,
    ) -> Result<Response<Message>, Status> {
        let actor = self.actor(&request)?;
        let request = request.into_inner();
        let id = read("name", &request.name)?;
        let state = if request.production_only {
            SubscriptionState::ProductionBlocked
        } else {
            SubscriptionState::Blocked
        };
        let subscription = self
            .service
            .set_subscription_state(&actor, id, state, &request.etag)
            .await
            .map_err(status::of)?;
        Ok(Response::new(self.subscription(&subscription)))
    }

    async fn unblock_subscription(
        &self,
        request: Request<UnblockSubscriptionRequest>,
    ) -> Result<Response<Message>, Status> {
        let actor = self.actor(&request)?;
        let request = request.into_inner();
        let id = read("name", &request.name)?;
        let subscription = self
            .service
            .set_subscription_state(&actor, id, SubscriptionState::Active, &request.etag)
            .await
            .map_err(status::of)?;
        Ok(Response::new(self.subscription(&subscription)))
    }

    async fn reset_subscription_quota(
        &self,
        request: Request<ResetSubscriptionQuotaRequest>,
    ) -> Result<Response<Message>, Status> {
        let actor = self.actor(&request)?;
        let id = read("name", &request.into_inner().name)?;
        let subscription = self
            .service
            .reset_subscription_quota(&actor, id)
            .await
            .map_err(status::of)?;
        Ok(Response::new(self.subscription(&subscription)))
    }

    async fn get_subscription_usage(
        &self,
        request: Request<GetSubscriptionUsageRequest>,
    ) -> Result<Response<SubscriptionUsage>, Status> {
        let actor = self.actor(&request)?;
        let name = names::subscription_usage(&request.into_inner().name);
        let id = convert::one("name", name)?;
        let seen = |environment: &EnvironmentName, of: &Subscription| {
            self.fleet
                .consumption(environment, of.key(), of.quota_generation)
        };
        let usage = self.service.subscription_usage(&actor, id, seen);
        Ok(Response::new(usage::message(&usage.map_err(status::of)?)))
    }
}

impl Admin {
    /// A subscription as callers see it.
    fn subscription(&self, subscription: &Subscription) -> Message {
        let parties = self.service.parties(subscription);
        let Some(Parties { application, api }) = parties else {
            return message(subscription);
        };
        Message {
            application_display_name: application.name.to_string(),
            owner: format!("users/{}", application.owner_name),
            api_name: api.name.to_string(),
            api_version: api.version.to_string(),
            ..message(subscription)
        }
    }
}

/// What a subscription says by itself.
fn message(subscription: &Subscription) -> Message {
    Message {
        name: subscription.resource(),
        application: format!("applications/{}", subscription.application),
        api: format!("apis/{}", subscription.api),
        plan: format!("plans/{}", subscription.plan),
        state: match subscription.state {
            SubscriptionState::Active => v1::SubscriptionState::Active,
            SubscriptionState::Blocked => v1::SubscriptionState::Blocked,
            SubscriptionState::ProductionBlocked => v1::SubscriptionState::ProductionBlocked,
        } as i32,
        etag: subscription.etag.to_string(),
        create_time: convert::time(subscription.created_at),
        update_time: convert::time(subscription.updated_at),
        ..Message::default()
    }
}

fn read(field: &str, name: &str) -> Result<SubscriptionId, Status> {
    convert::one(field, names::subscription(name))
}

fn unless_empty<T>(text: &str, read: fn(&str) -> Result<T, Rule>) -> Result<Option<T>, Rule> {
    if text.is_empty() {
        Ok(None)
    } else {
        read(text).map(Some)
    }
}
