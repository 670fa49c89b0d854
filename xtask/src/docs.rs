//! Writes the generated parts of the documents between pairs of marker comments. Text outside the markers is written by
//! hand. `--check` only compares, for CI.

use std::{fmt::Write as _, fs, process::ExitCode};

use anyhow::{Context as _, bail};
use tidegate_proto::reason::Reason;

use crate::workspace;

mod config;

/// The arguments of `cargo xtask docs`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Write nothing; fail if a document is stale.
    #[arg(long)]
    pub check: bool,
}

struct Section {
    file: &'static str,
    name: &'static str,
    body: fn() -> anyhow::Result<String>,
}

const SECTIONS: &[Section] = &[
    Section {
        file: "docs/SESSIONS.md",
        name: "reasons",
        body: || Ok(reasons()),
    },
    Section {
        file: "docs/CONFIG.md",
        name: "control plane",
        body: || config::table("tidegate-control-plane", "control-plane"),
    },
    Section {
        file: "docs/CONFIG.md",
        name: "data plane",
        body: || config::table("tidegate-data-plane", "data-plane"),
    },
];

/// Updates every generated section, or checks that it's up to date.
///
/// # Errors
/// When a document cannot be read or written, lacks its markers, or is stale under `--check`.
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    for section in SECTIONS {
        let path = workspace::root().join(section.file);
        let old =
            fs::read_to_string(&path).with_context(|| format!("cannot read {}", section.file))?;
        let new = replace(&old, section.name, &(section.body)()?)
            .with_context(|| section.file.to_owned())?;
        if new == old {
            eprintln!("docs: {} is up to date", section.file);
        } else if args.check {
            bail!(
                "{} is stale; run `cargo xtask docs` and commit the result",
                section.file
            );
        } else {
            fs::write(&path, new).with_context(|| format!("cannot write {}", section.file))?;
            eprintln!("docs: wrote {}", section.file);
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn replace(document: &str, name: &str, body: &str) -> anyhow::Result<String> {
    let begin = format!("<!-- generated: {name}, by `cargo xtask docs` -->\n");
    let end = format!("<!-- end of generated: {name} -->");
    let (before, rest) = document
        .split_once(&begin)
        .with_context(|| format!("the marker `{}` is missing", begin.trim_end()))?;
    let (_, after) = rest
        .split_once(&end)
        .with_context(|| format!("the marker `{end}` is missing"))?;
    Ok(format!("{before}{begin}\n{body}\n{end}{after}"))
}

fn reasons() -> String {
    let mut table = String::from(
        "| reason | HTTP status | close code | side | code | what the client is told |\n|---|---|---|---|---|---|\n",
    );
    for reason in Reason::ALL {
        let dash = || "–".to_owned();
        writeln!(
            table,
            "| `{}` | {} | {} | {} | {} | {} |",
            reason.label(),
            reason
                .status()
                .map_or_else(dash, |status| status.as_u16().to_string()),
            reason
                .close_code()
                .map_or_else(dash, |code| code.to_string()),
            reason.side(),
            match reason.code() {
                0 => dash(),
                code => code.to_string(),
            },
            reason.message(),
        )
        .expect("a string takes every write");
    }
    table
}

#[cfg(test)]
mod tests {
    use super::{reasons, replace};

    #[test]
    fn replaces_only_what_stands_between_the_markers() {
        let document = "a\n<!-- generated: x, by `cargo xtask docs` -->\nold\n<!-- end of generated: x -->\nb\n";
        let new = replace(document, "x", "new\n").unwrap();
        assert!(new.starts_with("a\n") && new.ends_with("\nb\n") && new.contains("\nnew\n"));
        assert_eq!(replace(&new, "x", "new\n").unwrap(), new);
        assert!(replace(document, "y", "").is_err());
    }

    #[test]
    fn every_reason_has_a_row() {
        let rows = reasons().lines().count();
        assert_eq!(rows, tidegate_proto::reason::Reason::ALL.len() + 2);
    }
}
