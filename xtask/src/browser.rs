//! A headless Chromium that is driven as a person would: it opens pages, presses links and buttons by their names and
//! fills fields by their labels. For `screenshots` and the tests of the portals; ADR 13 explains why it isn't a
//! library.

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

/// How long any step in the browser may take: much more than a busy machine needs.
const DEADLINE: Duration = Duration::from_secs(20);

/// How often conditions are polled.
const LOOK: Duration = Duration::from_millis(20);

/// How long the browser's processes may take to exit once they are killed.
const END: Duration = Duration::from_secs(5);

/// The names of the program on Debian, Fedora, Alpine and Arch, on Ubuntu and with Homebrew.
pub const PROGRAMS: [&str; 4] = ["chromium", "chromium-browser", "google-chrome", "chrome"];

/// Turns off what a browser does on its own: windows, prompts, background requests.
const ARGUMENTS: [&str; 17] = [
    "--headless",
    "--remote-debugging-port=0",
    // The certificate is signed by the control plane's own authority.
    "--ignore-certificate-errors",
    // It only opens our own pages, and its sandbox needs privileges that containers don't have.
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

/// A running browser. Dropping it kills all its processes and removes its profile.
#[derive(Debug)]
pub struct Browser {
    wire: Arc<Mutex<Wire>>,
    // Dropped after the connection.
    _processes: Processes,
}

/// The browser's processes and their folder.
#[derive(Debug)]
struct Processes {
    child: Child,
    /// Resolves when the last of them has closed its output.
    ended: mpsc::Receiver<()>,
    folder: PathBuf,
}

// === impl Browser ===

impl Browser {
    /// Starts a browser. `leash` creates a command for a program that ends when this process does.
    ///
    /// # Errors
    /// When none is installed (the error says what to install), or it doesn't start.
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

    /// Opens a page in a context of its own, which shares no cookies or cache with other pages.
    ///
    /// # Errors
    /// When the browser has exited.
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
        // Every process of a browser holds this pipe open; it's closed when the last of them exits.
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

    /// Waits until the browser prints the URL of its protocol.
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
            // An error means that they have exited.
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
