//! Reads a whole state out of a store, migrating an older one first. A store that does not read back whole is refused.

use super::{Store, StoreError, migrate, record};
use crate::domain::state::State;

/// The state that a store holds, or `None` when nothing was ever kept in it.
///
/// # Errors
/// When the store is newer than this software, damaged, or cannot be read.
pub fn load(store: &dyn Store) -> Result<Option<State>, StoreError> {
    let Some(mut meta) = store.meta()? else {
        return Ok(None);
    };
    if meta.format != migrate::FORMAT {
        meta = migrate::migrate(store, meta)?;
    }
    let mut state = State::default();
    let mut n_records = 0_u64;
    store.scan(&mut |key, framed| {
        state.put(record::decode(key, framed)?);
        n_records += 1;
        Ok(())
    })?;
    if n_records != meta.records {
        return Err(StoreError::corrupt(format!(
            "{n_records} of {} records are there",
            meta.records
        )));
    }
    state.set_number(meta.number);
    Ok(Some(state))
}
