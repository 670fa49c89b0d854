//! Passwords and client secrets of the demo, which are shown only once and needed at the next run: in files that only
//! their owner can read. Called by `demo` and `up`.

use std::{
    fs,
    io::{Read as _, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use serde::{Serialize, de::DeserializeOwned};

/// A folder of secrets.
#[derive(Debug)]
pub(crate) struct Secrets {
    folder: PathBuf,
}

// === impl Secrets ===

impl Secrets {
    /// The secrets in a folder, which must exist.
    pub(crate) fn in_folder(folder: &Path) -> Self {
        Self {
            folder: folder.to_owned(),
        }
    }

    /// Reads what an earlier run saved, if it did.
    pub(super) fn read<T: DeserializeOwned>(&self, file: &str) -> Option<T> {
        serde_json::from_str(&fs::read_to_string(self.folder.join(file)).ok()?).ok()
    }

    /// Saves a value for the next run.
    pub(super) fn write(&self, file: &str, value: &impl Serialize) -> anyhow::Result<()> {
        let text = serde_json::to_string_pretty(value)?;
        write_secret(&self.folder.join(file), &text)
    }
}

/// A random password.
pub(crate) fn random_password() -> anyhow::Result<String> {
    let mut bytes = [0_u8; 16];
    fs::File::open("/dev/urandom")
        .and_then(|mut random| random.read_exact(&mut bytes))
        .context("cannot make a password")?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Writes a line to a file that only its owner can read, atomically: with half a password nobody could sign in any
/// more.
pub(crate) fn write_secret(path: &Path, text: &str) -> anyhow::Result<()> {
    let beside = path.with_extension("writing");
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    let written = options
        .open(&beside)
        .and_then(|mut file| writeln!(file, "{text}").and_then(|()| file.sync_all()))
        .and_then(|()| fs::rename(&beside, path))
        .and_then(|()| fs::File::open(path.parent().unwrap_or(path))?.sync_all());
    written.with_context(|| format!("cannot write {}", path.display()))
}
