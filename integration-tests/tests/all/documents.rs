//! Runs the commands of docs/ADMIN_API.md unchanged, from an empty system to an echo. Where a block of output follows a
//! block of commands, the commands print exactly that.

use std::{fs, os::unix::fs::symlink, path::Path};

use tidegate_integration_tests::{
    backend::Backend, control_plane::PASSWORD, process, python, stack::Stack, wait,
};
use tokio::process::Command;

/// A block of commands, and what it should print if the document says so.
#[derive(Debug, PartialEq, Eq)]
struct Block {
    commands: String,
    output: Option<String>,
}

/// Between the output of two blocks.
const MARK: &str = "--- end of block ---";

#[tokio::test]
async fn every_line_of_the_admin_api_s_page_does_what_the_page_says() {
    let stack = Stack::builder().start().await;
    let backend = Backend::echo().await;
    let document = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/ADMIN_API.md");
    let blocks = blocks(&fs::read_to_string(document).unwrap());
    assert!(
        blocks.len() >= 8,
        "only {} blocks of commands",
        blocks.len()
    );

    let tools = stack.folder().join("tools");
    fs::create_dir(&tools).unwrap();
    symlink(
        process::program("tidegate-test-grpcurl"),
        tools.join("grpcurl"),
    )
    .unwrap();
    symlink(python::script("websocat.py"), tools.join("websocat.py")).unwrap();
    let websocat = format!(
        "#!/bin/sh\nexec '{}' '{}' \"$@\"\n",
        python::interpreter().display(),
        tools.join("websocat.py").display()
    );
    fs::write(tools.join("websocat"), websocat).unwrap();
    let script: Vec<_> = blocks
        .iter()
        .map(|block| format!("{}\necho '{MARK}'\n", block.commands))
        .collect();
    let script = format!(
        "set -euo pipefail\nchmod +x '{}/websocat'\n{}",
        tools.display(),
        script.concat()
    );

    let mut command = Command::new("bash");
    let path = std::env::var("PATH").unwrap();
    command
        .arg("-c")
        .arg(&script)
        .env("PATH", format!("{}:{path}", tools.display()));
    let ready = &stack.control_plane.ready;
    command.env("HOST", format!("localhost:{}", ready.management.port()));
    command.env("CA", &ready.ca_cert);
    command.env("PASSWORD", PASSWORD);
    command.env("BACKEND", backend.url());
    command.env("GATEWAY", stack.gateway().ws(""));
    let run = command.kill_on_drop(true).output();
    let output = wait::within("the lines run", run).await.unwrap();
    let (out, err) = (
        String::from_utf8(output.stdout).unwrap(),
        String::from_utf8_lossy(&output.stderr),
    );
    let done = out.matches(MARK).count();
    assert!(
        output.status.success(),
        "after {done} of {} blocks: {err}\n{out}\nin: {:?}",
        blocks.len(),
        blocks.get(done)
    );
    for (block, got) in blocks.iter().zip(out.split(MARK)) {
        if let Some(expected) = &block.output {
            assert_eq!(got.trim(), expected.trim(), "{}", block.commands);
        }
    }
}

/// The fenced blocks of `sh`, each with the block of `text` that directly follows it.
fn blocks(document: &str) -> Vec<Block> {
    let mut blocks = Vec::<Block>::new();
    let mut fence: Option<(&str, String)> = None;
    // Whether nothing but blank lines came since the last block of commands.
    let mut adjacent = false;
    for line in document.lines() {
        match (&mut fence, line.strip_prefix("```")) {
            (None, Some(kind)) => fence = Some((kind, String::new())),
            (None, None) => adjacent &= line.trim().is_empty(),
            (Some((_, text)), None) => {
                text.push_str(line);
                text.push('\n');
            }
            (Some((kind, text)), Some(_)) => {
                match (*kind, blocks.last_mut()) {
                    ("sh", _) => blocks.push(Block {
                        commands: std::mem::take(text),
                        output: None,
                    }),
                    ("text", Some(last)) if adjacent => last.output = Some(std::mem::take(text)),
                    _ => {}
                }
                adjacent = *kind == "sh";
                fence = None;
            }
        }
    }
    blocks
}

#[test]
fn a_block_of_text_belongs_to_the_commands_right_before_it() {
    let document = "```text\nx\n```\n\n```sh\na\nb\n```\n\n```text\nc\n```\nd\n\n```sh\ne\n```\nf\n```text\ng\n```\n";
    let expected = [
        Block {
            commands: "a\nb\n".to_owned(),
            output: Some("c\n".to_owned()),
        },
        Block {
            commands: "e\n".to_owned(),
            output: None,
        },
    ];
    assert_eq!(blocks(document), expected);
}
