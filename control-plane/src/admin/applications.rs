//! `ApplicationService`: applications and their keys. The only place where a client secret goes out, and a
//! token to the owner of an application.

use tidegate_proto::{
    admin::v1::{
        self, Application as Message, ApplicationKey as KeyMessage, CreateApplicationKeyRequest,
        CreateApplicationRequest, DeleteApplicationKeyRequest, DeleteApplicationRequest,
        GenerateAccessTokenRequest, GenerateAccessTokenResponse, GetApplicationRequest,
        ListApplicationKeysRequest, ListApplicationKeysResponse, ListApplicationsRequest,
        ListApplicationsResponse, RegenerateSecretRequest, ResetApplicationQuotaRequest,
        UpdateApplicationKeyRequest, UpdateApplicationRequest,
        application_service_server::ApplicationService,
    },
    claims::KeyType,
    ids::ApplicationId,
};
use tonic::{Request, Response, Status, async_trait};

use super::{Admin, Reply, convert, names, paging, status};
use crate::{
    domain::{
        application::{Application, ApplicationKey},
        invalid::{Faults, Rule, reason},
        name::ClientId,
        policy::ApplicationPolicy,
        resource::Resource as _,
        user::User,
    },
    oauth::issue::Ask,
    service::{
        application_keys::{KeyInput, KeyUpdate, NewKey},
        applications::{ApplicationInput, ApplicationUpdate},
        listing::ListQuery,
    },
};

#[async_trait]
impl ApplicationService for Admin {
    async fn create_application(
        &self,
        request: Request<CreateApplicationRequest>,
    ) -> Reply<Message> {
        let (actor, req) = self.caller(request)?;
        let input = input(req.application.unwrap_or_default());
        let application = self.service.create_application(&actor, input).await?;
        Ok(Response::new(message(&application)))
    }

    async fn get_application(&self, request: Request<GetApplicationRequest>) -> Reply<Message> {
        let (actor, req) = self.caller(request)?;
        let id = read("name", &req.name)?;
        let application = self.service.get_application(&actor, id)?;
        Ok(Response::new(message(&application)))
    }

    async fn list_applications(
        &self,
        request: Request<ListApplicationsRequest>,
    ) -> Reply<ListApplicationsResponse> {
        let (actor, req) = self.caller(request)?;
        let query = paging::query(req.page_size, req.page_token, req.filter, req.order_by);
        let page = self.service.list_applications(&actor, &query)?;
        let page = paging::answer(page, |it| message(it));
        Ok(Response::new(ListApplicationsResponse {
            applications: page.messages,
            next_page_token: page.next_page_token,
            total_size: page.total_size,
        }))
    }

    async fn update_application(
        &self,
        request: Request<UpdateApplicationRequest>,
    ) -> Reply<Message> {
        let (actor, req) = self.caller(request)?;
        let application = req.application.unwrap_or_default();
        let update = ApplicationUpdate {
            key: read("application.name", &application.name)?,
            etag: application.etag.clone(),
            input: input(application),
            mask: convert::mask(req.update_mask),
        };
        let application = self.service.update_application(&actor, update).await?;
        Ok(Response::new(message(&application)))
    }

    async fn delete_application(&self, request: Request<DeleteApplicationRequest>) -> Reply<()> {
        let (actor, req) = self.caller(request)?;
        let id = read("name", &req.name)?;
        self.service
            .delete_application(&actor, id, &req.etag)
            .await?;
        Ok(Response::new(()))
    }

    async fn create_application_key(
        &self,
        request: Request<CreateApplicationKeyRequest>,
    ) -> Reply<KeyMessage> {
        let (actor, req) = self.caller(request)?;
        let key = req.application_key.unwrap_or_default();
        let mut faults = Faults::new();
        let id = faults.take("parent", names::application(&req.parent));
        let key_type = faults.take("application_key.key_type", read_key_type(key.key_type));
        status::check(faults)?;
        let (id, key_type) = id.zip(key_type).expect("what is not taken is a fault");
        let new = self
            .service
            .create_key(&actor, id, key_type, &key.scopes)
            .await?;
        Ok(Response::new(new_key(&new)))
    }

    async fn list_application_keys(
        &self,
        request: Request<ListApplicationKeysRequest>,
    ) -> Reply<ListApplicationKeysResponse> {
        let (actor, req) = self.caller(request)?;
        let id = read("parent", &req.parent)?;
        let query = ListQuery {
            page_size: req.page_size,
            page_token: req.page_token,
            ..ListQuery::default()
        };
        let page = self.service.list_keys(&actor, id, &query)?;
        let page = paging::answer(page, |it| key(it));
        Ok(Response::new(ListApplicationKeysResponse {
            application_keys: page.messages,
            next_page_token: page.next_page_token,
            total_size: page.total_size,
        }))
    }

