//! What is done in place of serving, while no control plane runs on the data: the store is exported, restored, or given
//! another password. Called by `main`.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, BufReader, BufWriter, Read},
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
    sync::Arc,
};

use anyhow::Context as _;
use tidegate_kit::{clock::Clock, durable, secret::Secret};

use super::STORE;
use crate::{
    config::Config,
    domain::{name::UserName, user::Role},
    service::{Service, error::ServiceError},
    store::{self, Store},
};

/// How much of a password file is read: more than the longest password has.
const PASSWORD_BYTES: u64 = 4096;
/// How many admins are named.
const ADMINS_NAMED: usize = 20;

/// Writes everything in the store to a new file.
///
/// # Errors
/// When there is no store, or it is in use or damaged, or the file exists or cannot be written.
pub fn export(config: &Config, file: &Path) -> anyhow::Result<()> {
    let store = existing(config)?;
    let failed = || format!("cannot write {}", file.display());
    let mut options = OpenOptions::new();
    // An export holds password hashes and signing keys.
    options.write(true).create_new(true).mode(0o600);
    let mut to = BufWriter::new(options.open(file).with_context(failed)?);
    let exported = store::export::export(&*store, &mut to)
        .map_err(anyhow::Error::from)
        .and_then(|meta| {
            let whole = to.into_inner().with_context(failed)?;
            whole.sync_all().with_context(failed)?;
            durable::sync_folder(durable::parent(file)).with_context(failed)?;
            Ok(meta)
        });
    if exported.is_err() {
        // A part of an export restores nothing, and would be in the way of the next one.
        drop(fs::remove_file(file));
    }
    let meta = exported?;
    tracing::info!(number = meta.number.get(), file = %file.display(), "exported");
    Ok(())
}

/// Fills an empty store from an exported file.
///
/// # Errors
/// When the store is in use or not empty, or the file does not read.
pub fn restore(config: &Config, file: &Path) -> anyhow::Result<()> {
    let from = File::open(file).with_context(|| format!("cannot read {}", file.display()))?;
    let store = store::open(&config.data_dir.join(STORE))?;
    let meta = store::export::restore(&*store, &mut BufReader::new(from))?;
    tracing::info!(number = meta.number.get(), file = %file.display(), "restored");
    Ok(())
}

/// Sets the password of a user (`admin.username` where none is named) to what is in a file, `-` for the standard input,
/// or to a random one, which is printed.
///
/// # Errors
/// When there is no store or it is in use, or there is no such user, or the password cannot be read or used.
pub async fn reset_password(
    config: &Config,
    user: Option<&str>,
    file: Option<&Path>,
) -> anyhow::Result<()> {
    let given = file.map(read_password).transpose()?;
    let service = Service::open(existing(config)?, Clock::System).await?;
    let name = user.unwrap_or(&config.admin.username);
    let reset = match UserName::parse(name) {
        Ok(name) => service.reset_password(&name, given).await,
        Err(_) => Err(ServiceError::NotFound(name.to_owned())),
    };
    let reset = match reset {
        Err(ServiceError::NotFound(_)) => anyhow::bail!(
            "there is no user `{name}`; {}",
            match admins(&service) {
                Some(admins) => format!(
                    "the users with the role admin are {admins}: run `tidegate-control-plane reset-password USER` with \
                     one of them"
                ),
                None => "nobody has the role admin, so start the control plane: it makes the user `admin.username`"
                    .to_owned(),
            }
        ),
        reset => reset.context("cannot reset the password")?,
    };
    tracing::info!(user = %reset.user.name, "the password was reset, and all sessions of the user have ended");
    if !reset.user.roles.contains(Role::Admin) {
        let admins = admins(&service).unwrap_or_else(|| "nobody".to_owned());
        tracing::warn!(user = %reset.user.name, "this user does not have the role admin; those who have it: {admins}");
    }
    if let Some(password) = reset.made {
        // On the standard output and nowhere else; the log is kept.
        println!("{}", password.expose());
    }
    Ok(())
}

fn admins(service: &Service) -> Option<String> {
    let names = service.admin_names(ADMINS_NAMED);
    (!names.is_empty()).then(|| names.join(", "))
}

/// The store that is there. A data directory that was mistyped must not be filled with a new one.
fn existing(config: &Config) -> anyhow::Result<Arc<dyn Store>> {
    let folder = config.data_dir.join(STORE);
    anyhow::ensure!(
        folder.is_dir(),
        "there is no store in {}; set `data_dir` to the data directory of the control plane",
        config.data_dir.display()
    );
    Ok(store::open(&folder)?)
}

/// The password in a file; the end of its line is no part of it.
fn read_password(file: &Path) -> anyhow::Result<Secret> {
    let read = |from: &mut dyn Read| {
        let mut text = String::new();
        let read = from.take(PASSWORD_BYTES).read_to_string(&mut text);
        read.map(|_| Secret::new(text))
    };
    let read = if file == Path::new("-") {
        read(&mut io::stdin())
    } else {
        File::open(file).and_then(|mut file| read(&mut file))
    };
    let text = read.with_context(|| format!("cannot read the password in {}", file.display()))?;
    Ok(Secret::new(
        text.expose().trim_end_matches(['\r', '\n']).to_owned(),
    ))
}
