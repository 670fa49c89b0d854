//! Where the shared ledger is: reads `ledger.url`.
//!
//! `redis://` and `rediss://` as every Redis client has them; `redis+sentinel://[user:password@]host:port,…/master` and
//! `redis+cluster://[user:password@]host:port,…`, with `rediss+` for TLS. What sentinels themselves ask for stands in the
//! query: `?sentinel_user=…&sentinel_password=…&sentinel_tls=true`.

use std::{borrow::Cow, fmt, sync::Arc};

use redis::{
    Client, ConnectionAddr, IntoConnectionInfo as _, RedisResult, TlsCertificates, TlsMode,
    cluster::{ClusterClient, ClusterClientBuilder},
    sentinel::{SentinelClient, SentinelClientBuilder, SentinelServerType},
};

use crate::auth::credential;

/// A Redis that was named, in one of its forms.
pub enum Target {
    /// One server.
    One(Box<Client>),
    /// The master that Sentinels tell of; made anew for each connection, for it may be another by then.
    Sentinel(Arc<dyn Fn() -> RedisResult<SentinelClient> + Send + Sync>),
    /// A Cluster.
    Cluster(Box<ClusterClient>),
}

/// A `ledger.url` that leads nowhere. Does not repeat it: there may be a password in it.
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
    /// Says what is wrong with it.
    pub fn parse(url: &str, authority: Option<&[u8]>) -> Result<Self, InvalidTarget> {
        // The one TLS stack of the process.
        tidegate_kit::tls::install();
        let certificates = authority.map(|pem| TlsCertificates {
            client_tls: None,
            root_cert: Some(pem.to_vec()),
        });
        let (scheme, rest) = url
            .split_once("://")
            .ok_or_else(|| InvalidTarget("has no scheme, such as redis://".to_owned()))?;
        let is_secure = scheme.starts_with("rediss");
        match scheme {
            "redis" => Client::open(url)
                .map(|client| Self::One(client.into()))
                .map_err(|error| unusable(&error)),
            "rediss" => match certificates {
                Some(certificates) => Client::build_with_tls(url, certificates),
                None => Client::open(url),
            }
            .map(|client| Self::One(client.into()))
            .map_err(|error| unusable(&error)),
            "redis+cluster" | "rediss+cluster" => {
                cluster(&Group::parse(rest, 6_379)?, is_secure, certificates)
            }
            "redis+sentinel" | "rediss+sentinel" => {
                sentinel(&Group::parse(rest, 26_379)?, is_secure, certificates)
            }
            other => Err(InvalidTarget(format!(
                "begins with `{other}://`; known are redis, rediss, redis+sentinel, rediss+sentinel, redis+cluster and \
                 rediss+cluster"
            ))),
        }
    }

    /// Whether keys live on several servers.
    #[must_use]
    pub const fn is_cluster(&self) -> bool {
        matches!(self, Self::Cluster(_))
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::One(_) => "One",
            Self::Sentinel(_) => "Sentinel",
            Self::Cluster(_) => "Cluster",
        })
    }
}

fn cluster(
    group: &Group<'_>,
    is_secure: bool,
    certificates: Option<TlsCertificates>,
) -> Result<Target, InvalidTarget> {
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
    let mut builder = ClusterClientBuilder::new(nodes.map_err(|error| unusable(&error))?);
    if let Some((user, password)) = &group.user {
        if !user.is_empty() {
            builder = builder.username(user);
        }
        builder = builder.password(password);
    }
    if let Some(certificates) = certificates {
        builder = builder.certs(certificates);
    }
    // Who waits for a slow Cluster decides for itself how long.
    let client = builder.retries(1).build();
    client
        .map(|client| Target::Cluster(client.into()))
        .map_err(|error| unusable(&error))
}

