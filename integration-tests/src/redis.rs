//! A real redis-server as a fixture: it has its own folder and port, ends with the test, and can be made to fail as
//! Redis does. Sentinel and Cluster are in the modules below.

pub mod group;

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use rustix::process::Signal;
use tempfile::TempDir;
use tidegate_kit::tls::Authority;
use tokio::{io::BufReader, net::UnixStream, time::timeout};
use xtask::{
    redis::{self, Reply},
    up::ports::free_port,
};

use crate::{
    process::{self, Process},
    wait,
};

/// How long Redis may take for one command. A test that has stopped it must not send any.
const DEADLINE: Duration = Duration::from_secs(10);

/// How many ports to try, in case another process takes one meanwhile.
const PORTS: usize = 5;

/// A running redis-server. Dropping it stops it.
#[derive(Debug)]
pub struct Redis {
    process: Process,
    port: u16,
    options: Options,
    folder: TempDir,
}

/// The options of a redis-server.
#[derive(Clone, Debug, Default)]
pub struct Options {
    password: Option<String>,
    tls: bool,
    sentinel: bool,
    settings: Vec<(String, String)>,
}

// === impl Options ===

impl Options {
    /// Require a password.
    #[must_use]
    pub fn password(mut self, password: &str) -> Self {
        self.password = Some(password.to_owned());
        self
    }

    /// Use TLS, with a certificate of a private authority.
    #[must_use]
    pub fn tls(mut self) -> Self {
        self.tls = true;
        self
    }

    /// Run as a Sentinel.
    #[must_use]
    pub fn sentinel(mut self) -> Self {
        self.sentinel = true;
        self
    }

    /// A line of `redis.conf`.
    #[must_use]
    pub fn set(mut self, key: &str, value: &str) -> Self {
        self.settings.push((key.to_owned(), value.to_owned()));
        self
    }

    /// Starts it.
    ///
    /// # Panics
    /// When redis-server isn't installed or doesn't start.
    pub async fn start(self) -> Redis {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        if self.tls {
            write_certificate(folder.path());
        }
        for _ in 0..PORTS {
            let port = free_port().expect("a port is free");
            if let Some(process) = self.run(folder.path(), port).await {
                return Redis {
                    process,
                    port,
                    options: self,
                    folder,
                };
            }
        }
        panic!("redis-server does not start: {}", folder.path().display());
    }

    /// A process that answers; `None` if it exited, for example because the port is in use.
    async fn run(&self, folder: &Path, port: u16) -> Option<Process> {
        let configuration = folder.join("redis.conf");
        let text = redis::configuration(&self.configuration(folder, port));
        std::fs::write(&configuration, text).expect("the folder can be written");
        let program = redis::server().unwrap_or_else(|error| panic!("{error:#}"));
        let mut command = process::leashed(&program);
        command.arg(configuration);
        if self.sentinel {
            command.arg("--sentinel");
        }
        let mut process = Process::start("redis", folder, command);
        let answered = wait::until("redis-server answers or ends", async || {
            if process.exited().is_some() {
                return Some(false);
            }
            let answer = ask(folder, self.password.as_deref(), &["PING"]).await;
            answer.ok().map(|_| true)
        });
        answered.await.then_some(process)
    }

    fn configuration(&self, folder: &Path, port: u16) -> Vec<(String, String)> {
        let mut settings = redis::settings(folder, if self.tls { 0 } else { port });
        if self.sentinel {
            settings.retain(|(key, _)| !matches!(key.as_str(), "save" | "appendonly"));
        }
        let mut add = |key: &str, value: &str| settings.push((key.to_owned(), value.to_owned()));
        add("unixsocket", &socket(folder).to_string_lossy());
        if let Some(password) = &self.password {
            add("requirepass", password);
        }
        if self.tls {
            add("tls-port", &port.to_string());
            let file = |name: &str| folder.join(name).to_string_lossy().into_owned();
            add("tls-cert-file", &file("cert.pem"));
            add("tls-key-file", &file("key.pem"));
            add("tls-ca-cert-file", &file("ca.pem"));
            add("tls-auth-clients", "no");
        }
        settings.extend(self.settings.iter().cloned());
        settings
    }
}

// === impl Redis ===

impl Redis {
    /// Starts one like `cargo xtask up --redis auto`, without a password.
    ///
    /// # Panics
    /// When redis-server isn't installed or doesn't start.
    pub async fn start() -> Self {
        Self::options().start().await
    }

    /// The options for one.
    #[must_use]
    pub fn options() -> Options {
        Options::default()
    }

    /// Its URL, with the password.
    #[must_use]
    pub fn url(&self) -> String {
        self.url_with(self.options.password.as_deref())
    }

    /// Its URL with another password, or none.
    #[must_use]
    pub fn url_with(&self, password: Option<&str>) -> String {
        let scheme = if self.options.tls { "rediss" } else { "redis" };
        let who = password.map_or_else(String::new, |password| format!(":{password}@"));
        format!("{scheme}://{who}127.0.0.1:{}", self.port)
    }

