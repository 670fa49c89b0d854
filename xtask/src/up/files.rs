//! The data directory of `up`, which it keeps between two runs. Secrets are readable by their owner only.

use std::{
    fs,
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use anyhow::{Context as _, bail};

use crate::demo::{
    accounts,
    secrets::{Secrets, random_password, write_secret},
    seed,
};

/// The data directory.
#[derive(Debug)]
pub(super) struct Files {
    root: PathBuf,
    /// Held while this `up` runs: another one would empty the folders and overwrite the logs.
    _lock: fs::File,
}

const CONTROL_PLANE: &str = "control-plane";
const DATA_PLANE: &str = "data-plane-";
const LOGS: &str = "logs";
const RUN: &str = "run";
const PASSWORD: &str = "admin-password";
const REDIS: &str = "redis";
const LOCK: &str = "lock";

// === impl Files ===

impl Files {
    /// Opens the data directory. Creates it if it's missing, and deletes an earlier run's files if `fresh`.
    pub(super) fn open(folder: &Path, fresh: bool) -> anyhow::Result<Self> {
        let within = |what: &str| format!("cannot {what} the data directory {}", folder.display());
        let mut private = fs::DirBuilder::new();
        private.recursive(true).mode(0o700);
        private.create(folder).with_context(|| within("make"))?;
        let root = folder.canonicalize().with_context(|| within("find"))?;
        let lock = lock(&root)?;
        if fresh {
            forget(&root).with_context(|| within("empty"))?;
        }
        for part in [LOGS, RUN] {
            private
                .create(root.join(part))
                .with_context(|| within("write to"))?;
        }
        Ok(Self { root, _lock: lock })
    }

    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    pub(super) fn logs(&self) -> PathBuf {
        self.root.join(LOGS)
    }

    pub(super) fn control_plane(&self) -> PathBuf {
        self.root.join(CONTROL_PLANE)
    }

    pub(super) fn data_plane(&self, node: usize) -> PathBuf {
        self.root.join(format!("{DATA_PLANE}{node}"))
    }

    /// The path of a process's ready file, after removing an old one.
    pub(super) fn ready(&self, process: &str) -> anyhow::Result<PathBuf> {
        let path = self.root.join(RUN).join(format!("{process}.json"));
        match fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(error).with_context(|| format!("cannot remove {}", path.display()))
            }
            _ => Ok(path),
        }
    }

    /// The first admin's password, created at the first start.
    pub(super) fn password(&self) -> anyhow::Result<String> {
        let path = self.root.join(PASSWORD);
        match fs::read_to_string(&path) {
            Ok(password) if !password.trim().is_empty() => return Ok(password.trim().to_owned()),
            _ => {}
        }
        let password = random_password()?;
        write_secret(&path, &password)?;
        Ok(password)
    }

    /// The folder of a private Redis.
    pub(super) fn redis(&self) -> anyhow::Result<PathBuf> {
        let folder = self.root.join(REDIS);
        let made = fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&folder);
        made.with_context(|| format!("cannot make {}", folder.display()))?;
        Ok(folder)
    }

    /// Writes the configuration of the private Redis.
    pub(super) fn write_redis_configuration(&self, configuration: &str) -> anyhow::Result<PathBuf> {
        let path = self.root.join(REDIS).join("redis.conf");
        write_secret(&path, configuration)?;
        Ok(path)
    }

    /// The secrets of the demo.
    pub(super) fn secrets(&self) -> Secrets {
        Secrets::in_folder(&self.root)
    }
}

/// Locks the data directory for this `up`. The lock is released when the process exits.
fn lock(root: &Path) -> anyhow::Result<fs::File> {
    let path = root.join(LOCK);
    let file = fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(&path)
        .with_context(|| format!("cannot write {}", path.display()))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(fs::TryLockError::WouldBlock) => bail!(
            "another `up` runs in {}; stop it, or choose another folder with `--data-dir`",
            root.display()
        ),
        Err(fs::TryLockError::Error(error)) => {
            Err(error).with_context(|| format!("cannot lock {}", path.display()))
        }
    }
}

/// Removes only what `up` created: the folder may contain other files.
fn forget(root: &Path) -> std::io::Result<()> {
    for entry in fs::read_dir(root)? {
        let entry = entry?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        let ours = matches!(
            &*name,
            CONTROL_PLANE | LOGS | RUN | PASSWORD | seed::FILE | accounts::FILE | REDIS
        ) || name
            .strip_prefix(DATA_PLANE)
            .is_some_and(|number| number.parse::<u16>().is_ok());
        match (ours, entry.file_type()?.is_dir()) {
            (true, true) => fs::remove_dir_all(entry.path())?,
            (true, false) => fs::remove_file(entry.path())?,
            (false, _) => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::Files;

    #[test]
    fn a_data_directory_is_for_one_up_at_a_time() {
        let folder = std::env::temp_dir().join(format!("tidegate-up-{}", std::process::id()));
        let first = Files::open(&folder, false).unwrap();
        let error = Files::open(&folder, true).unwrap_err().to_string();
        assert!(error.contains("another `up`"), "{error}");
        assert!(first.logs().is_dir(), "nothing is forgotten under it");
        drop(first);
        Files::open(&folder, true).unwrap();
        fs::remove_dir_all(&folder).unwrap();
    }
}
