//! A disk after a power failure, out of what a process did to its files: what was synced is there, and of the rest a part
//! that the test chooses. A file is synced by `fsync` or `fdatasync` of it, a name in a folder by `fsync` of that folder;
//! nothing else counts, whatever one file system may do beyond that.

use std::{
    collections::{BTreeMap, HashMap},
    fs,
    path::{Path, PathBuf},
};

/// A file or folder, whatever its name is by now.
pub(super) type Node = usize;

/// The folder that is watched.
pub(super) const ROOT: Node = 0;

/// What happened, in order.
#[derive(Debug)]
pub(super) enum Event {
    Make {
        folder: Node,
        name: String,
        node: Node,
    },
    Rename {
        from: (Node, String),
        to: (Node, String),
    },
    Remove {
        folder: Node,
        name: String,
    },
    Write {
        node: Node,
        at: usize,
        bytes: Vec<u8>,
    },
    Resize {
        node: Node,
        length: usize,
    },
    /// Covers the events before `from`: those that had ended when the sync began.
    Sync {
        node: Node,
        from: usize,
    },
    /// The process answered this commit.
    Answered(u64),
}

/// What becomes of the events that were not synced.
#[derive(Clone, Copy, Debug)]
pub(super) enum Loss {
    /// None of them reached the disk.
    Everything,
    /// All of them did, as when the process alone is killed.
    Nothing,
    /// What was overwritten did, and what made a file longer did not: `sync_file_range` on ext4.
    Growth,
    /// Any page of 4 KiB may have, by a seed.
    Pages(u64),
}

/// Everything that happened below a folder.
#[derive(Debug, Default)]
pub(super) struct History {
    pub(super) events: Vec<Event>,
    /// Which of the nodes are folders.
    pub(super) folders: Vec<bool>,
    /// The index of the sync that covers an event.
    covered: Vec<usize>,
}

/// Files with their bytes and folders with `None`, by their path below the root.
pub(super) type Image = BTreeMap<PathBuf, Option<Vec<u8>>>;

const PAGE: usize = 4096;

// === impl Event ===

impl Event {
    /// The nodes of which each makes the event durable when it is synced.
    fn lies_in(&self, node: Node) -> bool {
        match self {
            Self::Make { folder, .. } | Self::Remove { folder, .. } => *folder == node,
            Self::Rename { to, .. } => to.0 == node,
            Self::Write { node: it, .. } | Self::Resize { node: it, .. } => *it == node,
            Self::Sync { .. } | Self::Answered(_) => false,
        }
    }
}

// === impl History ===

impl History {
    pub(super) fn new(events: Vec<Event>, folders: Vec<bool>) -> Self {
        let mut covered = vec![usize::MAX; events.len()];
        for (at, event) in events.iter().enumerate().rev() {
            if let Event::Sync { node, from } = event {
                for before in 0..*from {
                    if events[before].lies_in(*node) {
                        covered[before] = at;
                    }
                }
            }
        }
        Self {
            events,
            folders,
            covered,
        }
    }

    /// The last commit that was answered among the first events.
    pub(super) fn answered(&self, n_events: usize) -> u64 {
        let answers = self.events[..n_events].iter().rev();
        let mut answers = answers.filter_map(|event| match event {
            Event::Answered(number) => Some(*number),
            _ => None,
        });
        answers.next().unwrap_or(0)
    }