    /// Its port on loopback.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The authority of its certificate.
    #[must_use]
    pub fn ca_cert(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    /// Sends a command and returns the reply, even if it's an error.
    ///
    /// # Panics
    /// When it doesn't answer.
    pub async fn command(&self, words: &[&str]) -> Reply {
        let answer = self.attempt(words).await;
        answer.unwrap_or_else(|error| panic!("Redis does not answer {words:?}: {error}"))
    }

    /// Sends a command to a Redis that may close the connection, as it does when its role changes.
    ///
    /// # Errors
    /// When it doesn't answer.
    pub async fn attempt(&self, words: &[&str]) -> anyhow::Result<Reply> {
        ask(self.folder.path(), self.options.password.as_deref(), words).await
    }

    /// Sends a command that must succeed.
    ///
    /// # Panics
    /// When it does not.
    pub async fn must(&self, words: &[&str]) -> Reply {
        match self.command(words).await {
            Reply::Error(error) => panic!("Redis refuses {words:?}: {error}"),
            reply => reply,
        }
    }

    /// Stops it in the middle of whatever it does: connections stay, nothing is answered.
    pub fn pause(&self) {
        self.process.signal(Signal::STOP);
    }

    /// Lets it go on.
    pub fn resume(&self) {
        self.process.signal(Signal::CONT);
    }

    /// Stops it for so long, as a disk or a swap does.
    pub async fn pause_for(&self, time: Duration) {
        self.pause();
        wait::pass(time).await;
        self.resume();
    }

    /// Ends it at once. Whatever it held is gone.
    pub fn kill(&mut self) {
        self.process.kill();
    }

    /// Ends it, if it runs, and starts it again on the same port, empty.
    ///
    /// # Panics
    /// When it does not start.
    pub async fn restart(&mut self) {
        self.process.kill();
        let started = self.options.run(self.folder.path(), self.port).await;
        self.process = started.expect("its port is still free");
    }

    /// Forgets everything.
    ///
    /// # Panics
    /// When it does not.
    pub async fn flush(&self) {
        self.must(&["FLUSHALL", "SYNC"]).await;
    }

    /// Changes a setting while it runs.
    ///
    /// # Panics
    /// When it refuses.
    pub async fn configure(&self, key: &str, value: &str) {
        self.must(&["CONFIG", "SET", key, value]).await;
    }

    /// Wants another password from now on, also of who is connected.
    ///
    /// # Panics
    /// When it refuses.
    pub async fn rekey(&mut self, password: &str) {
        self.configure("requirepass", password).await;
        self.options.password = (!password.is_empty()).then(|| password.to_owned());
        self.must(&["CLIENT", "KILL", "TYPE", "normal"]).await;
    }

    /// How many commands it has done.
    ///
    /// # Panics
    /// When it doesn't answer.
    pub async fn commands_processed(&self) -> u64 {
        let info = self.must(&["INFO", "stats"]).await;
        info.info("total_commands_processed").expect("INFO has it")
    }

    /// The keys that match a pattern.
    ///
    /// # Panics
    /// When it doesn't answer.
    pub async fn keys(&self, pattern: &str) -> Vec<String> {
        match self.must(&["KEYS", pattern]).await {
            Reply::Many(keys) => keys.into_iter().filter_map(|key| key.text().ok()).collect(),
            other => panic!("KEYS answered {other:?}"),
        }
    }

    /// Puts a text where other things are kept: under every key that matches.
    ///
    /// # Panics
    /// When there is no such key.
    pub async fn spoil(&self, pattern: &str) {
        let keys = self.keys(pattern).await;
        assert!(!keys.is_empty(), "no key matches {pattern}");
        for key in keys {
            self.must(&["SET", &key, "not what you keep here"]).await;
        }
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        // A stopped process is killed all the same; its log is shown by `Process` where the test fails.
        self.process.kill();
    }
}

fn socket(folder: &Path) -> PathBuf {
    folder.join("redis.sock")
}

/// Asks over the socket in its folder, which is there with and without TLS.
async fn ask(folder: &Path, password: Option<&str>, words: &[&str]) -> anyhow::Result<Reply> {
    let exchange = async {
        let mut io = BufReader::new(UnixStream::connect(socket(folder)).await?);
        if let Some(password) = password {
            redis::ask(&mut io, &["AUTH", password]).await?.text()?;
        }
        anyhow::Ok(redis::ask(&mut io, words).await?)
    };
    timeout(DEADLINE, exchange).await?
}

fn write_certificate(folder: &Path) {
    let authority = Authority::load_or_create(folder).expect("an authority can be made");
    let names = ["localhost".to_owned(), "127.0.0.1".to_owned()];
    let identity = authority.issue(&names).expect("a certificate can be made");
    for (name, text) in [
        ("cert.pem", &identity.chain_pem),
        ("key.pem", &identity.key_pem),
    ] {
        std::fs::write(folder.join(name), text).expect("the folder can be written");
    }
}
