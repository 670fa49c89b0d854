//! The power fails: of what a process wrote, the disk holds what was synced and no more than a part of the rest. A real
//! process is recorded, and every moment of the recording is a moment at which the power may fail.

use std::{
    collections::HashSet,
    env,
    hash::{DefaultHasher, Hash as _, Hasher as _},
    io::Write as _,
    path::Path,
    process::Command,
};

use super::{
    commits::{change, contents},
    history::{self, History, Loss},
    strace,
};
use crate::store::{Store as _, change::Contents, sled::SledStore};

const FOLDER: &str = "TIDEGATE_TEST_POWER_FOLDER";
const NAME: &str = "store::tests::power::every_answered_commit_is_there_after_the_power_failed";
/// Commits until each orderly stop.
const COMMITS: [u64; 2] = [12, 16];

/// What is recorded: commits, an orderly stop, and so on.
fn work(folder: &Path) {
    let mut number = 0;
    for until in COMMITS {
        let store = SledStore::open(folder).unwrap();
        while number < until {
            number += 1;
            store.commit(&change(number)).unwrap();
            let line = format!("{}{number}\n", strace::ANSWERED);
            std::io::stdout().write_all(line.as_bytes()).unwrap();
        }
        // Written anew as by a migration; the number stays.
        store.replace(&contents(number).unwrap()).unwrap();
    }
}

fn recorded() -> History {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().canonicalize().unwrap();
    let mut command = Command::new(env::current_exe().unwrap());
    command.args(["--exact", NAME, "--nocapture"]);
    command.env(FOLDER, root.join("store"));
    strace::record(&command, &root)
}

#[test]
fn every_answered_commit_is_there_after_the_power_failed() {
    if let Some(folder) = env::var_os(FOLDER) {
        return work(Path::new(&folder));
    }
    let history = recorded();
    let last = history.events.len();
    assert_eq!(history.answered(last), COMMITS[1], "all was recorded");
    let losses = [
        Loss::Everything,
        Loss::Nothing,
        Loss::Growth,
        Loss::Pages(0),
        Loss::Pages(1),
    ];
    let mut seen = HashSet::new();
    let mut failures = Vec::new();
    for (n_events, loss) in (0..=last).flat_map(|n| losses.map(|loss| (n, loss))) {
        let answered = history.answered(n_events);
        let image = history.image(n_events, loss);
        let mut hasher = DefaultHasher::new();
        (&image, answered).hash(&mut hasher);
        if !seen.insert(hasher.finish()) {
            continue;
        }
        let folder = tempfile::tempdir_in(quick()).unwrap();
        history::lay_out(&image, folder.path());
        if let Err(why) = holds(&folder.path().join("store"), answered) {
            let before = n_events.checked_sub(1).map(|at| &history.events[at]);
            let before = format!("{before:.60?}");
            failures.push(format!(
                "after event {n_events} {before:.80}, {loss:?}: {why}"
            ));
        }
    }
    assert!(
        failures.is_empty(),
        "{} of {} disks lose what was answered or do not open:\n{}",
        failures.len(),
        seen.len(),
        failures[..failures.len().min(20)].join("\n")
    );
}

/// Whether a store opens, with every answered commit and none by half.
fn holds(folder: &Path, answered: u64) -> Result<(), String> {
    let store = SledStore::open(folder).map_err(|e| e.to_string())?;
    let found = Contents::of(&store).map_err(|e| e.to_string())?;
    let number = found.as_ref().map_or(0, |found| found.meta.number.get());
    if number < answered {
        return Err(format!("it is at {number}, and {answered} was answered"));
    }
    if found != contents(number) {
        return Err(format!("it does not hold what number {number} is"));
    }
    // And it goes on.
    store.commit(&change(number + 1)).map_err(|e| e.to_string())
}

/// A place where syncing costs nothing.
fn quick() -> &'static Path {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() {
        memory
    } else {
        Path::new("/tmp")
    }
}
