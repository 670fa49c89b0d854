//! Text that is HTML already, and what goes into it. Everything else is escaped by the templates.

use std::fmt::{self, Write as _};

use askama::filters::HtmlSafe;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};

/// HTML that templates write as it is. Whoever makes one has escaped what is in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Html(pub(super) String);

impl fmt::Display for Html {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl HtmlSafe for Html {}

/// A text as it may stand between tags and in a quoted attribute.
pub(super) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' | '<' | '>' | '"' | '\'' => {
                write!(escaped, "&#{};", u32::from(c)).expect("a string takes everything");
            }
            c => escaped.push(c),
        }
    }
    escaped
}

/// 192 random bits as Base64 letters.
pub(super) fn random() -> String {
    let bytes: [u8; 24] = rand::random();
    URL_SAFE_NO_PAD.encode(bytes)
}
