//! The Redis in which the data planes of an `up` share their quotas: an existing one, or a private redis-server that
//! starts and stops with the other processes.

use std::{net::TcpStream as StdStream, path::PathBuf, str::FromStr};

use anyhow::{Context as _, ensure};
use tokio::{io::BufReader, net::TcpStream};

use super::{files::Files, ports};
use crate::{
    demo::secrets::random_password,
    redis::{self, Reply},
};

/// The value of `--redis`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Redis {
    /// Start one.
    Auto,
    /// An existing one; the data planes validate its URL.
    Url(String),
}

/// The Redis that shares the quotas.
#[derive(Debug)]
pub(super) struct Shared {
    /// Its URL, with the password.
    pub(super) url: String,
    /// The server to start, if any.
    pub(super) own: Option<Own>,
}

/// A redis-server to start.
#[derive(Debug)]
pub(super) struct Own {
    pub(super) program: PathBuf,
    /// Its `redis.conf`.
    pub(super) configuration: PathBuf,
    port: u16,
    password: String,
}

impl FromStr for Redis {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once("://") {
            None if text == "auto" => Ok(Self::Auto),
            Some((scheme, rest)) if scheme.starts_with("redis") && !rest.is_empty() => {
                Ok(Self::Url(text.to_owned()))
            }
            _ => Err("it must be `auto` or a URL such as redis://127.0.0.1:6379".to_owned()),
        }
    }
}

impl Redis {
    /// Checks the requirements before anything is built or started.
    pub(super) fn prepare(&self, files: &Files) -> anyhow::Result<Shared> {
        let url = match self {
            Self::Url(url) => url.clone(),
            Self::Auto => return own(files),
        };
        // A gateway would continue without it, and only log a warning.
        let hosts = hosts(&url);
        ensure!(
            hosts.iter().any(|host| StdStream::connect(host).is_ok()),
            "nothing listens at {} (`--redis`): start a Redis there, or let `--redis auto` start one",
            hosts.join(", ")
        );
        Ok(Shared { url, own: None })
    }
}

/// The servers that a URL names, each with its port.
fn hosts(url: &str) -> Vec<String> {
    let (scheme, rest) = url.split_once("://").unwrap_or(("redis", url));
    let port = if scheme.contains("sentinel") {
        26379
    } else {
        6379
    };
    let authority = rest.split(['/', '?']).next().unwrap_or_default();
    let hosts = authority.rsplit('@').next().unwrap_or_default().split(',');
    let with_port = |host: &str| {
        // The last part of an IPv6 address isn't a port.
        let name = host.rsplit(']').next().unwrap_or_default();
        if name.contains(':') {
            host.to_owned()
        } else {
            format!("{host}:{port}")
        }
    };
    hosts.map(with_port).collect()
}

fn own(files: &Files) -> anyhow::Result<Shared> {
    let program = redis::server().context("`--redis auto` needs one")?;
    let port = ports::free_port().context("no port between 20000 and 29999 is free")?;
    let (folder, password) = (files.redis()?, random_password()?);
    let mut settings = redis::settings(&folder, port);
    settings.push(("requirepass".to_owned(), password.clone()));
    // Not on the command line, where all users of the machine could read the password.
    let configuration = files.write_redis_configuration(&redis::configuration(&settings))?;
    Ok(Shared {
        url: format!("redis://:{password}@127.0.0.1:{port}"),
        own: Some(Own {
            program,
            configuration,
            port,
            password,
        }),
    })
}

impl Own {
    /// Whether it answers with its own password: another server on the same port doesn't.
    pub(super) async fn answers(&self) -> bool {
        let Ok(stream) = TcpStream::connect(("127.0.0.1", self.port)).await else {
            return false;
        };
        let answer = redis::ask(&mut BufReader::new(stream), &["AUTH", &self.password]).await;
        answer.is_ok_and(|reply| reply == Reply::Text("OK".to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::{Redis, hosts};

    #[test]
    fn a_url_names_its_servers() {
        for (url, named) in [
            ("redis://:p@h", &["h:6379"][..]),
            ("rediss://u:p@h:1/2?x", &["h:1"]),
            ("redis://[::1]/", &["[::1]:6379"]),
            ("redis+sentinel://a,b:2/master", &["a:26379", "b:2"]),
        ] {
            assert_eq!(hosts(url), named);
        }
    }

    #[test]
    fn redis_is_a_url_or_auto() {
        assert_eq!("auto".parse(), Ok(Redis::Auto));
        for url in [
            "redis://h:1",
            "rediss://:secret@h",
            "redis+cluster://a:1,b:2",
        ] {
            assert_eq!(url.parse(), Ok(Redis::Url(url.to_owned())));
        }
        for wrong in ["", "Auto", "localhost:6379", "http://h", "redis://"] {
            assert!(wrong.parse::<Redis>().is_err(), "{wrong}");
        }
    }
}
