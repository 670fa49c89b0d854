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

use super::{Admin, Reply, convert, names, paging, status, usage};
use crate::{
    domain::{
        api::Api,
        application::Application,
        invalid::{Faults, Rule},
        name::EnvironmentName,
        plan::Plan,
        resource::Resource as _,
        subscription::{Subscription, SubscriptionState},
        user::User,
    },
    service::subscriptions::{Parties, SubscriptionInput, SubscriptionUpdate},
};

#[async_trait]
impl SubscriptionService for Admin {
    async fn create_subscription(
        &self,
        request: Request<CreateSubscriptionRequest>,
    ) -> Reply<Message> {
        let (actor, req) = self.caller(request)?;
        let subscription = req.subscription.unwrap_or_default();
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
            .create_subscription(&actor, application, api, plan)
            .await?;
        Ok(Response::new(self.subscription(&subscription)))
    }

    async fn get_subscription(&self, request: Request<GetSubscriptionRequest>) -> Reply<Message> {
        let (actor, req) = self.caller(request)?;
        let id = read("name", &req.name)?;
        let subscription = self.service.get_subscription(&actor, id)?;
        Ok(Response::new(self.subscription(&subscription)))
    }

    async fn list_subscriptions(
        &self,
        request: Request<ListSubscriptionsRequest>,
    ) -> Reply<ListSubscriptionsResponse> {
        let (actor, req) = self.caller(request)?;
        let query = paging::query(req.page_size, req.page_token, req.filter, req.order_by);
        let page = self.service.list_subscriptions(&actor, &query)?;
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
    ) -> Reply<Message> {
        let (actor, req) = self.caller(request)?;
        let subscription = req.subscription.unwrap_or_default();
        let mut faults = Faults::new();
        let id = faults.take("subscription.name", names::subscription(&subscription.name));
        let application = unless_empty(&subscription.application, names::application);
        let application = faults.take("subscription.application", application);
        let api = unless_empty(&subscription.api, names::api);
        let api = faults.take("subscription.api", api);
        status::check(faults)?;
        let update = SubscriptionUpdate {
            key: id.expect("what is not taken is a fault"),
            input: SubscriptionInput {
                plan: convert::bare::<Plan>(subscription.plan),
                application: application.flatten(),
                api: api.flatten(),
            },
            mask: convert::mask(req.update_mask),
            etag: subscription.etag,
        };
        let subscription = self.service.update_subscription(&actor, update).await?;
        Ok(Response::new(self.subscription(&subscription)))
    }

    async fn delete_subscription(&self, request: Request<DeleteSubscriptionRequest>) -> Reply<()> {
        let (actor, req) = self.caller(request)?;
        let id = read("name", &req.name)?;
        self.service
            .delete_subscription(&actor, id, &req.etag)
            .await?;
        Ok(Response::new(()))
    }

    async fn block_subscription(
        &self,
        request: Request<BlockSubscriptionRequest>,
    ) -> Reply<Message> {
        let (actor, req) = self.caller(request)?;
        let id = read("name", &req.name)?;
        let state = if req.production_only {
            SubscriptionState::ProductionBlocked
        } else {
            SubscriptionState::Blocked
        };
        let subscription = self
            .service
            .set_subscription_state(&actor, id, state, &req.etag)
            .await?;
        Ok(Response::new(self.subscription(&subscription)))
    }

    async fn unblock_subscription(
        &self,
        request: Request<UnblockSubscriptionRequest>,
    ) -> Reply<Message> {
        let (actor, req) = self.caller(request)?;
        let id = read("name", &req.name)?;
        let subscription = self
            .service
            .set_subscription_state(&actor, id, SubscriptionState::Active, &req.etag)
            .await?;
        Ok(Response::new(self.subscription(&subscription)))
    }

    async fn reset_subscription_quota(
        &self,
        request: Request<ResetSubscriptionQuotaRequest>,
    ) -> Reply<Message> {
        let (actor, req) = self.caller(request)?;
        let id = read("name", &req.name)?;
        let subscription = self.service.reset_subscription_quota(&actor, id).await?;
        Ok(Response::new(self.subscription(&subscription)))
    }

    async fn get_subscription_usage(
        &self,
        request: Request<GetSubscriptionUsageRequest>,
    ) -> Reply<SubscriptionUsage> {
        let (actor, req) = self.caller(request)?;
        let name = names::subscription_usage(&req.name);
        let id = convert::one("name", name)?;
        let seen = |environment: &EnvironmentName, of: &Subscription| {
            self.fleet
                .consumption(environment, of.key(), of.quota_generation)
        };
        let usage = self.service.subscription_usage(&actor, id, seen);
        Ok(Response::new(usage::message(&usage?)))
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
            owner: User::name_of(&application.owner_name),
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
        application: Application::name_of(subscription.application),
        api: Api::name_of(subscription.api),
        plan: Plan::name_of(&subscription.plan),
        state: match subscription.state {
            SubscriptionState::Active => v1::SubscriptionState::Active,
            SubscriptionState::Blocked => v1::SubscriptionState::Blocked,
            SubscriptionState::ProductionBlocked => v1::SubscriptionState::ProductionBlocked,
        } as i32,
        etag: subscription.meta.etag.to_string(),
        create_time: convert::time(subscription.meta.created_at),
        update_time: convert::time(subscription.meta.updated_at),
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
