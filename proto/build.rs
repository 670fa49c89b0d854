//! Compiles the protobuf contract with a pure-Rust compiler, so that no `protoc` is needed.

use std::{env, fs, path::PathBuf};

use prost::Message as _;

const FILES: &[&str] = &[
    "tidegate/discovery/v1/discovery.proto",
    "tidegate/admin/v1/session_service.proto",
    "tidegate/admin/v1/user_service.proto",
    "tidegate/admin/v1/api_service.proto",
    "tidegate/admin/v1/plan_service.proto",
    "tidegate/admin/v1/application_policy_service.proto",
    "tidegate/admin/v1/api_policy_service.proto",
    "tidegate/admin/v1/deny_policy_service.proto",
    "tidegate/admin/v1/application_service.proto",
    "tidegate/admin/v1/subscription_service.proto",
    "tidegate/admin/v1/gateway_service.proto",
    "tidegate/admin/v1/key_manager_service.proto",
    "tidegate/admin/v1/audit_service.proto",
    "tidegate/admin/v1/catalog_service.proto",
    "tidegate/admin/v1/document_service.proto",
    "tidegate/admin/v1/settings_service.proto",
];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo::rerun-if-changed=proto");
    let descriptors = protox::Compiler::new(["proto"])?
        .include_imports(true)
        .include_source_info(true)
        .open_files(FILES)?
        .file_descriptor_set();
    let out = PathBuf::from(env::var("OUT_DIR")?);
    fs::write(out.join("descriptors.bin"), descriptors.encode_to_vec())?;
    tonic_prost_build::configure()
        .build_transport(true)
        .bytes(".tidegate.discovery.v1")
        .compile_fds(descriptors)?;
    Ok(())
}
