//! Words and phrases that are banned in code, comments and documents, because the field has a better one for the same
//! thing. docs/ARCHITECTURE.md has the words to use.

use std::{collections::HashMap, fs, path::Path};

use anyhow::Context as _;

use super::{Fault, source::walk};

/// What is banned, and what to write instead. Letter case, signs and line breaks make no difference: `front desk` is found
/// in `FrontDesk`, `front_desk`, "front-desk" and where a line ends after "front".
const BANNED: &[(&str, &str)] = &[
    ("listen people", "it is `listen.management`"),
    ("listen gateways", "it is `listen.discovery`"),
    ("patience seconds", "it is `unavailable_after_seconds`"),
    ("slowing", "say that an attempt is throttled"),
    ("to publication", "it is the publishing checklist"),
    ("as a browser sends", "say what is wrong with the request"),
    ("waited in vain", "say that it timed out"),
    ("obituary", "it is the error about an exit"),
    ("dress", "it is the layout"),
    ("struct kept", "name the type by what it is"),
    ("struct room", "name the type by what it is"),
    ("struct farewell", "it is a `CloseCause`"),
];

const FOLDERS: &[&str] = &[
    "control-plane",
    "data-plane",
    "proto",
    "integration-tests",
    "xtask",
    "docker",
    "docs",
];

const FILES: &[&str] = &["README.md", "Cargo.toml", "docker-compose.yml"];

const EXTENSIONS: &[&str] = &["rs", "proto", "md", "html", "toml"];

/// This file names what is banned.
const SELF: &str = "xtask/src/tidy/dialect.rs";

/// A word of a file, in lower case, and its line.
struct Word {
    text: String,
    line: usize,
}

/// The places where the workspace uses what is banned. The changelog is not read: it says what things were called before.
///
/// # Errors
/// When a file cannot be read.
pub(super) fn faults(root: &Path) -> anyhow::Result<Vec<Fault>> {
    let mut paths: Vec<_> = FILES.iter().map(|file| root.join(file)).collect();
    for folder in FOLDERS {
        walk(&root.join(folder), EXTENSIONS, &mut paths)?;
    }
    let phrases = phrases();
    let mut faults = Vec::new();
    for path in paths {
        let relative = path.strip_prefix(root).expect("found below the root");
        let relative = relative.to_string_lossy();
        if relative != SELF {
            let text =
                fs::read_to_string(&path).with_context(|| format!("cannot read {relative}"))?;
            faults.extend(of_file(&relative, &text, &phrases));
        }
    }
    Ok(faults)
}

/// The banned phrases by their first word.
fn phrases() -> HashMap<&'static str, Vec<(Vec<&'static str>, &'static str)>> {
    let mut phrases: HashMap<_, Vec<_>> = HashMap::new();
    for (phrase, instead) in BANNED {
        let words: Vec<_> = phrase.split(' ').collect();
        phrases.entry(words[0]).or_default().push((words, *instead));
    }
    phrases
}

fn of_file(path: &str, text: &str, phrases: &HashMap<&str, Vec<(Vec<&str>, &str)>>) -> Vec<Fault> {
    let words = words(text);
    let mut faults = Vec::new();
    for (index, first) in words.iter().enumerate() {
        for (phrase, instead) in phrases.get(first.text.as_str()).into_iter().flatten() {
            let found = words[index..].iter().map(|word| word.text.as_str());
            if found.take(phrase.len()).eq(phrase.iter().copied()) {
                faults.push(Fault {
                    at: format!("{path}:{}", first.line),
                    message: format!("`{}` is banned: {instead}", phrase.join(" ")),
                });
            }
        }
    }
    faults
}

/// The words of a text. A capital letter after a small one begins another, as it does in the names of types.
fn words(text: &str) -> Vec<Word> {
    let mut words = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let mut word = String::new();
        let mut end = |word: &mut String| {
            if !word.is_empty() {
                words.push(Word {
                    text: std::mem::take(word),
                    line: index + 1,
                });
            }
        };
        let mut was_small = false;
        for c in line.chars() {
            if !c.is_alphabetic() || (was_small && c.is_uppercase()) {
                end(&mut word);
            }
            if c.is_alphabetic() {
                word.extend(c.to_lowercase());
            }
            was_small = c.is_lowercase();
        }
        end(&mut word);
    }
    words
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::{BANNED, of_file};

    fn check(text: &str) -> Vec<String> {
        let phrase = (vec!["front", "desk"], "say `reception`");
        let phrases = HashMap::from([("front", vec![phrase])]);
        let faults = of_file("a.md", text, &phrases).into_iter();
        faults.map(|fault| fault.at).collect()
    }

    #[test]
    fn a_banned_phrase_is_found_however_it_is_written() {
        for text in [
            "the front desk",
            "Front desk.",
            "struct FrontDesk;",
            "front_desk_size: usize",
            "/// At the front\n/// desk.",
        ] {
            assert_eq!(check(text), ["a.md:1"], "{text}");
        }
        assert_eq!(check("one\nfront-desk"), ["a.md:2"]);
    }

    #[test]
    fn a_part_of_a_word_is_not_banned() {
        assert!(check("the front desktop, upfront desk, FRONTDESK").is_empty());
    }

    #[test]
    fn the_list_is_written_as_it_is_compared() {
        for (phrase, instead) in BANNED {
            let plain = phrase.chars().all(|c| c == ' ' || c.is_lowercase());
            assert!(plain && !instead.is_empty(), "{phrase}");
        }
    }
}
