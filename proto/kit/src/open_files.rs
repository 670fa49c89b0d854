//! The limit on open files (`ulimit -n`), and how many connections it allows. Many systems start a process with a soft
//! limit of 1,024, which the process may raise to the hard limit.

use rustix::process::{Resource, getrlimit, setrlimit};

/// Files other than client connections: listeners, the connection to the other plane, files on disk, operators.
const OTHER_FILES: u64 = 256;
/// Both planes need two files for each connection that `limits.connections` counts.
const FILES_PER_CONNECTION: u64 = 2;

/// Raises the soft limit on open files to the hard limit, and returns how many of the `wanted` connections fit. Each needs
/// two files; `why` says what for. Logs a warning if fewer fit: a connection that is refused is easier to understand than
/// one that is never accepted.
#[must_use]
pub fn fit(wanted: usize, why: &str) -> usize {
    let Some(limit) = raised() else {
        return wanted;
    };
    let fitting = fitting(limit);
    if fitting >= wanted {
        return wanted;
    }
    tracing::warn!("{}", warning(limit, wanted, why));
    fitting
}

/// The limit after it was raised; `None` for none.
fn raised() -> Option<u64> {
    let mut files = getrlimit(Resource::Nofile);
    files.current = files.maximum;
    if let Err(cause) = setrlimit(Resource::Nofile, files) {
        tracing::warn!(%cause, "cannot raise the limit on open files");
        files = getrlimit(Resource::Nofile);
    }
    files.current
}

/// How many connections fit into a limit.
fn fitting(limit: u64) -> usize {
    let others = OTHER_FILES.min(limit / 4);
    usize::try_from((limit - others) / FILES_PER_CONNECTION).unwrap_or(usize::MAX)
}

fn warning(limit: u64, wanted: usize, why: &str) -> String {
    let needed = (wanted as u64)
        .saturating_mul(FILES_PER_CONNECTION)
        .saturating_add(OTHER_FILES);
    format!(
        "this process may open {limit} files, enough for {fitting} connections ({why}), but `limits.connections` is \
         {wanted}: no more than {fitting} are accepted. Raise the hard limit on open files to {needed} or more \
         (`ulimit -Hn`, `LimitNOFILE=` in a systemd unit, `ulimits: nofile` in docker compose), or set \
         `limits.connections` to {fitting} or less",
        fitting = fitting(limit)
    )
}

#[cfg(test)]
mod tests {
    use super::{fitting, warning};

    #[test]
    fn each_connection_needs_two_files_and_some_files_are_reserved() {
        assert_eq!(fitting(1024), 384);
        assert_eq!(fitting(262_144), 130_944);
        assert_eq!(
            fitting(8),
            3,
            "a small limit is not used up by everything else"
        );
        assert_eq!(fitting(0), 0);
    }

    #[test]
    fn the_warning_says_how_many_fit_and_which_limit_is_needed() {
        let warning = warning(1024, 200_000, "two files for each session");
        for part in [
            "1024 files",
            "384 connections",
            "400256 or more",
            "two files",
        ] {
            assert!(warning.contains(part), "{part} in {warning}");
        }
    }
}
