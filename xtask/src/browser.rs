//! A Chromium without a window, driven as a person would: pages are opened, links and buttons pressed by their names,
//! fields filled by their labels. For `screenshots` and for the tests of the portals; ADR 13 says why it is our own.

mod wire;
mod page;

use std::{
    fs,
    io::Read as _,
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
        mpsc,
    },
    time::Duration,
};

use anyhow::{Context as _, bail};
use rustix::process::{Pid, Signal, kill_process_group};
use serde_json::json;
use tokio::{
    sync::Mutex,
    time::{Instant, interval},
};

use crate::test::needs;
use wire::Wire;

pub use page::{Page, Picture, Theme};
pub use wire::Load;

/// How long anything in the browser may take: much more than a busy machine needs.
const DEADLINE: Duration = Duration::from_secs(20);

/// How often what we wait for is looked at.
const LOOK: Duration = Duration::from_millis(20);

/// How long the browser's processes may take to end once they are killed.
const END: Duration = Duration::from_secs(5);

/// What the program is called, on Debian, Fedora, Alpine and Arch; on Ubuntu and with Homebrew.
pub const PROGRAMS: [&str; 4] = ["chromium", "chromium-browser", "google-chrome", "chrome"];

/// Nothing of what a browser does by itself: no windows, no questions, no calls home.
const ARGUMENTS: [&str; 17] = [
    "--headless",
    "--remote-debugging-port=0",
    // The certificate is signed by the control plane's own authority.
    "--ignore-certificate-errors",
    // It opens our own pages alone, and its sandbox needs rights that a container does not give.
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--no-default-browser-check",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-extensions",
    "--disable-sync",
    "--disable-breakpad",
    "--disable-features=Translate,OptimizationHints,MediaRouter,DialMediaRouteProvider",
    "--hide-scrollbars",
    "--force-color-profile=srgb",
];

/// A running browser. Dropping it ends all of its processes and forgets what they kept.
#[derive(Debug)]
pub struct Browser {
    wire: Arc<Mutex<Wire>>,
    // Dropped after the wire.
    _processes: Processes,
}

/// The browser's processes and their folder.
#[derive(Debug)]
struct Processes {
    child: Child,
    /// Hears when the last of them has closed its output.
    ended: mpsc::Receiver<()>,
    folder: PathBuf,
}

// === impl Browser ===

impl Browser {
    /// Starts a browser. `leash` makes a command for a program that ends when we do.
    ///
    /// # Errors
    /// When there is none (the error says what to install), or it does not start.
    pub async fn start(
        leash: impl FnOnce(&Path) -> anyhow::Result<Command>,
    ) -> anyhow::Result<Self> {
        let processes = Processes::start(leash(&program()?)?)?;
        let url = processes.url().await?;
        let wire = Wire::connect(&url).await?;
        Ok(Self {
            wire: Arc::new(Mutex::new(wire)),
            _processes: processes,
        })
    }

    /// A page of somebody who shares nothing, cookies included, with who looks at the other pages.
    ///
    /// # Errors
    /// When the browser is gone.
    pub async fn person(&self) -> anyhow::Result<Page> {
        let context = {
            let mut wire = self.wire.lock().await;
            let made = wire.call(None, "Target.createBrowserContext", json!({}));
            made.await?["browserContextId"].clone()
        };
        let context = context.as_str().context("the context has no id")?;
        Page::open(Arc::clone(&self.wire), context).await
    }
}

// === impl Processes ===

impl Processes {
    fn start(mut command: Command) -> anyhow::Result<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!(
            "tidegate-browser-{}-{}",
            std::process::id(),
            COUNT.fetch_add(1, Ordering::Relaxed)
        );
        let folder = std::env::temp_dir().join(name);
        fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        let said = fs::File::create(folder.join("said.log"))?;
        let mut child = command
            .args(ARGUMENTS)
            .arg(format!("--user-data-dir={}", folder.display()))
            .arg("about:blank")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(said)
            .process_group(0)
            .spawn()
            .context("cannot start the browser")?;
        let mut stdout = child.stdout.take().expect("stdout was piped");
        let (end, ended) = mpsc::channel();
        // Every process of a browser holds this pipe; it ends with the last of them.
        std::thread::spawn(move || {
            let _ = stdout.read_to_end(&mut Vec::new());
            let _ = end.send(());
        });
        Ok(Self {
            child,
            ended,
            folder,
        })
    }

    /// Where its protocol is spoken, once it is.
    async fn url(&self) -> anyhow::Result<String> {
        let path = self.folder.join("DevToolsActivePort");
        let began = Instant::now();
        let mut ticks = interval(LOOK);
        loop {
            ticks.tick().await;
            let text = fs::read_to_string(&path).unwrap_or_default();
            let mut lines = text.lines();
            if let (Some(port), Some(path)) = (lines.next(), lines.next()) {
                return Ok(format!("ws://127.0.0.1:{port}{path}"));
            }
            if began.elapsed() > DEADLINE || self.ended.try_recv().is_ok() {
                let said = fs::read_to_string(self.folder.join("said.log")).unwrap_or_default();
                bail!("the browser did not start; it said:\n{said}");
            }
        }
    }
}

impl Drop for Processes {
    fn drop(&mut self) {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        if let Some(pid) = pid {
            // An error says that they have ended.
            let _ = kill_process_group(pid, Signal::KILL);
        }
        let _ = self.child.wait();
        let _ = self.ended.recv_timeout(END);
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// The browser that is installed.
fn program() -> anyhow::Result<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = PROGRAMS.iter().find_map(|name| {
        std::env::split_paths(&path)
            .map(|folder| folder.join(name))
            .find(|path| path.is_file())
    });
    found.with_context(|| format!("no browser is installed: {}", needs::advice("chromium")))
}
