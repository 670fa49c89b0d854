//! The generated types of the admin API, `tidegate.admin.v1`, and its descriptors for server reflection.

/// Version 1 of the admin API.
#[allow(
    missing_docs,
    unreachable_pub,
    unused_qualifications,
    clippy::too_many_lines,
    reason = "generated from the documented .proto files"
)]
pub mod v1 {
    tonic::include_proto!("tidegate.admin.v1");
}

/// The encoded `FileDescriptorSet` of every service in this package, imports included; served by reflection.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));
