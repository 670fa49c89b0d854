//! An admin's password is lost: it's reset while the control plane is stopped.

use std::{fs, path::Path, process::Output};

use tidegate_integration_tests::{
    admin::Admin,
    control_plane::{ControlPlane, PASSWORD},
    process::Process,
};
use tidegate_proto::admin::v1::{
    ListAuditEntriesRequest, SignInRequest, audit_service_client::AuditServiceClient,
    session_service_client::SessionServiceClient,
};
use xtask::client::{Bearer, connect};

fn reset(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = ControlPlane::command(folder, &[]);
    command.arg("reset-password").args(arguments);
    command.output().unwrap()
}

/// Whether the user can sign in.
async fn signs_in(control_plane: &ControlPlane, username: &str, password: &str) -> bool {
    let ca_cert = &control_plane.ready.ca_cert;
    let channel = connect(&control_plane.url(), ca_cert, Bearer::default()).await;
    let request = SignInRequest {
        username: username.to_owned(),
        password: password.to_owned(),
    };
    let mut sessions = SessionServiceClient::new(channel.unwrap());
    sessions.sign_in(request).await.is_ok()
}

#[tokio::test]
async fn a_lost_password_is_reset_while_the_control_plane_is_stopped() {
    let folder = tempfile::tempdir().unwrap();
    let mut control_plane = ControlPlane::start(folder.path(), &[]).await;
    let admin = Admin::sign_in(&control_plane).await;
    let before = admin.channel.clone();

    let busy = reset(folder.path(), &[]);
    let said = String::from_utf8_lossy(&busy.stderr);
    assert!(!busy.status.success() && said.contains("in use"), "{said}");
    control_plane.process.kill();

    let unknown = reset(folder.path(), &["ann"]);
    let said = String::from_utf8_lossy(&unknown.stderr);
    assert!(!unknown.status.success(), "{said}");
    for part in ["no user `ann`", "admin", "reset-password"] {
        assert!(said.contains(part), "{part} in {said}");
    }

    // One that is made is printed once, and nothing else is on the standard output.
    let made = reset(folder.path(), &["Admin"]);
    let log = String::from_utf8_lossy(&made.stderr);
    assert!(made.status.success(), "{log}");
    let password = String::from_utf8(made.stdout).unwrap();
    let password = password.trim();
    assert!(password.len() >= 20 && !log.contains(password), "{log}");
    control_plane.restart().await;
    assert!(signs_in(&control_plane, "admin", password).await);
    assert!(!signs_in(&control_plane, "admin", PASSWORD).await);
    let log = control_plane.process.log();
    let warned = "tidegate-control-plane reset-password admin";
    assert!(
        log.contains("`admin.password`") && log.contains(warned),
        "{log}"
    );
    let mut audit = AuditServiceClient::new(before);
    let refused = audit
        .list_audit_entries(ListAuditEntriesRequest::default())
        .await;
    assert!(refused.is_err(), "sessions from before the reset are over");
    control_plane.process.kill();

    // One of the operator's own, from a file.
    let file = folder.path().join("password");
    for bad in ["", "short\n"] {
        fs::write(&file, bad).unwrap();
        let refused = reset(folder.path(), &["--password-file", file.to_str().unwrap()]);
        let said = String::from_utf8_lossy(&refused.stderr);
        assert!(!refused.status.success() && said.contains("must"), "{said}");
    }
    fs::write(&file, format!("{PASSWORD}\n")).unwrap();
    let set = reset(folder.path(), &["--password-file", file.to_str().unwrap()]);
    assert!(set.status.success() && set.stdout.is_empty(), "{set:?}");
    control_plane.restart().await;
    let admin = Admin::sign_in(&control_plane).await;
    let mut audit = AuditServiceClient::new(admin.channel.clone());
    let entries = audit
        .list_audit_entries(ListAuditEntriesRequest::default())
        .await;
    let entries = entries.unwrap().into_inner().audit_entries;
    let resets: Vec<_> = entries
        .iter()
        .filter(|entry| entry.action == "ResetPassword")
        .collect();
    assert_eq!(resets.len(), 2, "{entries:?}");
    assert_eq!(
        (&*resets[0].actor, &*resets[0].resource),
        ("system", "users/admin")
    );
}

#[tokio::test]
async fn commands_on_a_missing_store_create_none() {
    let folder = tempfile::tempdir().unwrap();
    let target = folder.path().join("export.jsonl");
    for arguments in [
        vec!["reset-password", "admin"],
        vec!["export", target.to_str().unwrap()],
    ] {
        let mut command = ControlPlane::command(folder.path(), &[]);
        command.args(&arguments);
        let mut process = Process::start(arguments[0], folder.path(), command);
        assert!(!process.ended().await.success());
        let said = process.log();
        assert!(
            said.contains("no store") && said.contains("data_dir"),
            "{said}"
        );
        assert!(!folder.path().join("control-plane").exists(), "{said}");
        assert!(!target.exists());
    }
}
