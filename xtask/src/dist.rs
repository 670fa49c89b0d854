//! `cargo xtask dist`: builds what a release publishes. The images are built with docker-compose.yml and saved as OCI
//! archives; the programs are copied out of them, so that both are the same build.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, ExitCode},
};

use anyhow::{Context as _, bail, ensure};

use crate::{
    docker::{
        engine::{self, Engine},
        images::{self, StandIns},
    },
    workspace::{has, root, step, target},
};

/// The arguments of `cargo xtask dist`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The output folder; `target/dist` by default.
    #[arg(long)]
    pub out: Option<PathBuf>,
    /// The registry and folder in the images' names, as in `TIDEGATE_IMAGES`.
    #[arg(long, default_value = "localhost/tidegate")]
    pub images: String,
    /// Use locally made base images instead of the real ones. For trying this command where no registry can be reached;
    /// don't publish the result.
    #[arg(long)]
    pub stand_ins: bool,
}

/// The images and the program in each.
const IMAGES: [(&str, &str); 3] = [
    ("control-plane", "tidegate-control-plane"),
    ("data-plane", "tidegate-data-plane"),
    ("demo", "xtask"),
];

/// The number of programs that are published on their own; the demo's is for its image only.
const PROGRAMS: usize = 2;

/// The file of checksums; a folder with it is an earlier release.
const SUMS: &str = "SHA256SUMS";

const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Builds everything and prints where it is.
///
/// # Errors
/// When there is no Docker engine, or a build or write fails.
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let engine = match Engine::find_or_install()? {
        Ok(engine) => engine,
        Err(reason) => bail!("images are built by Docker: {reason}"),
    };
    let last = args.out.clone().unwrap_or_else(|| target().join("dist"));
    ensure!(
        !last.exists() || last.join(SUMS).is_file(),
        "{} exists and holds no earlier release; name a folder that may be replaced",
        last.display()
    );
    // In a folder beside it, so that the last release stays until this one is complete.
    let out = last.with_extension("writing");
    empty(&out)?;

    let stand_ins = if args.stand_ins {
        StandIns::Allowed
    } else {
        StandIns::Refused
    };
    images::provide(&engine, stand_ins)?;
    let mut build = engine.docker();
    build
        .current_dir(root())
        .env("TIDEGATE_IMAGES", &args.images)
        .env("TIDEGATE_VERSION", VERSION)
        .args(["compose", "--profile=demo", "build"]);
    step("images", &mut build)?;

    let mut files = Vec::new();
    for (name, _) in IMAGES {
        let image = format!("{}/{name}:{VERSION}", args.images);
        files.push(archive(&engine, &image, &out, &format!("tidegate-{name}"))?);
    }
    files.push(programs(&engine, args, &out)?);
    checksums(&out, &files)?;
    if last.exists() {
        fs::remove_dir_all(&last).with_context(|| format!("cannot replace {}", last.display()))?;
    }
    fs::rename(&out, &last).with_context(|| format!("cannot make {}", last.display()))?;
    println!("{}", last.display());
    Ok(ExitCode::SUCCESS)
}

/// Saves an image as an OCI archive.
fn archive(engine: &Engine, image: &str, out: &Path, name: &str) -> anyhow::Result<String> {
    let file = format!("{name}-{VERSION}-{}.oci.tar", std::env::consts::ARCH);
    let (saved, path) = (out.join("saved.tar"), out.join(&file));
    let mut save = engine.docker();
    save.args(["save", "--output"]).arg(&saved).arg(image);
    step(&format!("save {image}"), &mut save)?;
    let listed = Command::new("tar").arg("-tf").arg(&saved).output();
    let listed = listed.context("cannot start tar")?;
    let is_oci = listed
        .stdout
        .split(|byte| *byte == b'\n')
        .any(|name| name == b"oci-layout");
    if is_oci {
        // Engines since version 25 save OCI archives.
        fs::rename(&saved, &path)?;
        return Ok(file);
    }
    if !has("skopeo") {
        ensure!(
            engine::is_root() && has("apt-get"),
            "this Docker engine saves no OCI images; install skopeo, which converts them, and run this again"
        );
        engine::install(&["skopeo"])?;
    }
    let mut convert = Command::new("skopeo");
    convert
        .args(["copy", "--quiet"])
        .arg(format!("docker-archive:{}", saved.display()))
        .arg(format!("oci-archive:{}:{image}", path.display()));
    step(&format!("convert {image}"), &mut convert)?;
    fs::remove_file(saved)?;
    Ok(file)
}

/// Copies the programs out of the images and packs them with the licence and the changelog.
fn programs(engine: &Engine, args: &Args, out: &Path) -> anyhow::Result<String> {
    let name = format!(
        "tidegate-{VERSION}-{}-{}",
        std::env::consts::ARCH,
        std::env::consts::OS
    );
    let folder = out.join(&name);
    fs::create_dir_all(&folder)?;
    for (image, program) in &IMAGES[..PROGRAMS] {
        let image = format!("{}/{image}:{VERSION}", args.images);
        let created = engine.docker().args(["create", &image]).output()?;
        ensure!(
            created.status.success(),
            "cannot create a container of {image}"
        );
        let container = String::from_utf8(created.stdout)?.trim().to_owned();
        let from = format!("{container}:/usr/local/bin/{program}");
        let copied = engine.docker().arg("cp").arg(from).arg(&folder).output();
        let removed = engine
            .docker()
            .args(["rm", "--volumes", &container])
            .output();
        ensure!(copied?.status.success(), "{image} has no {program}");
        ensure!(
            removed?.status.success(),
            "cannot remove a container of {image}"
        );
    }
    for text in ["LICENSE", "CHANGELOG.md"] {
        fs::copy(root().join(text), folder.join(text))?;
    }
    let file = format!("{name}.tar.gz");
    let mut pack = Command::new("tar");
    pack.current_dir(out)
        .args([
            "--create",
            "--gzip",
            "--owner=0",
            "--group=0",
            "--sort=name",
        ])
        .arg("--file")
        .arg(&file)
        .arg(&name);
    step("pack the programs", &mut pack)?;
    fs::remove_dir_all(folder)?;
    Ok(file)
}

/// Writes the checksums, which `sha256sum --check` reads.
fn checksums(out: &Path, files: &[String]) -> anyhow::Result<()> {
    let summed = Command::new("sha256sum")
        .current_dir(out)
        .args(files)
        .output()
        .context("cannot start sha256sum")?;
    ensure!(summed.status.success(), "sha256sum failed");
    Ok(fs::write(out.join(SUMS), summed.stdout)?)
}

/// Creates an empty folder, or empties it.
fn empty(folder: &Path) -> anyhow::Result<()> {
    if folder.exists() {
        fs::remove_dir_all(folder).with_context(|| format!("cannot empty {}", folder.display()))?;
    }
    fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))
}
