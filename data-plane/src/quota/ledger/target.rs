//! Where the shared ledger is: reads `ledger.url`, and makes the client that logs in there.
//!
//! `redis://` and `rediss://` as every Redis client has them; `redis+sentinel://[user:password@]host:port,…/master` and
//! `redis+cluster://[user:password@]host:port,…`, with `rediss+` for TLS. What sentinels themselves ask for stands in the
//! query: `?sentinel_user=…&sentinel_password=…&sentinel_tls=true`. User and password may have keys of their own instead
//! (`credentials`). RESP3, because its HELLO tells why nobody is let in, and AUTH through this client does not.

use std::{borrow::Cow, fmt};

use redis::{
    Client, ConnectionAddr, ConnectionInfo, IntoConnectionInfo as _, ProtocolVersion, RedisResult,
    TlsCertificates, TlsMode,
    cluster::{ClusterClient, ClusterClientBuilder},
    sentinel::{SentinelClient, SentinelClientBuilder, SentinelServerType},
};

use tidegate_kit::secret::Secret;

use super::credentials::{Credentials, Login};
use crate::auth::credential;

/// A Redis that was named, in one of its forms, and how to log in.
pub struct Target {
    place: Place,
    is_secure: bool,
    certificates: Option<TlsCertificates>,
    /// What stands in the URL.
    login: Login,
    credentials: Credentials,
}

enum Place {
    /// One server.
    One(Box<ConnectionInfo>),
    /// The master that Sentinels tell of.
    Sentinel {
        hosts: Vec<(String, u16)>,
        master: String,
        watch: Watch,
    },
    /// A Cluster.
    Cluster(Vec<ConnectionInfo>),
}

/// A client that can connect; of Sentinels it asks anew which server is the master.
pub(super) enum Peer {
    /// Of one server.
    One(Client),
    /// Of the master that Sentinels tell of.
    Sentinel(SentinelClient),
    /// Of a Cluster.
    Cluster(ClusterClient),
}

/// A `ledger.url` that leads nowhere, or does not go with the keys beside it. Does not repeat it: there may be a password
/// in it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`ledger.url` {0}")]
pub struct InvalidTarget(String);

/// What stands in the URL of a group of servers.
struct Group<'a> {
    user: Option<(Cow<'a, str>, Cow<'a, str>)>,
    hosts: Vec<(String, u16)>,
    path: &'a str,
    query: &'a str,
}

/// How a sentinel is spoken to, which may differ from how its master is.
#[derive(Debug, Default, PartialEq, Eq)]
struct Watch {
    user: Option<String>,
    password: Option<String>,
    is_secure: bool,
}

// === impl Target ===

impl Target {
    /// Reads a URL. `authority` is a certificate in PEM that servers' certificates lead to, where it is not the system's.
    ///
    /// # Errors
    /// Says what is wrong with it, or that it and `credentials` both name a user or a password.
    pub fn parse(
        url: &str,
        authority: Option<&[u8]>,
        credentials: Credentials,
    ) -> Result<Self, InvalidTarget> {
        // The one TLS stack of the process.
        tidegate_kit::tls::install();
        let certificates = authority.map(|pem| TlsCertificates {
            client_tls: None,
            root_cert: Some(pem.to_vec()),
        });
        let (scheme, rest) = url
            .split_once("://")
            .ok_or_else(|| InvalidTarget("has no scheme, such as redis://".to_owned()))?;
        let (place, login) = match scheme {
            "redis" | "rediss" => one(url)?,
            "redis+cluster" | "rediss+cluster" => {
                cluster(&Group::parse(rest, 6_379)?, scheme == "rediss+cluster")?
            }
            "redis+sentinel" | "rediss+sentinel" => sentinel(Group::parse(rest, 26_379)?)?,
            other => {
                return Err(InvalidTarget(format!(
                    "begins with `{other}://`; known are redis, rediss, redis+sentinel, rediss+sentinel, redis+cluster \
                     and rediss+cluster"
                )));
            }
        };
        let target = Self {
            place,
            is_secure: scheme.starts_with("rediss"),
            certificates,
            login,
            credentials,
        };
        target.agree()?;
        target
            .peer(&Login::default())
            .map_err(|error| unusable(&error))?;
        Ok(target)
    }

    /// Whether keys live on several servers.
    #[must_use]
    pub const fn is_cluster(&self) -> bool {
        matches!(self.place, Place::Cluster(_))
    }

    /// Where user and password come from that the URL does not name.
    pub(super) const fn credentials(&self) -> &Credentials {
        &self.credentials
    }

