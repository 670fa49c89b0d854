//! What a commit of the store costs, beside the least that an answer can mean: the same bytes appended to a file and
//! synced, and a number beside it. They take turns on the same disk. Then what opening costs, by what is in the store.
//!
//! `cargo run --release --package tidegate-control-plane --example commit_cost [FOLDER]`, by default in the folder for
//! temporary files; give one on the disk that is meant.

use std::{
    collections::BTreeMap,
    env,
    fs::{File, OpenOptions},
    io::Write as _,
    os::unix::fs::FileExt as _,
    path::Path,
    time::{Duration, Instant},
};

use tidegate_control_plane::store::{
    Store as _,
    change::{Change, Contents, Meta},
    migrate,
    record::frame,
    sled::SledStore,
};
use tidegate_proto::revision::RevisionNumber;

const TURNS: usize = 5;
const COMMITS: usize = 80;
const RECORD: usize = 900;
const AUDIT: usize = 1_500;
/// How many records, and twice as many audit entries, a store has that is opened.
const SIZES: [u64; 3] = [100, 10_000, 100_000];

fn main() -> anyhow::Result<()> {
    let parent = env::args_os()
        .nth(1)
        .unwrap_or_else(|| env::temp_dir().into());
    let folder = tempfile::tempdir_in(parent)?;
    commits(folder.path())?;
    openings(folder.path())
}

fn commits(folder: &Path) -> anyhow::Result<()> {
    let store = SledStore::open(&folder.join("store"))?;
    let mut floor = Floor::open(folder)?;
    let mut turns = [Vec::new(), Vec::new()];
    let mut number = 0;
    for _ in 0..TURNS {
        let mut taken = [Vec::new(), Vec::new()];
        for _ in 0..COMMITS {
            number += 1;
            let change = change(number);
            taken[0].push(timed(|| Ok(store.commit(&change)?))?);
            taken[1].push(timed(|| floor.commit(&change))?);
        }
        for (turns, taken) in turns.iter_mut().zip(taken) {
            turns.push(median(taken));
        }
    }
    println!("| a commit | p50 of the {TURNS} turns (µs) | median (µs) |\n|---|---|---:|");
    let names = ["the store", "the same bytes and a number, each synced"];
    let mut medians = Vec::new();
    for (name, turns) in names.iter().zip(turns) {
        let all: Vec<_> = turns
            .iter()
            .map(|turn| turn.as_micros().to_string())
            .collect();
        let median = median(turns).as_micros();
        println!("| {name} | {} | {median} |", all.join(", "));
        medians.push(median as f64);
    }
    println!("\nratio: {:.2}\n", medians[0] / medians[1]);
    Ok(())
}

fn openings(folder: &Path) -> anyhow::Result<()> {
    println!(
        "| records | audit entries | in the log (MB) | opened after (ms) |\n|---:|---:|---:|---:|"
    );
    for records in SIZES {
        let folder = folder.join(records.to_string());
        let contents = contents(records);
        SledStore::open(&folder)?.replace(&contents)?;
        let mut taken = Vec::new();
        for _ in 0..TURNS {
            taken.push(timed(|| {
                SledStore::open(&folder)?;
                Ok(())
            })?);
        }
        let size = contents.size() as f64 / 1e6;
        let millis = median(taken).as_millis();
        println!("| {records} | {} | {size:.1} | {millis} |", 2 * records);
    }
    Ok(())
}

/// A file for the bytes and one for the number.
struct Floor {
    log: File,
    number: File,
}

impl Floor {
    fn open(folder: &Path) -> anyhow::Result<Self> {
        Ok(Self {
            log: OpenOptions::new()
                .create(true)
                .append(true)
                .open(folder.join("floor"))?,
            number: File::create(folder.join("number"))?,
        })
    }

    fn commit(&mut self, change: &Change) -> anyhow::Result<()> {
        for value in change.writes.values().flatten() {
            self.log.write_all(value)?;
        }
        self.log.write_all(&change.audit)?;
        self.log.sync_all()?;
        let number = change.meta.number.get().to_be_bytes();
        self.number.write_all_at(&number, 0)?;
        Ok(self.number.sync_data()?)
    }
}

fn meta(number: u64, records: u64) -> Meta {
    Meta {
        format: migrate::FORMAT,
        number: RevisionNumber::new(number),
        records,
    }
}

fn change(number: u64) -> Change {
    let key = format!("record/{}", number % 50);
    let text = frame(&key, &format!("{number} {}", "x".repeat(RECORD)));
    Change {
        meta: meta(number, number.min(50)),
        writes: BTreeMap::from([(key, Some(text))]),
        audit: vec![b'x'; AUDIT],
    }
}

fn contents(records: u64) -> Contents {
    let mut contents = Contents::empty(meta(2 * records, records));
    for record in 0..records {
        let key = format!("record/{record}");
        let text = frame(&key, &"x".repeat(RECORD));
        contents.records.insert(key, text);
    }
    for number in 1..=2 * records {
        contents.audit.insert(number, vec![b'x'; AUDIT]);
    }
    contents
}

fn timed(act: impl FnOnce() -> anyhow::Result<()>) -> anyhow::Result<Duration> {
    let began = Instant::now();
    act()?;
    Ok(began.elapsed())
}

fn median(mut taken: Vec<Duration>) -> Duration {
    taken.sort_unstable();
    taken[taken.len() / 2]
}
