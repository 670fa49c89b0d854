//! The last good configuration on disk: a log of changes with a checksum at each commit, rewritten when it has grown to
//! twice what it holds. Blocking; `keeper` calls it off the runtime.
//!
//! Owns the file and what is trusted of it. A file whose bytes are not what was written is refused whole and set aside.
//! A tail that never got its commit (the machine stopped while it was written) is cut off: what is before it was once
//! the whole truth.

pub(super) mod format;

use std::{
    collections::BTreeMap,
    fs::{File, OpenOptions, TryLockError},
    io::{self, Read as _, Seek as _, SeekFrom, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use prost::Message as _;
use sha2::Sha256;
use tidegate_kit::durable;
use tidegate_proto::{discovery::v1, revision::RevisionNumber};

use crate::snapshot::{
    Snapshot,
    decode::{InvalidResource, decode_trusted},
};
use format::{Changes, Content, Corrupt};

/// The open log.
#[derive(Debug)]
pub(super) struct Log {
    path: PathBuf,
    environment: String,
    file: File,
    /// Up to where the file is whole.
    length: u64,
    /// The hash of all bytes so far, which each commit seals.
    hash: Sha256,
    /// The length at which the log is rewritten.
    rewrite_at: u64,
    /// Locked as long as the log is open.
    lock: File,
}

/// Why there is no cache.
#[derive(Debug, thiserror::Error)]
pub(super) enum CacheError {
    /// The file system says no.
    #[error("cannot use the cache `{path}`: {cause}")]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// What it said.
        cause: io::Error,
    },
    /// Another process writes there.
    #[error("the cache `{0}` is another node's; give each node a `data_dir` of its own")]
    Taken(PathBuf),
    /// The bytes are not what was written.
    #[error("the cache is corrupt: {0}")]
    Corrupt(#[from] Corrupt),
}

const FILE: &str = "snapshot.cache";
/// Small logs are not worth rewriting.
const REWRITE_LEAST: u64 = 4 * 1024 * 1024;

// === impl Log ===

impl Log {
    /// Opens the log in a directory, and reads what it holds; `None` where it holds nothing for this environment.
    ///
    /// A corrupt file is set aside, said so in the log, and begun anew.
    pub(super) fn open(
        dir: &Path,
        environment: &str,
    ) -> Result<(Self, Option<Snapshot>), CacheError> {
        let failed = |cause| io_error(dir, cause);
        durable::create_folder(dir, 0o700).map_err(failed)?;
        let lock = private(&dir.join("snapshot.lock")).map_err(failed)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(CacheError::Taken(dir.to_owned())),
            Err(TryLockError::Error(cause)) => return Err(failed(cause)),
        }
        let path = dir.join(FILE);
        let held = match load(&path, environment) {
            Ok(held) => held,
            Err(CacheError::Corrupt(corrupt)) => {
                let aside = set_aside(&path)?;
                tracing::error!(
                    %corrupt,
                    aside = %aside.display(),
                    "configuration cache is invalid; starting without a configuration and waiting for the control plane"
                );
                None
            }
            Err(other) => return Err(other),
        };
        let (content, snapshot) = match held {
            Some((content, snapshot)) => (content, Some(snapshot)),
            None => (begin(&path, environment, &Changes::default())?, None),
        };
        let log = Self::resume(path, content, lock)?;
        Ok((log, snapshot))
    }

    /// Adds a commit. When it fails, the log is as it was before.
    pub(super) fn append(&mut self, changes: &Changes) -> Result<(), CacheError> {
        let mut hash = self.hash.clone();
        let mut buffer = Vec::new();
        format::encode(changes, None, &mut hash, &mut buffer);
        let written = self
            .file
            .seek(SeekFrom::Start(self.length))
            .and_then(|_| self.file.write_all(&buffer))
            .and_then(|()| self.file.sync_data());
        if let Err(cause) = written {
            // A part of a commit would be cut off at the next start; better not to leave one.
            drop(self.file.set_len(self.length));
            return Err(io_error(&self.path, cause));
        }
        self.hash = hash;
        self.length += buffer.len() as u64;
        Ok(())
    }

    /// Rewrites the log without what is superseded, if that is worth it. The old log stays until the new one is whole.
    pub(super) fn rewrite_if_grown(&mut self) -> Result<(), CacheError> {
        if self.length < self.rewrite_at {
            return Ok(());
        }
        // If it fails, the next try is as far away as it would be after a success.
        self.rewrite_at = self.length * 2;
        let content = read(&self.path)?;
        let resources = content.resources.into_iter();
        let whole = Changes {
            number: content.number,
            resources: resources.map(|(name, bytes)| (name, Some(bytes))).collect(),
        };
        let content = begin(&self.path, &self.environment, &whole)?;
        let lock = self.lock.try_clone();
        let lock = lock.map_err(|cause| io_error(&self.path, cause))?;
        *self = Self::resume(self.path.clone(), content, lock)?;
        Ok(())
    }

    fn resume(path: PathBuf, content: Content, lock: File) -> Result<Self, CacheError> {
        let file = OpenOptions::new().write(true).open(&path);
        let file = file
            .and_then(|file| file.set_len(content.length).map(|()| file))
            .map_err(|cause| io_error(&path, cause))?;
        Ok(Self {
            path,
            environment: content.environment,
            file,
            length: content.length,
            hash: content.hash,
            rewrite_at: (content.length * 2).max(REWRITE_LEAST),
            lock,
        })
    }
}

/// Reads the file, if there is one that is this environment's, and makes a snapshot of it.
fn load(path: &Path, environment: &str) -> Result<Option<(Content, Snapshot)>, CacheError> {
    let content = match read(path) {
        Ok(content) => content,
        Err(CacheError::Io { cause, .. }) if cause.kind() == io::ErrorKind::NotFound => {
            return Ok(None);
        }
        Err(other) => return Err(other),
    };
    if content.environment != environment {
        tracing::warn!(
            cached = content.environment,
            environment,
            "configuration cache belongs to another environment; ignoring it"
        );
        return Ok(None);
    }
    if content.number == RevisionNumber::ZERO && content.resources.is_empty() {
        return Ok(None);
    }
    let mut resources = Vec::with_capacity(content.resources.len());
    for (name, bytes) in &content.resources {
        // The bytes are those that were accepted once; newer software may be stricter.
        let resource = v1::Resource::decode(bytes.clone())
            .map_err(|_| InvalidResource::UnknownKind)
            .and_then(decode_trusted);
        match resource {
            Ok(resource) => resources.push(resource),
            Err(reason) => tracing::warn!(name, %reason, "cached resource skipped"),
        }
    }
    let (snapshot, conflicted) = Snapshot::default().apply(content.number, &[], resources);
    for conflicted in conflicted {
        tracing::warn!(name = %conflicted.name, reason = %conflicted.conflict, "cached resource skipped");
    }
    Ok(Some((content, snapshot)))
}

/// Writes a new file in place of the old one, whole or not at all.
fn begin(path: &Path, environment: &str, whole: &Changes) -> Result<Content, CacheError> {
    let (buffer, hash) = format::begin(environment, whole);
    durable::write(path, &buffer, 0o600).map_err(|cause| io_error(path, cause))?;
    Ok(Content {
        number: whole.number,
        resources: BTreeMap::new(),
        environment: environment.to_owned(),
        length: buffer.len() as u64,
        hash,
    })
}

/// Reads a file up to its last whole commit.
fn read(path: &Path) -> Result<Content, CacheError> {
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|mut file| file.read_to_end(&mut bytes))
        .map_err(|cause| io_error(path, cause))?;
    Ok(format::replay(&bytes.into())?)
}

/// Moves a file out of the way without overwriting one that was moved before.
fn set_aside(path: &Path) -> Result<PathBuf, CacheError> {
    let name = |n: u32| path.with_extension(format!("corrupt-{n}"));
    // The newest few are enough to find out what happened; the last place is used again.
    let aside = (1..10)
        .map(name)
        .find(|path| !path.exists())
        .unwrap_or_else(|| name(10));
    durable::rename(path, &aside).map_err(|cause| io_error(path, cause))?;
    Ok(aside)
}

/// Opens a file for writing that only its owner may read.
fn private(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
}

fn io_error(path: &Path, cause: io::Error) -> CacheError {
    CacheError::Io {
        path: path.to_owned(),
        cause,
    }
}

#[cfg(test)]
mod tests;