    /// Each of user and password stands in one place, and a user has a password.
    fn agree(&self) -> Result<(), InvalidTarget> {
        let twice = |what: &str, key: &str| {
            let text = format!("{what}, and so does `{key}`: keep one of them");
            Err(InvalidTarget(text))
        };
        let key = self.credentials.password_key();
        if let Some(key) = key
            && self.login.password.is_some()
        {
            return twice("holds a password", key);
        }
        if self.credentials.has_username() && self.login.username.is_some() {
            return twice("names a user", "ledger.username");
        }
        let has_user = self.credentials.has_username() || self.login.username.is_some();
        if has_user && key.is_none() && self.login.password.is_none() {
            return Err(InvalidTarget(
                "or `ledger.username` names a user, and there is no password: set `ledger.password` or \
                 `ledger.password_file`"
                    .to_owned(),
            ));
        }
        Ok(())
    }

    /// A client that logs in with what the URL holds, and this.
    pub(super) fn peer(&self, login: &Login) -> RedisResult<Peer> {
        let username = login.username.as_ref().or(self.login.username.as_ref());
        let password = login.password.as_ref().or(self.login.password.as_ref());
        let password = password.map(Secret::expose);
        match &self.place {
            Place::One(info) => {
                let mut settings = info.redis_settings().clone();
                settings = settings.set_protocol(ProtocolVersion::RESP3);
                if let Some(username) = username {
                    settings = settings.set_username(username);
                }
                if let Some(password) = password {
                    settings = settings.set_password(password);
                }
                let info = ConnectionInfo::clone(info).set_redis_settings(settings);
                let client = match &self.certificates {
                    Some(certificates) if self.is_secure => {
                        Client::build_with_tls(info, certificates.clone())
                    }
                    _ => Client::open(info),
                };
                client.map(Peer::One)
            }
            Place::Cluster(nodes) => {
                let mut builder = ClusterClientBuilder::new(nodes.clone());
                builder = builder.use_protocol(ProtocolVersion::RESP3);
                if let Some(username) = username {
                    builder = builder.username(username);
                }
                if let Some(password) = password {
                    builder = builder.password(password);
                }
                if let Some(certificates) = &self.certificates {
                    builder = builder.certs(certificates.clone());
                }
                // Who waits for a slow Cluster decides for itself how long.
                builder.retries(1).build().map(Peer::Cluster)
            }
            Place::Sentinel {
                hosts,
                master,
                watch,
            } => {
                let mut builder = SentinelClientBuilder::new(
                    watch.addresses(hosts),
                    master.as_str(),
                    SentinelServerType::Master,
                )?;
                builder = builder.set_client_to_redis_protocol(ProtocolVersion::RESP3);
                if let Some(username) = username {
                    builder = builder.set_client_to_redis_username(username);
                }
                if let Some(password) = password {
                    builder = builder.set_client_to_redis_password(password);
                }
                if self.is_secure {
                    builder = builder.set_client_to_redis_tls_mode(TlsMode::Secure);
                    if let Some(certificates) = &self.certificates {
                        builder = builder.set_client_to_redis_certificates(certificates.clone());
                    }
                }
                watch
                    .join(builder, self.certificates.as_ref())
                    .build()
                    .map(Peer::Sentinel)
            }
        }
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.place {
            Place::One(_) => "One",
            Place::Sentinel { .. } => "Sentinel",
            Place::Cluster(_) => "Cluster",
        })
    }
}

fn one(url: &str) -> Result<(Place, Login), InvalidTarget> {
    let info = url.into_connection_info().map_err(|_| {
        InvalidTarget(
            "cannot be read; what a URL does not hold as it is (`@`, `/`, `:`, `?`, `#`, `%`) is written with percent \
             signs, or the password is set as `ledger.password`"
                .to_owned(),
        )
    })?;
    let settings = info.redis_settings();
    let password = settings.password().filter(|it| !it.is_empty());
    let login = Login {
        username: settings.username().map(str::to_owned),
        password: password.map(|it| Secret::new(it.to_owned())),
    };
    Ok((Place::One(info.into()), login))
}

fn cluster(group: &Group<'_>, is_secure: bool) -> Result<(Place, Login), InvalidTarget> {
    if !group.query.is_empty() {
        let text = "names a cluster, which takes no query".to_owned();
        return Err(InvalidTarget(text));
    }
    let scheme = if is_secure { "rediss" } else { "redis" };
    let urls = group
        .hosts
        .iter()
        .map(|(host, port)| format!("{scheme}://{host}:{port}"));
    let nodes: RedisResult<Vec<_>> = urls.map(|url| url.into_connection_info()).collect();
    let nodes = nodes.map_err(|error| unusable(&error))?;
    Ok((Place::Cluster(nodes), group.login()))
}

