//! Links from routes: a page writes its path once, as its route, and links are made of it.

use std::fmt::{self, Write as _};

/// The path of a route with its parameters (`{name}`) filled in, in their order; each is encoded as one segment.
#[must_use]
pub fn link(route: &str, values: &[&dyn fmt::Display]) -> String {
    let mut values = values.iter();
    let segments = route.split('/').map(|segment| {
        if !segment.starts_with('{') {
            return segment.to_owned();
        }
        let value = values.next().map(ToString::to_string).unwrap_or_default();
        encode(&value)
    });
    segments.collect::<Vec<_>>().join("/")
}

fn encode(segment: &str) -> String {
    let mut encoded = String::with_capacity(segment.len());
    for byte in segment.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~@".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            write!(encoded, "%{byte:02X}").expect("a string takes everything");
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::link;

    #[test]
    fn parameters_are_filled_in_and_encoded() {
        assert_eq!(
            link("/a/{x}/b/{y}", &[&"c d/e@f", &7]),
            "/a/c%20d%2Fe@f/b/7"
        );
        assert_eq!(link("/a", &[]), "/a");
    }
}
