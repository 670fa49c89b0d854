//! The file by which a process tells who started it where it really listens, so that port 0 can be asked for.

use std::{fs, io, path::Path};

use serde::Serialize;

/// Writes `value` as one line of JSON. A reader sees the whole file or none: it is written beside and renamed.
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
