//! Layered configuration: built-in defaults, then a TOML file, then the environment, then `--set` on the command line.
//!
//! Environment variables begin with `TIDEGATE_` and separate levels with two underscores: `TIDEGATE_LISTEN__WS`. An
//! unknown key is an error that names the key and the layer it came from.

use std::{
    fmt,
    path::{Path, PathBuf},
};

use config::{Config, File, FileFormat};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

const PREFIX: &str = "TIDEGATE_";

/// Where a setting came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Layer {
    /// A configuration file.
    File(PathBuf),
    /// An environment variable.
    Environment(String),
    /// A `--set` on the command line.
    Set(String),
}

/// A configuration that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file doesn't exist, can't be read or isn't TOML.
    #[error("cannot read configuration file {path}: {cause}")]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        cause: Box<config::ConfigError>,
    },
    /// A `--set` without `=`.
    #[error("`--set {0}` has no `=`; write `--set key=value`")]
    NoEquals(String),
    /// A layer with an unknown key or a value of the wrong type.
    #[error("{cause} (in {layer})")]
    Layer {
        /// The layer.
        layer: Layer,
        /// What is wrong in it.
        cause: Box<config::ConfigError>,
    },
    /// An environment variable that isn't UTF-8.
    #[error("environment variable {0} is not UTF-8")]
    NotText(String),
    /// Layers that are valid one by one but not together.
    #[error("the configuration does not fit together: {0}")]
    Merged(Box<config::ConfigError>),
}

impl fmt::Display for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "file {}", path.display()),
            Self::Environment(name) => write!(f, "environment variable {name}"),
            Self::Set(set) => write!(f, "--set {set}"),
        }
    }
}

/// Reads the configuration of a process. `T` must have a default for every key and refuse unknown ones.
///
/// # Errors
/// Names the layer and the key at fault.
pub fn load<T: DeserializeOwned>(file: Option<&Path>, sets: &[String]) -> Result<T, ConfigError> {
    // Other programs' variables may not be UTF-8, and `std::env::vars` would panic on them.
    let ours = std::env::vars_os().filter_map(|(name, value)| {
        let name = name.into_string().ok()?;
        name.starts_with(PREFIX).then_some((name, value))
    });
    let ours: Result<Vec<_>, _> = ours
        .map(|(name, value)| match value.into_string() {
            Ok(value) => Ok((name, value)),
            Err(_) => Err(ConfigError::NotText(name)),
        })
        .collect();
    load_from(file, ours?.into_iter(), sets)
}

/// Like [`load`], with the environment passed in.
///
/// # Errors
/// Names the layer and the key at fault.
pub fn load_from<T: DeserializeOwned>(
    file: Option<&Path>,
    environment: impl Iterator<Item = (String, String)>,
    sets: &[String],
) -> Result<T, ConfigError> {
    let mut layers = Vec::new();
    if let Some(path) = file {
        let layer = Config::builder()
            .add_source(File::from(path).format(FileFormat::Toml))
            .build()
            .map_err(|cause| ConfigError::File {
                path: path.to_owned(),
                cause: Box::new(cause),
            })?;
        layers.push((Layer::File(path.to_owned()), layer));
    }
    let mut variables: Vec<_> = environment
        .filter(|(name, _)| name.starts_with(PREFIX))
        .collect();
    variables.sort();
    for (name, value) in variables {
        let key = name[PREFIX.len()..].to_ascii_lowercase().replace("__", ".");
        let layer = single(&key, &value).map_err(|cause| ConfigError::Layer {
            layer: Layer::Environment(name.clone()),
            cause: Box::new(cause),
        })?;
        layers.push((Layer::Environment(name), layer));
    }
    for set in sets {
        let (key, value) = set
            .split_once('=')
            .ok_or_else(|| ConfigError::NoEquals(set.clone()))?;
        let shown = Layer::Set(key.to_owned());
        let layer = single(key, value).map_err(|cause| ConfigError::Layer {
            layer: shown.clone(),
            cause: Box::new(cause),
        })?;
        layers.push((shown, layer));
    }

    let mut merged = Config::builder();
    for (_, layer) in &layers {
        merged = merged.add_source(layer.clone());
    }
    merged
        .build()
        .and_then(Config::try_deserialize)
        .map_err(|cause| blame(layers, cause, |layer| layer.try_deserialize::<T>().err()))
}

/// The effective configuration as TOML for `--print-config`, one dotted key per line. Secrets are redacted; a key that is
/// not set is a comment.
#[must_use]
pub fn show(config: &impl Serialize) -> String {
    let mut lines = String::new();
    match serde_json::to_value(config) {
        Ok(value) => show_into(&mut lines, "", &value),
        Err(cause) => lines.push_str(&format!("# cannot be shown: {cause}\n")),
    }
    lines
}

fn show_into(lines: &mut String, key: &str, value: &Value) {
    match value {
        Value::Object(members) => {
            for (member, value) in members {
                let key = if key.is_empty() {
                    member.clone()
                } else {
                    format!("{key}.{member}")
                };
                show_into(lines, &key, value);
            }
        }
        Value::Null => lines.push_str(&format!("# {key} is not set\n")),
        value => lines.push_str(&format!("{key} = {value}\n")),
    }
}

/// Finds the layer that is invalid on its own, so that the error can name it.
fn blame(
    layers: Vec<(Layer, Config)>,
    merged: config::ConfigError,
    fault: impl Fn(Config) -> Option<config::ConfigError>,
) -> ConfigError {
    for (layer, config) in layers {
        if let Some(cause) = fault(config) {
            return ConfigError::Layer {
                layer,
                cause: Box::new(cause),
            };
        }
    }
    ConfigError::Merged(Box::new(merged))
}

/// One key with one value. A value that looks like a list, a table or a quoted string is read as TOML; anything else is
/// text, and becomes a number or boolean only if the key's type asks for one. A password that looks like a number must
/// stay as it is.
fn single(key: &str, value: &str) -> Result<Config, config::ConfigError> {
    let is_password = key.ends_with("password");
    let looks_like_toml = value.starts_with(['[', '{', '"', '\'']) && !value.contains('\n');
    if looks_like_toml && !is_password {
        let text = format!("{key} = {value}");
        let toml = File::from_str(&text, FileFormat::Toml);
        if let Ok(config) = Config::builder().add_source(toml).build() {
            return Ok(config);
        }
    }
    Config::builder().set_override(key, value)?.build()
}

#[cfg(test)]
mod tests;
