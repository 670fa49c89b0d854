//! A client of the admin API for tests: signed in as the first admin, with one call for each step from an empty system
//! to a token. Everything else goes through the generated clients on [`Admin::channel`].

use std::path::PathBuf;

use prost_types::FieldMask;
use tidegate_proto::admin::v1::{
    Api, Application, ApplicationKey, CreateApiRequest, CreateApplicationKeyRequest,
    CreateApplicationRequest, CreatePlanRequest, CreateSubscriptionRequest, CreateUserRequest,
    EnvironmentUsage, GetSubscriptionUsageRequest, Limits, ListNodesRequest, Node, Plan, Role,
    SignInRequest, Subscription, UpdateApplicationKeyRequest, UpdatePlanRequest, User,
    api_policy_service_client::ApiPolicyServiceClient, api_service_client::ApiServiceClient,
    application_policy_service_client::ApplicationPolicyServiceClient,
    application_service_client::ApplicationServiceClient,
    deny_policy_service_client::DenyPolicyServiceClient,
    gateway_service_client::GatewayServiceClient, plan_service_client::PlanServiceClient,
    session_service_client::SessionServiceClient,
    subscription_service_client::SubscriptionServiceClient, user_service_client::UserServiceClient,
};
use tonic::Status;
use xtask::client::{self, Bearer, Channel};

use crate::control_plane::{ControlPlane, PASSWORD};

/// A session with the admin API.
#[derive(Clone, Debug)]
pub struct Admin {
    /// The connection, signed in.
    pub channel: Channel,
    /// The URL of the management listener.
    pub url: String,
    /// The authority of its certificate.
    pub ca_cert: PathBuf,
}

/// A client that is subscribed to an API.
#[derive(Clone, Debug)]
pub struct Subscriber {
    /// `applications/{uuid}`.
    pub application: String,
    /// `subscriptions/{uuid}`.
    pub subscription: String,
    /// The OAuth client id.
    pub client_id: String,
    /// The OAuth client secret.
    pub client_secret: String,
}

// === impl Admin ===

impl Admin {
    /// Signs in as the first admin.
    ///
    /// # Panics
    /// When that is refused.
    pub async fn sign_in(control_plane: &ControlPlane) -> Self {
        Self::try_sign_in(control_plane)
            .await
            .expect("the first admin can sign in")
    }

    /// Signs in as the first admin.
    ///
    /// # Errors
    /// When the control plane doesn't answer or refuses.
    pub async fn try_sign_in(control_plane: &ControlPlane) -> anyhow::Result<Self> {
        let ca_cert = control_plane.ready.ca_cert.clone();
        Self::signed_in(control_plane.url(), ca_cert, "admin").await
    }

    async fn signed_in(url: String, ca_cert: PathBuf, username: &str) -> anyhow::Result<Self> {
        let anonymous = client::connect(&url, &ca_cert, Bearer::default()).await?;
        let request = SignInRequest {
            username: username.to_owned(),
            password: PASSWORD.to_owned(),
        };
        let session = SessionServiceClient::new(anonymous)
            .sign_in(request)
            .await?
            .into_inner();
        Ok(Self {
            channel: client::connect(&url, &ca_cert, Bearer::new(&session.token)?).await?,
            url,
            ca_cert,
        })
    }

    /// Creates a user with these roles and signs in as that user.
    ///
    /// # Panics
    /// When the admin API refuses.
    pub async fn user(&self, name: &str, roles: &[Role]) -> Self {
        let user = User {
            roles: roles.iter().map(|&role| role.into()).collect(),
            ..User::default()
        };
        let request = CreateUserRequest {
            user_id: name.to_owned(),
            user: Some(user),
            password: PASSWORD.to_owned(),
        };
        let mut users = UserServiceClient::new(self.channel.clone());
        let created = users.create_user(request).await;
        created.unwrap_or_else(|status| panic!("cannot create {name}: {status:?}"));
        let signed_in = Self::signed_in(self.url.clone(), self.ca_cert.clone(), name).await;
        signed_in.expect("a new user can sign in")
    }

    /// A client of the API service.
    #[must_use]
    pub fn apis(&self) -> ApiServiceClient<Channel> {
        ApiServiceClient::new(self.channel.clone())
    }

    /// A client of the plan service.
    #[must_use]
    pub fn plans(&self) -> PlanServiceClient<Channel> {
        PlanServiceClient::new(self.channel.clone())
    }

    /// A client of the application service.
    #[must_use]
    pub fn applications(&self) -> ApplicationServiceClient<Channel> {
        ApplicationServiceClient::new(self.channel.clone())
    }

    /// A client of the application policy service.
    #[must_use]
    pub fn application_policies(&self) -> ApplicationPolicyServiceClient<Channel> {
        ApplicationPolicyServiceClient::new(self.channel.clone())
    }

    /// A client of the API policy service.
    #[must_use]
    pub fn api_policies(&self) -> ApiPolicyServiceClient<Channel> {
        ApiPolicyServiceClient::new(self.channel.clone())
    }

    /// A client of the deny policy service.
    #[must_use]
    pub fn deny_policies(&self) -> DenyPolicyServiceClient<Channel> {
        DenyPolicyServiceClient::new(self.channel.clone())
    }

    /// A client of the subscription service.
    #[must_use]
    pub fn subscriptions(&self) -> SubscriptionServiceClient<Channel> {
        SubscriptionServiceClient::new(self.channel.clone())
    }

