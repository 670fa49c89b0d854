//! Use cases of gateway nodes: who may see them. What they are doing is in the fleet view (`discovery`).

use super::{Service, error::ServiceError};
use crate::domain::{
    actor::Actor, environment::Environment, name::EnvironmentName, user::Permission,
};

impl Service {
    /// Whether the actor may see the nodes of an environment, or of all.
    ///
    /// # Errors
    /// `PermissionDenied`, `NotFound` for the environment.
    pub fn may_view_nodes(
        &self,
        actor: &Actor,
        environment: Option<&EnvironmentName>,
    ) -> Result<(), ServiceError> {
        if !actor.may(Permission::ViewGateways) {
            return Err(ServiceError::PermissionDenied(
                "one of the roles admin, creator, publisher".to_owned(),
            ));
        }
        if let Some(name) = environment {
            self.get::<Environment>(name)?;
        }
        Ok(())
    }
}
