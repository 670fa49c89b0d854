//! The audit log, read from the store by pages.

use super::{
    Service,
    error::ServiceError,
    guard::demand,
    listing::{self, Filter, Kind, ListQuery, PAGE_BYTES, Page, Value, kind},
    storage,
};
use tokio::task::spawn_blocking;

use crate::{
    domain::{actor::Actor, audit::AuditEntry, invalid::Faults, state::State, user::Permission},
    store::{Store, StoreError, record},
};

impl Service {
    /// Lists audit entries, the latest first; there is no other order. `total_size` counts all entries, whatever the filter.
    ///
    /// # Errors
    /// `PermissionDenied`, `Invalid`, `Storage`.
    pub async fn list_audit(
        &self,
        actor: &Actor,
        query: &ListQuery,
    ) -> Result<Page<AuditEntry>, ServiceError> {
        demand(actor, Permission::ReadAudit)?;
        let mut faults = Faults::new();
        let size = faults.take("page_size", listing::page_size(query.page_size));
        let filter = faults.take("filter", Filter::parse(&query.filter, &FIELDS));
        let before = faults.take("page_token", listing::read_number(query));
        faults.finish()?;
        let (Some(size), Some(filter), Some(before)) = (size, filter, before) else {
            unreachable!("a value that is missing has left a fault");
        };
        let store = self.shared.store.clone();
        let reading =
            spawn_blocking(move || read(&*store, before.unwrap_or(u64::MAX), size, &filter));
        let (items, rest) = reading
            .await
            .map_err(|_| ServiceError::Unavailable("the audit log could not be read"))?
            .map_err(|error| storage(&error))?;
        let number = |entry: &AuditEntry| entry.number.get();
        let all = count(&self.state());
        Ok(listing::numbered(query, items, number, rest, all))
    }
}

pub(super) const FIELDS: [(&str, Kind); 5] = [
    ("actor", kind::ACTOR),
    ("action", Kind::Text),
    ("resource", Kind::Text),
    ("touched", Kind::Text),
    ("time", Kind::Time),
];
/// How many entries are read from the store at a time; one may have more than a mebibyte.
const CHUNK: usize = 50;
/// How many entries one call looks at; a filter that few fit gets short pages with a token, not a long wait.
const LOOKED_AT_MAX: usize = 20_000;

/// Up to `size` entries that fit, no more than a page may have in bytes, and the number to go on below, if there may be
/// more.
fn read(
    store: &dyn Store,
    mut before: u64,
    size: usize,
    filter: &Filter,
) -> Result<(Vec<AuditEntry>, Option<u64>), StoreError> {
    let mut items = Vec::new();
    let mut bytes = 0;
    for _ in 0..LOOKED_AT_MAX / CHUNK {
        let chunk = store.audit(before, CHUNK)?;
        let last = chunk.len() < CHUNK;
        for (index, (number, framed)) in chunk.iter().enumerate() {
            let entry = record::decode_audit(*number, framed)?;
            if filter.matches(|field| field_of(&entry, field)) {
                bytes += framed.len();
                if bytes > PAGE_BYTES && !items.is_empty() {
                    return Ok((items, Some(before)));
                }
                items.push(entry);
            }
            before = *number;
            if items.len() == size {
                let more = !last || index + 1 < chunk.len();
                return Ok((items, more.then_some(before)));
            }
        }
        if last {
            return Ok((items, None));
        }
    }
    Ok((items, Some(before)))
}

fn field_of(entry: &AuditEntry, field: &str) -> Value {
    match field {
        "actor" => Value::Text(entry.actor_resource()),
        "action" => Value::text(&entry.action),
        "resource" => Value::text(&entry.resource),
        "touched" => Value::Texts(entry.touched.clone()),
        _ => Value::time(entry.at),
    }
}

/// Each commit has one entry, and numbers begin at one.
fn count(state: &State) -> usize {
    usize::try_from(state.number().get()).unwrap_or(usize::MAX)
}
