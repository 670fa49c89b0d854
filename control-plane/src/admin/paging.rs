//! Answers with pages: no page is larger than a client takes without being asked.
//!
//! Lists that are filtered and ordered are paged by `service::listing`; short lists that a call reads whole (nodes, steps
//! of a history) are paged here, where sizes count the same.

use prost::Message;
use tonic::Status;

use super::{convert, status};
use crate::{
    domain::invalid::{Faults, reason},
    service::listing::{ListQuery, PAGE_BYTES, Page},
};

/// What a list call answers.
#[derive(Debug)]
pub(super) struct ListAnswer<M> {
    pub(super) messages: Vec<M>,
    pub(super) next_page_token: String,
    pub(super) total_size: i32,
}

const SIZE_DEFAULT: usize = 50;
const SIZE_MAX: usize = 500;
/// What a token begins with, so that one of another kind is not taken for one of these.
const TOKEN_PREFIX: &str = "at-";

/// What a list call asks for.
pub(super) const fn query(
    page_size: i32,
    page_token: String,
    filter: String,
    order_by: String,
) -> ListQuery {
    ListQuery {
        page_size,
        page_token,
        filter,
        order_by,
    }
}

/// As much of a page as one answer may hold.
pub(super) fn answer<T, M: Message>(mut page: Page<T>, message: impl Fn(&T) -> M) -> ListAnswer<M> {
    let messages = fitting(page.items.iter().map(message));
    page.cut(messages.len());
    ListAnswer {
        messages,
        next_page_token: page.next_page_token,
        total_size: convert::size(page.total_size),
    }
}

/// One page of `items`, and no more of it than one answer may hold.
pub(super) fn page<T, M: Message>(
    items: &[T],
    page_size: i32,
    page_token: &str,
    message: impl Fn(&T) -> M,
) -> Result<ListAnswer<M>, Status> {
    let mut faults = Faults::new();
    let size = match usize::try_from(page_size) {
        Ok(0) => SIZE_DEFAULT,
        Ok(size) => size.min(SIZE_MAX),
        Err(_) => {
            faults.add("page_size", reason::OUT_OF_RANGE, "must not be negative");
            0
        }
    };
    let start = if page_token.is_empty() {
        Some(0)
    } else {
        page_token
            .strip_prefix(TOKEN_PREFIX)
            .and_then(|start| start.parse::<usize>().ok())
    };
    if start.is_none() {
        faults.add(
            "page_token",
            reason::MALFORMED,
            "must be the `next_page_token` of the page before, or empty",
        );
    }
    status::check(faults)?;
    let start = start.unwrap_or_default().min(items.len());
    let messages = fitting(items[start..].iter().take(size).map(message));
    let end = start + messages.len();
    Ok(ListAnswer {
        messages,
        next_page_token: if end < items.len() {
            format!("{TOKEN_PREFIX}{end}")
        } else {
            String::new()
        },
        total_size: convert::size(items.len()),
    })
}

/// The first messages, as many as one answer may hold; one at least.
fn fitting<M: Message>(messages: impl Iterator<Item = M>) -> Vec<M> {
    let mut bytes = 0;
    let mut fitting = Vec::new();
    for message in messages {
        bytes += message.encoded_len();
        if bytes > PAGE_BYTES && !fitting.is_empty() {
            break;
        }
        fitting.push(message);
    }
    fitting
}

#[cfg(test)]
mod tests {
    use tonic::{Code, Status};

    use super::{ListAnswer, PAGE_BYTES, page};

    fn texts(
        items: &[String],
        size: i32,
        token: &str,
    ) -> Result<(Vec<String>, String, i32), Status> {
        let ListAnswer {
            messages,
            next_page_token,
            total_size,
        } = page(items, size, token, String::clone)?;
        Ok((messages, next_page_token, total_size))
    }

    #[test]
    fn pages_follow_one_another_to_the_end() {
        let items: Vec<_> = (0..120).map(|n| n.to_string()).collect();
        let (first, token, total) = texts(&items, 0, "").unwrap();
        assert_eq!((&*first, total), (&items[..50], 120));
        let (second, token, _) = texts(&items, 60, &token).unwrap();
        assert_eq!(second, &items[50..110]);
        let (last, token, _) = texts(&items, 60, &token).unwrap();
        assert_eq!((&*last, token.as_str()), (&items[110..], ""));
        assert_eq!(texts(&items, i32::MAX, "").unwrap().0.len(), 120);
    }

    #[test]
    fn a_page_ends_before_it_is_too_large_for_an_answer_and_has_one_item_at_least() {
        let items = [10, PAGE_BYTES / 2, PAGE_BYTES, 2 * PAGE_BYTES, 10].map(|len| "x".repeat(len));
        let mut token = String::new();
        let mut pages = Vec::new();
        loop {
            let (page, next, _) = texts(&items, 0, &token).unwrap();
            pages.push(page.len());
            token = next;
            if token.is_empty() {
                break;
            }
        }
        assert_eq!(pages, [2, 1, 1, 1]);
    }

    #[test]
    fn a_token_that_is_none_and_a_negative_size_are_refused() {
        let items = ["x".to_owned()];
        for (size, token) in [(-1, ""), (0, "at-"), (0, "7"), (0, "at--1")] {
            let refused = texts(&items, size, token).unwrap_err();
            assert_eq!(refused.code(), Code::InvalidArgument, "{size} {token}");
        }
        let behind = format!("at-{}", usize::MAX);
        assert!(texts(&items, 0, &behind).unwrap().0.is_empty());
    }
}
