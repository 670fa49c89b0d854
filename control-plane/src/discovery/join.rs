//! The join tokens that let gateways in. They are in a file, one in each line, which is read again when a node asks
//! to join: the first line is the current one, and those after it stay valid while nodes still use them.
//!
//! `app` makes them, `server` asks them.

use std::{
    fmt, fs, io,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
    time::Duration,
};

use sha2::{Digest as _, Sha256};
use tidegate_kit::secret::Secret;
use tokio::time::Instant;

/// The tokens of an installation.
pub struct JoinTokens {
    /// Where they may be replaced; `None` where they are fixed.
    file: Option<PathBuf>,
    held: Mutex<JoinTokenSet>,
}

struct JoinTokenSet {
    /// The SHA-256 of each: of equal length whatever is shown.
    hashes: Vec<[u8; 32]>,
    looked: Instant,
    /// What was wrong with the file when it was last looked at.
    trouble: String,
}

/// A file that holds no join tokens.
#[derive(Debug, thiserror::Error)]
pub enum JoinTokensError {
    /// It cannot be read.
    #[error("cannot read the join token in {path}: {cause}")]
    File {
        /// The file.
        path: PathBuf,
        /// What the system says.
        cause: io::Error,
    },
    /// Nothing is in it.
    #[error(
        "{0} is empty; write a join token into it, or delete it and start again to have one made"
    )]
    Empty(PathBuf),
    /// More is in it than anybody needs.
    #[error("{path} has {n_tokens} join tokens; leave the first {MOST} lines or fewer")]
    TooMany {
        /// The file.
        path: PathBuf,
        /// How many lines there are.
        n_tokens: usize,
    },
}

/// How many tokens may be valid at a time.
pub const MOST: usize = 8;
/// How often the file is looked at, at most: requests without a valid token must not keep the disk busy.
const LOOK_EVERY: Duration = Duration::from_secs(1);

// === impl JoinTokens ===

impl JoinTokens {
    /// One token that stays what it is.
    #[must_use]
    pub fn fixed(token: &Secret) -> Self {
        Self::new(None, vec![hash(token.expose().trim().as_bytes())])
    }

    /// The tokens in a file.
    ///
    /// # Errors
    /// When it cannot be read or holds none.
    pub fn in_file(path: &Path) -> Result<Self, JoinTokensError> {
        let hashes = hashes(path)?;
        Ok(Self::new(Some(path.to_owned()), hashes))
    }

    fn new(file: Option<PathBuf>, hashes: Vec<[u8; 32]>) -> Self {
        let held = JoinTokenSet {
            hashes,
            looked: Instant::now(),
            trouble: String::new(),
        };
        Self {
            file,
            held: Mutex::new(held),
        }
    }

    /// Whether a token is one of them. Compares hashes, and all bytes of all: neither the time it takes nor where it
    /// stops says anything of a token.
    pub(super) fn admit(&self, shown: &[u8]) -> bool {
        // An empty token is never accepted, whatever the tokens are.
        if shown.is_empty() {
            return false;
        }
        let shown = hash(shown);
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(path) = &self.file {
            held.look(path);
        }
        let is_equal = |known: &[u8; 32]| {
            let pairs = shown.iter().zip(known);
            pairs.fold(0, |differs, (a, b)| differs | (a ^ b)) == 0
        };
        held.hashes
            .iter()
            .fold(false, |admitted, known| admitted | is_equal(known))
    }
}

impl fmt::Debug for JoinTokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JoinTokens")
            .field("file", &self.file)
            .finish_non_exhaustive()
    }
}

// === impl JoinTokenSet ===

impl JoinTokenSet {
    /// Takes what is in the file now. An unusable file changes nothing, and is logged once.
    fn look(&mut self, path: &Path) {
        if self.looked.elapsed() < LOOK_EVERY {
            return;
        }
        self.looked = Instant::now();
        let trouble = match hashes(path) {
            Ok(found) => {
                if found != self.hashes {
                    tracing::info!(valid = found.len(), "the join tokens were replaced");
                    self.hashes = found;
                }
                String::new()
            }
            Err(cause) => cause.to_string(),
        };
        if !trouble.is_empty() && trouble != self.trouble {
            tracing::warn!(
                cause = trouble,
                "the join tokens cannot be read again; those from before stay valid"
            );
        }
        self.trouble = trouble;
    }
}

/// The tokens that a file holds, the current one first.
///
/// # Errors
/// When it cannot be read or holds none.
pub fn read(path: &Path) -> Result<Vec<Secret>, JoinTokensError> {
    let text = fs::read_to_string(path).map(Secret::new);
    let text = text.map_err(|cause| JoinTokensError::File {
        path: path.to_owned(),
        cause,
    })?;
    let lines = text.expose().lines().map(str::trim);
    let tokens: Vec<_> = lines
        .filter(|line| !line.is_empty())
        .map(|line| Secret::new(line.to_owned()))
        .collect();
    match tokens.len() {
        0 => Err(JoinTokensError::Empty(path.to_owned())),
        n_tokens if n_tokens > MOST => Err(JoinTokensError::TooMany {
            path: path.to_owned(),
            n_tokens,
        }),
        _ => Ok(tokens),
    }
}

fn hashes(path: &Path) -> Result<Vec<[u8; 32]>, JoinTokensError> {
    let tokens = read(path)?;
    Ok(tokens
        .iter()
        .map(|token| hash(token.expose().as_bytes()))
        .collect())
}

fn hash(token: &[u8]) -> [u8; 32] {
    Sha256::digest(token).into()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use tidegate_kit::secret::Secret;
    use tokio::time::advance;

    use super::{JoinTokens, LOOK_EVERY, MOST};

    #[tokio::test(start_paused = true)]
    async fn tokens_come_and_go_with_the_lines_of_their_file() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("join-token");
        fs::write(&file, "old\n").unwrap();
        let tokens = JoinTokens::in_file(&file).unwrap();
        let admitted = |shown: &[&str]| {
            let all = ["", "old", "new", "old\nnew"];
            for token in all {
                assert_eq!(
                    tokens.admit(token.as_bytes()),
                    shown.contains(&token),
                    "{token}"
                );
            }
        };
        admitted(&["old"]);
        fs::write(&file, "\nnew\n old \n").unwrap();
        admitted(&["old"]);
        advance(LOOK_EVERY).await;
        admitted(&["old", "new"]);
        fs::write(&file, "new").unwrap();
        advance(LOOK_EVERY).await;
        admitted(&["new"]);
        let too_many = "token\n".repeat(MOST + 1);
        for useless in ["", " \n\n", &too_many] {
            fs::write(&file, useless).unwrap();
            advance(LOOK_EVERY).await;
            admitted(&["new"]);
            assert!(JoinTokens::in_file(&file).is_err());
        }
        fs::remove_file(&file).unwrap();
        advance(LOOK_EVERY).await;
        admitted(&["new"]);
    }

    #[tokio::test]
    async fn a_fixed_token_is_the_only_one() {
        let tokens = JoinTokens::fixed(&Secret::new("mine".to_owned()));
        assert!(tokens.admit(b"mine"));
        assert!(!tokens.admit(b"") && !tokens.admit(b"yours"));
    }
}
