//! `KeyManagerService`: the signing keys of the built-in key manager.

use tidegate_proto::admin::v1::{
    self, ListSigningKeysRequest, ListSigningKeysResponse, RotateSigningKeyRequest,
    SigningKey as Message, key_manager_service_server::KeyManagerService,
};
use tonic::{Request, Response, async_trait};

use super::{Admin, Reply, convert, status};
use crate::{
    domain::{
        resource::Resource as _,
        signing::{SigningKey, SigningKeyState},
    },
    oauth::rotation::RotationError,
};

#[async_trait]
impl KeyManagerService for Admin {
    async fn list_signing_keys(
        &self,
        request: Request<ListSigningKeysRequest>,
    ) -> Reply<ListSigningKeysResponse> {
        let actor = self.actor(&request)?;
        let keys = self.service.list_signing_keys(&actor)?;
        Ok(Response::new(ListSigningKeysResponse {
            signing_keys: keys.iter().map(|key| message(key)).collect(),
        }))
    }

    async fn rotate_signing_key(
        &self,
        request: Request<RotateSigningKeyRequest>,
    ) -> Reply<Message> {
        let actor = self.actor(&request)?;
        match self.rotation.rotate(&actor).await {
            Ok(key) => Ok(Response::new(message(&key))),
            Err(RotationError::Service(error)) => Err(error.into()),
            Err(error) => Err(status::internal("the key could not be made", &error)),
        }
    }
}

fn message(key: &SigningKey) -> Message {
    let (state, sign_time, expire_time) = match key.state {
        SigningKeyState::Next { signs_from } => (v1::SigningKeyState::Next, Some(signs_from), None),
        SigningKeyState::Active => (v1::SigningKeyState::Current, None, None),
        SigningKeyState::Retiring { until } => (v1::SigningKeyState::Retiring, None, Some(until)),
    };
    Message {
        name: key.resource(),
        kid: key.id.to_string(),
        algorithm: key.algorithm.to_string(),
        state: state as i32,
        create_time: convert::time(key.created_at),
        sign_time: sign_time.and_then(convert::time),
        expire_time: expire_time.and_then(convert::time),
    }
}
