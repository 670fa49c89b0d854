//! The shared ledger: Redis, alone, behind Sentinel, or as a Cluster.
//!
//! Owns the connection, the keys and what Redis's errors mean; the only module that names `redis`. The rules are those of
//! `rules`, as scripts. Each ask is one script of one counter, so that in a Cluster it runs where the counter lives; those
//! of one exchange are written to the connection together. Called by `refill`.

mod credentials;
mod fault;
mod target;

use futures_util::future::join_all;
use redis::{
    RedisResult, Script, Value,
    aio::{ConnectionLike, MultiplexedConnection},
    cluster_async::ClusterConnection,
};
use tokio::task::spawn_blocking;

use crate::quota::{
    key::shard,
    rules::{Grant, GrantRequest, GrantResponse, LEARNING, LEASE, SeatRequest, SeatResponse},
};

pub use credentials::Credentials;
pub use fault::LedgerError;
use fault::explain;
use target::Peer;
pub use target::{InvalidTarget, Target};

/// What is asked of the ledger.
#[derive(Debug)]
pub enum Request {
    /// About a counter.
    Count(GrantRequest),
    /// About a gauge.
    Seat(SeatRequest),
}

/// What it answers.
#[derive(Debug)]
pub enum Reply {
    /// About a counter.
    Count(GrantResponse),
    /// About a gauge.
    Seat(SeatResponse),
    /// Nothing, about this one.
    Failed(String),
}

/// What the ledger says to a sign of life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hello {
    /// Its clock: milliseconds of Unix time.
    pub now: u64,
    /// When it was made; another value means that the one before was lost.
    pub since: u64,
    /// How many nodes there are.
    pub nodes: u64,
}

/// The shared ledger.
#[derive(Debug)]
pub struct Ledger {
    target: Target,
    prefix: String,
    /// Names this process, not the node: one that starts again must not write over what it spent before.
    node: u64,
    connection: Option<Connection>,
    grant: Script,
    seat: Script,
    hello: Script,
}

#[derive(Clone)]
enum Connection {
    One(MultiplexedConnection),
    Cluster(ClusterConnection),
}

/// How many shards a Cluster's keys are in.
const SHARDS: u8 = 64;

/// After how many milliseconds without a sign of life a node is not counted.
const GONE: u64 = 10_000;

/// The oldest version whose scripts do what these need.
const OLDEST: (u32, u32) = (6, 2);

// === impl Ledger ===

impl Ledger {
    /// The ledger of an environment. Connects when it is first asked.
    #[must_use]
    pub fn new(target: Target, environment: &str) -> Self {
        Self {
            target,
            prefix: format!("tidegate:{environment}"),
            node: rand::random::<u64>() >> 1,
            connection: None,
            grant: Script::new(include_str!("ledger/grant.lua")),
            seat: Script::new(include_str!("ledger/seat.lua")),
            hello: Script::new(include_str!("ledger/hello.lua")),
        }
    }

    /// Drops the connection: the next exchange makes a new one.
    pub fn disconnect(&mut self) {
        self.connection = None;
    }

    /// A sign of life.
    ///
    /// # Errors
    /// When the ledger cannot be asked.
    pub async fn hello(&mut self) -> Result<Hello, LedgerError> {
        let connection = self.connect().await?;
        let shards = if self.target.is_cluster() { SHARDS } else { 1 };
        let (script, prefix, node) = (&self.hello, &self.prefix, self.node);
        let hellos = (0..shards).map(|shard| {
            let mut connection = connection.clone();
            async move {
                let mut call = script.prepare_invoke();
                call.key(format!("{prefix}:{{{shard}}}:since"))
                    .key(format!("{prefix}:{{{shard}}}:nodes"))
                    .arg(node)
                    .arg(GONE);
                call.invoke_async::<(u64, u64, u64)>(&mut connection).await
            }
        });
        let hellos: RedisResult<Vec<_>> = join_all(hellos).await.into_iter().collect();
        let hellos = hellos.map_err(|error| explain(&error))?;
        Ok(Hello {
            now: hellos.iter().map(|it| it.0).max().unwrap_or_default(),
            // Any shard that is made anew changes the sum.
            since: hellos.iter().fold(0, |sum: u64, it| sum.wrapping_add(it.1)),
            nodes: hellos.iter().map(|it| it.2).max().unwrap_or(1),
        })
    }

    /// Asks; the replies are in the order of the requests.
    ///
    /// # Errors
    /// When the ledger cannot be asked at all.
    pub async fn exchange(&mut self, requests: &[Request]) -> Result<Vec<Reply>, LedgerError> {
        let connection = self.connect().await?;
        let calls = requests
            .iter()
            .map(|request| self.call(connection.clone(), request));
        let results = join_all(calls).await;
        let mut replies = Vec::with_capacity(results.len());
        for result in results {
            match result {
                Ok(reply) => replies.push(reply),
                // Redis answers, though not as it should: a key of another type is that counter's trouble alone, and
                // what is wrong with all of it, the next sign of life shows.
                Err(error) if error.code().is_some() => {
                    replies.push(Reply::Failed(explain(&error).to_string()));
                }
                Err(error) => return Err(explain(&error)),
            }
        }
        Ok(replies)
    }

