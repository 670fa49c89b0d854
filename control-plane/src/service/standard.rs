//! The standard methods (AIP-131 to 135) of resources that admins manage and everybody signed in may read: create, get,
//! list, update and delete. Each kind says only what is its own.

use std::{str::FromStr, sync::Arc};

use super::{
    Service,
    edit::{EditableFields, Update, placeholder},
    error::ServiceError,
    guard::{demand, find},
    listing::{self, ListQuery, Page, Schema},
};
use crate::domain::{
    actor::Actor,
    invalid::{Faults, Rule},
    meta::ResourceMeta,
    name::fold,
    resource::{Resource, Versioned},
    state::State,
    user::Permission,
};

/// A kind of resource with the standard methods.
pub trait Standard: Versioned<Key: FromStr<Err = Rule>> {
    /// The fields that callers set, as they are sent: not validated yet.
    type Input: Send + 'static;

    /// The kind in the names of actions, for example `Plan` in `CreatePlan`.
    const KIND: &'static str;
    /// Who may create, change and delete one.
    const MANAGE: Permission;
    /// The fields that callers set.
    const FIELDS: EditableFields<Self, Self::Input>;
    /// What lists may be asked for.
    const SCHEMA: Schema<Self>;

    /// A new one, before its fields are set.
    fn new(name: Self::Key, meta: ResourceMeta) -> Self;

    /// Refuses to delete one that is in use.
    ///
    /// # Errors
    /// `FailedPrecondition`.
    fn check_unused(&self, state: &State) -> Result<(), ServiceError>;
}

impl Service {
    /// Creates a resource.
    ///
    /// # Errors
    /// `PermissionDenied`, `Invalid`, `AlreadyExists`, `Storage`, `Unavailable`.
    pub async fn create<R: Standard>(
        &self,
        actor: &Actor,
        id: &str,
        input: R::Input,
    ) -> Result<Arc<R>, ServiceError> {
        demand(actor, R::MANAGE)?;
        let id = id.to_owned();
        self.commit(actor, format!("Create{}", R::KIND), move |draft| {
            let mut faults = Faults::new();
            let name = faults.take(&format!("{}_id", R::FIELDS.root), id.parse::<R::Key>());
            let new = R::new(name.unwrap_or_else(placeholder), draft.meta());
            let new = R::FIELDS.create(new, &input, draft, &mut faults);
            faults.finish()?;
            let name = fold(&id);
            let mut others = R::table(draft.state()).keys();
            if let Some(other) = others.find(|it| fold(&it.to_string()) == name) {
                return Err(ServiceError::name_taken::<R>(other));
            }
            Ok(draft.put(new))
        })
        .await
    }

    /// Gets a resource.
    ///
    /// # Errors
    /// `NotFound`.
    pub fn get<R: Standard>(&self, key: &R::Key) -> Result<Arc<R>, ServiceError> {
        find::<R>(&self.state(), key).cloned()
    }

    /// Lists resources.
    ///
    /// # Errors
    /// `Invalid`.
    pub fn list<R: Standard>(&self, query: &ListQuery) -> Result<Page<Arc<R>>, ServiceError> {
        listing::page(R::table(&self.state()).values(), query, &R::SCHEMA)
    }

    /// Changes a resource.
    ///
    /// # Errors
    /// `PermissionDenied`, `NotFound`, `Invalid`, `Aborted`, `Storage`, `Unavailable`.
    pub async fn update<R: Standard>(
        &self,
        actor: &Actor,
        update: Update<R::Key, R::Input>,
    ) -> Result<Arc<R>, ServiceError> {
        demand(actor, R::MANAGE)?;
        self.commit(actor, format!("Update{}", R::KIND), move |draft| {
            let before = draft.fetch::<R>(&update.key, &update.etag)?;
            let mut faults = Faults::new();
            let next = R::FIELDS.update(&before, &update, draft, &mut faults);
            faults.finish()?;
            Ok(draft.replace(&before, next))
        })
        .await
    }

    /// Deletes a resource that nothing uses.
    ///
    /// # Errors
    /// `PermissionDenied`, `NotFound`, `Aborted`, `FailedPrecondition`, `Storage`, `Unavailable`.
    pub async fn delete<R: Standard>(
        &self,
        actor: &Actor,
        key: &R::Key,
        etag: &str,
    ) -> Result<(), ServiceError> {
        demand(actor, R::MANAGE)?;
        let (key, etag) = (key.clone(), etag.to_owned());
        self.commit(actor, format!("Delete{}", R::KIND), move |draft| {
            let it = draft.fetch::<R>(&key, &etag)?;
            it.check_unused(draft.state())?;
            draft.remove(&it);
            Ok(())
        })
        .await
    }
}

/// Reads the key of a resource out of a path; a text that is none names nothing.
///
/// # Errors
/// `NotFound`.
pub fn read_key<R: Resource<Key: FromStr>>(text: &str) -> Result<R::Key, ServiceError> {
    let key = text.parse();
    key.map_err(|_| ServiceError::NotFound(R::name_of(text)))
}
