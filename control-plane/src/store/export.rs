//! A store as one text file that can restore everything: a head, a line for each record and audit entry, and a SHA-256
//! over all of it. Holds hashes of secrets and the private signing keys: keep it as safe as the store.

use std::{
    collections::BTreeMap,
    io::{BufRead, Write},
};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::{
    Store, StoreError,
    change::{Contents, Meta},
    load::load,
    memory::MemoryStore,
    migrate,
    record::{self, audit_key, hex, unframe},
};

/// One line of an export.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Line {
    Head {
        tidegate_export: u32,
        meta: Meta,
        audit_entries: u64,
    },
    Record {
        key: String,
        value: String,
    },
    Audit {
        number: u64,
        value: String,
    },
    End {
        sha256: String,
    },
}

/// The layout of the file itself.
const LAYOUT: u32 = 1;

/// Writes everything in a store.
///
/// # Errors
/// When the store is empty or cannot be read, or the file cannot be written.
pub fn export(store: &dyn Store, to: &mut dyn Write) -> Result<Meta, StoreError> {
    let contents = Contents::of(store)?.ok_or_else(|| StoreError::Io {
        doing: "export",
        why: "nothing was ever kept in it".to_owned(),
    })?;
    let mut digest = Sha256::new();
    let mut line = |line: &Line| -> Result<(), StoreError> {
        let mut text = serde_json::to_string(line).expect("a line is representable in JSON");
        text.push('\n');
        digest.update(&text);
        to.write_all(text.as_bytes()).map_err(|e| failed(&e))
    };
    line(&Line::Head {
        tidegate_export: LAYOUT,
        meta: contents.meta,
        audit_entries: contents.audit.len() as u64,
    })?;
    for (key, framed) in &contents.records {
        unframe(key, framed)?;
        line(&Line::Record {
            key: key.clone(),
            value: text(framed)?,
        })?;
    }
    for (&number, framed) in &contents.audit {
        unframe(&audit_key(number), framed)?;
        line(&Line::Audit {
            number,
            value: text(framed)?,
        })?;
    }
    let end = Line::End {
        sha256: hex(&digest.finalize()),
    };
    let end = serde_json::to_string(&end).expect("a line is representable in JSON");
    writeln!(to, "{end}")
        .and_then(|()| to.flush())
        .map_err(|e| failed(&e))?;
    Ok(contents.meta)
}

/// Puts an export into an empty store. Before anything is written it is checked that the file is whole, and that
/// everything in it reads as this version of the software reads a store.
///
/// # Errors
/// When the store is not empty or cannot be written, or the export does not read, is cut short, was altered or holds what
/// does not read.
pub fn restore(store: &dyn Store, from: &mut dyn BufRead) -> Result<Meta, StoreError> {
    if store.meta()?.is_some() {
        return Err(StoreError::NotEmpty);
    }
    let contents = read(from)?;
    try_out(&contents)?;
    store.replace(&contents)?;
    Ok(contents.meta)
}

/// Reads an export and checks that it is whole; what its records say is not looked at.
///
/// # Errors
/// When it does not read, is cut short, was altered, goes on behind its end, or comes from a newer version.
pub fn read(from: &mut dyn BufRead) -> Result<Contents, StoreError> {
    let mut reader = Reader {
        from,
        number: 0,
        digest: Sha256::new(),
    };
    let (head, _) = reader.line()?;
    let Line::Head {
        tidegate_export: LAYOUT,
        meta,
        audit_entries,
    } = head
    else {
        return Err(reader.fault("this is not an export of this layout"));
    };
    if meta.format > migrate::FORMAT {
        return Err(StoreError::TooNew {
            found: meta.format,
            known: migrate::FORMAT,
        });
    }
    let mut contents = Contents {
        meta,
        records: BTreeMap::new(),
        audit: BTreeMap::new(),
    };
    loop {
        let (line, digest_before) = reader.line()?;
        match line {
            Line::Record { key, value } => {
                unframe(&key, value.as_bytes())?;
                contents.records.insert(key, value.into_bytes());
            }
            Line::Audit { number, value } => {
                unframe(&audit_key(number), value.as_bytes())?;
                contents.audit.insert(number, value.into_bytes());
            }
            Line::End { sha256 } if sha256 == hex(&digest_before.finalize()) => break,
            Line::End { .. } => return Err(reader.fault("the file was altered")),
            Line::Head { .. } => return Err(reader.fault("a second head")),
        }
    }
    if !reader.is_over()? {
        return Err(reader.fault("the file goes on behind its end"));
    }
    if contents.records.len() as u64 != meta.records || contents.audit.len() as u64 != audit_entries
    {
        return Err(reader.fault("lines are missing"));
    }
    Ok(contents)
}

/// Reads everything as when a store is opened.
fn try_out(contents: &Contents) -> Result<(), StoreError> {
    let trial = MemoryStore::new();
    trial.replace(contents)?;
    load(&trial)?;
    for (&number, framed) in &contents.audit {
        record::decode_audit(number, framed)?;
    }
    Ok(())
}

struct Reader<'a> {
    from: &'a mut dyn BufRead,
    number: usize,
    digest: Sha256,
}

// === impl Reader ===

impl Reader<'_> {
    /// The next line, and the digest of all lines before it.
    fn line(&mut self) -> Result<(Line, Sha256), StoreError> {
        self.number += 1;
        let mut text = String::new();
        let n = self
            .from
            .read_line(&mut text)
            .map_err(|e| self.fault(&e.to_string()))?;
        if n == 0 {
            return Err(self.fault("the file ends too early"));
        }
        let before = self.digest.clone();
        self.digest.update(&text);
        let line = serde_json::from_str(&text).map_err(|e| self.fault(&e.to_string()))?;
        Ok((line, before))
    }

    fn is_over(&mut self) -> Result<bool, StoreError> {
        let rest = self.from.fill_buf().map(<[u8]>::is_empty);
        rest.map_err(|e| self.fault(&e.to_string()))
    }

    fn fault(&self, why: &str) -> StoreError {
        StoreError::Export {
            line: self.number,
            why: why.to_owned(),
        }
    }
}

fn text(framed: &[u8]) -> Result<String, StoreError> {
    String::from_utf8(framed.to_vec()).map_err(|_| StoreError::corrupt("a record is not text"))
}

fn failed(error: &std::io::Error) -> StoreError {
    StoreError::Io {
        doing: "export",
        why: error.to_string(),
    }
}
