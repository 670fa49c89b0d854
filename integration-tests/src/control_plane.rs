//! A real control plane under test.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
};

use serde::Deserialize;

use crate::process::{self, Process};

/// The first admin's password in every test.
pub const PASSWORD: &str = "correct horse battery staple";

/// A running control plane.
#[derive(Debug)]
pub struct ControlPlane {
    /// The process.
    pub process: Process,
    /// Its addresses and the files that it created.
    pub ready: Ready,
    folder: PathBuf,
    sets: Vec<String>,
}

/// A control plane's ready file.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ready {
    /// The process id.
    pub pid: u32,
    /// The management listener's address.
    pub management: SocketAddr,
    /// The discovery listener's address.
    pub discovery: SocketAddr,
    /// The certificate of its authority.
    pub ca_cert: PathBuf,
    /// The join token.
    pub join_token_file: PathBuf,
}

// === impl ControlPlane ===

impl ControlPlane {
    /// Starts one with all files below `folder`.
    ///
    /// # Panics
    /// When it doesn't become ready.
    pub async fn start(folder: &Path, sets: &[String]) -> Self {
        let mut process = Process::start("control-plane", folder, Self::command(folder, sets));
        let ready = process.ready(&ready_file(folder)).await;
        Self {
            process,
            ready,
            folder: folder.to_owned(),
            sets: sets.to_vec(),
        }
    }

    /// The command that [`Self::start`] runs, for tests in which it must not become ready.
    #[must_use]
    pub fn command(folder: &Path, sets: &[String]) -> Command {
        let ready = ready_file(folder);
        // The file of an earlier start would be mistaken for this one's.
        let _ = std::fs::remove_file(&ready);
        let mut command = process::command("tidegate-control-plane");
        command.arg("--ready-file").arg(ready);
        let data = format!("data_dir={}", folder.join("control-plane").display());
        for set in [
            data.as_str(),
            "listen.management=127.0.0.1:0",
            "listen.discovery=127.0.0.1:0",
        ] {
            command.args(["--set", set]);
        }
        for set in sets {
            command.args(["--set", set]);
        }
        command.env("TIDEGATE_ADMIN__PASSWORD", PASSWORD);
        command
    }

    /// The data directory.
    #[must_use]
    pub fn data_dir(&self) -> PathBuf {
        self.folder.join("control-plane")
    }

    /// The URL of the management listener.
    #[must_use]
    pub fn url(&self) -> String {
        format!("https://{}", self.ready.management)
    }

    /// Kills it and starts it again on the same addresses, so that gateways can reconnect.
    ///
    /// # Panics
    /// When it doesn't become ready.
    pub async fn restart(&mut self) {
        self.process.kill();
        let mut sets = self.sets.clone();
        sets.push(format!("listen.management={}", self.ready.management));
        sets.push(format!("listen.discovery={}", self.ready.discovery));
        let command = Self::command(&self.folder, &sets);
        self.process = Process::start("control-plane", &self.folder, command);
        self.ready = self.process.ready(&ready_file(&self.folder)).await;
    }
}

fn ready_file(folder: &Path) -> PathBuf {
    folder.join("control-plane.ready.json")
}