    /// The disk when the power fails after the first events.
    pub(super) fn image(&self, n_events: usize, loss: Loss) -> Image {
        let mut chance = Chance::of(loss, n_events);
        let is_synced = |at: usize| self.covered[at] < n_events;
        // Names are written in order, as a journal does.
        let names_until = match loss {
            Loss::Everything | Loss::Growth => 0,
            Loss::Nothing => n_events,
            Loss::Pages(_) => chance.below(n_events + 1),
        };
        let mut synced_length = vec![0; self.folders.len()];
        for (at, event) in self.events[..n_events].iter().enumerate() {
            match event {
                Event::Write {
                    node,
                    at: to,
                    bytes,
                } if is_synced(at) => {
                    synced_length[*node] = synced_length[*node].max(to + bytes.len());
                }
                Event::Resize { node, length } if is_synced(at) => synced_length[*node] = *length,
                _ => {}
            }
        }
        let mut files = vec![Vec::new(); self.folders.len()];
        let mut names: HashMap<(Node, String), Node> = HashMap::new();
        for (at, event) in self.events[..n_events].iter().enumerate() {
            let keeps_name = is_synced(at) || at < names_until;
            match event {
                Event::Make { folder, name, node } if keeps_name => {
                    names.insert((*folder, name.clone()), *node);
                }
                Event::Remove { folder, name } if keeps_name => {
                    names.remove(&(*folder, name.clone()));
                }
                Event::Rename { from, to } if keeps_name => {
                    if let Some(node) = names.remove(from) {
                        names.insert(to.clone(), node);
                    }
                }
                Event::Resize { node, length } => {
                    let kept = match loss {
                        Loss::Nothing => true,
                        Loss::Everything | Loss::Growth => false,
                        Loss::Pages(_) => chance.falls(),
                    };
                    if is_synced(at) || kept {
                        files[*node].resize(*length, 0);
                    }
                }
                Event::Write {
                    node,
                    at: to,
                    bytes,
                } => {
                    let file = &mut files[*node];
                    match loss {
                        _ if is_synced(at) => write(file, *to, bytes),
                        Loss::Nothing => write(file, *to, bytes),
                        Loss::Everything => {}
                        Loss::Growth => {
                            let fits = synced_length[*node].saturating_sub(*to);
                            write(file, *to, &bytes[..fits.min(bytes.len())]);
                        }
                        Loss::Pages(_) => {
                            for (page, to) in pages(*to, bytes) {
                                if chance.falls() {
                                    write(file, to, page);
                                } else if chance.falls() && file.len() < to + page.len() {
                                    file.resize(to + page.len(), 0);
                                }
                            }
                        }
                    }
                }
                _ => {}
            }
        }
        self.reachable(&names, &files)
    }

    /// What can be reached from the root by its name.
    fn reachable(&self, names: &HashMap<(Node, String), Node>, files: &[Vec<u8>]) -> Image {
        let mut image = Image::new();
        let mut open = vec![(ROOT, PathBuf::new())];
        while let Some((folder, path)) = open.pop() {
            for ((_, name), node) in names.iter().filter(|((parent, _), _)| *parent == folder) {
                let path = path.join(name);
                if self.folders[*node] {
                    image.insert(path.clone(), None);
                    open.push((*node, path));
                } else {
                    image.insert(path, Some(files[*node].clone()));
                }
            }
        }
        image
    }
}

/// Puts an image into an empty folder.
pub(super) fn lay_out(image: &Image, folder: &Path) {
    for (path, bytes) in image {
        let path = folder.join(path);
        match bytes {
            None => fs::create_dir_all(path).unwrap(),
            Some(bytes) => fs::write(path, bytes).unwrap(),
        }
    }
}

fn write(file: &mut Vec<u8>, at: usize, bytes: &[u8]) {
    if bytes.is_empty() {
        return;
    }
    if file.len() < at + bytes.len() {
        file.resize(at + bytes.len(), 0);
    }
    file[at..at + bytes.len()].copy_from_slice(bytes);
}

/// The parts of a write that lie in one page each, with where they go.
fn pages(mut at: usize, mut bytes: &[u8]) -> Vec<(&[u8], usize)> {
    let mut pages = Vec::new();
    while !bytes.is_empty() {
        let (page, rest) = bytes.split_at((PAGE - at % PAGE).min(bytes.len()));
        pages.push((page, at));
        at += page.len();
        bytes = rest;
    }
    pages
}

/// Chance that falls alike in every run.
struct Chance(u64);

// === impl Chance ===

impl Chance {
    fn of(loss: Loss, n_events: usize) -> Self {
        let seed = match loss {
            Loss::Pages(seed) => seed,
            _ => 0,
        };
        Self((seed + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ (n_events as u64 + 1))
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn falls(&mut self) -> bool {
        self.next() >> 32 & 1 == 1
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() >> 33).unwrap_or(0) % bound
    }
}
