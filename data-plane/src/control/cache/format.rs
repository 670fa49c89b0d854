//! The bytes of the cache: commits that are sealed one after another. Pure; `cache` reads and writes the file.

use std::{collections::BTreeMap, ops::Range};

use bytes::Bytes;
use sha2::{Digest as _, Sha256};
use tidegate_proto::revision::RevisionNumber;

/// What changed between two commits: resources as they came over the wire, `None` for those that are gone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::control) struct Changes {
    pub(in crate::control) number: RevisionNumber,
    pub(in crate::control) resources: BTreeMap<String, Option<Bytes>>,
}

/// What a file holds.
pub(super) struct Content {
    pub(super) number: RevisionNumber,
    pub(super) resources: BTreeMap<String, Bytes>,
    pub(super) environment: String,
    /// Up to where it is whole.
    pub(super) length: u64,
    pub(super) hash: Sha256,
}

/// What is wrong with a cache's bytes.
#[derive(Debug, thiserror::Error)]
pub(in crate::control) enum Corrupt {
    /// Another kind of file, or another version of this one.
    #[error("it does not begin as a cache of this version does")]
    Magic,
    /// Something that is not in the format.
    #[error("the commit at byte {0} holds what no commit does")]
    Record(u64),
    /// A commit whose checksum is not that of what is before it.
    #[error("the checksum at byte {0} is wrong")]
    Checksum(u64),
    /// Nothing was ever committed.
    #[error("it ends before its first commit")]
    Empty,
}

/// Begins every cache; the last byte is the version of the format.
const MAGIC: &[u8; 8] = b"tidegat\x01";
/// A commit is a head, a body and a seal. The head holds the body's length (8 bytes, big-endian) and a checksum of it, so
/// that a commit that was cut short is told from one that was altered.
const HEAD: usize = 8 + 8;
/// SHA-256 of every byte of the file before the seal.
const SEAL: usize = 32;
/// What a file system writes at a time.
const PAGE: usize = 4096;
/// A body is the number (8 bytes) and records: a kind (1 byte), a length (4 bytes) and a payload.
const NUMBER: usize = 8;
const RECORD_HEAD: usize = 1 + 4;
const UPSERT: u8 = 1;
const REMOVAL: u8 = 2;
/// Of the first commit only.
const ENVIRONMENT: u8 = 3;

// === impl Changes ===

impl Changes {
    /// Adds what came later, which goes before what was there.
    pub(in crate::control) fn add(&mut self, later: Self) {
        self.number = later.number;
        self.resources.extend(later.resources);
    }
}

/// The bytes with which a cache begins.
pub(super) fn begin(environment: &str, whole: &Changes) -> (Vec<u8>, Sha256) {
    let mut buffer = MAGIC.to_vec();
    let mut hash = Sha256::new();
    hash.update(MAGIC);
    encode(whole, Some(environment), &mut hash, &mut buffer);
    (buffer, hash)
}

/// Appends a commit to `buffer`, sealed with the hash of everything before.
pub(super) fn encode(
    changes: &Changes,
    environment: Option<&str>,
    hash: &mut Sha256,
    buffer: &mut Vec<u8>,
) {
    let start = buffer.len();
    buffer.extend_from_slice(&[0; HEAD]);
    buffer.extend_from_slice(&changes.number.get().to_be_bytes());
    if let Some(environment) = environment {
        record(ENVIRONMENT, environment.as_bytes(), buffer);
    }
    for (name, bytes) in &changes.resources {
        match bytes {
            Some(bytes) => record(UPSERT, bytes, buffer),
            None => record(REMOVAL, name.as_bytes(), buffer),
        }
    }
    let length = ((buffer.len() - start - HEAD) as u64).to_be_bytes();
    buffer[start..start + 8].copy_from_slice(&length);
    buffer[start + 8..start + HEAD].copy_from_slice(&checksum(&length));
    hash.update(&buffer[start..]);
    let seal = hash.clone().finalize();
    buffer.extend_from_slice(&seal);
    hash.update(seal);
}

fn record(kind: u8, payload: &[u8], buffer: &mut Vec<u8>) {
    let length = u32::try_from(payload.len());
    let length = length.expect("a message of the stream is smaller than 4 GiB");
    buffer.push(kind);
    buffer.extend_from_slice(&length.to_be_bytes());
    buffer.extend_from_slice(payload);
}