    async fn update_application_key(
        &self,
        request: Request<UpdateApplicationKeyRequest>,
    ) -> Reply<KeyMessage> {
        let (actor, req) = self.caller(request)?;
        let given = req.application_key.unwrap_or_default();
        let mut faults = Faults::new();
        let named = faults.take("application_key.name", names::key(&given.name));
        let key_type = match given.key_type {
            0 => None,
            number => faults.take("application_key.key_type", read_key_type(number)),
        };
        status::check(faults)?;
        let update = KeyUpdate {
            key: named.expect("what is not taken is a fault"),
            input: KeyInput {
                scopes: given.scopes,
                key_type,
            },
            etag: String::new(),
            mask: convert::mask(req.update_mask),
        };
        let changed = self.service.update_key(&actor, update).await?;
        Ok(Response::new(key(&changed)))
    }

    async fn delete_application_key(
        &self,
        request: Request<DeleteApplicationKeyRequest>,
    ) -> Reply<()> {
        let (actor, req) = self.caller(request)?;
        let (application, client_id) = read_key(&req.name)?;
        self.service
            .delete_key(&actor, application, client_id)
            .await?;
        Ok(Response::new(()))
    }

    async fn regenerate_secret(
        &self,
        request: Request<RegenerateSecretRequest>,
    ) -> Reply<KeyMessage> {
        let (actor, req) = self.caller(request)?;
        let (application, client_id) = read_key(&req.name)?;
        let new = self
            .service
            .regenerate_secret(&actor, application, client_id)
            .await?;
        Ok(Response::new(new_key(&new)))
    }

    async fn generate_access_token(
        &self,
        request: Request<GenerateAccessTokenRequest>,
    ) -> Reply<GenerateAccessTokenResponse> {
        let (actor, req) = self.caller(request)?;
        let (application, client_id) = read_key(&req.name)?;
        let ask = Ask {
            application,
            client_id,
            lifetime_seconds: req.lifetime_seconds,
            scope: req.scope,
        };
        let issued = self.key_manager.issue(&actor, ask).await?;
        Ok(Response::new(GenerateAccessTokenResponse {
            access_token: issued.token.expose().to_owned(),
            expire_time: convert::time(issued.expires_at),
            scope: issued.scope,
        }))
    }

    async fn reset_application_quota(
        &self,
        request: Request<ResetApplicationQuotaRequest>,
    ) -> Reply<Message> {
        let (actor, req) = self.caller(request)?;
        let id = read("name", &req.name)?;
        let application = self.service.reset_application_quota(&actor, id).await?;
        Ok(Response::new(message(&application)))
    }
}

fn message(application: &Application) -> Message {
    Message {
        name: application.resource(),
        display_name: application.name.to_string(),
        description: application.description.clone(),
        owner: User::name_of(&application.owner_name),
        policy: convert::reference::<ApplicationPolicy>(application.policy.as_ref()),
        etag: application.meta.etag.to_string(),
        create_time: convert::time(application.meta.created_at),
        update_time: convert::time(application.meta.updated_at),
    }
}

fn key(key: &ApplicationKey) -> KeyMessage {
    KeyMessage {
        name: key.resource(),
        client_id: key.client_id.to_string(),
        client_secret: String::new(),
        key_type: match key.key_type {
            KeyType::Production => v1::KeyType::Production,
            KeyType::Sandbox => v1::KeyType::Sandbox,
        } as i32,
        create_time: convert::time(key.created_at),
        secret_time: convert::time(key.secret_made_at),
        scopes: key.scopes.iter().map(ToString::to_string).collect(),
    }
}

fn new_key(new: &NewKey) -> KeyMessage {
    KeyMessage {
        client_secret: new.secret.expose().to_owned(),
        ..key(&new.key)
    }
}

fn input(application: Message) -> ApplicationInput {
    ApplicationInput {
        name: application.display_name,
        description: application.description,
        policy: convert::bare::<ApplicationPolicy>(application.policy),
        owner: convert::bare::<User>(application.owner),
    }
}

fn read(field: &str, name: &str) -> Result<ApplicationId, Status> {
    convert::one(field, names::application(name))
}

fn read_key(name: &str) -> Result<(ApplicationId, ClientId), Status> {
    convert::one("name", names::key(name))
}

fn read_key_type(number: i32) -> Result<KeyType, Rule> {
    match v1::KeyType::try_from(number) {
        Ok(v1::KeyType::Unspecified | v1::KeyType::Production) => Ok(KeyType::Production),
        Ok(v1::KeyType::Sandbox) => Ok(KeyType::Sandbox),
        Err(_) => Err(Rule::new(
            reason::MALFORMED,
            "must be KEY_TYPE_PRODUCTION or KEY_TYPE_SANDBOX",
        )),
    }
}
