//! The generated types of the configuration stream, `tidegate.discovery.v1`, and the content hash of a resource.

pub mod limits;

use prost::Message as _;
use sha2::{Digest as _, Sha256};

use crate::revision::ContentVersion;

/// Version 1 of the configuration stream.
#[allow(
    missing_docs,
    unreachable_pub,
    unused_qualifications,
    clippy::too_many_lines,
    reason = "generated from the documented .proto files"
)]
pub mod v1 {
    tonic::include_proto!("tidegate.discovery.v1");
}

// === impl Resource ===

impl v1::Resource {
    /// Wraps a body under its name and computes its content version.
    #[must_use]
    pub fn new(name: String, body: v1::resource::Body) -> Self {
        let mut resource = Self {
            name,
            version: 0,
            body: Some(body),
        };
        resource.version = resource.content_version().get();
        resource
    }

    /// The first 64 bits of the SHA-256 of the encoded resource without its version field.
    ///
    /// Protobuf encoding by one library of messages without maps is deterministic, so equal content gives an equal
    /// version and an equal push is a no-op.
    #[must_use]
    pub fn content_version(&self) -> ContentVersion {
        let bare = Self {
            name: self.name.clone(),
            version: 0,
            body: self.body.clone(),
        };
        let digest = Sha256::digest(bare.encode_to_vec());
        let mut head = [0_u8; 8];
        head.copy_from_slice(&digest[..8]);
        ContentVersion::new(u64::from_be_bytes(head))
    }
}

#[cfg(test)]
mod tests {
    use super::v1::{Limits, Plan, Resource, resource::Body};

    fn plan(limit: u64) -> Resource {
        Resource::new(
            "plans/Gold".to_owned(),
            Body::Plan(Plan {
                name: "Gold".to_owned(),
                limits: Some(Limits {
                    messages: limit,
                    messages_window_seconds: 60,
                    ..Limits::default()
                }),
            }),
        )
    }

    #[test]
    fn equal_content_has_an_equal_version_and_different_content_has_not() {
        assert_eq!(plan(1).version, plan(1).version);
        assert_ne!(plan(1).version, plan(2).version);
        assert_eq!(plan(1).version, plan(1).content_version().get());
    }
}
