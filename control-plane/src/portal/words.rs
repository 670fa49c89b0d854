//! What people read for what programs have: numbers, and kinds of documents.

use crate::domain::document::DocumentKind;

/// A number with its thousands set apart.
pub(super) fn number(of: u64) -> String {
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
pub(super) const fn document_kind(of: DocumentKind) -> &'static str {
    match of {
        DocumentKind::HowTo => "How-to",
        DocumentKind::Samples => "Samples and SDKs",
        DocumentKind::PublicForum => "Public forum",
        DocumentKind::SupportForum => "Support forum",
        DocumentKind::Other => "Other",
    }
}

#[cfg(test)]
mod tests {
    use super::number;

    #[test]
    fn thousands_stand_apart() {
        let told = [0, 999, 1000, 1_234_567].map(number);
        assert_eq!(told, ["0", "999", "1,000", "1,234,567"]);
    }
}
