//! The limit on open files (`ulimit -n`), and what it means in connections. Many systems start a process with 1,024,
//! and the rest up to the hard limit is there for the asking.

use rustix::process::{Resource, getrlimit, setrlimit};

/// Files that are no client connection's: listeners, the other plane, files on disk, operators.
const OTHERS: u64 = 256;
/// Both planes need two files for each connection that `limits.connections` counts.
const EACH: u64 = 2;

/// Raises the limit on open files as far as it goes, and returns how many of the `wanted` connections fit, which are two
/// files each (`why`, in words). Where fewer fit than wanted it says so: a connection that is refused says more than one
/// that is never accepted.
#[must_use]
pub fn fit(wanted: usize, why: &str) -> usize {
    let Some(limit) = raised() else {
        return wanted;
    };
    let fitting = fitting(limit);
    if fitting >= wanted {
        return wanted;
    }
    tracing::warn!("{}", told(limit, wanted, why));
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

/// How many connections a limit has room for.
fn fitting(limit: u64) -> usize {
    let others = OTHERS.min(limit / 4);
    usize::try_from((limit - others) / EACH).unwrap_or(usize::MAX)
}

fn told(limit: u64, wanted: usize, why: &str) -> String {
    let needed = (wanted as u64).saturating_mul(EACH).saturating_add(OTHERS);
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
    use super::{fitting, told};

    #[test]
    fn two_files_are_needed_for_each_connection_and_some_for_everything_else() {
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
    fn the_words_say_how_many_fit_and_which_limit_is_needed() {
        let told = told(1024, 200_000, "two files for each session");
        for part in [
            "1024 files",
            "384 connections",
            "400256 or more",
            "two files",
        ] {
            assert!(told.contains(part), "{part} in {told}");
        }
    }
}
