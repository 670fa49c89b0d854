//! `SettingsService`: what admins allow.

use tidegate_proto::admin::v1::{
    GetSettingsRequest, Settings as Message, UpdateSettingsRequest,
    settings_service_server::SettingsService,
};
use tonic::{Request, Response, async_trait};

use super::{Admin, Reply, convert};
use crate::{domain::settings::Settings, service::edit::Update};

#[async_trait]
impl SettingsService for Admin {
    async fn get_settings(&self, request: Request<GetSettingsRequest>) -> Reply<Message> {
        let actor = self.actor(&request)?;
        let settings = self.service.get_settings(&actor)?;
        Ok(Response::new(message(&settings)))
    }

    async fn update_settings(&self, request: Request<UpdateSettingsRequest>) -> Reply<Message> {
        let (actor, req) = self.caller(request)?;
        let given = req.settings.unwrap_or_default();
        let update = Update {
            key: (),
            input: given.sign_up_allowed,
            mask: convert::mask(req.update_mask),
            etag: given.etag,
        };
        let settings = self.service.update_settings(&actor, update).await?;
        Ok(Response::new(message(&settings)))
    }
}

fn message(settings: &Settings) -> Message {
    Message {
        sign_up_allowed: settings.sign_up_allowed,
        etag: settings.etag.to_string(),
    }
}
