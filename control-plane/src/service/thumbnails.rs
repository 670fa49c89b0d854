//! Use cases of the pictures of APIs: creators set them; all who see the API see its picture.

use std::sync::Arc;

use sha2::{Digest as _, Sha256};
use tidegate_proto::ids::ApiId;

use super::{Service, access, draft::Draft, error::ServiceError, guard::demand};
use crate::{
    domain::{
        actor::{Actor, Viewer},
        invalid::Faults,
        resource::thumbnail_name,
        thumbnail::{ImageFormat, Thumbnail},
        user::Permission,
    },
    store::record::hex,
};

impl Service {
    /// Gives an API a picture, in the place of the one that it has. Setting the one that it has commits nothing.
    ///
    /// # Errors
    /// `PermissionDenied`, `NotFound`, `Invalid` (`image`), `Storage`, `Unavailable`.
    pub async fn set_thumbnail(
        &self,
        actor: &Actor,
        api: ApiId,
        image: Vec<u8>,
    ) -> Result<Arc<Thumbnail>, ServiceError> {
        demand(actor, Permission::DesignApis)?;
        let mut faults = Faults::new();
        let format = faults.take("image", ImageFormat::of(&image));
        faults.finish()?;
        let Some(format) = format else {
            unreachable!("a value that is missing has left a fault");
        };
        let etag = hex(&Sha256::digest(&image)[..8]);
        self.commit(actor, "SetThumbnail", move |draft| {
            access::api(draft.state(), &draft.actor, api)?;
            if let Some(same) = draft.state().thumbnails().get(&api)
                && same.etag == etag
            {
                return Ok(same.clone());
            }
            Ok(draft.put(Thumbnail {
                api,
                format,
                image: image.into(),
                etag,
                set_at: draft.now,
            }))
        })
        .await
    }

    /// Gets the picture of an API that the viewer may see.
    ///
    /// # Errors
    /// `NotFound`, also when the API has none.
    pub fn get_thumbnail(
        &self,
        viewer: &Viewer,
        api: ApiId,
    ) -> Result<Arc<Thumbnail>, ServiceError> {
        let state = self.state();
        access::viewed_api(&state, viewer, api)?;
        let thumbnail = state.thumbnails().get(&api).cloned();
        thumbnail.ok_or_else(|| missing(api))
    }

    /// Takes the picture of an API away.
    ///
    /// # Errors
    /// `PermissionDenied`, `NotFound`, also when the API has none, `Storage`, `Unavailable`.
    pub async fn delete_thumbnail(&self, actor: &Actor, api: ApiId) -> Result<(), ServiceError> {
        demand(actor, Permission::DesignApis)?;
        self.commit(actor, "DeleteThumbnail", move |draft| {
            access::api(draft.state(), &draft.actor, api)?;
            let thumbnail = draft.state().thumbnails().get(&api).cloned();
            draft.remove(&thumbnail.ok_or_else(|| missing(api))?);
            Ok(())
        })
        .await
    }
}

/// Gives a new version of an API the picture of another one.
pub(super) fn copy(draft: &mut Draft, from: ApiId, to: ApiId) {
    if let Some(thumbnail) = draft.state().thumbnails().get(&from).cloned() {
        draft.put(Thumbnail {
            api: to,
            set_at: draft.now,
            ..Thumbnail::clone(&thumbnail)
        });
    }
}

fn missing(api: ApiId) -> ServiceError {
    ServiceError::NotFound(thumbnail_name(api))
}
