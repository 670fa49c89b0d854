//! Lists on pages: a filter from what is typed, and the links below a page of a list.

use std::fmt::Write as _;

use super::fields::Fields;
use crate::{
    domain::time::Timestamp,
    service::listing::{ListQuery, Page},
};

/// A filter of the admin API's lists, made of what somebody typed or chose; empty parts are left out.
#[derive(Clone, Debug, Default)]
pub struct Filter(String);

/// The links below a page of a list.
#[derive(Clone, Debug)]
pub struct Pager {
    /// How many there are on all pages.
    pub total: usize,
    /// Where the first page is; `None` on it.
    pub first: Option<String>,
    /// Where the next page is; `None` on the last.
    pub next: Option<String>,
}

/// The name of the query parameter with the page's token.
pub const PAGE: &str = "page";

/// A page of a list, as a template shows it.
#[derive(Clone, Debug)]
pub struct ListView<T> {
    /// The path of the list.
    pub path: &'static str,
    /// The parameters that it was requested with.
    pub query: Fields,
    /// What is on the page.
    pub items: Vec<T>,
    /// The links below it.
    pub pager: Pager,
}

/// The name of the query parameter with the text to search for.
pub const SEARCH: &str = "q";

// === impl ListView ===

impl<T> ListView<T> {
    /// The page of the list at `path`, which was requested with `query`.
    #[must_use]
    pub fn new(path: &'static str, query: Fields, page: Page<T>) -> Self {
        Self {
            path,
            pager: Pager::new(path, &query, &page),
            items: page.items,
            query,
        }
    }

    /// The same page with its items made into something else.
    #[must_use]
    pub fn map<U>(self, item: impl FnMut(T) -> U) -> ListView<U> {
        ListView {
            path: self.path,
            query: self.query,
            items: self.items.into_iter().map(item).collect(),
            pager: self.pager,
        }
    }

    /// The text that was searched for.
    #[must_use]
    pub fn search(&self) -> &str {
        self.query.text(SEARCH)
    }

    /// Whether the list shows only what passes a filter, by one of these parameters.
    #[must_use]
    pub fn is_filtered(&self, parameters: &[&str]) -> bool {
        parameters
            .iter()
            .any(|name| !self.query.text(name).is_empty())
    }
}

// === impl Filter ===

impl Filter {
    /// All.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Those whose name contains the text that is searched for.
    #[must_use]
    pub fn named(query: &Fields) -> Self {
        Self::new().contains("name", query.text(SEARCH))
    }

    /// Those whose field contains the text, letter case aside.
    #[must_use]
    pub fn contains(self, field: &str, text: &str) -> Self {
        self.compare(field, ":", text)
    }

    /// Those whose field is the text.
    #[must_use]
    pub fn is(self, field: &str, text: &str) -> Self {
        self.compare(field, "=", text)
    }

    /// Those whose field is that time or later.
    #[must_use]
    pub fn not_before(self, field: &str, at: Timestamp) -> Self {
        self.compare(field, ">=", &at.to_string())
    }

    /// Those whose field is before that time.
    #[must_use]
    pub fn before(self, field: &str, at: Timestamp) -> Self {
        self.compare(field, "<", &at.to_string())
    }

    /// The page of a list that `query` asks for, of those that pass the filter.
    #[must_use]
    pub fn page(self, query: &Fields, page_size: i32) -> ListQuery {
        ListQuery {
            page_size,
            page_token: query.text(PAGE).to_owned(),
            filter: self.0,
            ..ListQuery::default()
        }
    }

    /// The first page of a list, of those that pass the filter.
    #[must_use]
    pub fn first(self, page_size: i32) -> ListQuery {
        self.page(&Fields::new(), page_size)
    }

    fn compare(mut self, field: &str, operator: &str, text: &str) -> Self {
        let text = text.trim();
        if text.is_empty() {
            return self;
        }
        let and = if self.0.is_empty() { "" } else { " AND " };
        let quoted = text.replace('\\', "\\\\").replace('"', "\\\"");
        write!(self.0, "{and}{field} {operator} \"{quoted}\"").expect("a string takes everything");
        self
    }
}

// === impl Pager ===

impl Pager {
    /// The links of a page of the list at `path`, which was asked for with `query`.
    #[must_use]
    pub fn new<T>(path: &str, query: &Fields, page: &Page<T>) -> Self {
        Self::behind(path, query, &page.next_page_token, page.total_size)
    }

    /// The links of a page behind which the one of this token comes.
    fn behind(path: &str, query: &Fields, token: &str, total: usize) -> Self {
        let rest = query.only(|name| name != PAGE);
        let link = |query: &Fields| match query.encode() {
            encoded if encoded.is_empty() => path.to_owned(),
            encoded => format!("{path}?{encoded}"),
        };
        let next = Some(token).filter(|token| !token.is_empty());
        Self {
            total,
            first: (!query.text(PAGE).is_empty()).then(|| link(&rest)),
            next: next.map(|token| link(&rest.clone().with(PAGE, token))),
        }
    }

    /// Whether there is anything to show.
    #[must_use]
    pub const fn has_links(&self) -> bool {
        self.first.is_some() || self.next.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::{Fields, Filter, PAGE, Pager};

    #[test]
    fn what_is_typed_cannot_leave_its_quotes() {
        let filter = Filter::new()
            .contains("api_name", r#"a" OR \"#)
            .is("state", "")
            .is("tags", "x")
            .first(1)
            .filter;
        assert_eq!(filter, r#"api_name : "a\" OR \\" AND tags = "x""#);
    }

    #[test]
    fn links_keep_what_was_asked_for() {
        let query = Fields::new().with("q", "a b").with(PAGE, "t1");
        let pager = Pager::behind("/x", &query, "t2", 120);
        assert_eq!(pager.next.as_deref(), Some("/x?q=a+b&page=t2"));
        assert_eq!(pager.first.as_deref(), Some("/x?q=a+b"));
    }
}
