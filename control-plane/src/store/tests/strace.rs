//! Runs a process under `strace` and reads what it did to the files below a folder.

use std::{
    collections::HashMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use super::history::{Event, History, Node, ROOT};

const CALLS: &str = "openat,lseek,write,pwrite64,ftruncate,fsync,fdatasync,rename,renameat,renameat2,unlink,unlinkat,\
                     rmdir,mkdir,mkdirat,copy_file_range";

/// What marks an answer among the lines that the process prints.
pub(super) const ANSWERED: &str = "answered ";

/// Runs a command to its end and returns what it did below a folder that is empty at first.
pub(super) fn record(command: &Command, folder: &Path) -> History {
    let output = tempfile::NamedTempFile::new().unwrap();
    let mut strace = Command::new("strace");
    strace
        .args(["-f", "-y", "-xx", "-s", "16777216", "-e"])
        .arg(format!("trace={CALLS}"))
        .arg("-o")
        .arg(output.path())
        .arg(command.get_program())
        .args(command.get_args());
    for (name, value) in command.get_envs() {
        strace.env(name, value.unwrap_or_default());
    }
    let ended = strace
        .output()
        .expect("this test needs `strace`: install it from the system's packages");
    assert!(
        ended.status.success(),
        "{}{}",
        String::from_utf8_lossy(&ended.stdout),
        String::from_utf8_lossy(&ended.stderr)
    );
    let mut reader = Reader::new(folder);
    for line in fs::read_to_string(output.path()).unwrap().lines() {
        reader.line(line);
    }
    History::new(reader.events, reader.folders)
}

struct Reader {
    root: PathBuf,
    events: Vec<Event>,
    folders: Vec<bool>,
    names: HashMap<(Node, String), Node>,
    positions: HashMap<String, usize>,
    /// The length of each file.
    lengths: Vec<usize>,
    /// Calls that have not ended, by thread, with how many events there were when they began.
    begun: HashMap<String, (String, usize)>,
}

// === impl Reader ===

impl Reader {
    fn new(root: &Path) -> Self {
        Self {
            root: root.to_owned(),
            events: Vec::new(),
            folders: vec![true],
            names: HashMap::new(),
            positions: HashMap::new(),
            lengths: vec![0],
            begun: HashMap::new(),
        }
    }

    fn line(&mut self, line: &str) {
        let (thread, text) = line.split_once(' ').unwrap();
        let text = text.trim_start();
        if let Some(begun) = text.strip_suffix("<unfinished ...>") {
            let begun = (begun.trim_end().to_owned(), self.events.len());
            self.begun.insert(thread.to_owned(), begun);
        } else if let Some((_, rest)) = text.split_once(" resumed>") {
            let (begun, from) = self.begun.remove(thread).unwrap();
            self.call(&format!("{begun}{rest}"), from);
        } else if !text.starts_with("+++") && !text.starts_with("---") {
            self.call(text, self.events.len());
        }
    }

    /// One call: its name, its arguments, what it returned.
    fn call(&mut self, text: &str, from: usize) {
        let Some((call, returned)) = text.rsplit_once(" = ") else {
            return;
        };
        if returned.starts_with('-') || returned.starts_with('?') {
            return;
        }
        let (name, arguments) = call.split_once('(').unwrap();
        let arguments = arguments.trim_end().trim_end_matches(')');
        let arguments: Vec<&str> = arguments.split(", ").collect();
        self.act(name, &arguments, returned, from);
    }

    fn act(&mut self, name: &str, arguments: &[&str], returned: &str, from: usize) {
        let number = || returned.split([' ', '<']).next().unwrap().parse::<usize>();
        match name {
            "openat" => {
                let path = below(arguments[0], arguments[1]);
                self.positions.insert(descriptor(returned), 0);
                if arguments[2].contains("O_CREAT") && self.find(&path).is_none() {
                    self.make(&path, false);
                }
                if let Some(node) = self.find(&path)
                    && arguments[2].contains("O_TRUNC")
                {
                    self.resize(node, 0);
                }
            }
            "mkdir" => self.make(&unquoted(arguments[0]), true),
            "mkdirat" => self.make(&below(arguments[0], arguments[1]), true),
            "lseek" => drop(
                self.positions
                    .insert(descriptor(arguments[0]), number().unwrap()),
            ),
            "write" => {
                let bytes = bytes(arguments[1]);
                let position = self.positions.entry(descriptor(arguments[0])).or_default();
                let at = *position;
                *position += number().unwrap();
                if let Some(number) = bytes.strip_prefix(ANSWERED.as_bytes()) {
                    let number = std::str::from_utf8(number).unwrap().trim_end().parse();
                    self.events.push(Event::Answered(number.unwrap()));
                }
                self.write(arguments[0], at, bytes);
            }
            "pwrite64" => {
                let at = arguments[3].parse().unwrap();
                self.write(arguments[0], at, bytes(arguments[1]));
            }
            "copy_file_range" => self.copy(arguments[0], arguments[2], number().unwrap()),
            "ftruncate" => {
                if let Some(node) = self.find(&path_of(arguments[0])) {
                    self.resize(node, arguments[1].parse().unwrap());
                }
            }
            "fsync" | "fdatasync" => {
                if let Some(node) = self.find(&path_of(arguments[0])) {
                    self.events.push(Event::Sync { node, from });
                }
            }
            "rename" => self.rename(&unquoted(arguments[0]), &unquoted(arguments[1])),
            "renameat" | "renameat2" => {
                let from = below(arguments[0], arguments[1]);
                self.rename(&from, &below(arguments[2], arguments[3]));
            }
            "unlink" | "rmdir" => self.remove(&unquoted(arguments[0])),
            "unlinkat" => self.remove(&below(arguments[0], arguments[1])),
            other => panic!("{other} is not understood"),
        }
    }

    /// What has a path now, if it is watched.
    fn find(&self, path: &Path) -> Option<Node> {
        let mut node = ROOT;
        for name in path.strip_prefix(&self.root).ok()? {
            node = *self.names.get(&(node, name.to_str()?.to_owned()))?;
        }
        Some(node)
    }

    fn place(&self, path: &Path) -> Option<(Node, String)> {
        let folder = self.find(path.parent()?)?;
        Some((folder, path.file_name()?.to_str()?.to_owned()))
    }

    fn make(&mut self, path: &Path, is_folder: bool) {
        if let Some((folder, name)) = self.place(path) {
            let node = self.folders.len();
            self.folders.push(is_folder);
            self.lengths.push(0);
            self.names.insert((folder, name.clone()), node);
            self.events.push(Event::Make { folder, name, node });
        }
    }

    fn rename(&mut self, from: &Path, to: &Path) {
        if let (Some(from), Some(to)) = (self.place(from), self.place(to)) {
            let node = self.names.remove(&from).unwrap();
            self.names.insert(to.clone(), node);
            self.events.push(Event::Rename { from, to });
        }
    }

    fn remove(&mut self, path: &Path) {
        if let Some((folder, name)) = self.place(path) {
            self.names.remove(&(folder, name.clone()));
            self.events.push(Event::Remove { folder, name });
        }
    }

    fn write(&mut self, file: &str, at: usize, bytes: Vec<u8>) {
        if let Some(node) = self.find(&path_of(file)) {
            self.lengths[node] = self.lengths[node].max(at + bytes.len());
            self.events.push(Event::Write { node, at, bytes });
        }
    }

    fn resize(&mut self, node: Node, length: usize) {
        self.lengths[node] = length;
        self.events.push(Event::Resize { node, length });
    }

    /// A piece of a file that is copied from its beginning to its end.
    fn copy(&mut self, from: &str, to: &str, length: usize) {
        if length == 0 {
            return;
        }
        let (from, to) = (self.find(&path_of(from)), self.find(&path_of(to)));
        if let (Some(from), Some(to)) = (from, to) {
            let at = self.lengths[to];
            let mut bytes = vec![0; self.lengths[from]];
            for event in &self.events {
                match event {
                    Event::Write {
                        node,
                        at,
                        bytes: it,
                    } if *node == from => {
                        let end = (at + it.len()).min(bytes.len());
                        if *at < end {
                            bytes[*at..end].copy_from_slice(&it[..end - at]);
                        }
                    }
                    Event::Resize { node, length } if *node == from => {
                        let gone = (*length).min(bytes.len());
                        bytes[gone..].fill(0);
                    }
                    _ => {}
                }
            }
            self.lengths[to] += length;
            self.events.push(Event::Write {
                node: to,
                at,
                bytes: bytes[at..at + length].to_vec(),
            });
        }
    }
}

/// The number of an open file, out of `3<path>`.
fn descriptor(text: &str) -> String {
    text.split('<').next().unwrap().to_owned()
}

/// The path of an open file, out of `3<path>`.
fn path_of(text: &str) -> PathBuf {
    let path = text.split_once('<').map_or("", |(_, path)| path);
    let path = path.split('>').next().unwrap();
    PathBuf::from(String::from_utf8(unhex(path)).unwrap())
}

/// A path that is given below an open folder, or by itself.
fn below(folder: &str, path: &str) -> PathBuf {
    path_of(folder).join(unquoted(path))
}

fn unquoted(text: &str) -> PathBuf {
    PathBuf::from(String::from_utf8(bytes(text)).unwrap())
}

fn bytes(text: &str) -> Vec<u8> {
    assert!(text.ends_with('"'), "a write was not recorded whole");
    unhex(text.trim_matches('"'))
}

/// `\x61\x62`.
fn unhex(text: &str) -> Vec<u8> {
    let parts = text.split("\\x").skip(1);
    parts
        .map(|digits| u8::from_str_radix(digits.get(..2).unwrap(), 16).unwrap())
        .collect()
}
