//! The fields of a form as they were posted, in their order and with those that come several times.

/// Names and values.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fields(Vec<(String, String)>);

/// The fields of a form of whoever is signed in: the largest, an API policy with every group and every condition that it
/// may have, has fewer. A form of nothing but empty ones makes a page that is twenty times as long.
pub const MOST: usize = 10_000;

// === impl Fields ===

impl Fields {
    /// No fields.
    #[must_use]
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// Reads `application/x-www-form-urlencoded`; what is no UTF-8 is replaced.
    #[must_use]
    pub fn decode(body: &[u8]) -> Self {
        let pairs = form_urlencoded::parse(body);
        pairs
            .map(|(name, value)| (name.into_owned(), value.into_owned()))
            .fold(Self::new(), |fields, (name, value)| {
                fields.with(name, value)
            })
    }

    /// Reads a form as [`Self::decode`] does; `None` when it has more than `most` fields.
    #[must_use]
    pub fn of_form(body: &[u8], most: usize) -> Option<Self> {
        Self::fits(body, most).then(|| Self::decode(body))
    }

    /// Whether a form has at most so many fields. None of them is kept for it.
    #[must_use]
    pub fn fits(body: &[u8], most: usize) -> bool {
        body.iter().filter(|&&byte| byte == b'&').count() < most
    }

    /// Writes what [`Self::decode`] reads.
    #[must_use]
    pub fn encode(&self) -> String {
        form_urlencoded::Serializer::new(String::new())
            .extend_pairs(&self.0)
            .finish()
    }

    /// With one more value of a field. Line ends become `\n`, as they were before a browser posted them.
    #[must_use]
    pub fn with(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.0
            .push((name.into(), value.into().replace("\r\n", "\n")));
        self
    }

    /// With a value for each of several.
    #[must_use]
    pub fn with_all(self, name: &str, values: impl IntoIterator<Item = impl Into<String>>) -> Self {
        let with = |fields: Self, value| fields.with(name, value);
        values.into_iter().fold(self, with)
    }

    /// The first value of a field; empty when there is none.
    #[must_use]
    pub fn text(&self, name: &str) -> &str {
        self.all(name).next().unwrap_or_default()
    }

    /// Every value of a field: the ticked boxes, the lines of a list.
    pub fn all<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a str> {
        self.0
            .iter()
            .filter(move |(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }

    /// Whether a field is there: a ticked box, the button that was pressed.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.all(name).next().is_some()
    }

    /// Whether a field has this among its values.
    #[must_use]
    pub fn has_value(&self, name: &str, value: &str) -> bool {
        self.all(name).any(|found| found == value)
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Those whose names fit.
    #[must_use]
    pub fn only(&self, fits: impl Fn(&str) -> bool) -> Self {
        let fitting = self.0.iter().filter(|(name, _)| fits(name));
        Self(fitting.cloned().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::Fields;

    #[test]
    fn a_form_is_read_up_to_its_number_of_fields_and_refused_beyond_it() {
        let read = Fields::of_form(b"a=1&a&b=2", 3);
        let read = read.expect("it has three fields");
        assert_eq!(read.iter().count(), 3);
        assert_eq!(Fields::of_form(b"a=1&a&b=2", 2), None);
    }
}
