//! The Docker engine and Compose v2. Missing parts are installed from the system's packages if the user is root: the
//! engine by `apt-get`, Compose and buildx as single files from a newer Debian release, because Debian 12 only has
//! Compose v1. Called by `compose_test` and `dist`.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail, ensure};

use crate::workspace::{has, step, target};

/// A Docker engine that answers.
#[derive(Debug)]
pub(crate) struct Engine {
    /// The folder with the downloaded plugins, if there are any.
    plugins: Option<PathBuf>,
    /// The engine, if it was started here; it's stopped with the test.
    daemon: Option<Child>,
}

/// The Debian release whose packages have Compose v2.
const NEWER_RELEASE: &str = "trixie";

/// The packages of the plugins, which are also their names in `cli-plugins`.
const PLUGINS: [&str; 2] = ["docker-compose", "docker-buildx"];

/// How long a started engine may take to answer.
const START: Duration = Duration::from_secs(60);

/// How often it's polled.
const POLL: Duration = Duration::from_millis(200);

// === impl Engine ===

impl Engine {
    /// The machine's engine, or one that is installed and started here. The inner error says why that isn't possible.
    pub(crate) fn find_or_install() -> anyhow::Result<Result<Self, String>> {
        let mut engine = Self {
            plugins: None,
            daemon: None,
        };
        if !engine.answers() {
            if !is_root() {
                return Ok(Err(
                    "no Docker engine answers, and only root could start one; start yours and run this again".to_owned(),
                ));
            }
            if !has_daemon() {
                if !has("apt-get") {
                    return Ok(Err(
                        "there is no Docker engine, and no apt-get to install one with".to_owned(),
                    ));
                }
                install(&["docker.io"])?;
            }
            engine.start()?;
        }
        if !engine.has_plugin("compose") {
            if !(is_root() && has("apt-get") && has("dpkg")) {
                return Ok(Err(
                    "`docker compose` (version 2) is missing; install it and run this again"
                        .to_owned(),
                ));
            }
            engine.download_plugins()?;
            ensure!(
                engine.has_plugin("compose"),
                "the plugin for Compose was installed, but `docker compose version` fails"
            );
        }
        Ok(Ok(engine))
    }

    /// A `docker` command.
    pub(crate) fn docker(&self) -> Command {
        let mut command = Command::new("docker");
        if let Some(plugins) = &self.plugins {
            command.env("DOCKER_CONFIG", plugins);
        }
        command.env("DOCKER_BUILDKIT", "1").stdin(Stdio::null());
        command
    }

    fn answers(&self) -> bool {
        has("docker") && quietly(self.docker().arg("info"))
    }

    fn has_plugin(&self, name: &str) -> bool {
        quietly(self.docker().args([name, "version"]))
    }

    fn start(&mut self) -> anyhow::Result<()> {
        let folder = folder()?;
        let path = folder.join("dockerd.log");
        let log =
            fs::File::create(&path).with_context(|| format!("cannot write {}", path.display()))?;
        let daemon = Command::new("dockerd")
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .context("cannot start dockerd")?;
        self.daemon = Some(daemon);
        let began = Instant::now();
        while !self.answers() {
            ensure!(
                began.elapsed() < START,
                "the Docker engine did not answer in {} s; see {}",
                START.as_secs(),
                path.display()
            );
            std::thread::sleep(POLL);
        }
        Ok(())
    }

