//! Prints all addresses: as text with commands to paste, or as one line of JSON for programs.

use std::io::Write as _;

use serde_json::json;

use super::{
    files::Files,
    stack::{Node, Stack},
};
use crate::demo::{
    self,
    accounts::{ADMIN, Account},
    seed::{self, Demo},
};

/// One line of JSON on stdout.
pub(super) fn json(stack: &Stack, people: &[Account], demo: Option<&Demo>) -> anyhow::Result<()> {
    let nodes: Vec<_> = stack
        .nodes
        .iter()
        .map(|node| {
            json!({
                "ws": node.url(),
                "wss": node.wss.map(|wss| format!("wss://{wss}")),
                "admin": format!("http://{}", node.admin),
                "pid": node.pid,
            })
        })
        .collect();
    let mut line = json!({
        "admin": {
            "url": stack.admin_url(),
            "username": ADMIN,
            "password": stack.password,
            "ca_cert": stack.control_plane.ca_cert,
        },
        "portal": {
            "publisher": stack.portal("publisher"),
            "devportal": stack.portal("devportal"),
            "admin": stack.portal("admin"),
            "accounts": people,
        },
        "control_plane": { "pid": stack.control_plane.pid },
        "data_planes": nodes,
        "redis": stack.redis.as_ref().map(|url| json!({ "url": url })),
    });
    if let Some(demo) = demo {
        line["demo"] = json!({
            "url": url(stack),
            "token": demo.gold_token,
            "unlimited_token": demo.unlimited_token,
            "backend": stack.backend,
        });
    }
    let mut stdout = std::io::stdout().lock();
    writeln!(stdout, "{line}")?;
    Ok(stdout.flush()?)
}

/// The report for a terminal.
pub(super) fn people(stack: &Stack, people: &[Account], demo: Option<&Demo>, files: &Files) {
    println!();
    println!("Tidegate is up.");
    println!();
    println!(
        "  admin API   {}  (gRPC with reflection; OAuth at /oauth2/token)",
        stack.admin_url()
    );
    println!(
        "              CA certificate {}",
        stack.control_plane.ca_cert.display()
    );
    println!(
        "  portals     {}  {}  {}",
        stack.portal("publisher"),
        stack.portal("devportal"),
        stack.portal("admin")
    );
    for account in people {
        println!(
            "              user {:10}  password {}  ({})",
            account.username,
            account.password,
            account.roles.join(", ")
        );
    }
    for (index, node) in stack.nodes.iter().enumerate() {
        print!("  gateway {}   ws://{}", index + 1, node.ws);
        if let Some(wss) = node.wss {
            print!("  wss://{wss}");
        }
        println!("  status and metrics http://{}", node.admin);
    }
    match &stack.redis {
        Some(url) => println!("  quotas      shared by all gateways in Redis at {url}"),
        None => {
            println!("  quotas      counted by each gateway for itself; `--redis auto` shares them")
        }
    }
    println!("  data        {}  (logs in logs/)", files.root().display());
    if let (Some(demo), Some(backend)) = (demo, &stack.backend) {
        println!();
        demo::lines_to_paste(&url(stack), backend, demo);
    }
    println!();
    println!("Ctrl-C stops all of it.");
}

/// The demo's address at the first gateway.
fn url(stack: &Stack) -> String {
    let first = stack.nodes.first().map(Node::url).unwrap_or_default();
    format!("{first}{}", seed::PATH)
}
