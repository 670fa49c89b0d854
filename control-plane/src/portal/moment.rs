//! Times as people read them: how long ago, with the exact time when one points at it.

use std::time::Duration;

use super::html::Html;
use crate::domain::time::Timestamp;

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;
/// Beyond this the date says more than a count of days.
const DATE_FROM: u64 = 30 * DAY;

/// A `<time>` element.
#[must_use]
pub fn element(at: Timestamp, now: Timestamp) -> Html {
    let machine = at.to_string();
    let exact = calendar(at, "%-d %B %Y, %H:%M:%S UTC");
    let words = words(at, now);
    Html(format!(
        r#"<time datetime="{machine}" title="{exact}">{words}</time>"#
    ))
}

/// How long ago, or how long until then; beyond a month, the date.
#[must_use]
pub fn words(at: Timestamp, now: Timestamp) -> String {
    let (apart, future) = if at > now {
        (at.since(now), true)
    } else {
        (now.since(at), false)
    };
    if apart.as_secs() >= DATE_FROM {
        return calendar(at, "%-d %b %Y");
    }
    match length(apart) {
        None => "just now".to_owned(),
        Some(length) if future => format!("in {length}"),
        Some(length) => format!("{length} ago"),
    }
}

/// A length of time in its largest unit; `None` below five seconds.
#[must_use]
pub fn length(apart: Duration) -> Option<String> {
    let seconds = apart.as_secs();
    let (count, unit) = match seconds {
        0..5 => return None,
        5..MINUTE => (seconds, "second"),
        MINUTE..HOUR => (seconds / MINUTE, "minute"),
        HOUR..DAY => (seconds / HOUR, "hour"),
        _ => (seconds / DAY, "day"),
    };
    let plural = if count == 1 { "" } else { "s" };
    Some(format!("{count} {unit}{plural}"))
}

fn calendar(at: Timestamp, format: &str) -> String {
    let millis = i64::try_from(at.millis()).unwrap_or(i64::MAX);
    match jiff::Timestamp::from_millisecond(millis) {
        Ok(instant) => instant.strftime(format).to_string(),
        Err(_) => at.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::{element, words};
    use crate::domain::time::Timestamp;

    #[test]
    fn times_are_told_by_how_far_they_are() {
        let now = Timestamp::from_millis(1_700_000_000_000);
        for (ago, told) in [
            (0, "just now"),
            (61, "1 minute ago"),
            (2 * 3600, "2 hours ago"),
            (25 * 3600, "1 day ago"),
            (40 * 86_400, "5 Oct 2023"),
        ] {
            let at = Timestamp::from_millis(now.millis() - ago * 1000);
            assert_eq!(words(at, now), told);
        }
        let later = Timestamp::from_millis(now.millis() + 90_000);
        assert_eq!(words(later, now), "in 1 minute");
    }

    #[test]
    fn the_exact_time_is_there_for_people_and_machines() {
        let at = Timestamp::from_millis(1_700_000_000_000);
        assert_eq!(
            element(at, at).to_string(),
            r#"<time datetime="2023-11-14T22:13:20Z" title="14 November 2023, 22:13:20 UTC">just now</time>"#
        );
    }
}
