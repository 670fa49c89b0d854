//! Times as people type them into `datetime-local` inputs, in UTC.

use crate::domain::{
    invalid::{Rule, reason},
    time::Timestamp,
};

/// Reads a time; `None` when nothing is typed.
pub(super) fn read(text: &str) -> Option<Result<Timestamp, Rule>> {
    let text = text.trim();
    if text.is_empty() {
        return None;
    }
    let instant = format!("{text}Z").parse::<jiff::Timestamp>().ok();
    let instant = instant.and_then(|at| u64::try_from(at.as_millisecond()).ok());
    let rule = || {
        Rule::new(
            reason::MALFORMED,
            "must be a date and a time, such as 2030-12-31T23:59",
        )
    };
    Some(instant.map(Timestamp::from_millis).ok_or_else(rule))
}

/// Writes what [`read`] reads.
pub(super) fn write(at: Timestamp) -> String {
    let text = at.to_string();
    text.strip_suffix('Z').unwrap_or(&text).to_owned()
}

#[cfg(test)]
mod tests {
    use super::{Timestamp, read, write};

    #[test]
    fn a_time_reads_back_to_the_millisecond() {
        for millis in [0, 1_700_000_000_000, 1_700_000_000_123] {
            let at = Timestamp::from_millis(millis);
            assert_eq!(read(&write(at)), Some(Ok(at)));
        }
        let noon = read("2030-01-02T12:00").unwrap().unwrap();
        assert_eq!(noon.to_string(), "2030-01-02T12:00:00Z");
        assert_eq!(read(" "), None);
        for text in ["tomorrow", "2030-13-01T00:00", "1960-01-01T00:00"] {
            assert!(read(text).unwrap().is_err(), "{text}");
        }
    }
}