fn checksum(length: &[u8]) -> [u8; 8] {
    let digest = Sha256::digest(length);
    let mut head = [0; 8];
    head.copy_from_slice(&digest[..8]);
    head
}

/// Reads a file up to its last whole commit.
pub(super) fn replay(bytes: &Bytes) -> Result<Content, Corrupt> {
    if !bytes.starts_with(MAGIC) {
        return Err(Corrupt::Magic);
    }
    let mut content = Content {
        number: RevisionNumber::ZERO,
        resources: BTreeMap::new(),
        environment: String::new(),
        length: MAGIC.len() as u64,
        hash: Sha256::new(),
    };
    content.hash.update(MAGIC);
    let mut at = MAGIC.len();
    while let Some(body) = next_body(bytes, at)? {
        let end = body.end + SEAL;
        let before = content.hash.clone();
        content.hash.update(&bytes[at..body.end]);
        if content.hash.clone().finalize().as_slice() != &bytes[body.end..end] {
            if end == bytes.len() && ends_unwritten(bytes) {
                content.hash = before;
                break;
            }
            return Err(Corrupt::Checksum(at as u64));
        }
        content.hash.update(&bytes[body.end..end]);
        content
            .commit(&bytes.slice(body))
            .ok_or(Corrupt::Record(at as u64))?;
        content.length = end as u64;
        at = end;
    }
    if at == MAGIC.len() {
        return Err(Corrupt::Empty);
    }
    if at < bytes.len() {
        tracing::warn!(
            number = %content.number,
            "last change in the configuration cache is incomplete; using the state before it"
        );
    }
    Ok(content)
}

/// Where the body of the commit at a position is; `None` where the file ends before the commit does.
fn next_body(bytes: &Bytes, at: usize) -> Result<Option<Range<usize>>, Corrupt> {
    let Some(head) = bytes.get(at..at + HEAD) else {
        return Ok(None);
    };
    let (length, check) = head.split_at(8);
    if checksum(length) != check {
        return match ends_unwritten(bytes) {
            true => Ok(None),
            false => Err(Corrupt::Checksum(at as u64)),
        };
    }
    let length = u64::from_be_bytes(length.try_into().expect("the half of a head is 8 bytes"));
    let start = at + HEAD;
    let end = usize::try_from(length)
        .ok()
        .and_then(|length| start.checked_add(length));
    let whole = end.filter(|end| end.saturating_add(SEAL) <= bytes.len());
    Ok(whole.map(|end| start..end))
}

/// Whether the file ends in what was never written: after a power failure a file may have its new length and, from some
/// page on, zeros.
fn ends_unwritten(bytes: &[u8]) -> bool {
    let written = bytes.iter().rposition(|byte| *byte != 0);
    let zeros_from = written.map_or(0, |last| last + 1);
    bytes.len() - zeros_from >= SEAL || zeros_from.next_multiple_of(PAGE) < bytes.len()
}

// === impl Content ===

impl Content {
    /// Applies the body of a commit; `None` for what no log would hold.
    fn commit(&mut self, body: &Bytes) -> Option<()> {
        let number = body.get(..NUMBER)?.try_into().ok()?;
        self.number = RevisionNumber::new(u64::from_be_bytes(number));
        let mut at = NUMBER;
        while at < body.len() {
            let (kind, length) = body.get(at..at + RECORD_HEAD)?.split_first()?;
            let length = u32::from_be_bytes(length.try_into().ok()?);
            let start = at + RECORD_HEAD;
            let end = start.checked_add(usize::try_from(length).ok()?)?;
            if end > body.len() {
                return None;
            }
            let payload = body.slice(start..end);
            match *kind {
                ENVIRONMENT => self.environment = text(&payload)?,
                UPSERT => drop(self.resources.insert(name_of(&payload)?, payload)),
                REMOVAL => drop(self.resources.remove(&text(&payload)?)),
                _ => return None,
            }
            at = end;
        }
        Some(())
    }
}

/// The name in an encoded resource: field 1, which the encoder writes first.
fn name_of(resource: &Bytes) -> Option<String> {
    let (&tag, rest) = resource.split_first()?;
    if tag != 0x0a {
        return None;
    }
    let mut rest = rest;
    let length = prost::encoding::decode_varint(&mut rest).ok()?;
    let name = rest.get(..usize::try_from(length).ok()?)?;
    String::from_utf8(name.to_vec()).ok()
}

fn text(payload: &Bytes) -> Option<String> {
    String::from_utf8(payload.to_vec()).ok()
}
