//! The images that docker-compose.yml and the Dockerfile begin from. They are pulled; where no registry can be reached,
//! stand-ins are made of the system's packages under the same names. Called by `compose_test` and `dist`.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context as _, bail, ensure};

use super::engine::{self, Engine};
use crate::workspace::{has, root, step};

/// A small Debian, and what is made of it.
const DEBIAN: &str = "debian:";

/// What `redis:` is made of.
const REDIS: &str = r#"FROM BASE
RUN apt-get update && apt-get install --yes --no-install-recommends redis-server && rm -rf /var/lib/apt/lists/*
RUN printf '#!/bin/sh\nexec "$@"\n' > /usr/local/bin/docker-entrypoint.sh && chmod +x /usr/local/bin/docker-entrypoint.sh
WORKDIR /data
ENTRYPOINT ["docker-entrypoint.sh"]
CMD ["redis-server", "--protected-mode", "no"]
"#;

/// What `haproxy:` is made of.
const HAPROXY: &str = r#"FROM BASE
RUN apt-get update && apt-get install --yes --no-install-recommends haproxy && rm -rf /var/lib/apt/lists/*
STOPSIGNAL SIGUSR1
CMD ["haproxy", "-W", "-db", "-f", "/usr/local/etc/haproxy/haproxy.cfg"]
"#;

/// What `rust:` is made of, with this machine's toolchain and the authorities that it trusts.
const RUST: &str = r#"FROM BASE
RUN apt-get update && apt-get install --yes --no-install-recommends gcc libc6-dev ca-certificates && rm -rf /var/lib/apt/lists/*
COPY bin /usr/local/bin
COPY lib /usr/local/lib
COPY ca-certificates.crt /etc/ssl/certs/
ENV CARGO_HOME=/usr/local/cargo
"#;

/// The file in which Debian keeps the authorities that it trusts.
const AUTHORITIES: &str = "/etc/ssl/certs";

/// Whether images may be made of the system's packages where no registry can be reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StandIns {
    /// For tests.
    Allowed,
    /// For what is published.
    Refused,
}

/// The label by which a stand-in is known.
const LABEL: &str = "tidegate.stand-in";

/// Brings every base image.
pub(crate) fn provide(engine: &Engine, stand_ins: StandIns) -> anyhow::Result<()> {
    let wanted = wanted()?;
    // The Debian first: the others are made of it.
    let (debian, others): (Vec<_>, Vec<_>) =
        wanted.iter().partition(|image| image.starts_with(DEBIAN));
    let Some(base) = debian.first() else {
        bail!("the Dockerfile begins from no Debian");
    };
    for image in debian.iter().chain(&others) {
        let here = look(engine, image);
        // A stand-in from an earlier run gives way to the image itself.
        if here == Here::Itself || pull(engine, image) {
            continue;
        }
        if stand_ins == StandIns::Refused {
            bail!("{image} cannot be pulled, and a release is not built on a stand-in for it");
        }
        if here == Here::StandIn {
            continue;
        }
        eprintln!("    {image} cannot be pulled; making a stand-in");
        make(engine, image, base).with_context(|| format!("cannot make {image}"))?;
    }
    Ok(())
}

/// The images that are neither built nor named by a variable.
fn wanted() -> anyhow::Result<BTreeSet<String>> {
    let read = |path: &str| {
        fs::read_to_string(root().join(path)).with_context(|| format!("cannot read {path}"))
    };
    let dockerfile = read("docker/Dockerfile")?;
    let compose = read("docker-compose.yml")?;
    let from = dockerfile
        .lines()
        .filter_map(|line| line.strip_prefix("FROM "));
    let from = from.filter_map(|line| line.split(' ').next());
    let images = compose
        .lines()
        .filter_map(|line| line.trim_start().strip_prefix("image: "));
    // A stage of the Dockerfile has no version.
    let named = from
        .chain(images)
        .filter(|it| it.contains(':') && !it.contains('$'));
    Ok(named.map(str::to_owned).collect())
}

/// What bears an image's name on this machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Here {
    Nothing,
    StandIn,
    Itself,
}

fn look(engine: &Engine, image: &str) -> Here {
    let labels = "{{json .Config.Labels}}";
    let inspected = engine
        .docker()
        .args(["image", "inspect", "--format", labels, image])
        .output();
    match inspected {
        Ok(output) if output.status.success() => {
            let labels = String::from_utf8_lossy(&output.stdout);
            if labels.contains(LABEL) {
                Here::StandIn
            } else {
                Here::Itself
            }
        }
        _ => Here::Nothing,
    }
}

fn pull(engine: &Engine, image: &str) -> bool {
    let pulled = engine.docker().args(["pull", "--quiet", image]).output();
    pulled.is_ok_and(|output| output.status.success())
}

fn make(engine: &Engine, image: &str, base: &str) -> anyhow::Result<()> {
    ensure!(
        engine::is_root() && has("apt-get"),
        "that needs root and Debian's packages; pull {image} yourself and run this again"
    );
    let dockerfile = |text: &str| format!("{}LABEL {LABEL}=1\n", text.replace("BASE", base));
    match image.split(':').next() {
        Some("debian") => debian(engine, image),
        Some("redis") => build(engine, image, &dockerfile(REDIS), |_| {}),
        Some("haproxy") => build(engine, image, &dockerfile(HAPROXY), |_| {}),
        Some("rust") => {
            let toolchain = toolchain()?;
            build(engine, image, &dockerfile(RUST), |tar| {
                tar.arg("-C").arg(&toolchain).args(["bin", "lib"]);
                tar.args(["-C", AUTHORITIES, "ca-certificates.crt"]);
            })
        }
        _ => bail!("nobody has said what a stand-in for it is made of"),
    }
}

fn debian(engine: &Engine, image: &str) -> anyhow::Result<()> {
    if !has("debootstrap") && !Path::new("/usr/sbin/debootstrap").is_file() {
        engine::install(&["debootstrap"])?;
    }
    let release = fs::read_to_string("/etc/os-release").unwrap_or_default();
    let codename = release
        .lines()
        .find_map(|line| line.strip_prefix("VERSION_CODENAME="))
        .unwrap_or("bookworm");
    let folder = engine::folder()?.join("debian");
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    let mut bootstrap = Command::new("debootstrap");
    bootstrap
        .args(["--variant=minbase", "--include=ca-certificates", codename])
        .arg(&folder)
        .arg(engine::debian_mirror()?)
        .stdout(Stdio::null())
        .stdin(Stdio::null());
    step("debootstrap", &mut bootstrap)?;
    let mut import = engine.docker();
    import.args([
        "import",
        "--change",
        &format!("LABEL {LABEL}=1"),
        "-",
        image,
    ]);
    let mut tar = Command::new("tar");
    tar.arg("-c").arg("-C").arg(&folder).arg(".");
    pipe(tar, import)?;
    Ok(fs::remove_dir_all(folder)?)
}

/// Builds an image of a Dockerfile and what is added to its context.
fn build(
    engine: &Engine,
    image: &str,
    dockerfile: &str,
    add: impl FnOnce(&mut Command),
) -> anyhow::Result<()> {
    let folder = engine::folder()?.join("image");
    fs::create_dir_all(&folder)?;
    fs::write(folder.join("Dockerfile"), dockerfile)?;
    let mut tar = Command::new("tar");
    tar.args(["-c", "-h", "-C"]).arg(folder).arg("Dockerfile");
    add(&mut tar);
    let mut build = engine.docker();
    build.args(["build", "--quiet", "--tag", image, "-"]);
    pipe(tar, build)
}

/// The folder of the toolchain that runs us.
fn toolchain() -> anyhow::Result<PathBuf> {
    let output = Command::new("rustc").args(["--print", "sysroot"]).output();
    let output = output.context("cannot ask rustc where it is")?;
    ensure!(output.status.success(), "rustc does not say where it is");
    Ok(PathBuf::from(String::from_utf8(output.stdout)?.trim()))
}

/// Runs one program into the other.
fn pipe(mut from: Command, mut into: Command) -> anyhow::Result<()> {
    let mut from = from
        .stdout(Stdio::piped())
        .spawn()
        .context("cannot start tar")?;
    let out = from.stdout.take().context("tar has no output")?;
    let output = into
        .stdin(out)
        .stdout(Stdio::null())
        .output()
        .context("cannot start docker")?;
    ensure!(
        output.status.success(),
        "docker failed: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    ensure!(from.wait()?.success(), "tar failed");
    Ok(())
}
