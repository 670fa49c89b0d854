//! As whom the node logs in to the ledger: `ledger.username`, and `ledger.password` or what stands in
//! `ledger.password_file`.
//!
//! The file is read for each connection, so that a changed password needs no restart. What is set and empty is not set:
//! that is how Compose and other tools pass on a variable that nobody has given a value.

use std::{
    fs::File,
    io::{self, Read as _},
    path::{Path, PathBuf},
};

use tidegate_kit::secret::Secret;

/// Where user and password come from.
#[derive(Clone, Debug, Default)]
pub struct Credentials {
    username: Option<String>,
    password: Source,
}

#[derive(Clone, Debug, Default)]
enum Source {
    #[default]
    Nowhere,
    Key(Secret),
    File(PathBuf),
}

/// User and password for one connection.
#[derive(Clone, Debug, Default)]
pub struct Login {
    /// The user; Redis's default user where there is none.
    pub username: Option<String>,
    /// The password.
    pub password: Option<Secret>,
}

/// A password file that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("cannot read `ledger.password_file` {}: {cause}", path.display())]
pub struct Unreadable {
    path: PathBuf,
    cause: io::Error,
}

/// No password is longer.
const LONGEST: u64 = 64 * 1024;

// === impl Credentials ===

impl Credentials {
    /// What the configuration says. The file counts where no password is set.
    #[must_use]
    pub fn new(username: Option<&str>, password: Option<&Secret>, file: Option<PathBuf>) -> Self {
        let password = password.filter(|it| !it.is_empty());
        let file = file.filter(|it| !it.as_os_str().is_empty());
        Self {
            username: username.filter(|it| !it.is_empty()).map(str::to_owned),
            password: match (password, file) {
                (Some(password), _) => Source::Key(password.clone()),
                (None, Some(file)) => Source::File(file),
                (None, None) => Source::Nowhere,
            },
        }
    }

    /// Whether there is a user.
    #[must_use]
    pub const fn has_username(&self) -> bool {
        self.username.is_some()
    }

    /// The key that the password comes from; `None` without one.
    #[must_use]
    pub const fn password_key(&self) -> Option<&'static str> {
        match self.password {
            Source::Nowhere => None,
            Source::Key(_) => Some("ledger.password"),
            Source::File(_) => Some("ledger.password_file"),
        }
    }

    /// Reads them. Blocks where there is a file.
    ///
    /// # Errors
    /// When the file cannot be read, or is no UTF-8.
    pub fn read(&self) -> Result<Login, Unreadable> {
        let password = match &self.password {
            Source::Nowhere => None,
            Source::Key(password) => Some(password.clone()),
            Source::File(path) => Some(read(path).map_err(|cause| Unreadable {
                path: path.clone(),
                cause,
            })?),
        };
        Ok(Login {
            username: self.username.clone(),
            password: password.filter(|it| !it.is_empty()),
        })
    }
}

/// The text of a file without the line end that editors put behind it.
fn read(path: &Path) -> io::Result<Secret> {
    let mut text = String::new();
    File::open(path)?.take(LONGEST).read_to_string(&mut text)?;
    if text.ends_with('\n') {
        text.pop();
        if text.ends_with('\r') {
            text.pop();
        }
    }
    Ok(Secret::new(text))
}

#[cfg(test)]
mod tests {
    use std::{fs, path::PathBuf};

    use tidegate_kit::secret::Secret;

    use super::Credentials;

    fn password(credentials: &Credentials) -> Option<String> {
        let login = credentials.read().unwrap();
        login.password.map(|it| it.expose().to_owned())
    }

    #[test]
    fn what_is_empty_is_not_set() {
        let none = Credentials::new(Some(""), Some(&Secret::new(String::new())), Some("".into()));
        assert!(!none.has_username());
        assert_eq!(none.password_key(), None);
        assert_eq!(password(&none), None);
    }

    #[test]
    fn a_file_is_read_anew_each_time_and_without_its_line_end() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("password");
        let empty = Secret::new(String::new());
        let credentials = Credentials::new(None, Some(&empty), Some(file.clone()));
        assert_eq!(credentials.password_key(), Some("ledger.password_file"));
        let missing = credentials.read().unwrap_err().to_string();
        assert!(missing.contains("ledger.password_file"), "{missing}");
        for (text, expected) in [
            ("one", Some("one")),
            ("two\n", Some("two")),
            (" th ree\r\n", Some(" th ree")),
            ("four\n\n", Some("four\n")),
            ("\n", None),
        ] {
            fs::write(&file, text).unwrap();
            assert_eq!(password(&credentials).as_deref(), expected);
        }
        fs::write(&file, [0xff, 0xfe]).unwrap();
        let unreadable = credentials.read().unwrap_err().to_string();
        assert!(unreadable.contains("UTF-8"), "{unreadable}");
    }

    #[test]
    fn a_password_that_is_set_goes_before_the_file() {
        let file = PathBuf::from("/nowhere/at/all");
        let set = Secret::new("p@ss/word".to_owned());
        let credentials = Credentials::new(Some("u"), Some(&set), Some(file));
        assert_eq!(password(&credentials).as_deref(), Some("p@ss/word"));
        assert!(!format!("{credentials:?}").contains("p@ss"));
    }
}
