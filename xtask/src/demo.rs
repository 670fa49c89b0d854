//! The demo: an API and users to try on a new Tidegate. `up` seeds the one that it starts; the command `demo` seeds a
//! running one, as docker-compose.yml does.

pub(crate) mod accounts;
pub(crate) mod secrets;
pub(crate) mod seed;

use std::{path::PathBuf, process::ExitCode};

use anyhow::{Context as _, bail};

use accounts::Account;
use secrets::Secrets;
use seed::Demo;

/// The arguments of `cargo xtask demo`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The control plane, `https://host:port`.
    #[arg(long, default_value = "https://localhost:9443")]
    pub control_plane: String,
    /// The certificate of its CA, PEM.
    #[arg(long)]
    pub ca_cert: PathBuf,
    /// A gateway that must serve the demo, `ws://host:port`; may be given several times.
    #[arg(long, default_value = "ws://localhost:9099")]
    pub gateway: Vec<String>,
    /// The backend behind the demo API; it must echo.
    #[arg(long, default_value = "ws://localhost:9001")]
    pub backend: String,
    /// The folder that keeps the demo's passwords and client secrets for the next run.
    #[arg(long)]
    pub data_dir: PathBuf,
    /// The control plane as a browser reaches it.
    #[arg(long, default_value = "https://localhost:9443")]
    pub public_control_plane: String,
    /// The gateways as clients reach them.
    #[arg(long, default_value = "ws://localhost:9099")]
    pub public_gateway: String,
    /// The password of the user `admin`.
    #[arg(long, env = "TIDEGATE_ADMIN__PASSWORD", hide_env_values = true)]
    pub password: Option<String>,
}

/// A running Tidegate, with what the demo needs to know about it.
#[derive(Debug)]
pub(crate) struct Site {
    /// `https://host:port`.
    pub(crate) control_plane: String,
    /// The certificate of its CA.
    pub(crate) ca_cert: PathBuf,
    /// The first admin's password.
    pub(crate) password: String,
    /// The gateways that must serve the demo, each `ws://host:port`.
    pub(crate) gateways: Vec<String>,
    /// The URL behind the demo API.
    pub(crate) backend: String,
    /// Whether that backend is the demo's own echo server.
    pub(crate) echoes: bool,
}

/// Seeds a running Tidegate and prints how to try it.
///
/// # Errors
/// When the control plane doesn't answer or refuses a call, or a gateway doesn't serve the demo in time.
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let Some(password) = args.password.clone().filter(|it| !it.is_empty()) else {
        bail!(
            "the demo signs in as `admin` and needs the password: set TIDEGATE_ADMIN__PASSWORD, with docker compose in \
             the file `.env` before the first start"
        );
    };
    let site = Site {
        control_plane: args.control_plane.clone(),
        ca_cert: args.ca_cert.clone(),
        password,
        gateways: args.gateway.clone(),
        backend: args.backend.clone(),
        echoes: true,
    };
    let secrets = Secrets::in_folder(&args.data_dir);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let (people, demo) = runtime.block_on(async {
        let channel = accounts::sign_in(&site).await?;
        let people = accounts::make(&site, &secrets, &channel)
            .await
            .context("cannot create the accounts")?;
        let demo = seed::demo(&site, &secrets, &channel)
            .await
            .context("cannot create the demo")?;
        anyhow::Ok((people, demo))
    })?;
    print(args, &people, &demo);
    Ok(ExitCode::SUCCESS)
}

fn print(args: &Args, people: &[Account], demo: &Demo) {
    let (portal, gateway) = (&args.public_control_plane, &args.public_gateway);
    println!("Portals: {portal}/publisher  {portal}/devportal  {portal}/admin");
    let made = people.iter().filter(|it| it.username != accounts::ADMIN);
    for Account {
        username,
        password,
        roles,
    } in made
    {
        println!(
            "  user {username:10}  password {password}  ({})",
            roles.join(", ")
        );
    }
    println!();
    lines_to_paste(&format!("{gateway}{}", seed::PATH), &args.backend, demo);
    println!();
    println!("Tokens expire; run this again for new ones.");
    println!("Browsers and tools that verify the control plane's certificate need its CA:");
    println!();
    println!("  docker compose cp control-plane:/var/lib/tidegate/tls/ca.pem ca.pem");
}

/// How to try the demo from a terminal.
pub(crate) fn lines_to_paste(url: &str, backend: &str, demo: &Demo) {
    println!("The demo: EchoWebSocket 1.0 at {url}, in front of {backend}.");
    println!("Paste one of these, type a word, and it comes back:");
    println!();
    println!(
        "  websocat -H='Authorization: Bearer {}' {url}",
        demo.gold_token
    );
    println!();
    println!(
        "  wscat -H 'Authorization: Bearer {}' -c {url}",
        demo.gold_token
    );
    println!();
    println!("That token's application is subscribed under Gold. One under Unlimited:");
    println!();
    println!("  {}", demo.unlimited_token);
}
