//! The tables of `docs/CONFIG.md`: every key of a process with its default and meaning. Keys and meanings come from the
//! configuration structs and their comments, defaults from the process itself (`--print-config`), so neither can drift.

use std::{collections::BTreeMap, fmt::Write as _, fs, process::Command};

use anyhow::{Context as _, bail};

use crate::workspace;

/// A field of a configuration struct, as the source has it.
struct Field {
    name: String,
    kind: String,
    doc: String,
}

/// The structs of the files that a process's configuration is made of, by name.
type Structs = BTreeMap<String, Vec<Field>>;

/// The table of one process.
///
/// # Errors
/// When the sources cannot be read, or the process cannot be built or does not print its configuration.
pub(super) fn table(package: &str, folder: &str) -> anyhow::Result<String> {
    let mut structs = Structs::new();
    for file in [
        &format!("{folder}/src/config.rs"),
        "proto/kit/src/telemetry.rs",
    ] {
        let source = fs::read_to_string(workspace::root().join(file))
            .with_context(|| format!("cannot read {file}"))?;
        read_structs(&source, &mut structs);
    }
    let defaults = defaults(package)?;
    let mut table = String::from("| key | default | meaning |\n|---|---|---|\n");
    write_rows(&mut table, &structs, "Config", "", &defaults)?;
    Ok(table)
}

fn write_rows(
    table: &mut String,
    structs: &Structs,
    name: &str,
    prefix: &str,
    defaults: &BTreeMap<String, String>,
) -> anyhow::Result<()> {
    let fields = structs
        .get(name)
        .with_context(|| format!("no struct `{name}` with documented fields"))?;
    for field in fields {
        let key = format!("{prefix}{}", field.name);
        if structs.contains_key(&field.kind) {
            write_rows(table, structs, &field.kind, &format!("{key}."), defaults)?;
            continue;
        }
        let default = defaults.get(&key).map_or("–", String::as_str);
        let doc = field.doc.replace('|', "\\|");
        writeln!(table, "| `{key}` | {default} | {doc} |").expect("a string takes every write");
    }
    Ok(())
}

/// Reads `pub struct Name { /// doc … pub field: Type, }`, as rustfmt lays it out.
fn read_structs(source: &str, structs: &mut Structs) {
    let mut open: Option<(String, Vec<Field>)> = None;
    let mut doc = Vec::new();
    for line in source.lines().map(str::trim) {
        if let Some(text) = line.strip_prefix("///") {
            doc.push(text.trim());
        } else if let Some(rest) = line.strip_prefix("pub struct ") {
            if let Some(name) = rest.strip_suffix(" {") {
                open = Some((name.to_owned(), Vec::new()));
            }
            doc.clear();
        } else if line == "}" {
            structs.extend(open.take());
            doc.clear();
        } else if let (Some((_, fields)), Some(rest)) = (&mut open, line.strip_prefix("pub "))
            && let Some((name, kind)) = rest.split_once(": ")
        {
            fields.push(Field {
                name: name.to_owned(),
                kind: kind.trim_end_matches(',').to_owned(),
                doc: doc.join(" "),
            });
            doc.clear();
        } else if !line.starts_with("#[") {
            doc.clear();
        }
    }
}

/// What the process prints of itself when nothing is set.
fn defaults(package: &str) -> anyhow::Result<BTreeMap<String, String>> {
    // As for the tests, so that one compilation serves both.
    let build = workspace::cargo()
        .arg("build")
        .args(workspace::EVERYTHING)
        .status()
        .context("cannot start cargo")?;
    if !build.success() {
        bail!("the workspace does not build; see above");
    }
    let mut command = Command::new(workspace::target().join("debug").join(package));
    command.arg("--print-config");
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("TIDEGATE_")) {
        command.env_remove(name);
    }
    let output = command
        .output()
        .with_context(|| format!("cannot run {package}"))?;
    if !output.status.success() {
        bail!(
            "{package} --print-config failed: {}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
    let text = String::from_utf8(output.stdout).context("--print-config is not UTF-8")?;
    let defaults: BTreeMap<_, _> = text
        .lines()
        .filter_map(|line| line.split_once(" = "))
        .map(|(key, value)| (key.to_owned(), format!("`{value}`")))
        .collect();
    if defaults.is_empty() {
        bail!("{package} --print-config printed no key");
    }
    Ok(defaults)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::{Structs, read_structs, write_rows};

    #[test]
    fn keys_come_from_nested_structs_with_their_comments_and_defaults() {
        let mut structs = Structs::new();
        read_structs(
            "/// All.\n#[derive(Debug)]\npub struct Config {\n    /// Where it\n    /// listens.\n    pub listen: Listen,\n}\n\npub struct Listen {\n    /// A | port.\n    #[serde(default)]\n    pub ws: String,\n}\n",
            &mut structs,
        );
        let defaults = BTreeMap::from([("listen.ws".to_owned(), "`1`".to_owned())]);
        let mut table = String::new();
        write_rows(&mut table, &structs, "Config", "", &defaults).unwrap();
        assert_eq!(table, "| `listen.ws` | `1` | A \\| port. |\n");
        assert!(write_rows(&mut table, &structs, "Other", "", &defaults).is_err());
    }
}
