//! What Redis's errors mean: the word that it refuses by, and what to do about it, on one line of a bounded length.
//!
//! The server's own text is quoted where it says more than the word, without what it repeats of the command, which may be
//! the password.

use std::time::Duration;

use redis::{ErrorKind, RedisError};

use super::credentials::Unreadable;

/// The ledger cannot be asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct LedgerError(String);

/// No longer text of a server is repeated, in characters.
const QUOTED_MAX: usize = 160;

/// Nor a longer word; Redis's longest has fifteen letters.
const WORD_MAX: usize = 20;

/// What is to be done about each word.
const WORDS: [(&str, &str); 15] = [
    (
        "NOAUTH",
        "Redis wants a password: set `ledger.password` or `ledger.password_file`",
    ),
    (
        "WRONGPASS",
        "Redis does not take this user and password: check `ledger.password` or `ledger.password_file`, and \
         `ledger.username`",
    ),
    (
        "NOPERM",
        "Redis does not let this user do it: allow it INFO, and scripts on keys that begin with `tidegate:`",
    ),
    (
        "LOADING",
        "Redis is still loading its data: wait until it has",
    ),
    (
        "READONLY",
        "Redis is a read-only replica: `ledger.url` must lead to the master, or to Sentinel",
    ),
    (
        "MASTERDOWN",
        "Redis is a replica that has lost its master: `ledger.url` must lead to the master, or to Sentinel",
    ),
    (
        "CLUSTERDOWN",
        "the Redis Cluster is down: some of its slots have no master; see CLUSTER INFO",
    ),
    (
        "MISCONF",
        "Redis takes no writes because it cannot save its data: make room on its disk, or turn snapshots off (`save \"\"`)",
    ),
    (
        "NOREPLICAS",
        "Redis takes no writes without its replicas: bring them back, or lower `min-replicas-to-write`",
    ),
    (
        "OOM",
        "Redis has no memory left: raise its `maxmemory`; an eviction policy other than noeviction loses counts",
    ),
    (
        "WRONGTYPE",
        "a key of Tidegate's has another type in Redis: give Tidegate a database of its own",
    ),
    (
        "MOVED",
        "Redis is part of a Cluster: write `ledger.url` as redis+cluster://host:port,…",
    ),
    (
        "BUSY",
        "Redis is busy running another client's script: wait, or end it with SCRIPT KILL",
    ),
    (
        "TRYAGAIN",
        "the Redis Cluster is moving keys: wait until it has",
    ),
    (
        "DENIED",
        "Redis lets in local connections only (protected mode): give it a password, and set `ledger.password`",
    ),
];

// === impl LedgerError ===

impl LedgerError {
    /// Nothing of it is a server's text.
    pub(super) const fn new(text: String) -> Self {
        Self(text)
    }

    /// The process ends, and nothing is read from disk any more.
    pub(super) fn stopped() -> Self {
        Self("the node is shutting down".to_owned())
    }

    /// It said nothing for so long.
    #[must_use]
    pub fn silent(time: Duration) -> Self {
        Self(format!(
            "Redis does not answer within {} ms",
            time.as_millis()
        ))
    }
}

impl From<Unreadable> for LedgerError {
    fn from(unreadable: Unreadable) -> Self {
        Self(quoted(&unreadable.to_string()))
    }
}

/// What is wrong, and what to do.
pub(super) fn explain(error: &RedisError) -> LedgerError {
    let text = error.to_string();
    let detail = quoted(error.detail().unwrap_or(&text));
    if let Some(word) = word(error, &text) {
        let known = WORDS.iter().find(|(known, _)| *known == word);
        return LedgerError(match known {
            // What Redis says of these adds nothing but who it is that it does not know.
            Some((_, advice)) if matches!(word, "NOAUTH" | "WRONGPASS") => {
                format!("{word}: {advice}")
            }
            Some((_, advice)) => format!("{word}: {advice} ({detail})"),
            None if word == "ERR" => format!("ERR: Redis request failed: {detail}"),
            None => format!("{word}: Redis refuses: {detail}"),
        });
    }
    LedgerError(match error.kind() {
        ErrorKind::AuthenticationFailed => {
            let advice = WORDS[1].1;
            format!("WRONGPASS: {advice}")
        }
        ErrorKind::RESP3NotSupported => {
            "what answers at `ledger.url` is too old, or no Redis: 6.2 or later is needed"
                .to_owned()
        }
        ErrorKind::MasterNameNotFoundBySentinel => format!(
            "no sentinel of `ledger.url` tells of a master: check its name and `sentinel_password` ({})",
            quoted(&text)
        ),
        _ if error.is_connection_refusal() => {
            format!("connection to `ledger.url` refused ({})", quoted(&text))
        }
        _ => format!("Redis request failed: {}", quoted(&text)),
    })
}

/// The word by which the server refuses. Redis before 7 puts that of what went wrong within a script behind words of its
/// own, and a Cluster's client those of its nodes into one text.
fn word<'a>(error: &'a RedisError, text: &str) -> Option<&'a str> {
    let plain = |code: &str| {
        code.len() <= WORD_MAX
            && code
                .bytes()
                .all(|byte| byte.is_ascii_uppercase() || byte == b'_')
    };
    match error.code() {
        Some("ERR") | None => {}
        Some(code) => return Some(if plain(code) { code } else { "ERR" }),
    }
    let mut words = text.split(|c: char| !c.is_ascii_uppercase());
    let within = words.find_map(|part| WORDS.iter().find(|(word, _)| *word == part));
    within.map(|(word, _)| *word).or(error.code())
}

/// One line of a server's text, cut where it would become long, or where it begins to repeat the command.
fn quoted(text: &str) -> String {
    let text = text
        .split(", with args beginning with")
        .next()
        .unwrap_or(text);
    let one_line = |c: char| if c.is_control() { ' ' } else { c };
    let mut line: String = text.chars().take(QUOTED_MAX).map(one_line).collect();
    if text.chars().nth(QUOTED_MAX).is_some() {
        line.push('…');
    }
    line
}