fn sentinel(group: Group<'_>) -> Result<(Place, Login), InvalidTarget> {
    if group.path.is_empty() {
        return Err(InvalidTarget(
            "names no master: redis+sentinel://host:port,host:port/master".to_owned(),
        ));
    }
    let login = group.login();
    let place = Place::Sentinel {
        watch: Watch::parse(group.query)?,
        master: group.path.to_owned(),
        hosts: group.hosts,
    };
    Ok((place, login))
}

// === impl Group ===

impl<'a> Group<'a> {
    fn parse(rest: &'a str, usual: u16) -> Result<Self, InvalidTarget> {
        let (user, rest) = match rest.rsplit_once('@') {
            Some((user, rest)) => {
                let (user, password) = user.split_once(':').unwrap_or(("", user));
                (Some((plain(user)?, plain(password)?)), rest)
            }
            None => (None, rest),
        };
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (hosts, path) = rest.split_once('/').unwrap_or((rest, ""));
        let hosts: Result<Vec<_>, InvalidTarget> = hosts
            .split(',')
            .map(|host| {
                let (name, port) = match host.rsplit_once(':') {
                    Some((name, port)) => (name, port.parse().ok()),
                    None => (host, Some(usual)),
                };
                match port {
                    Some(port) if !name.is_empty() => Ok((name.to_owned(), port)),
                    // Where the `@` is missing, a password stands where an address should.
                    _ => Err(InvalidTarget(
                        "has no usable address: host:port, with commas between several".to_owned(),
                    )),
                }
            })
            .collect();
        Ok(Self {
            user,
            hosts: hosts?,
            path,
            query,
        })
    }

    fn login(&self) -> Login {
        let filled = |text: &Cow<'_, str>| (!text.is_empty()).then(|| text.clone().into_owned());
        Login {
            username: self.user.as_ref().and_then(|(user, _)| filled(user)),
            password: self
                .user
                .as_ref()
                .and_then(|(_, password)| filled(password))
                .map(Secret::new),
        }
    }
}

// === impl Watch ===

impl Watch {
    fn parse(query: &str) -> Result<Self, InvalidTarget> {
        let mut watch = Self::default();
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let value = plain(value)?.into_owned();
            match (name, value.as_str()) {
                ("sentinel_user", _) => watch.user = Some(value),
                ("sentinel_password", _) => watch.password = Some(value),
                ("sentinel_tls", "true") => watch.is_secure = true,
                ("sentinel_tls", "false") => watch.is_secure = false,
                _ => {
                    return Err(InvalidTarget(
                        "has something else in its query; known are sentinel_user, sentinel_password and sentinel_tls, \
                         which is true or false"
                            .to_owned(),
                    ));
                }
            }
        }
        Ok(watch)
    }

    fn addresses(&self, hosts: &[(String, u16)]) -> Vec<ConnectionAddr> {
        let hosts = hosts.iter().cloned();
        hosts
            .map(|(host, port)| match self.is_secure {
                true => ConnectionAddr::TcpTls {
                    host,
                    port,
                    insecure: false,
                    tls_params: None,
                },
                false => ConnectionAddr::Tcp(host, port),
            })
            .collect()
    }

    /// How sentinels are spoken to.
    fn join(
        &self,
        mut builder: SentinelClientBuilder,
        certificates: Option<&TlsCertificates>,
    ) -> SentinelClientBuilder {
        builder = builder.set_client_to_sentinel_protocol(ProtocolVersion::RESP3);
        if let Some(user) = &self.user {
            builder = builder.set_client_to_sentinel_username(user);
        }
        if let Some(password) = &self.password {
            builder = builder.set_client_to_sentinel_password(password);
        }
        if self.is_secure {
            builder = builder.set_client_to_sentinel_tls_mode(TlsMode::Secure);
            if let Some(certificates) = certificates {
                builder = builder.set_client_to_sentinel_certificates(certificates.clone());
            }
        }
        builder
    }
}

/// A user or a password, as other forms of the URL have it.
fn plain(text: &str) -> Result<Cow<'_, str>, InvalidTarget> {
    let broken = || InvalidTarget("has a `%` without its two digits".to_owned());
    credential::decode(text).ok_or_else(broken)
}

fn unusable(error: &redis::RedisError) -> InvalidTarget {
    InvalidTarget(format!("cannot be used: {error}"))
}

#[cfg(test)]
mod tests;
