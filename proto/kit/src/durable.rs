//! Files that survive a power failure. A file's content is on disk once the file is synced, and its name once its folder
//! is synced. Before that, a new file may be missing, empty or truncated after a crash, even if it was read back.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::Path,
};

/// Writes a file atomically: to a temporary file beside it, which is synced and renamed over it; then syncs the folder. On
/// an error the file is unchanged and the temporary file is gone.
///
/// # Errors
/// When the folder cannot be written.
pub fn write(path: &Path, content: &[u8], mode: u32) -> io::Result<()> {
    let beside = path.with_extension("writing");
    // A temporary file that a crash left may be readable by others, and opening it would keep that mode.
    remove_if_there(&beside)?;
    let mut options = OpenOptions::new();
    options.write(true).create_new(true).mode(mode);
    let written = options.open(&beside).and_then(|mut file| {
        file.write_all(content)?;
        file.sync_all()?;
        rename(&beside, path)
    });
    if written.is_err() {
        // On a full disk a partial file would take up the last of the space.
        drop(remove_if_there(&beside));
    }
    written
}

/// Renames a file or folder, and syncs the folder of its new name.
///
/// # Errors
/// When it cannot be renamed or the folder not synced.
pub fn rename(from: &Path, to: &Path) -> io::Result<()> {
    fs::rename(from, to)?;
    sync_folder(parent(to))
}

/// Creates a folder and its missing parents, and syncs the name of each.
///
/// # Errors
/// When it cannot be created.
pub fn create_folder(path: &Path, mode: u32) -> io::Result<()> {
    let above = parent(path);
    if path.is_dir() {
        // The process that created it may have crashed before its name was synced. We may not be allowed to open other
        // users' folders.
        drop(sync_folder(above));
        return Ok(());
    }
    create_folder(above, mode)?;
    match fs::DirBuilder::new().mode(mode).create(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => sync_folder(above),
    }
}

/// Syncs the names in a folder.
///
/// # Errors
/// When it cannot be opened or synced.
pub fn sync_folder(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

/// Syncs a folder with everything in it.
///
/// # Errors
/// When a file cannot be opened or synced.
pub fn sync_tree(path: &Path) -> io::Result<()> {
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            sync_tree(&entry.path())?;
        } else {
            File::open(entry.path())?.sync_all()?;
        }
    }
    sync_folder(path)
}

/// The folder that holds a path.
#[must_use]
pub fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(above) if !above.as_os_str().is_empty() => above,
        Some(_) => Path::new("."),
        None => path,
    }
}

fn remove_if_there(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt as _};

    use super::{create_folder, write};

    #[test]
    fn a_file_that_cannot_be_replaced_stays_and_no_temporary_file_is_left() {
        let dir = tempfile::tempdir().unwrap();
        let taken = dir.path().join("taken");
        fs::create_dir_all(taken.join("full")).unwrap();
        assert!(write(&taken, b"new", 0o600).is_err());
        let names: Vec<_> = fs::read_dir(dir.path()).unwrap().collect();
        assert_eq!(names.len(), 1, "{names:?}");
        assert!(taken.join("full").is_dir());
    }

    #[test]
    fn a_temporary_file_of_a_crash_does_not_make_the_file_readable_by_others() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("token.writing"), "old").unwrap();
        let path = dir.path().join("token");
        write(&path, b"new", 0o600).unwrap();
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read(&path).unwrap(), b"new");
    }

    #[test]
    fn a_folder_is_created_with_its_missing_parents_and_may_exist_already() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a/b/c");
        for _ in 0..2 {
            create_folder(&path, 0o700).unwrap();
            assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o700);
        }
    }
}
