//! A limit on open files that is too low for the configured connections: both planes log how many fit and what to do.

use std::{path::Path, process::Command};

use tidegate_integration_tests::{
    control_plane::ControlPlane,
    process::{self, Process},
    wait,
};

/// The command, with no more open files than this.
fn limited(plain: &Command, files: u32) -> Command {
    let mut limited = process::leashed(Path::new("/bin/bash"));
    limited.args(["-c", &format!("ulimit -n {files}; exec \"$@\""), "bash"]);
    limited.arg(plain.get_program()).args(plain.get_args());
    for (name, value) in plain.get_envs() {
        if let Some(value) = value {
            limited.env(name, value);
        }
    }
    limited
}

#[tokio::test]
async fn both_planes_say_how_many_connections_the_limit_on_open_files_allows() {
    let folder = tempfile::tempdir().unwrap();
    let mut node = process::command("tidegate-data-plane");
    node.args(["--set", "limits.connections=5000"]);
    let control_plane = ControlPlane::command(folder.path(), &[]);
    for (name, plain, wanted, needed) in [
        ("data-plane", node, "5000", "10256"),
        ("control-plane", control_plane, "4096", "8448"),
    ] {
        let process = Process::start(name, folder.path(), limited(&plain, 1024));
        let log = wait::until("it says what the limit means", async || {
            let log = process.log();
            log.contains("limits.connections").then_some(log)
        })
        .await;
        let wanted = format!("`limits.connections` is {wanted}");
        let needed = format!("{needed} or more");
        for part in [
            "1024 files",
            "384 connections",
            &wanted,
            &needed,
            "LimitNOFILE",
        ] {
            assert!(log.contains(part), "{name}: {part} in {log}");
        }
    }
}
