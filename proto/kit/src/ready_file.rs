//! The ready file: a process writes the addresses that it listens on, so that whoever starts it can configure port 0.

use std::{fs, io, path::Path};

use serde::Serialize;

/// Writes `value` as one line of JSON. A reader sees the whole file or none: it is renamed into place.
///
/// # Errors
/// When the directory cannot be written.
pub fn write(path: &Path, value: &impl Serialize) -> io::Result<()> {
    let mut text = serde_json::to_string(value)?;
    text.push('\n');
    let beside = path.with_extension("writing");
    fs::write(&beside, text)?;
    fs::rename(&beside, path)
}