    async fn call(&self, mut connection: Connection, request: &Request) -> RedisResult<Reply> {
        let shards = if self.target.is_cluster() { SHARDS } else { 1 };
        match request {
            Request::Count(ask) => {
                let at = format!("{}:{{{}}}", self.prefix, shard(&ask.key, shards));
                let mut call = self.grant.prepare_invoke();
                call.key(format!("{at}:{}:{}", ask.key, ask.epoch))
                    .key(format!("{at}:since"));
                for number in [
                    self.node,
                    ask.window,
                    ask.epoch,
                    ask.limit,
                    ask.seq,
                    ask.net,
                    ask.unspent,
                    ask.need,
                    ask.want,
                    LEARNING,
                ] {
                    call.arg(number);
                }
                let said: Vec<u64> = call.invoke_async(&mut connection).await?;
                Ok(Reply::Count(answer(&said)))
            }
            Request::Seat(ask) => {
                let at = format!("{}:{{{}}}", self.prefix, shard(&ask.key, shards));
                let mut call = self.seat.prepare_invoke();
                call.key(format!("{at}:{}", ask.key))
                    .key(format!("{at}:since"));
                for number in [
                    self.node, ask.limit, ask.seq, ask.taken, ask.want, LEARNING, LEASE,
                ] {
                    call.arg(number);
                }
                let (kind, amount): (u64, u64) = call.invoke_async(&mut connection).await?;
                Ok(Reply::Seat(match kind {
                    0 => SeatResponse::Granted(amount),
                    2 => SeatResponse::Learning { wait: amount },
                    _ => SeatResponse::Outdated,
                }))
            }
        }
    }

    async fn connect(&mut self) -> Result<Connection, LedgerError> {
        if let Some(connection) = &self.connection {
            return Ok(connection.clone());
        }
        let mut connection = self.open().await?;
        let info: Value = redis::cmd("INFO")
            .arg("server")
            .query_async(&mut connection)
            .await
            .map_err(|error| explain(&error))?;
        check_version(&info)?;
        self.connection = Some(connection.clone());
        Ok(connection)
    }

    /// Logs in with the password that holds by now.
    async fn open(&self) -> Result<Connection, LedgerError> {
        let credentials = self.target.credentials().clone();
        let login = spawn_blocking(move || credentials.read()).await;
        let login = login.map_err(|_| LedgerError::stopped())??;
        let peer = self.target.peer(&login).map_err(|error| explain(&error))?;
        let connection = async {
            Ok(match peer {
                Peer::One(client) => {
                    Connection::One(client.get_multiplexed_async_connection().await?)
                }
                Peer::Sentinel(mut client) => Connection::One(client.get_async_connection().await?),
                Peer::Cluster(client) => Connection::Cluster(client.get_async_connection().await?),
            })
        };
        connection.await.map_err(|error| explain(&error))
    }
}

// === impl Connection ===

impl ConnectionLike for Connection {
    fn req_packed_command<'a>(&'a mut self, cmd: &'a redis::Cmd) -> redis::RedisFuture<'a, Value> {
        match self {
            Self::One(connection) => connection.req_packed_command(cmd),
            Self::Cluster(connection) => connection.req_packed_command(cmd),
        }
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        cmd: &'a redis::Pipeline,
        offset: usize,
        count: usize,
    ) -> redis::RedisFuture<'a, Vec<Value>> {
        match self {
            Self::One(connection) => connection.req_packed_commands(cmd, offset, count),
            Self::Cluster(connection) => connection.req_packed_commands(cmd, offset, count),
        }
    }

    fn get_db(&self) -> i64 {
        match self {
            Self::One(connection) => connection.get_db(),
            Self::Cluster(connection) => connection.get_db(),
        }
    }
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::One(_) => "One",
            Self::Cluster(_) => "Cluster",
        })
    }
}

fn answer(said: &[u64]) -> GrantResponse {
    match *said {
        [0, now, granted, total, unspent_elsewhere, nodes, lasts] => {
            GrantResponse::Granted(Grant {
                granted,
                total,
                unspent_elsewhere,
                nodes,
                now,
                lasts,
            })
        }
        [1, now, ..] => GrantResponse::Stale { now },
        [2, now, wait, ..] => GrantResponse::Learning { now, wait },
        _ => GrantResponse::Outdated,
    }
}

fn check_version(info: &Value) -> Result<(), LedgerError> {
    let text = format!("{info:?}");
    let version = text.split("redis_version:").nth(1).map(|rest| {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.');
        &rest[..end.unwrap_or(rest.len())]
    });
    let Some(version) = version else {
        return Err(LedgerError::new(
            "what answers at `ledger.url` is no Redis: its INFO names no redis_version".to_owned(),
        ));
    };
    let mut parts = version.split('.').map(|part| part.parse().unwrap_or(0));
    let found = (parts.next().unwrap_or(0), parts.next().unwrap_or(0));
    if found < OLDEST {
        let (major, minor) = OLDEST;
        return Err(LedgerError::new(format!(
            "Redis {version} is too old: {major}.{minor} or later is needed"
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
