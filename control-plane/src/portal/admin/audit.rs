//! The audit log: who changed what, filtered and in pages, with the values that each change changed.

use askama::Template;
use axum::{Router, extract::State, routing::get};
use serde_json::Value;

use super::local_time;
use crate::{
    domain::{audit::AuditEntry, user::Permission},
    portal::{
        Answer, Form, Frame, NavItem, Portal, SignedIn,
        list::{Filter, Pager},
    },
    service::listing::Page,
};

#[derive(Template)]
#[template(path = "admin/audit.html")]
struct AuditLog {
    frame: Frame,
    /// The filters, and what is wrong with them.
    form: Form,
    entries: Vec<(AuditEntry, Vec<Difference>)>,
    /// How many entries there are, whatever the filter; zero when the filter can't be read.
    total: usize,
    pager: Pager,
}

/// A value that a change changed.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Difference {
    /// Where it is in the resource: `limits.messages.amount`.
    path: String,
    before: String,
    after: String,
}

/// The entry of the side navigation.
pub(super) const NAV: NavItem = NavItem::new("Audit log", "/admin/audit", Permission::ReadAudit);
/// How many stand on a page, so that it stays small with all that they changed.
const PAGE_SIZE: i32 = 25;
/// How many values of an entry are shown, and how much of each.
const DIFFERENCES_MAX: usize = 12;
const VALUE_CHARS: usize = 120;
/// What every change changes; the entry has the time.
const AUTOMATIC: [&str; 3] = ["created_at", "updated_at", "etag"];
/// The filters.
const FILTERS: [&str; 5] = ["actor", "action", "resource", "from", "until"];

pub(super) fn routes() -> Router<Portal> {
    Router::new().route(NAV.path, get(list))
}

async fn list(State(portal): State<Portal>, signed_in: SignedIn) -> Answer {
    let query = signed_in.query();
    let mut form = Form::of(query.only(|name| FILTERS.contains(&name)));
    let mut filter = Filter::new()
        .contains("actor", query.text("actor"))
        .contains("action", query.text("action"))
        .contains("resource", query.text("resource"));
    for (name, earliest) in [("from", true), ("until", false)] {
        match local_time::read(query.text(name)) {
            Some(Ok(at)) if earliest => filter = filter.not_before("time", at),
            Some(Ok(at)) => filter = filter.before("time", at),
            Some(Err(rule)) => form.fault(name, rule.description),
            None => {}
        }
    }
    let mut page = Page::empty();
    if !form.is_refused() {
        let listed = filter.page(&query, PAGE_SIZE);
        page = portal
            .service
            .list_audit(signed_in.viewer(), &listed)
            .await?;
    }
    let pager = Pager::new(NAV.path, &query, &page);
    let entries = page.items.into_iter().map(|entry| {
        let differences = differences(&entry);
        (entry, differences)
    });
    let page = AuditLog {
        frame: Frame::new(&signed_in, NAV.name),
        entries: entries.collect(),
        total: page.total_size,
        pager,
        form,
    };
    page.frame.show_with(page.form.status(), &page)
}

/// What an entry changed, value by value, without what was nothing and is nothing, and what changes every time.
fn differences(entry: &AuditEntry) -> Vec<Difference> {
    let mut found = Vec::new();
    compare("", entry.before.as_ref(), entry.after.as_ref(), &mut found);
    found.retain(|it| {
        let is_nothing = it.before.is_empty() && it.after.is_empty();
        !is_nothing && !AUTOMATIC.contains(&it.path.as_str())
    });
    found
}

fn compare(path: &str, before: Option<&Value>, after: Option<&Value>, found: &mut Vec<Difference>) {
    let is_object = |value: &Option<&Value>| matches!(value, Some(Value::Object(_)));
    let holds = |value: &Option<&Value>| value.is_none() || is_object(value);
    let both = [before, after];
    if !both.iter().all(holds) || !both.iter().any(is_object) {
        if before != after {
            found.push(Difference {
                path: path.to_owned(),
                before: text(before),
                after: text(after),
            });
        }
        return;
    }
    let object = |value: Option<&Value>| value.and_then(Value::as_object).cloned();
    let (before, after) = (object(before), object(after));
    let (before, after) = (before.unwrap_or_default(), after.unwrap_or_default());
    let fresh = after.keys().filter(|key| !before.contains_key(*key));
    for key in before.keys().chain(fresh) {
        let path = match path {
            "" => key.clone(),
            path => format!("{path}.{key}"),
        };
        compare(&path, before.get(key), after.get(key), found);
    }
}

fn text(value: Option<&Value>) -> String {
    let text = match value {
        None | Some(Value::Null) => return String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(value) => value.to_string(),
    };
    if text.chars().count() <= VALUE_CHARS {
        return text;
    }
    let kept: String = text.chars().take(VALUE_CHARS).collect();
    format!("{kept}…")
}

// === impl AuditLog ===

impl AuditLog {
    fn is_filtered(&self) -> bool {
        FILTERS.iter().any(|name| !self.form.value(name).is_empty())
    }

    /// As many of the differences as are shown.
    fn shown<'a>(&self, differences: &'a [Difference]) -> &'a [Difference] {
        &differences[..differences.len().min(DIFFERENCES_MAX)]
    }

    /// As many of the touched resources as are shown.
    fn some<'a>(&self, touched: &'a [String]) -> &'a [String] {
        &touched[..touched.len().min(DIFFERENCES_MAX)]
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{Difference, compare};

    #[test]
    fn only_what_changed_is_shown_down_to_single_values() {
        let before = json!({"a": 1, "b": {"c": "x", "d": [1]}, "gone": true});
        let after = json!({"a": 1, "b": {"c": "y", "d": [1, 2]}, "new": null});
        let mut found = Vec::new();
        compare("", Some(&before), Some(&after), &mut found);
        let difference = |path: &str, before: &str, after: &str| Difference {
            path: path.to_owned(),
            before: before.to_owned(),
            after: after.to_owned(),
        };
        let expected = [
            difference("b.c", "x", "y"),
            difference("b.d", "[1]", "[1,2]"),
            difference("gone", "true", ""),
            difference("new", "", ""),
        ];
        assert_eq!(found, expected);
    }
}
