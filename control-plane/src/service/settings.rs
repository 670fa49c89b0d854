//! Use cases of the settings that admins change while the process runs.

use super::{
    Service,
    edit::{EditableField, EditableFields, Update},
    error::ServiceError,
    guard::demand,
};
use crate::domain::{
    actor::Actor, invalid::Faults, resource::SETTINGS_NAME, settings::Settings, user::Permission,
};

const FIELDS: EditableFields<Settings, bool> = EditableFields {
    root: "settings",
    all: &[EditableField {
        name: "sign_up_allowed",
        is_given: |is_allowed| *is_allowed,
        set: |settings, is_allowed, _| settings.sign_up_allowed = *is_allowed,
    }],
    fixed: &[],
};

impl Service {
    /// Gets the settings.
    ///
    /// # Errors
    /// `PermissionDenied`.
    pub fn get_settings(&self, actor: &Actor) -> Result<Settings, ServiceError> {
        demand(actor, Permission::ManageSettings)?;
        Ok(self.state().settings().clone())
    }

    /// Whether anonymous visitors may sign up, see [`Service::sign_up`]. Everybody may know.
    #[must_use]
    pub fn is_sign_up_allowed(&self) -> bool {
        self.state().settings().sign_up_allowed
    }

    /// Changes whether anonymous visitors may sign up.
    ///
    /// # Errors
    /// `PermissionDenied`, `Invalid`, `Aborted`, `Storage`, `Unavailable`.
    pub async fn update_settings(
        &self,
        actor: &Actor,
        update: Update<(), bool>,
    ) -> Result<Settings, ServiceError> {
        demand(actor, Permission::ManageSettings)?;
        self.commit(actor, "UpdateSettings", move |draft| {
            let settings = draft.state().settings().clone();
            if !update.etag.is_empty() && update.etag != settings.etag.to_string() {
                return Err(ServiceError::Aborted(SETTINGS_NAME.to_owned()));
            }
            let mut faults = Faults::new();
            let mut next = FIELDS.update(&settings, &update, draft, &mut faults);
            faults.finish()?;
            if next == settings {
                return Ok(settings);
            }
            next.etag = settings.etag.next();
            Ok(Settings::clone(&draft.put(next)))
        })
        .await
    }
}
