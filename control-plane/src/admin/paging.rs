//! Pages of short lists that a call reads whole: nodes, steps of a history, keys. Lists that are filtered and ordered
//! are paged by `service::listing`; sizes count the same here.

use tonic::Status;

use super::status;
use crate::domain::invalid::{Faults, reason};

const SIZE_DEFAULT: usize = 50;
const SIZE_MAX: usize = 500;
/// What a token begins with, so that one of another kind is not taken for one of these.
const TOKEN_PREFIX: &str = "at-";

/// One page of `items` and the token of the next, which is empty on the last page.
///
/// # Errors
/// INVALID_ARGUMENT for a negative size or a token that is none.
pub(super) fn page<'a, T>(
    items: &'a [T],
    page_size: i32,
    page_token: &str,
) -> Result<(&'a [T], String), Status> {
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
    let end = (start + size).min(items.len());
    let next = if end < items.len() {
        format!("{TOKEN_PREFIX}{end}")
    } else {
        String::new()
    };
    Ok((&items[start..end], next))
}

#[cfg(test)]
mod tests {
    use tonic::Code;

    use super::page;

    #[test]
    fn pages_follow_one_another_to_the_end() {
        let items: Vec<_> = (0..120).collect();
        let (first, token) = page(&items, 0, "").unwrap();
        assert_eq!(first, &items[..50]);
        let (second, token) = page(&items, 60, &token).unwrap();
        assert_eq!(second, &items[50..110]);
        let (last, token) = page(&items, 60, &token).unwrap();
        assert_eq!((last, token.as_str()), (&items[110..], ""));
        assert_eq!(page(&items, i32::MAX, "").unwrap().0.len(), 120);
    }

    #[test]
    fn a_token_that_is_none_and_a_negative_size_are_refused() {
        for (size, token) in [(-1, ""), (0, "at-"), (0, "7"), (0, "at--1")] {
            let refused = page(&[1], size, token).unwrap_err();
            assert_eq!(refused.code(), Code::InvalidArgument, "{size} {token}");
        }
        assert!(
            page(&[1], 0, &format!("at-{}", usize::MAX))
                .unwrap()
                .0
                .is_empty()
        );
    }
}
