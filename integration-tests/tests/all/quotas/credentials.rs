//! How gateways authenticate to Redis: with a password of any characters in its own key, with every deployment form of
//! Redis, from a file that changes while they run; and what is reported when Redis refuses.

use std::{
    path::{Path, PathBuf},
    time::Instant,
};

use tidegate_integration_tests::{
    catalog,
    data_plane::DataPlane,
    fake_control_plane::FakeControlPlane,
    issuer::Issuer,
    process::{self, Process},
    redis::{
        Redis,
        group::{Cluster, Sentinel},
    },
    wait,
};

use crate::setup::ISSUER;

/// What no URL holds as it is, and what TOML, shells and `redis.conf` would take for something else.
const AWKWARD: &str = "[\"p@ss/w:rd\"]?#%25&{ünï} '";

struct Site {
    node: DataPlane,
    _control: FakeControlPlane,
}

impl Site {
    /// A gateway with these settings, whether its Redis lets it in or not.
    async fn start(sets: &[&str]) -> Self {
        let resources = catalog::echo(&Issuer::new(ISSUER), "ws://127.0.0.1:9");
        let control = FakeControlPlane::start(resources).await;
        let node = control.node(sets).await;
        Self {
            node,
            _control: control,
        }
    }

    /// Waits until the gateway says this of its ledger; no words are no fault. No secret is ever in it.
    async fn until_said(&self, words: &str) {
        let what = format!("the gateway says {words:?} of its ledger");
        wait::until(&what, async || {
            let fault = self.node.status().await.ledger_fault;
            assert!(!fault.contains("p@ss") && !fault.contains('\n'), "{fault}");
            assert!(fault.chars().count() <= 400, "{fault}");
            let is_said = if words.is_empty() {
                fault.is_empty()
            } else {
                fault.contains(words)
            };
            is_said.then_some(())
        })
        .await;
        let log = self.node.process.log();
        assert!(!log.contains("p@ss"), "{log}");
    }
}

fn password(text: &str) -> String {
    format!("ledger.password={text}")
}

fn url(of: &str) -> String {
    format!("ledger.url={of}")
}

#[tokio::test]
async fn a_password_of_any_characters_opens_a_single_redis_a_sentinel_s_master_and_a_cluster() {
    let mut redis = Redis::start().await;
    redis.rekey(AWKWARD).await;
    let alone = url(&redis.url_with(None));
    let site = Site::start(&[&alone, &password(AWKWARD)]).await;
    site.until_said("").await;
    assert!(!redis.keys("tidegate:*").await.is_empty());

    redis
        .must(&[
            "ACL",
            "SETUSER",
            "us@r",
            "on",
            &format!(">{AWKWARD}"),
            "+@all",
            "~*",
        ])
        .await;
    let site = Site::start(&[&alone, "ledger.username=us@r", &password(AWKWARD)]).await;
    site.until_said("").await;

    let mut group = Sentinel::start().await;
    for redis in [&mut group.replica, &mut group.master] {
        redis.configure("masterauth", AWKWARD).await;
        redis.rekey(AWKWARD).await;
    }
    let site = Site::start(&[&url(&group.url()), &password(AWKWARD)]).await;
    site.until_said("").await;

    let mut cluster = Cluster::start().await;
    for master in &mut cluster.masters {
        master.rekey(AWKWARD).await;
    }
    let site = Site::start(&[&url(&cluster.url()), &password(AWKWARD)]).await;
    site.until_said("").await;
}

#[tokio::test]
async fn a_password_that_is_changed_in_its_file_is_reloaded_without_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("password");
    std::fs::write(&file, format!("{AWKWARD}\n")).unwrap();
    let mut redis = Redis::start().await;
    redis.rekey(AWKWARD).await;
    let from = format!("ledger.password_file={}", file.display());
    let site = Site::start(&[&url(&redis.url_with(None)), &from]).await;
    site.until_said("").await;

    redis.rekey("p@ss-of-tomorrow").await;
    site.until_said("WRONGPASS: ").await;
    std::fs::write(&file, "p@ss-of-tomorrow").unwrap();
    site.until_said("").await;

    std::fs::remove_file(&file).unwrap();
    redis.rekey("p@ss-of-after").await;
    site.until_said("ledger.password_file").await;
    std::fs::write(&file, "p@ss-of-after\r\n").unwrap();
    site.until_said("").await;
}

