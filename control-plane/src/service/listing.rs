//! Lists: filter, order and pages, the same for every kind of thing.
//!
//! A filter is a sequence of comparisons joined by `AND`, as in `state = "PUBLISHED" AND api_name : "echo"`; see
//! `filter`. A page token holds the place of the last item, not a count, so that what is added or removed meanwhile
//! shifts nothing.

mod filter;

use std::{cmp::Ordering, sync::Arc};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::error::ServiceError;
use crate::{
    domain::{
        invalid::{Faults, Rule, reason},
        time::Timestamp,
    },
    store::record::hex,
};
pub(super) use filter::Filter;

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
}

// === impl Page ===

impl<T> Page<T> {
    /// The same page of what the items are turned into.
    pub(super) fn map<U>(self, turn: impl FnMut(T) -> U) -> Page<U> {
        Page {
            items: self.items.into_iter().map(turn).collect(),
            next_page_token: self.next_page_token,
            total_size: self.total_size,
        }
    }
}

/// The value of a field, as filters and orders see it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) enum Field {
    Text(String),
    Number(u64),
    Time(u64),
    Bool(bool),
    Texts(Vec<String>),
}

/// What can be asked of a kind of thing.
pub(super) struct Schema<T> {
    /// The fields that a filter may name.
    pub(super) filter: &'static [&'static str],
    /// The fields that an order may name.
    pub(super) order: &'static [&'static str],
    /// The order when none is asked for.
    pub(super) default_order: &'static str,
    /// The value of a field that is listed above.
    pub(super) get: fn(&T, &str) -> Field,
    /// What tells two things apart that are equal in order.
    pub(super) id: fn(&T) -> String,
}

/// A place in a list.
#[derive(Debug, Serialize, Deserialize)]
struct Place {
    /// Which filter and order it belongs to.
    query: String,
    at: Vec<Field>,
    id: String,
}

struct OrderBy {
    fields: Vec<(&'static str, bool)>,
}

const PAGE_DEFAULT: usize = 50;
const PAGE_MAX: usize = 500;

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
    let after: Option<Option<Place>> =
        faults.take("page_token", read_token(&query.page_token, query));
    faults.finish()?;
    let (Some(size), Some(filter), Some(order), Some(after)) = (size, filter, order, after) else {
        unreachable!("a value that is missing has left a fault");
    };

    let mut matching: Vec<(Vec<Field>, String, &Arc<T>)> = items
        .filter(|item| filter.matches(|field| (schema.get)(item, field)))
        .map(|item| {
            let at = order.fields.iter().map(|(f, _)| (schema.get)(item, f));
            (at.collect(), (schema.id)(item), item)
        })
        .collect();
    matching.sort_by(|a, b| order.compare((&a.0, &a.1), (&b.0, &b.1)));
    let total_size = matching.len();
    let start = after.map_or(0, |place| {
        matching.partition_point(|(at, id, _)| {
            order.compare((at, id), (&place.at, &place.id)) != Ordering::Greater
        })
    });
    let end = (start + size).min(total_size);
    let next_page_token = if end < total_size && end > start {
        let (at, id, _) = &matching[end - 1];
        write_token(&Place {
            query: fingerprint(query),
            at: at.clone(),
            id: id.clone(),
        })
    } else {
        String::new()
    };
    Ok(Page {
        items: matching[start..end]
            .iter()
            .map(|(_, _, item)| Arc::clone(item))
            .collect(),
        next_page_token,
        total_size,
    })
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

/// Writes a token that holds a bare number.
pub(super) fn write_number(query: &ListQuery, number: u64) -> String {
    write_token(&Place {
        query: fingerprint(query),
        at: Vec::new(),
        id: number.to_string(),
    })
}

fn read_token(token: &str, query: &ListQuery) -> Result<Option<Place>, Rule> {
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
    let place: Place = serde_json::from_slice(&json).map_err(|_| malformed())?;
    if place.query != fingerprint(query) {
        return Err(Rule::new(
            reason::CONTRADICTION,
            "belongs to another filter or order",
        ));
    }
    Ok(Some(place))
}

fn write_token(place: &Place) -> String {
    let json = serde_json::to_vec(place).expect("a place is representable in JSON");
    URL_SAFE_NO_PAD.encode(json)
}

fn fingerprint(query: &ListQuery) -> String {
    let mut digest = Sha256::new();
    digest.update(&query.filter);
    digest.update([0]);
    digest.update(&query.order_by);
    hex(&digest.finalize()[..8])
}

// === impl Field ===

impl Field {
    pub(super) fn text(text: impl ToString) -> Self {
        Self::Text(text.to_string())
    }

    pub(super) const fn time(at: Timestamp) -> Self {
        Self::Time(at.millis())
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

    fn compare(&self, a: (&Vec<Field>, &String), b: (&Vec<Field>, &String)) -> Ordering {
        for (index, (_, falling)) in self.fields.iter().enumerate() {
            let order = a.0.get(index).cmp(&b.0.get(index));
            let order = if *falling { order.reverse() } else { order };
            if order != Ordering::Equal {
                return order;
            }
        }
        a.1.cmp(b.1)
    }
}