fn sentinel(
    group: &Group<'_>,
    is_secure: bool,
    certificates: Option<TlsCertificates>,
) -> Result<Target, InvalidTarget> {
    if group.path.is_empty() {
        return Err(InvalidTarget(
            "names no master: redis+sentinel://host:port,host:port/master".to_owned(),
        ));
    }
    let watch = Watch::parse(group.query)?;
    let hosts = group.hosts.clone();
    let master = group.path.to_owned();
    let user = group.user.as_ref();
    let user = user.map(|(user, password)| (user.to_string(), password.to_string()));
    let build = move || {
        let addresses = hosts.iter().map(|(host, port)| match watch.is_secure {
            true => ConnectionAddr::TcpTls {
                host: host.clone(),
                port: *port,
                insecure: false,
                tls_params: None,
            },
            false => ConnectionAddr::Tcp(host.clone(), *port),
        });
        let mut builder =
            SentinelClientBuilder::new(addresses, master.as_str(), SentinelServerType::Master)?;
        if let Some((user, password)) = &user {
            if !user.is_empty() {
                builder = builder.set_client_to_redis_username(user);
            }
            builder = builder.set_client_to_redis_password(password);
        }
        if is_secure {
            builder = builder.set_client_to_redis_tls_mode(TlsMode::Secure);
            if let Some(certificates) = &certificates {
                builder = builder.set_client_to_redis_certificates(certificates.clone());
            }
        }
        if let Some(user) = &watch.user {
            builder = builder.set_client_to_sentinel_username(user);
        }
        if let Some(password) = &watch.password {
            builder = builder.set_client_to_sentinel_password(password);
        }
        if watch.is_secure {
            builder = builder.set_client_to_sentinel_tls_mode(TlsMode::Secure);
            if let Some(certificates) = &certificates {
                builder = builder.set_client_to_sentinel_certificates(certificates.clone());
            }
        }
        builder.build()
    };
    build().map_err(|error| unusable(&error))?;
    Ok(Target::Sentinel(Arc::new(build)))
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
                    _ => Err(InvalidTarget(format!("has no usable address in `{host}`"))),
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
                    return Err(InvalidTarget(format!(
                        "has `{name}` in its query; known are sentinel_user, sentinel_password and sentinel_tls, which is \
                         true or false"
                    )));
                }
            }
        }
        Ok(watch)
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
mod tests {
    use super::{Group, Target, Watch};

    #[test]
    fn every_form_of_redis_is_understood() {
        for url in [
            "redis://localhost",
            "redis://:secret@localhost:6380/2",
            "rediss://user:secret@redis.example:6380",
        ] {
            assert!(
                matches!(Target::parse(url, None), Ok(Target::One(_))),
                "{url}"
            );
        }
        let sentinel = "redis+sentinel://:secret@a:26379,b:26379/main";
        assert!(matches!(
            Target::parse(sentinel, None),
            Ok(Target::Sentinel(_))
        ));
        let cluster = Target::parse("redis+cluster://a:6379,b", None).unwrap();
        assert!(cluster.is_cluster());
    }

    #[test]
    fn what_no_url_may_hold_is_written_with_percent_signs_in_every_form() {
        let group = Group::parse("us%3Aer:p%40ss%2F@a:26379/main", 1).unwrap();
        let user = group
            .user
            .map(|(user, password)| (user.into_owned(), password.into_owned()));
        assert_eq!(user, Some(("us:er".to_owned(), "p@ss/".to_owned())));
        let broken = Target::parse("redis+cluster://:geheim%4@a:1", None).unwrap_err();
        let broken = broken.to_string();
        assert!(
            broken.contains("`%`") && !broken.contains("geheim"),
            "{broken}"
        );
    }

    #[test]
    fn sentinels_may_ask_for_more_than_their_master() {
        let group = Group::parse("a/main?sentinel_password=p%26q&sentinel_tls=true", 1).unwrap();
        assert_eq!(group.path, "main");
        let watch = Watch {
            user: None,
            password: Some("p&q".to_owned()),
            is_secure: true,
        };
        assert_eq!(Watch::parse(group.query).unwrap(), watch);
        assert_eq!(Watch::parse("").unwrap(), Watch::default());
    }

    #[test]
    fn what_leads_nowhere_is_refused_and_no_password_is_repeated() {
        for (url, expected) in [
            ("localhost:6379", "no scheme"),
            ("http://:geheim@localhost", "begins with `http://`"),
            ("redis+sentinel://:geheim@a:26379", "names no master"),
            ("redis+cluster://:geheim@a:port", "no usable address"),
            ("redis+cluster://:geheim@a:1?sentinel_tls=true", "no query"),
            ("redis+sentinel://a/m?password=geheim", "`password`"),
            ("redis+sentinel://a/m?sentinel_tls=geheim", "true or false"),
        ] {
            let error = Target::parse(url, None).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
            assert!(!error.contains("geheim"), "{error}");
        }
    }
}
