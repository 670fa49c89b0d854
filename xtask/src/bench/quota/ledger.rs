//! The commands that Redis ran for the gateways, by its own statistics.

use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use tokio::{io::BufReader, net::TcpStream, time::sleep};

use crate::redis::{self, Reply};

/// A connection to the Redis that `up --redis auto` started.
#[derive(Debug)]
pub(super) struct Ledger {
    io: BufReader<TcpStream>,
}

/// Commands, or commands per second.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Commands {
    /// Scripts; each is one command of the client.
    pub(super) scripts: f64,
    /// All other commands, including those inside scripts.
    pub(super) others: f64,
}

/// Commands that run a script.
const SCRIPTS: [&str; 6] = [
    "eval",
    "evalsha",
    "eval_ro",
    "evalsha_ro",
    "fcall",
    "fcall_ro",
];

/// Commands that this benchmark sends itself.
const OWN: [&str; 2] = ["info", "auth"];

// === impl Ledger ===

impl Ledger {
    /// Connects to `redis://:password@host:port`.
    pub(super) async fn connect(url: &str) -> anyhow::Result<Self> {
        let rest = url
            .strip_prefix("redis://:")
            .context("no URL of `up --redis auto`")?;
        let (password, address) = rest.split_once('@').context("a URL without a password")?;
        let mut io = BufReader::new(TcpStream::connect(address).await?);
        redis::ask(&mut io, &["AUTH", password]).await?.text()?;
        Ok(Self { io })
    }

    /// What it has run so far.
    pub(super) async fn read(&mut self) -> anyhow::Result<Commands> {
        let Reply::Text(text) = redis::ask(&mut self.io, &["INFO", "commandstats"]).await? else {
            bail!("INFO is answered with a text");
        };
        let mut commands = Commands::default();
        for line in text.lines() {
            let Some((name, rest)) = line
                .strip_prefix("cmdstat_")
                .and_then(|l| l.split_once(':'))
            else {
                continue;
            };
            let calls = rest
                .strip_prefix("calls=")
                .and_then(|rest| rest.split(',').next());
            let calls: f64 = calls.context("calls come first")?.parse()?;
            if SCRIPTS.contains(&name) {
                commands.scripts += calls;
            } else if !OWN.contains(&name) {
                commands.others += calls;
            }
        }
        Ok(commands)
    }

    /// Commands per second while the gateways are idle.
    pub(super) async fn rate(&mut self, over: Duration) -> anyhow::Result<Commands> {
        // Grants are returned first.
        sleep(over / 2).await;
        let (before, began) = (self.read().await?, Instant::now());
        sleep(over).await;
        let used = self.read().await?.since(before);
        let seconds = began.elapsed().as_secs_f64();
        Ok(Commands {
            scripts: used.scripts / seconds,
            others: used.others / seconds,
        })
    }
}

// === impl Commands ===

impl Commands {
    pub(super) fn since(self, before: Self) -> Self {
        Self {
            scripts: self.scripts - before.scripts,
            others: self.others - before.others,
        }
    }

    /// Without the commands that idle gateways would have sent.
    pub(super) fn less(self, rate: Self, time: Duration) -> Self {
        let seconds = time.as_secs_f64();
        Self {
            scripts: (self.scripts - rate.scripts * seconds).max(0.0),
            others: (self.others - rate.others * seconds).max(0.0),
        }
    }
}