#[tokio::test]
async fn an_empty_password_is_none_as_compose_sets_a_variable_that_nobody_has_set() {
    let redis = Redis::start().await;
    let sets = [
        url(&redis.url()),
        password(""),
        "ledger.username=".to_owned(),
        "ledger.password_file=".to_owned(),
    ];
    let site = Site::start(&sets.each_ref().map(String::as_str)).await;
    site.until_said("").await;
}

#[tokio::test]
async fn a_refusal_of_redis_is_reported_with_advice() {
    let began = Instant::now();
    let mut redis = Redis::start().await;
    redis.rekey("p@ss").await;
    let site = Site::start(&[&url(&redis.url_with(None))]).await;
    site.until_said("NOAUTH: ").await;
    site.until_said("`ledger.password`").await;
    redis.rekey("").await;
    site.until_said("").await;

    let wrong = redis.url_with(Some("p%40ss-of-yesterday"));
    redis.rekey("p@ss").await;
    let other = Site::start(&[&url(&wrong)]).await;
    other.until_said("WRONGPASS: ").await;
    other.until_said("check").await;
    redis.rekey("").await;

    redis
        .must(&["ACL", "SETUSER", "default", "-evalsha", "-eval"])
        .await;
    site.until_said("NOPERM: ").await;
    redis
        .must(&["ACL", "SETUSER", "default", "+evalsha", "+eval"])
        .await;
    site.until_said("").await;

    redis.must(&["REPLICAOF", "127.0.0.1", "1"]).await;
    site.until_said("READONLY: ").await;
    redis.configure("replica-serve-stale-data", "no").await;
    site.until_said("MASTERDOWN: ").await;
    redis.must(&["REPLICAOF", "NO", "ONE"]).await;
    site.until_said("").await;

    redis.configure("min-replicas-to-write", "1").await;
    site.until_said("NOREPLICAS: ").await;
    redis.configure("min-replicas-to-write", "0").await;
    site.until_said("").await;

    // Nine times it stood otherwise; the log has its lines a minute, and the last says how many are missing.
    let minutes = 1 + usize::try_from(began.elapsed().as_secs() / 60).unwrap();
    let log = site.node.process.log();
    let about_the_ledger = log.lines().filter(|line| line.contains("quota::refill"));
    assert!(about_the_ledger.count() <= 6 * minutes, "{log}");
}

/// What a gateway that must not start with these settings says at last.
async fn refused(folder: &Path, sets: &[&str]) -> String {
    let mut command = process::command("tidegate-data-plane");
    command.args(["--set", &format!("data_dir={}", folder.display())]);
    for listener in ["ws", "wss", "admin"] {
        command.args(["--set", &format!("listen.{listener}=127.0.0.1:0")]);
    }
    for set in sets {
        command.args(["--set", set]);
    }
    let mut node = Process::start("data-plane", folder, command);
    node.ended().await;
    node.log()
}

#[tokio::test]
async fn settings_that_contradict_each_other_end_the_start_and_no_secret_is_shown() {
    let folder = tempfile::tempdir().unwrap();
    let missing: PathBuf = folder.path().join("missing");
    let missing = format!("ledger.password_file={}", missing.display());
    let plain = "ledger.url=redis://127.0.0.1:1";
    for (sets, words) in [
        (
            vec![
                "ledger.url=redis://:geheim@127.0.0.1:1",
                "ledger.password=hunter2",
            ],
            "`ledger.url` holds a password, and so does `ledger.password`",
        ),
        (
            vec![
                "ledger.url=redis+cluster://:geheim@127.0.0.1:1",
                "ledger.password=hunter2",
            ],
            "`ledger.url` holds a password",
        ),
        (
            vec![
                "ledger.url=redis+sentinel://u:geheim@127.0.0.1/m",
                "ledger.username=hunter2",
            ],
            "`ledger.url` names a user, and so does `ledger.username`",
        ),
        (vec![plain, "ledger.username=hunter2"], "no password"),
        (
            vec!["ledger.password=hunter2"],
            "`ledger.password` is set, but `ledger.url` is not",
        ),
        (vec![plain, &missing], "cannot read `ledger.password_file`"),
        (
            vec!["ledger.url=redis://:geh/eim@127.0.0.1:1"],
            "`ledger.password`",
        ),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let log = refused(folder.path(), &sets).await;
        assert!(log.contains(words), "{sets:?}: {log}");
        for secret in ["geheim", "hunter2", "eim"] {
            assert!(!log.contains(secret), "{log}");
        }
    }
}
