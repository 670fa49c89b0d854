//! The ports of a stack, checked before anything is built: a port in use is an error that names it.

use std::{
    net::{Ipv4Addr, SocketAddr, TcpListener},
    time::{SystemTime, UNIX_EPOCH},
};

use anyhow::{Context as _, bail};

/// How ports are chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Choice {
    /// The documented ones: 9443 and 9444, 9001, and 9099, 8099 and 9100 plus 100 for each further data plane.
    Fixed,
    /// Free ones.
    Auto,
}

/// The ports of a stack; 0 lets the process choose a free one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Ports {
    pub(super) management: u16,
    pub(super) discovery: u16,
    pub(super) backend: Option<u16>,
    pub(super) nodes: Vec<NodePorts>,
}

/// The ports of a data plane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NodePorts {
    pub(super) ws: u16,
    pub(super) wss: u16,
    pub(super) admin: u16,
}

/// The distance between the ports of two data planes; with 1, the second `ws://` port would be the first admin port.
const STEP: u16 = 100;

// === impl Ports ===

impl Ports {
    /// Chooses the ports of a stack.
    pub(super) fn choose(choice: Choice, nodes: u16, demo: bool) -> anyhow::Result<Self> {
        let ports = match choice {
            Choice::Fixed => Self::fixed(nodes, demo),
            Choice::Auto => Self::auto(nodes, demo)?,
        };
        ports.check()?;
        Ok(ports)
    }

    fn fixed(nodes: u16, demo: bool) -> Self {
        Self {
            management: 9443,
            discovery: 9444,
            backend: demo.then_some(9001),
            nodes: (0..nodes)
                .map(|node| NodePorts {
                    ws: 9099 + STEP * node,
                    wss: 8099 + STEP * node,
                    admin: 9100 + STEP * node,
                })
                .collect(),
        }
    }

    fn auto(nodes: u16, demo: bool) -> anyhow::Result<Self> {
        // The management port is in the tokens' issuer, so it must be known before the control plane starts. The rest is
        // left to the processes.
        let management = free_port().context("no port between 20000 and 29999 is free")?;
        let any = NodePorts {
            ws: 0,
            wss: 0,
            admin: 0,
        };
        Ok(Self {
            management,
            discovery: 0,
            backend: demo.then_some(0),
            nodes: vec![any; nodes.into()],
        })
    }

    fn check(&self) -> anyhow::Result<()> {
        let mut named = vec![
            ("the control plane's management listener", self.management),
            ("the control plane's discovery listener", self.discovery),
        ];
        named.extend(self.backend.map(|port| ("the demo backend", port)));
        for node in &self.nodes {
            named.push(("ws:// of a data plane", node.ws));
            named.push(("wss:// of a data plane", node.wss));
            named.push(("the admin port of a data plane", node.admin));
        }
        for (what, port) in named {
            if let Err(error) = TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, port))) {
                bail!(
                    "port {port}, for {what}, cannot be used: {error}; stop the process that uses it, or use `--ports auto`"
                );
            }
        }
        Ok(())
    }
}

/// A free port below the ephemeral range, so that no other process gets it by chance before it's used.
#[must_use]
pub fn free_port() -> Option<u16> {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    let seed = now.subsec_nanos() ^ std::process::id();
    (0..10_000).find_map(|step| {
        let port = u16::try_from(20_000 + (seed % 10_000 + step) % 10_000).ok()?;
        TcpListener::bind((Ipv4Addr::LOCALHOST, port))
            .ok()
            .map(|_| port)
    })
}

#[cfg(test)]
mod tests {
    use std::{collections::HashSet, net::TcpListener};

    use super::{NodePorts, Ports};

    #[test]
    fn no_two_listeners_of_the_largest_stack_share_a_port() {
        let ports = Ports::fixed(9, true);
        let mut all = vec![ports.management, ports.discovery, ports.backend.unwrap()];
        for NodePorts { ws, wss, admin } in ports.nodes {
            all.extend([ws, wss, admin]);
        }
        let different: HashSet<_> = all.iter().collect();
        assert_eq!(different.len(), all.len());
    }

    #[test]
    fn a_taken_port_is_named() {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut ports = Ports::auto(1, false).unwrap();
        ports.nodes[0].wss = taken.local_addr().unwrap().port();
        let error = ports.check().unwrap_err().to_string();
        assert!(
            error.contains(&format!("port {}", ports.nodes[0].wss)),
            "{error}"
        );
        assert!(error.contains("wss://"), "{error}");
    }
}
