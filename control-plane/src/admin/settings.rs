//! `SettingsService`: what admins allow.

use tidegate_proto::admin::v1::{
    GetSettingsRequest, Settings as Message, UpdateSettingsRequest,
    settings_service_server::SettingsService,
};
use tonic::{Request, Response, Status, async_trait};

use super::{Admin, convert, status};
use crate::domain::settings::Settings;

#[async_trait]
impl SettingsService for Admin {
    async fn get_settings(
        &self,
        request: Request<GetSettingsRequest>,
    ) -> Result<Response<Message>, Status> {
        let actor = self.actor(&request)?;
        let settings = self.service.get_settings(&actor).map_err(status::of)?;
        Ok(Response::new(message(&settings)))
    }

    async fn update_settings(
        &self,
        request: Request<UpdateSettingsRequest>,
    ) -> Result<Response<Message>, Status> {
        let actor = self.actor(&request)?;
        let request = request.into_inner();
        let given = request.settings.unwrap_or_default();
        let mask = convert::mask(request.update_mask);
        let settings = self
            .service
            .update_settings(&actor, given.sign_up_allowed, &mask, &given.etag)
            .await
            .map_err(status::of)?;
        Ok(Response::new(message(&settings)))
    }
}

fn message(settings: &Settings) -> Message {
    Message {
        sign_up_allowed: settings.sign_up_allowed,
        etag: settings.etag.to_string(),
    }
}
