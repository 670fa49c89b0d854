//! Lists: filter, order and pages, the same for every kind of thing.
//!
//! A filter is a sequence of comparisons joined by `AND`, as in `state = "PUBLISHED" AND api_name : "echo"`; see
//! `filter`. A page token holds the place of the last item, not a count, so that what is added or removed meanwhile
//! shifts nothing.

mod filter;
pub mod kind;

use std::{cmp::Ordering, sync::Arc};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::error::ServiceError;
use crate::{
    domain::{
        invalid::{Faults, Rule, reason},
        meta::ResourceMeta,
        time::Timestamp,
    },
    store::record::hex,
};
pub(super) use filter::Filter;
pub use kind::Kind;

/// What to list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListQuery {
    /// How many at most: 50 when 0; more than 500 counts as 500; negative is refused.
    pub page_size: i32,
    /// `next_page_token` of the page before, with the same filter and order; empty for the first.
    pub page_token: String,
    /// Which to list; empty for all.
    pub filter: String,
    /// A field, or several separated by commas, each with ` desc` for falling order; empty for the default order.
    pub order_by: String,
}

/// One page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page<T> {
    /// The items.
    pub items: Vec<T>,
    /// Asks for the next page; empty on the last.
    pub next_page_token: String,
    /// How many match the filter on all pages together.
    pub total_size: usize,
    /// Which filter and order it belongs to.
    query: String,
    /// Where each item stands.
    places: Vec<Standing>,
}

/// Where an item stands in its order, and what tells it from its equals.
type Standing = (Vec<Value>, String);

// === impl Page ===

impl<T> Page<T> {
    /// A page of nothing, for a list that was not asked.
    #[must_use]
    pub const fn empty() -> Self {
        Self {
            items: Vec::new(),
            next_page_token: String::new(),
            total_size: 0,
            query: String::new(),
            places: Vec::new(),
        }
    }

    /// The same page of what the items are turned into.
    pub(super) fn map<U>(self, turn: impl FnMut(T) -> U) -> Page<U> {
        Page {
            items: self.items.into_iter().map(turn).collect(),
            next_page_token: self.next_page_token,
            total_size: self.total_size,
            query: self.query,
            places: self.places,
        }
    }
}

/// The value of a field, as filters and orders see it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Value {
    /// A text, or a name.
    Text(String),
    /// A number.
    Number(u64),
    /// An instant, in milliseconds since the Unix epoch.
    Time(u64),
    /// Yes or no.
    Bool(bool),
    /// Several texts.
    Texts(Vec<String>),
}

/// What can be asked of a kind of thing.
#[derive(Debug)]
pub struct Schema<T> {
    /// The fields that a filter may name, and what they are compared with.
    pub(super) filter: &'static [(&'static str, Kind)],
    /// The fields that an order may name.
    pub(super) order: &'static [&'static str],
    /// The order when none is asked for.
    pub(super) default_order: &'static str,
    /// The value of a field that is listed above.
    pub(super) get: fn(&T, &str) -> Value,
    /// What tells two things apart that are equal in order.
    pub(super) id: fn(&T) -> String,
}

/// What a page token holds: the place of the last item.
#[derive(Debug, Serialize, Deserialize)]
struct PageToken {
    /// Which filter and order it belongs to.
    query: String,
    at: Vec<Value>,
    id: String,
}