    /// Puts Compose and buildx below `target/`; the system isn't changed.
    fn download_plugins(&mut self) -> anyhow::Result<()> {
        let folder = folder()?;
        let (lists, cache, packages) = (
            folder.join("apt-lists"),
            folder.join("apt-cache"),
            folder.join("packages"),
        );
        let config = folder.join("docker-config");
        let plugins = config.join("cli-plugins");
        for made in [&lists, &cache, &packages, &plugins] {
            fs::create_dir_all(made).with_context(|| format!("cannot make {}", made.display()))?;
        }
        let sources = folder.join("sources.list");
        let mirror = debian_mirror()?;
        fs::write(
            &sources,
            format!(
                "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] {mirror} {NEWER_RELEASE} main\n"
            ),
        )?;
        let apt_get = || {
            let mut command = Command::new("apt-get");
            command
                .current_dir(&packages)
                .arg(format!("-oDir::Etc::sourcelist={}", sources.display()))
                .arg("-oDir::Etc::sourceparts=/dev/null")
                .arg(format!("-oDir::State::lists={}", lists.display()))
                .arg(format!("-oDir::Cache={}", cache.display()))
                .arg("-oAPT::Sandbox::User=root")
                .arg("--quiet")
                .stdin(Stdio::null());
            command
        };
        step("package lists", apt_get().arg("update"))?;
        step("download plugins", apt_get().arg("download").args(PLUGINS))?;
        for entry in fs::read_dir(&packages)? {
            let package = entry?.path();
            if package.extension().is_some_and(|it| it == "deb") {
                let mut unpack = Command::new("dpkg");
                unpack.arg("--extract").arg(&package).arg(&packages);
                step("unpack", &mut unpack)?;
            }
        }
        for plugin in PLUGINS {
            let from = find(&packages, plugin)
                .with_context(|| format!("the package of {plugin} has no such file"))?;
            fs::copy(&from, plugins.join(plugin))
                .with_context(|| format!("cannot copy {}", from.display()))?;
        }
        self.plugins = Some(config);
        Ok(())
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        let Some(mut daemon) = self.daemon.take() else {
            return;
        };
        let pid = i32::try_from(daemon.id())
            .ok()
            .and_then(rustix::process::Pid::from_raw);
        if let Some(pid) = pid {
            // It stops its containers itself. If it has exited already, there is nothing to stop.
            let _gone = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        }
        drop(daemon.wait());
    }
}

/// Installs system packages.
pub(crate) fn install(packages: &[&str]) -> anyhow::Result<()> {
    step(
        "package lists: apt-get update",
        Command::new("apt-get").args(["update", "--quiet"]),
    )?;
    step(
        &format!("install {}", packages.join(" ")),
        Command::new("apt-get")
            .args(["install", "--yes", "--quiet", "--no-install-recommends"])
            .args(packages)
            .env("DEBIAN_FRONTEND", "noninteractive")
            .stdin(Stdio::null()),
    )
}

/// Where this machine gets Debian's packages.
pub(crate) fn debian_mirror() -> anyhow::Result<String> {
    let output = Command::new("apt-get")
        .args([
            "indextargets",
            "--format",
            "$(ORIGIN) $(COMPONENT) $(RELEASE) $(REPO_URI)",
            "Created-By: Packages",
        ])
        .output()
        .context("cannot ask apt-get for its sources")?;
    let text = String::from_utf8_lossy(&output.stdout);
    let mirror = text.lines().find_map(|line| {
        let mut words = line.split(' ');
        let (origin, component, release) = (words.next()?, words.next()?, words.next()?);
        // Security and updates are apart, and do not hold whole releases.
        let whole = origin == "Debian" && component == "main" && !release.contains('-');
        whole.then(|| words.next().map(str::to_owned)).flatten()
    });
    match mirror {
        Some(mirror) => Ok(mirror),
        None => bail!("apt-get knows no source of Debian's packages"),
    }
}

/// Whether this process may install and start what serves the whole machine.
pub(crate) fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// A folder below `target/` for what is brought here.
pub(crate) fn folder() -> anyhow::Result<PathBuf> {
    let folder = target().join("docker");
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    Ok(folder)
}

fn has_daemon() -> bool {
    has("dockerd") || Path::new("/usr/sbin/dockerd").is_file()
}

fn quietly(command: &mut Command) -> bool {
    command
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// A file of this name in a folder of plugins below a folder.
fn find(folder: &Path, name: &str) -> Option<PathBuf> {
    for entry in fs::read_dir(folder).ok()?.flatten() {
        let path = entry.path();
        if path.is_dir() {
            if let Some(found) = find(&path, name) {
                return Some(found);
            }
        } else if path.ends_with(Path::new("cli-plugins").join(name)) {
            return Some(path);
        }
    }
    None
}
