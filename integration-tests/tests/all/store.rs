//! A store that can't be used: the start fails with advice, and the store isn't changed.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use tidegate_integration_tests::{
    admin::Admin,
    control_plane::ControlPlane,
    process::{self, Process},
};
use tidegate_proto::admin::v1::{
    CreatePlanRequest, Limits, ListPlansRequest, Plan, plan_service_client::PlanServiceClient,
};

/// Starts a control plane that must not become ready, and returns what it said.
async fn refused(name: &str, folder: &Path) -> String {
    let mut process = Process::start(name, folder, ControlPlane::command(folder, &[]));
    let status = process.ended().await;
    assert!(
        !status.success(),
        "it ended as if all were well:\n{}",
        process.log()
    );
    process.log()
}

#[tokio::test]
async fn a_second_control_plane_on_the_same_data_is_refused_and_the_first_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let first = ControlPlane::start(folder.path(), &[]).await;
    let log = refused("second", folder.path()).await;
    assert!(
        log.contains("another") || log.contains("in use") || log.contains("lock"),
        "{log}"
    );
    assert!(
        log.contains(&*first.data_dir().to_string_lossy()),
        "which directory? {log}"
    );
    Admin::sign_in(&first).await.nodes().await;
}

#[tokio::test]
async fn a_corrupt_store_is_refused_with_advice_and_never_emptied() {
    let folder = tempfile::tempdir().unwrap();
    let mut control_plane = ControlPlane::start(folder.path(), &[]).await;
    let admin = Admin::sign_in(&control_plane).await;
    for n in 0..50 {
        admin
            .publish(&format!("kept-{n}"), "ws://127.0.0.1:9")
            .await;
    }
    control_plane.process.kill();

    let store = control_plane.data_dir().join("store");
    let largest = files(&store)
        .into_iter()
        .max_by_key(|path| fs::metadata(path).map_or(0, |metadata| metadata.len()))
        .expect("the store has files");
    let whole = fs::read(&largest).unwrap();
    let used = whole
        .iter()
        .rposition(|&byte| byte != 0)
        .expect("the store is not empty");
    let mut scribbled = whole.clone();
    for byte in &mut scribbled[used / 4..used * 3 / 4] {
        *byte ^= 0x5a;
    }
    let garbage = vec![0x5a; whole.len()];
    for (what, bytes) in [("scribbled over", &scribbled), ("overwritten", &garbage)] {
        fs::write(&largest, bytes).unwrap();
        let log = refused(what, folder.path()).await;
        assert!(log.contains("store"), "{what}: {log}");
        assert!(
            log.contains("restore") || log.contains("backup"),
            "{what}: what to do? {log}"
        );
        assert!(!log.contains("panicked"), "{what}: {log}");
        let after = fs::metadata(&largest).map_or(0, |metadata| metadata.len());
        assert!(after >= bytes.len() as u64, "{what}: the store was emptied");
    }
    fs::write(&largest, &whole).unwrap();
    control_plane.restart().await;
    let admin = Admin::sign_in(&control_plane).await;
    let apis = admin
        .apis()
        .list_apis(tidegate_proto::admin::v1::ListApisRequest::default())
        .await;
    assert_eq!(
        apis.unwrap().into_inner().total_size,
        50,
        "with the right bytes back, all is there"
    );
}

#[tokio::test]
async fn a_full_disk_loses_nothing_that_was_answered() {
    let folder = tempfile::tempdir().unwrap();
    // The first start makes keys and certificates while there is room.
    let mut control_plane = ControlPlane::start(folder.path(), &[]).await;
    control_plane.process.kill();

    // A limit on the size of a file stands in for a full disk: a write beyond it fails, as it would there.
    let plain = ControlPlane::command(folder.path(), &[]);
    let largest = files(&control_plane.data_dir().join("store"))
        .iter()
        .filter_map(|path| fs::metadata(path).ok())
        .map(|metadata| metadata.len())
        .max();
    // Room for a few of the segments by which the store grows.
    let blocks = largest.unwrap_or(0) / 1024 + 2048;
    let mut limited = Command::new("bash");
    process::scrub(&mut limited);
    limited.args([
        "-c",
        &format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$@\""),
        "bash",
    ]);
    limited.arg(plain.get_program()).args(plain.get_args());
    for (name, value) in plain.get_envs() {
        if let Some(value) = value {
            limited.env(name, value);
        }
    }
    control_plane.process = Process::start("full", folder.path(), limited);
    let ready = folder.path().join("control-plane.ready.json");
    control_plane.ready = control_plane.process.ready(&ready).await;

    let admin = Admin::sign_in(&control_plane).await;
    let mut plans = PlanServiceClient::new(admin.channel.clone());
    let mut answered = Vec::new();
    let mut refusal = None;
    for n in 0..20_000 {
        let plan_id = format!("plan-{n}");
        let plan = Plan {
            description: "x".repeat(500),
            limits: Some(Limits {
                unlimited: true,
                ..Limits::default()
            }),
            ..Plan::default()
        };
        let request = CreatePlanRequest {
            plan_id: plan_id.clone(),
            plan: Some(plan),
        };
        match plans.create_plan(request).await {
            Ok(_) => answered.push(format!("plans/{plan_id}")),
            Err(status) => {
                refusal = Some(status);
                break;
            }
        }
    }
    let refusal = refusal.expect("the disk was never full");
    assert!(
        !answered.is_empty(),
        "nothing could be written at all: {refusal:?}"
    );
    assert!(
        [
            tonic::Code::Unavailable,
            tonic::Code::ResourceExhausted,
            tonic::Code::Internal
        ]
        .contains(&refusal.code()),
        "{refusal:?}"
    );

    // Room again.
    control_plane.restart().await;
    let admin = Admin::sign_in(&control_plane).await;
    let kept = plans_of(&admin).await;
    for name in &answered {
        assert!(kept.contains(name), "{name} was answered and is gone");
    }
}

/// The names of all plans.
pub(crate) async fn plans_of(admin: &Admin) -> std::collections::HashSet<String> {
    let mut plans = PlanServiceClient::new(admin.channel.clone());
    let mut names = std::collections::HashSet::new();
    let mut page_token = String::new();
    loop {
        let request = ListPlansRequest {
            page_size: 500,
            page_token,
            ..ListPlansRequest::default()
        };
        let page = plans
            .list_plans(request)
            .await
            .expect("plans can be listed")
            .into_inner();
        names.extend(page.plans.into_iter().map(|plan| plan.name));
        page_token = page.next_page_token;
        if page_token.is_empty() {
            return names;
        }
    }
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)
        .expect("the folder can be read")
        .flatten()
    {
        let path = entry.path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push(path);
        }
    }
    found
}
