//! Values as people read them: times, numbers, kinds of documents, sentences.

use std::time::Duration;

use tidegate_proto::claims::KeyType;

use super::html::Html;
use crate::domain::{
    document::{Document, DocumentContent, DocumentKind},
    subscription::SubscriptionState,
    time::Timestamp,
};

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;
/// Beyond this the date says more than a count of days.
const DATE_FROM: u64 = 30 * DAY;

/// A `<time>` element: how long ago, with the exact time in a tooltip.
#[must_use]
pub fn time_element(at: Timestamp, now: Timestamp) -> Html {
    let machine = at.to_string();
    let exact = calendar(at, "%-d %B %Y, %H:%M:%S UTC");
    let relative = relative(at, now);
    Html(format!(
        r#"<time datetime="{machine}" title="{exact}">{relative}</time>"#
    ))
}

/// How long ago, or how long until then; beyond a month, the date.
#[must_use]
pub fn relative(at: Timestamp, now: Timestamp) -> String {
    let (apart, future) = if at > now {
        (at.since(now), true)
    } else {
        (now.since(at), false)
    };
    if apart.as_secs() >= DATE_FROM {
        return calendar(at, "%-d %b %Y");
    }
    match duration(apart) {
        None => "just now".to_owned(),
        Some(duration) if future => format!("in {duration}"),
        Some(duration) => format!("{duration} ago"),
    }
}

/// A length of time in its largest unit; `None` below five seconds.
#[must_use]
pub fn duration(apart: Duration) -> Option<String> {
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

/// A number with its thousands separated.
#[must_use]
pub fn number(of: u64) -> String {
    let digits = of.to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A kind of documents.
#[must_use]
pub const fn document_kind(of: DocumentKind) -> &'static str {
    match of {
        DocumentKind::HowTo => "How-to",
        DocumentKind::Samples => "Samples and SDKs",
        DocumentKind::PublicForum => "Public forum",
        DocumentKind::SupportForum => "Support forum",
        DocumentKind::Other => "Other",
    }
}

/// Where a document leads that is a link; `None` for a text.
#[must_use]
pub fn document_link(document: &Document) -> Option<&str> {
    match &document.content {
        DocumentContent::Link(url) => Some(url),
        DocumentContent::Markdown(_) => None,
    }
}

/// A type of keys.
#[must_use]
pub const fn key_type(of: KeyType) -> &'static str {
    match of {
        KeyType::Production => "Production",
        KeyType::Sandbox => "Sandbox",
    }
}

/// The state of a subscription: a badge's class and its text.
#[must_use]
pub const fn subscription_state(of: SubscriptionState) -> (&'static str, &'static str) {
    match of {
        SubscriptionState::Active => ("good", "Active"),
        SubscriptionState::Blocked => ("bad", "Blocked"),
        SubscriptionState::ProductionBlocked => ("warn", "Production blocked"),
    }
}

/// A text with a capital and a full stop.
#[must_use]
pub fn sentence(text: &str) -> String {
    let text = capitalized(text);
    if text.ends_with(['.', '!', '?']) {
        text
    } else {
        format!("{text}.")
    }
}

/// A text with a capital.
#[must_use]
pub fn capitalized(text: &str) -> String {
    let mut chars = text.chars();
    match chars.next() {
        Some(first) => first.to_uppercase().chain(chars).collect(),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::{number, relative, time_element};
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
            assert_eq!(relative(at, now), told);
        }
        let later = Timestamp::from_millis(now.millis() + 90_000);
        assert_eq!(relative(later, now), "in 1 minute");
    }

    #[test]
    fn the_exact_time_is_there_for_people_and_machines() {
        let at = Timestamp::from_millis(1_700_000_000_000);
        assert_eq!(
            time_element(at, at).to_string(),
            r#"<time datetime="2023-11-14T22:13:20Z" title="14 November 2023, 22:13:20 UTC">just now</time>"#
        );
    }

    #[test]
    fn thousands_stand_apart() {
        let shown = [0, 999, 1000, 1_234_567].map(number);
        assert_eq!(shown, ["0", "999", "1,000", "1,234,567"]);
    }
}
