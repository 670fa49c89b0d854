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

use super::{Admin, convert, names, paging, status};
use crate::{
    domain::{
        application::{Application, ApplicationKey},
        invalid::{Faults, Rule, reason},
        name::ClientId,
    },
    oauth::issue::Ask,
    service::{
        application_keys::{KeyUpdate, NewKey},
        applications::ApplicationUpdate,
        listing::ListQuery,
    },
};

#[async_trait]
impl ApplicationService for Admin {
    async fn create_application(
        &self,
        request: Request<CreateApplicationRequest>,
    ) -> Result<Response<Message>, Status> {
        let actor = self.actor(&request)?;
        let application = request.into_inner().application.unwrap_or_default();
        let application = self
            .service
            .create_application(
                &actor,
                &application.display_name,
                &application.description,
                convert::bare("applicationPolicies", &application.policy),
            )
            .await
            .map_err(status::of)?;
        Ok(Response::new(message(&application)))
    }

    async fn get_application(
        &self,
        request: Request<GetApplicationRequest>,
    ) -> Result<Response<Message>, Status> {
        let actor = self.actor(&request)?;
        let id = read("name", &request.into_inner().name)?;
        let application = self
            .service
            .get_application(&actor, id)
            .map_err(status::of)?;
        Ok(Response::new(message(&application)))
    }

    async fn list_applications(
        &self,
        request: Request<ListApplicationsRequest>,
    ) -> Result<Response<ListApplicationsResponse>, Status> {
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
            .list_applications(&actor, &query)
            .map_err(status::of)?;
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
    ) -> Result<Response<Message>, Status> {
        let actor = self.actor(&request)?;
        let request = request.into_inner();
        let application = request.application.unwrap_or_default();
        let update = ApplicationUpdate {
            id: read("application.name", &application.name)?,
            name: application.display_name,
            description: application.description,
            policy: convert::bare("applicationPolicies", &application.policy).to_owned(),
            owner: convert::bare("users", &application.owner).to_owned(),
            mask: convert::mask(request.update_mask),
            etag: application.etag,
        };
        let application = self
            .service
            .update_application(&actor, update)
            .await
            .map_err(status::of)?;
        Ok(Response::new(message(&application)))
    }

    async fn delete_application(
        &self,
        request: Request<DeleteApplicationRequest>,
    ) -> Result<Response<()>, Status> {
        let actor = self.actor(&request)?;
        let request = request.into_inner();
        let id = read("name", &request.name)?;
        self.service
            .delete_application(&actor, id, &request.etag)
            .await
            .map_err(status::of)?;
        Ok(Response::new(()))
    }

    async fn create_application_key(
        &self,
        request: Request<CreateApplicationKeyRequest>,
    ) -> Result<Response<KeyMessage>, Status> {
        let actor = self.actor(&request)?;
        let request = request.into_inner();
        let key = request.application_key.unwrap_or_default();
        let mut faults = Faults::new();
        let id = faults.take("parent", names::application(&request.parent));
        let key_type = faults.take("application_key.key_type", read_key_type(key.key_type));
        status::check(faults)?;
        let (id, key_type) = id.zip(key_type).expect("what is not taken is a fault");
        let new = self
            .service
            .create_key(&actor, id, key_type, &key.scopes)
            .await
            .map_err(status::of)?;
        Ok(Response::new(new_key(&new)))
    }

    async fn list_application_keys(
        &self,
        request: Request<ListApplicationKeysRequest>,
    ) -> Result<Response<ListApplicationKeysResponse>, Status> {
        let actor = self.actor(&request)?;
        let request = request.into_inner();
        let id = read("parent", &request.parent)?;
        let query = ListQuery {
            page_size: request.page_size,
            page_token: request.page_token,
            ..ListQuery::default()
        };
        let page = self
            .service
            .list_keys(&actor, id, &query)
            .map_err(status::of)?;
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
    ) -> Result<Response<KeyMessage>, Status> {
        let actor = self.actor(&request)?;
        let request = request.into_inner();
        let given = request.application_key.unwrap_or_default();
        let mut faults = Faults::new();
        let named = faults.take("application_key.name", names::key(&given.name));
        let key_type = match given.key_type {
            0 => None,
            number => faults.take("application_key.key_type", read_key_type(number)),
        };
        status::check(faults)?;
        let (application, client_id) = named.expect("what is not taken is a fault");
        let update = KeyUpdate {
            scopes: given.scopes,
            key_type,
            mask: convert::mask(request.update_mask),
        };
        let changed = self
            .service
            .update_key(&actor, application, client_id.as_str(), update)
            .await
            .map_err(status::of)?;
        Ok(Response::new(key(&changed)))
    }

    async fn delete_application_key(
        &self,
        request: Request<DeleteApplicationKeyRequest>,
    ) -> Result<Response<()>, Status> {
        let actor = self.actor(&request)?;
        let (application, client_id) = read_key(&request.into_inner().name)?;
        self.service
            .delete_key(&actor, application, client_id.as_str())
            .await
            .map_err(status::of)?;
        Ok(Response::new(()))
    }

    async fn regenerate_secret(
        &self,
        request: Request<RegenerateSecretRequest>,
    ) -> Result<Response<KeyMessage>, Status> {
        let actor = self.actor(&request)?;
        let (application, client_id) = read_key(&request.into_inner().name)?;
        let new = self
            .service
            .regenerate_secret(&actor, application, client_id.as_str())
            .await
            .map_err(status::of)?;
        Ok(Response::new(new_key(&new)))
    }

    async fn generate_access_token(
        &self,
        request: Request<GenerateAccessTokenRequest>,
    ) -> Result<Response<GenerateAccessTokenResponse>, Status> {
        let actor = self.actor(&request)?;
        let request = request.into_inner();
        let (application, client_id) = read_key(&request.name)?;
        let ask = Ask {
            application,
            client_id: client_id.to_string(),
            lifetime_seconds: request.lifetime_seconds,
            scope: request.scope,
        };
        let issued = self
            .key_manager
            .issue(&actor, ask)
            .await
            .map_err(status::of)?;
        Ok(Response::new(GenerateAccessTokenResponse {
            access_token: issued.token.expose().to_owned(),
            expire_time: convert::time(issued.expires_at),
            scope: issued.scope,
        }))
    }

    async fn reset_application_quota(
        &self,
        request: Request<ResetApplicationQuotaRequest>,
    ) -> Result<Response<Message>, Status> {
        let actor = self.actor(&request)?;
        let id = read("name", &request.into_inner().name)?;
        let application = self
            .service
            .reset_application_quota(&actor, id)
            .await
            .map_err(status::of)?;
        Ok(Response::new(message(&application)))
    }
}

fn message(application: &Application) -> Message {
    Message {
        name: application.resource(),
        display_name: application.name.to_string(),
        description: application.description.clone(),
        owner: format!("users/{}", application.owner_name),
        policy: convert::reference("applicationPolicies", application.policy.as_ref()),
        etag: application.etag.to_string(),
        create_time: convert::time(application.created_at),
        update_time: convert::time(application.updated_at),
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