    /// Creates a plan with these limits.
    ///
    /// # Panics
    /// When the admin API refuses.
    pub async fn create_plan(&self, name: &str, limits: Limits) {
        let plan = Plan {
            limits: Some(limits),
            ..Plan::default()
        };
        let request = CreatePlanRequest {
            plan_id: name.to_owned(),
            plan: Some(plan),
        };
        let created = self.plans().create_plan(request).await;
        created.unwrap_or_else(|status| panic!("cannot create {name}: {status:?}"));
    }

    /// Replaces the limits of a plan.
    ///
    /// # Panics
    /// When the admin API refuses.
    pub async fn change_plan(&self, name: &str, limits: Limits) {
        let plan = Plan {
            name: format!("plans/{name}"),
            limits: Some(limits),
            ..Plan::default()
        };
        let request = UpdatePlanRequest {
            plan: Some(plan),
            update_mask: None,
        };
        let changed = self.plans().update_plan(request).await;
        changed.unwrap_or_else(|status| panic!("cannot change {name}: {status:?}"));
    }

    /// Creates, deploys and publishes an API at `/<context>/1.0` under Unlimited and Gold.
    ///
    /// # Panics
    /// When the admin API refuses.
    pub async fn publish(&self, context: &str, endpoint: &str) -> Api {
        self.publish_under(context, endpoint, &["Unlimited", "Gold"])
            .await
    }

    /// Creates, deploys and publishes an API at `/<context>/1.0` under these plans.
    ///
    /// # Panics
    /// When the admin API refuses.
    pub async fn publish_under(&self, context: &str, endpoint: &str, plans: &[&str]) -> Api {
        let api = Api {
            api_name: format!("Api {context}"),
            context: format!("/{context}"),
            version: "1.0".to_owned(),
            production_endpoint: endpoint.to_owned(),
            plans: plans.iter().map(|plan| format!("plans/{plan}")).collect(),
            ..Api::default()
        };
        let request = CreateApiRequest {
            api: Some(api),
            publish: true,
        };
        let created = self.apis().create_api(request).await;
        created
            .unwrap_or_else(|status| panic!("cannot publish {context}: {status:?}"))
            .into_inner()
    }

    /// Registers an application with a key, subscribed to the API under the plan.
    ///
    /// # Panics
    /// When the admin API refuses.
    pub async fn subscribe(&self, api: &Api, plan: &str) -> Subscriber {
        let mut applications = self.applications();
        let application = Application {
            display_name: format!("{} {plan}", api.api_name),
            ..Application::default()
        };
        let application = applications
            .create_application(CreateApplicationRequest {
                application: Some(application),
            })
            .await
            .expect("an application can be made")
            .into_inner();
        let subscription = Subscription {
            application: application.name.clone(),
            api: api.name.clone(),
            plan: format!("plans/{plan}"),
            ..Subscription::default()
        };
        let subscription = self
            .subscriptions()
            .create_subscription(CreateSubscriptionRequest {
                subscription: Some(subscription),
            })
            .await
            .expect("an application can be subscribed")
            .into_inner();
        let key = applications
            .create_application_key(CreateApplicationKeyRequest {
                parent: application.name.clone(),
                application_key: Some(ApplicationKey::default()),
            })
            .await
            .expect("a key can be made")
            .into_inner();
        Subscriber {
            application: application.name,
            subscription: subscription.name,
            client_id: key.client_id,
            client_secret: key.client_secret,
        }
    }

    /// Sets the allowed scopes of a subscriber's key.
    ///
    /// # Panics
    /// When the admin API refuses.
    pub async fn allow(&self, subscriber: &Subscriber, scopes: &[&str]) {
        let name = format!("{}/keys/{}", subscriber.application, subscriber.client_id);
        let request = UpdateApplicationKeyRequest {
            application_key: Some(ApplicationKey {
                name,
                scopes: scopes.iter().map(|&scope| scope.to_owned()).collect(),
                ..ApplicationKey::default()
            }),
            update_mask: Some(FieldMask {
                paths: vec!["scopes".to_owned()],
            }),
        };
        let allowed = self.applications().update_application_key(request).await;
        allowed.expect("an admin allows scopes");
    }

    /// An access token for a subscriber.
    ///
    /// # Panics
    /// When the token endpoint refuses.
    pub async fn token(&self, subscriber: &Subscriber) -> String {
        let (id, secret) = (&subscriber.client_id, &subscriber.client_secret);
        client::token(&self.url, &self.ca_cert, id, secret)
            .await
            .expect("a token can be had")
    }

    /// The usage of a subscription (`subscriptions/{uuid}`) in the default environment.
    ///
    /// # Errors
    /// When the control plane doesn't answer or refuses.
    pub async fn usage(&self, subscription: &str) -> Result<EnvironmentUsage, Status> {
        let request = GetSubscriptionUsageRequest {
            name: format!("{subscription}/usage"),
        };
        let usage = self.subscriptions().get_subscription_usage(request).await?;
        let mut environments = usage.into_inner().environments.into_iter();
        let here = environments.find(|it| it.environment == "environments/default");
        here.ok_or_else(|| Status::not_found("the API is not deployed"))
    }

    /// The nodes of the default environment.
    ///
    /// # Panics
    /// When the admin API refuses.
    pub async fn nodes(&self) -> Vec<Node> {
        let request = ListNodesRequest {
            parent: "environments/default".to_owned(),
            ..ListNodesRequest::default()
        };
        let nodes = GatewayServiceClient::new(self.channel.clone())
            .list_nodes(request)
            .await;
        nodes.expect("nodes can be listed").into_inner().nodes
    }
}
