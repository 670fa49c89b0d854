//! Use cases of the settings that admins change while the process runs.

use super::{
    Service,
    error::ServiceError,
    guard::{check_etag, demand},
    mask,
};
use crate::domain::{actor::Actor, invalid::Faults, settings::Settings, user::Permission};

impl Service {
    /// Gets the settings.
    ///
    /// # Errors
    /// `PermissionDenied`.
    pub fn get_settings(&self, actor: &Actor) -> Result<Settings, ServiceError> {
        demand(actor, Permission::ManageSettings)?;
        Ok(self.state().settings().clone())
    }

    /// Whether strangers may make themselves users, see [`Service::sign_up`]. Everybody may know.
    #[must_use]
    pub fn is_sign_up_allowed(&self) -> bool {
        self.state().settings().sign_up_allowed
    }

    /// Changes whether strangers may make themselves users; mask (`sign_up_allowed`) and etag as in
    /// [`super::apis::ApiUpdate`].
    ///
    /// # Errors
    /// `PermissionDenied`, `Invalid`, `Aborted`, `Storage`, `Unavailable`.
    pub async fn update_settings(
        &self,
        actor: &Actor,
        sign_up_allowed: bool,
        mask: &[String],
        etag: &str,
    ) -> Result<Settings, ServiceError> {
        demand(actor, Permission::ManageSettings)?;
        let (mask, etag) = (mask.to_vec(), etag.to_owned());
        self.commit(actor, "UpdateSettings", move |draft| {
            let settings = draft.state().settings().clone();
            check_etag(&etag, settings.etag, || "settings".to_owned())?;
            let mut faults = Faults::new();
            let populated = |_: &str| sign_up_allowed;
            let fields = mask::resolve(&mask, &["sign_up_allowed"], &[], populated, &mut faults);
            faults.finish()?;
            if fields.is_empty() || settings.sign_up_allowed == sign_up_allowed {
                return Ok(settings);
            }
            let next = Settings {
                sign_up_allowed,
                etag: settings.etag.next(),
                ..settings
            };
            Ok(Settings::clone(&draft.put(next)))
        })
        .await
    }
}
