//! `cargo xtask screenshots`: a picture of every page of the portals, from a system that is made for it, into
//! `docs/portal/`. Each page at the width of a desk in both themes, and at that of a telephone.

mod pages;

use std::{
    fs,
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Child, ExitCode, Stdio},
};

use anyhow::{Context as _, bail};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tidegate_proto::admin::v1::{SignInRequest, session_service_client::SessionServiceClient};

use crate::{
    browser::{Browser, Page, Picture, Theme},
    client::{self, Bearer, Channel},
    leash, showcase,
    up::ports::Choice,
    workspace::root,
};
use pages::{ADMIN, CREATOR, DEVELOPER, Do, SHOTS, Shot};

/// The arguments of `cargo xtask screenshots`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Where the pictures go.
    #[arg(long)]
    pub folder: Option<PathBuf>,
    /// Which ports the system that is shown listens on; those in the pictures are the documented ones.
    #[arg(long, value_enum, default_value_t = Choice::Fixed)]
    pub ports: Choice,
    /// Show what was built last.
    #[arg(long)]
    pub no_build: bool,
}

const WIDE: u32 = 1280;
const NARROW: u32 = 360;
/// A page that is longer is cut off: the rest looks the same.
const HEIGHT_MAX: u32 = 1200;
const QUALITY: u8 = 60;

/// Takes the pictures.
///
/// # Errors
/// When the system cannot be started, or a page is not what it should be.
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    // One thread: what `leash` ties to us is tied to the thread that started it.
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?
        .block_on(take_all(args))?;
    Ok(ExitCode::SUCCESS)
}

async fn take_all(args: &Args) -> anyhow::Result<()> {
    let folder = args
        .folder
        .clone()
        .unwrap_or_else(|| root().join("docs/portal"));
    fs::create_dir_all(&folder)?;
    let system = System::start(args)?;
    system.fill().await?;
    let browser = Browser::start(|program| leash::command(program)).await?;
    let mut bytes = 0;
    for by in [None, CREATOR, DEVELOPER, ADMIN] {
        let mut page = system.person(&browser, by).await?;
        for shot in SHOTS.iter().filter(|shot| shot.by == by) {
            let taken = take(&mut page, &system, shot, &folder).await;
            bytes += taken.with_context(|| format!("no picture of {}", shot.name))?;
        }
    }
    eprintln!(
        "{} pages, {} kB, in {}",
        SHOTS.len(),
        bytes / 1000,
        folder.display()
    );
    Ok(())
}

/// Goes to a page and takes its pictures; gives their size in bytes.
async fn take(
    page: &mut Page,
    system: &System,
    shot: &Shot,
    folder: &Path,
) -> anyhow::Result<usize> {
    page.size(WIDE, 800).await?;
    page.go(&format!("{}{}", system.base, shot.path)).await?;
    for step in shot.steps {
        match *step {
            // The link in the frame has the same name as the button.
            Do::Follow("Sign in") => page.follow("Sign in", Some("User name")).await?,
            Do::Follow(name) => page.follow(name, None).await?,
            Do::Press(name) => page.press(name, None).await?,
            Do::Fill(label, text) => page.fill(label, text, None).await?,
            Do::See(words) => page.until_said(words).await?,
        }
    }
    let picture = Picture {
        quality: QUALITY,
        height_max: HEIGHT_MAX,
    };
    let views = [
        (WIDE, Theme::Light, ""),
        (WIDE, Theme::Dark, "-dark"),
        (NARROW, Theme::Light, "-narrow"),
    ];
    let mut bytes = 0;
    for (width, theme, suffix) in views {
        page.size(width, 800).await?;
        page.theme(theme).await?;
        let taken = page.picture(picture).await?;
        bytes += taken.len();
        let path = folder.join(format!("{}{suffix}.webp", shot.name));
        fs::write(&path, taken).with_context(|| format!("cannot write {}", path.display()))?;
    }
    page.theme(Theme::Light).await?;
    Ok(bytes)
}

/// What the pictures show. Dropping it stops it.
struct System {
    up: Child,
    line: Value,
    base: String,
    folder: PathBuf,
}

impl System {
    /// Starts it by `up`, which says where all is.
    fn start(args: &Args) -> anyhow::Result<Self> {
        let folder = std::env::temp_dir().join(format!("tidegate-shown-{}", std::process::id()));
        let mut command = leash::command(std::env::current_exe()?)?;
        command.args(["up", "--json", "--data-dir"]).arg(&folder);
        command.args(["--data-planes", "2", "--ports"]);
        command.arg(match args.ports {
            Choice::Fixed => "fixed",
            Choice::Auto => "auto",
        });
        if args.no_build {
            command.arg("--no-build");
        }
        let mut up = command.stdout(Stdio::piped()).spawn()?;
        let mut line = String::new();
        let stdout = up.stdout.take().expect("stdout was piped");
        BufReader::new(stdout).read_line(&mut line)?;
        let mut system = Self {
            up,
            line: Value::Null,
            base: String::new(),
            folder,
        };
        if line.is_empty() {
            bail!("the system did not start; see above");
        }
        system.line = serde_json::from_str(&line)?;
        let portal = system.text("/portal/publisher")?;
        system.base = portal.trim_end_matches("/publisher").to_owned();
        Ok(system)
    }

    fn text(&self, pointer: &str) -> anyhow::Result<&str> {
        let value = self.line.pointer(pointer).and_then(Value::as_str);
        value.with_context(|| format!("`up` does not say {pointer}"))
    }

    fn password(&self, username: &str) -> anyhow::Result<&str> {
        let accounts = self.line["portal"]["accounts"].as_array();
        let account = accounts
            .into_iter()
            .flatten()
            .find(|account| account["username"] == username);
        let password = account.and_then(|account| account["password"].as_str());
        password.with_context(|| format!("`up` has no account {username}"))
    }

    async fn channel(&self, username: &str) -> anyhow::Result<Channel> {
        let url = self.text("/admin/url")?;
        let ca_cert = Path::new(self.text("/admin/ca_cert")?);
        let anonymous = client::connect(url, ca_cert, Bearer::default()).await?;
        let session = SessionServiceClient::new(anonymous)
            .sign_in(SignInRequest {
                username: username.to_owned(),
                password: self.password(username)?.to_owned(),
            })
            .await?;
        client::connect(url, ca_cert, Bearer::new(&session.into_inner().token)?).await
    }

    async fn fill(&self) -> anyhow::Result<()> {
        let (admin, developer) = (
            self.channel("admin").await?,
            self.channel("subscriber").await?,
        );
        let backend = self.text("/demo/backend")?;
        showcase::fill(&admin, &developer, backend)
            .await
            .context("cannot fill the system")
    }

    async fn person(&self, browser: &Browser, name: Option<&str>) -> anyhow::Result<Page> {
        let mut page = browser.person().await?;
        if let Some(name) = name {
            page.go(&format!("{}/sign-in", self.base)).await?;
            page.fill("User name", name, None).await?;
            page.fill("Password", self.password(name)?, None).await?;
            page.follow("Sign in", Some("User name")).await?;
        }
        Ok(page)
    }
}

impl Drop for System {
    fn drop(&mut self) {
        let pid = i32::try_from(self.up.id()).ok().and_then(Pid::from_raw);
        if let Some(pid) = pid {
            // An error says that it has ended.
            let _ = kill_process(pid, Signal::TERM);
        }
        let _ = self.up.wait();
        let _ = fs::remove_dir_all(&self.folder);
    }
}
