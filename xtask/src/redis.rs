//! Finds and configures a private redis-server, and has a minimal client for its protocol (RESP 2). For `up`, `bench
//! quota` and the integration tests; knows nothing of the data that Tidegate keeps in it.

use std::{
    io,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, bail};
use tokio::io::{
    AsyncBufRead, AsyncBufReadExt as _, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _,
};

use crate::test::needs;

/// Where packages install servers that aren't on every user's `PATH`.
const FOLDERS: [&str; 2] = ["/usr/sbin", "/usr/local/sbin"];

/// A reply of Redis.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// A simple or bulk string.
    Text(String),
    /// A number.
    Number(i64),
    /// Nothing.
    Null,
    /// An array of replies.
    Many(Vec<Reply>),
    /// An error message of Redis.
    Error(String),
}

/// The program `redis-server`.
///
/// # Errors
/// When it is not installed; the error says what to install.
pub fn server() -> anyhow::Result<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain(FOLDERS.map(PathBuf::from));
    match folders
        .map(|folder| folder.join("redis-server"))
        .find(|path| path.is_file())
    {
        Some(program) => Ok(program),
        None => bail!(
            "redis-server is not installed: {}",
            needs::advice("redis-server")
        ),
    }
}

/// The settings of a server in a folder of ours that listens on loopback and writes nothing to disk.
#[must_use]
pub fn settings(folder: &Path, port: u16) -> Vec<(String, String)> {
    let settings = [
        ("bind", "127.0.0.1".to_owned()),
        ("port", port.to_string()),
        ("dir", folder.display().to_string()),
        ("save", String::new()),
        ("appendonly", "no".to_owned()),
        ("daemonize", "no".to_owned()),
    ];
    settings.map(|(key, value)| (key.to_owned(), value)).into()
}

/// The text of a `redis.conf`.
#[must_use]
pub fn configuration(settings: &[(String, String)]) -> String {
    let line = |(key, value): &(String, String)| format!("{key} \"{value}\"\n");
    settings.iter().map(line).collect()
}

/// Sends one command and reads its reply.
///
/// # Errors
/// When the connection ends first.
pub async fn ask<T>(io: &mut T, words: &[&str]) -> io::Result<Reply>
where
    T: AsyncBufRead + AsyncWrite + Unpin + Send,
{
    let mut command = format!("*{}\r\n", words.len());
    for word in words {
        command.push_str(&format!("${}\r\n{word}\r\n", word.len()));
    }
    io.write_all(command.as_bytes()).await?;
    io.flush().await?;
    read(io).await
}

async fn read<T: AsyncBufRead + Unpin + Send>(io: &mut T) -> io::Result<Reply> {
    let mut line = String::new();
    if io.read_line(&mut line).await? == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    let line = line.trim_end();
    let (kind, rest) = line.split_at_checked(1).unwrap_or_default();
    let number = || rest.parse::<i64>().map_err(|_| invalid(line));
    Ok(match kind {
        "+" => Reply::Text(rest.to_owned()),
        "-" => Reply::Error(rest.to_owned()),
        ":" => Reply::Number(number()?),
        "$" => match usize::try_from(number()?) {
            Err(_) => Reply::Null,
            Ok(length) => {
                let mut bytes = vec![0; length + 2];
                io.read_exact(&mut bytes).await?;
                bytes.truncate(length);
                Reply::Text(String::from_utf8_lossy(&bytes).into_owned())
            }
        },
        "*" => {
            let mut many = Vec::new();
            for _ in 0..number()? {
                many.push(Box::pin(read(io)).await?);
            }
            Reply::Many(many)
        }
        _ => return Err(invalid(line)),
    })
}

fn invalid(line: &str) -> io::Error {
    io::Error::other(format!("this is not RESP 2: {line:?}"))
}

// === impl Reply ===

impl Reply {
    /// The text.
    ///
    /// # Errors
    /// When the reply is anything else, such as an error of Redis.
    pub fn text(self) -> anyhow::Result<String> {
        match self {
            Self::Text(text) => Ok(text),
            other => bail!("Redis answered {other:?}"),
        }
    }

    /// A number in a reply to `INFO`.
    ///
    /// # Errors
    /// When the field is missing.
    pub fn info(self, field: &str) -> anyhow::Result<u64> {
        let text = self.text()?;
        let value = text
            .lines()
            .find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
        let value = value.with_context(|| format!("INFO has no {field}"))?;
        value
            .trim()
            .parse()
            .with_context(|| format!("{field} is {value}"))
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{BufReader, join};

    use super::{Reply, ask};

    async fn answer(bytes: &[u8]) -> std::io::Result<Reply> {
        ask(
            &mut join(BufReader::new(bytes), tokio::io::sink()),
            &["PING"],
        )
        .await
    }

    #[tokio::test]
    async fn reads_every_kind_of_answer() {
        assert_eq!(
            answer(b"+PONG\r\n").await.unwrap(),
            Reply::Text("PONG".to_owned())
        );
        let error = answer(b"-NOAUTH who?\r\n").await.unwrap();
        assert_eq!(error, Reply::Error("NOAUTH who?".to_owned()));
        let many = answer(b"*3\r\n:-2\r\n$4\r\na\r\nb\r\n$-1\r\n")
            .await
            .unwrap();
        let text = Reply::Text("a\r\nb".to_owned());
        assert_eq!(
            many,
            Reply::Many(vec![Reply::Number(-2), text, Reply::Null])
        );
        assert!(answer(b"HTTP/1.1 400\r\n").await.is_err());
        assert!(answer(b"").await.is_err());
    }

    #[test]
    fn reads_a_number_out_of_info() {
        let info = Reply::Text("# Stats\r\ntotal_commands_processed:17\r\n".to_owned());
        assert_eq!(info.clone().info("total_commands_processed").unwrap(), 17);
        assert!(info.info("total_commands").is_err());
    }
}
