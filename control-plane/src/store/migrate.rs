//! The format of the store as a whole, and the steps from each older one to the next. A record's own fields change by a
//! new version of the record; a step is for what no single record can do, such as other keys.
//!
//! A step sees all records as JSON, without frames. All steps together are written in one piece.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{
    Store, StoreError,
    change::{Contents, Meta},
    record::{frame, unframe},
};

/// The format that this software writes.
///
/// - 0: one `deployments/{api}` record per API, with all of its environments.
/// - 1: one `deployment/{environment}/{api}` record each, so that a deployment is one small change.
pub const FORMAT: u32 = 1;

/// Records as a step sees them.
type Records = BTreeMap<String, Value>;

/// What takes records from one format to the next; fails with what it cannot read.
type Step = fn(&mut Records) -> Result<(), String>;

/// The step from each format to the next, by the format it starts from.
const STEPS: [Step; FORMAT as usize] = [split_deployments];

/// Brings a store to [`FORMAT`]; returns what it then holds.
///
/// # Errors
/// When the store is newer than this software, damaged, or cannot be written.
pub fn migrate(store: &dyn Store, meta: Meta) -> Result<Meta, StoreError> {
    if meta.format > FORMAT {
        return Err(StoreError::TooNew {
            found: meta.format,
            known: FORMAT,
        });
    }
    let contents = Contents::of(store)?.ok_or_else(|| StoreError::corrupt("it became empty"))?;
    let migrated = migrated(contents)?;
    store.replace(&migrated)?;
    tracing::info!(
        from = meta.format,
        to = FORMAT,
        records = migrated.meta.records,
        "the store was brought to a newer format"
    );
    Ok(migrated.meta)
}

fn migrated(contents: Contents) -> Result<Contents, StoreError> {
    if contents.records.len() as u64 != contents.meta.records {
        return Err(StoreError::corrupt(format!(
            "{} of {} records are there",
            contents.records.len(),
            contents.meta.records
        )));
    }
    let mut records = Records::new();
    for (key, framed) in &contents.records {
        let value = serde_json::from_str(unframe(key, framed)?)
            .map_err(|e| StoreError::corrupt(format!("the record `{key}` says {e}")))?;
        records.insert(key.clone(), value);
    }
    for (format, step) in STEPS.iter().enumerate() {
        if format >= contents.meta.format as usize {
            step(&mut records).map_err(|why| {
                StoreError::corrupt(format!("it cannot be taken from format {format}: {why}"))
            })?;
        }
    }
    Ok(Contents {
        meta: Meta {
            format: FORMAT,
            number: contents.meta.number,
            records: records.len() as u64,
        },
        records: records
            .into_iter()
            .map(|(key, value)| {
                let framed = frame(&key, &value.to_string());
                (key, framed)
            })
            .collect(),
        audit: contents.audit,
    })
}

/// 0 to 1: `deployments/{api}` = `{"V1": {"api", "on": {environment: {"revision", "by", "at"}}}}` becomes one record per
/// environment.
fn split_deployments(records: &mut Records) -> Result<(), String> {
    const OLD: &str = "deployments/";
    let old: Vec<String> = records
        .range(OLD.to_owned()..)
        .map(|(key, _)| key.clone())
        .take_while(|key| key.starts_with(OLD))
        .collect();
    for key in old {
        let value = records.remove(&key).ok_or("a record vanished")?;
        let inner = &value["V1"];
        let api = inner["api"]
            .as_str()
            .ok_or_else(|| format!("`{key}` names no API"))?;
        let on = inner["on"]
            .as_object()
            .ok_or_else(|| format!("`{key}` names no environments"))?;
        for (environment, deployment) in on {
            records.insert(
                format!("deployment/{environment}/{api}"),
                json!({"V1": {
                    "api": api,
                    "environment": environment,
                    "revision": deployment["revision"],
                    "deployed_by": deployment["by"],
                    "deployed_at": deployment["at"],
                }}),
            );
        }
    }
    Ok(())
}