struct OrderBy {
    fields: Vec<(&'static str, bool)>,
}

const PAGE_DEFAULT: usize = 50;
const PAGE_MAX: usize = 500;
/// How many bytes a page has at most, unless its first item alone has more: clients take 4 MiB without being asked, and
/// no item has that.
pub const PAGE_BYTES: usize = 2 * 1024 * 1024;

/// Filters, orders and cuts a page.
pub(super) fn page<'a, T: 'a>(
    items: impl Iterator<Item = &'a Arc<T>>,
    query: &ListQuery,
    schema: &Schema<T>,
) -> Result<Page<Arc<T>>, ServiceError> {
    let mut faults = Faults::new();
    let size = faults.take("page_size", page_size(query.page_size));
    let filter = faults.take("filter", Filter::parse(&query.filter, schema.filter));
    let order = faults.take("order_by", OrderBy::parse(&query.order_by, schema));
    let after: Option<Option<PageToken>> =
        faults.take("page_token", read_token(&query.page_token, query));
    faults.finish()?;
    let (Some(size), Some(filter), Some(order), Some(after)) = (size, filter, order, after) else {
        unreachable!("a value that is missing has left a fault");
    };

    let mut matching: Vec<(Standing, &Arc<T>)> = items
        .filter(|item| filter.matches(|field| (schema.get)(item, field)))
        .map(|item| {
            let at = order.fields.iter().map(|(f, _)| (schema.get)(item, f));
            ((at.collect(), (schema.id)(item)), item)
        })
        .collect();
    matching.sort_by(|(a, _), (b, _)| order.compare(a, b));
    let total_size = matching.len();
    let start = after.map_or(0, |place| {
        let after = (place.at, place.id);
        matching.partition_point(|(at, _)| order.compare(at, &after) != Ordering::Greater)
    });
    // One more than the page has tells whether there is a next one.
    let rest = matching.into_iter().skip(start).take(size + 1);
    let (places, items) = rest.map(|(at, item)| (at, Arc::clone(item))).unzip();
    let mut page = Page {
        items,
        next_page_token: String::new(),
        total_size,
        query: fingerprint(query),
        places,
    };
    page.cut(size);
    Ok(page)
}

/// What a query wants a field to be, where it names that: what an index has is not looked for among all. A filter that does
/// not read is [`page`]'s to refuse.
pub(super) fn wanted<T>(query: &ListQuery, schema: &Schema<T>, field: &str) -> Option<String> {
    let filter = Filter::parse(&query.filter, schema.filter).ok()?;
    filter.equal(field).map(str::to_owned)
}

/// How many items a page has at most.
pub(super) fn page_size(asked: i32) -> Result<usize, Rule> {
    match usize::try_from(asked) {
        Ok(0) => Ok(PAGE_DEFAULT),
        Ok(size) => Ok(size.min(PAGE_MAX)),
        Err(_) => Err(Rule::new(reason::OUT_OF_RANGE, "must not be negative")),
    }
}

/// Reads a token that holds a bare number.
pub(super) fn read_number(query: &ListQuery) -> Result<Option<u64>, Rule> {
    Ok(read_token(&query.page_token, query)?.and_then(|place| place.id.parse().ok()))
}

/// A page of things whose place is a bare number; `rest` is that of the last one looked at, if there may be more.
pub(super) fn numbered<T>(
    query: &ListQuery,
    items: Vec<T>,
    number: impl Fn(&T) -> u64,
    rest: Option<u64>,
    total_size: usize,
) -> Page<T> {
    let standing = |number: u64| (Vec::new(), number.to_string());
    let query = fingerprint(query);
    Page {
        next_page_token: rest.map_or_else(String::new, |rest| write_token(&query, standing(rest))),
        places: items.iter().map(|it| standing(number(it))).collect(),
        items,
        total_size,
        query,
    }
}

fn read_token(token: &str, query: &ListQuery) -> Result<Option<PageToken>, Rule> {
    if token.is_empty() {
        return Ok(None);
    }
    let malformed = || {
        Rule::new(
            reason::MALFORMED,
            "must be the `next_page_token` of an earlier answer",
        )
    };
    let json = URL_SAFE_NO_PAD.decode(token).map_err(|_| malformed())?;
    let place: PageToken = serde_json::from_slice(&json).map_err(|_| malformed())?;
    if place.query != fingerprint(query) {
        return Err(Rule::new(
            reason::CONTRADICTION,
            "belongs to another filter or order",
        ));
    }
    Ok(Some(place))
}

fn write_token(query: &str, (at, id): Standing) -> String {
    let place = PageToken {
        query: query.to_owned(),
        at,
        id,
    };
    let json = serde_json::to_vec(&place).expect("a page token is representable in JSON");
    URL_SAFE_NO_PAD.encode(json)
}

fn fingerprint(query: &ListQuery) -> String {
    let mut digest = Sha256::new();
    digest.update(&query.filter);
    digest.update([0]);
    digest.update(&query.order_by);
    hex(&digest.finalize()[..8])
}

// === impl Page ===

impl<T> Page<T> {
    /// Keeps the first `len` items; the next page begins behind them. At least one stays where there is one, so that
    /// pages lead to the end.
    pub fn cut(&mut self, len: usize) {
        let len = len.max(1);
        if len >= self.items.len() {
            return;
        }
        self.items.truncate(len);
        self.places.truncate(len);
        if let Some(last) = self.places.last() {
            self.next_page_token = write_token(&self.query, last.clone());
        }
    }
}

// === impl Value ===

impl Value {
    pub(super) fn text(text: impl ToString) -> Self {
        Self::Text(text.to_string())
    }

    /// Something that may be missing; empty then.
    pub(super) fn optional(it: Option<impl ToString>) -> Self {
        Self::Text(it.map_or_else(String::new, |it| it.to_string()))
    }

    pub(super) const fn time(at: Timestamp) -> Self {
        Self::Time(at.millis())
    }

    /// `create_time` or `update_time`.
    pub(super) fn of_meta(meta: &ResourceMeta, field: &str) -> Self {
        Self::time(match field {
            "create_time" => meta.created_at,
            _ => meta.updated_at,
        })
    }
}

// === impl OrderBy ===

impl OrderBy {
    fn parse<T>(text: &str, schema: &Schema<T>) -> Result<Self, Rule> {
        let text = if text.trim().is_empty() {
            schema.default_order
        } else {
            text
        };
        let mut fields = Vec::new();
        for part in text.split(',') {
            let mut words = part.split_whitespace();
            let name = words.next().unwrap_or_default();
            let falling = match (words.next(), words.next()) {
                (None | Some("asc"), None) => false,
                (Some("desc"), None) => true,
                _ => {
                    return Err(Rule::new(
                        reason::MALFORMED,
                        "must be fields, separated by commas, each with ` desc` or nothing behind it",
                    ));
                }
            };
            let Some(field) = schema.order.iter().find(|field| **field == name) else {
                return Err(Rule::new(
                    reason::UNKNOWN_FIELD,
                    format!(
                        "names `{name}`; the order may be by {}",
                        schema.order.join(", ")
                    ),
                ));
            };
            // A second time it orders nothing, and every item would carry it: what a query costs must have a bound.
            if fields.iter().any(|(named, _)| named == field) {
                return Err(Rule::new(
                    reason::DUPLICATE,
                    format!("names `{name}` twice"),
                ));
            }
            fields.push((*field, falling));
        }
        Ok(Self { fields })
    }

    fn compare(&self, a: &Standing, b: &Standing) -> Ordering {
        for (index, (_, falling)) in self.fields.iter().enumerate() {
            let order = a.0.get(index).cmp(&b.0.get(index));
            let order = if *falling { order.reverse() } else { order };
            if order != Ordering::Equal {
                return order;
            }
        }
        a.1.cmp(&b.1)
    }
}
