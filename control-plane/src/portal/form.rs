//! A form as a page shows it: the values, a fault beside each field that has one, and what somebody else has saved
//! meanwhile. Filled from an object or from what was posted; read by the macros of `ui.html`.

use http::StatusCode;

use super::{
    fields::Fields,
    format::{capitalized, sentence},
    problem::Problem,
};
use crate::service::error::ServiceError;

/// Values and faults.
#[derive(Clone, Debug, Default)]
pub struct Form {
    mine: Fields,
    theirs: Option<Fields>,
    etag: String,
    faults: Vec<Fault>,
    above: Vec<String>,
    /// Whether somebody else has changed the object since the form was opened; call [`Form::merge`] then.
    pub conflict: bool,
}

/// What is wrong with one field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The input's name.
    pub field: String,
    /// The rule, fit to follow the field's name.
    pub text: String,
}

/// The name of the hidden field with the etag.
pub const ETAG: &str = "_etag";

// === impl Form ===

impl Form {
    /// An empty form.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A form with these values; an etag among them is taken.
    #[must_use]
    pub fn of(fields: Fields) -> Self {
        Self {
            etag: fields.text(ETAG).to_owned(),
            mine: fields,
            ..Self::default()
        }
    }

    /// A form that changes an object, as it is now.
    #[must_use]
    pub fn edits(fields: Fields, etag: impl ToString) -> Self {
        Self {
            mine: fields,
            etag: etag.to_string(),
            ..Self::default()
        }
    }

    /// The etag that the change is made against; use cases take it.
    #[must_use]
    pub fn etag(&self) -> &str {
        &self.etag
    }

    /// The value of an input.
    #[must_use]
    pub fn value(&self, name: &str) -> &str {
        self.mine.text(name)
    }

    /// Whether a box with this value is ticked, or an option chosen.
    #[must_use]
    pub fn has(&self, name: &str, value: &str) -> bool {
        self.mine.has_value(name, value)
    }

    /// All values.
    #[must_use]
    pub const fn fields(&self) -> &Fields {
        &self.mine
    }

    /// What is wrong with an input, as a sentence without a full stop; `None` when nothing is.
    #[must_use]
    pub fn fault_of(&self, name: &str) -> Option<String> {
        let mut faults = self.faults.iter().filter(|fault| fault.field == name);
        let first = capitalized(&faults.next()?.text);
        Some(faults.fold(first, |text, more| format!("{text}; {}", more.text)))
    }

    /// Every fault of a field, for the summary above the form.
    #[must_use]
    pub fn faults(&self) -> &[Fault] {
        &self.faults
    }

    /// What is wrong with the form as a whole: sentences.
    #[must_use]
    pub fn above(&self) -> &[String] {
        &self.above
    }

    /// Whether anything is wrong.
    #[must_use]
    pub fn is_refused(&self) -> bool {
        self.conflict || !self.faults.is_empty() || !self.above.is_empty()
    }

    /// What somebody else has saved in an input since the form was opened, where that differs from what is typed.
    #[must_use]
    pub fn theirs(&self, name: &str) -> Option<String> {
        let theirs = self.theirs.as_ref()?;
        let differs = !theirs.all(name).eq(self.mine.all(name));
        differs.then(|| theirs.all(name).collect::<Vec<_>>().join(", "))
    }

    /// Notes a fault of an input.
    pub fn fault(&mut self, field: impl Into<String>, text: impl Into<String>) {
        self.faults.push(Fault {
            field: field.into(),
            text: text.into(),
        });
    }

    /// Notes what is wrong with the whole: a sentence.
    pub fn complain(&mut self, text: impl Into<String>) {
        self.above.push(text.into());
    }

    /// Takes in why a use case has refused the form. The field `api.context` is the input `context`: the first segment is
    /// the message's. `names` says which fields have inputs of other names.
    ///
    /// # Errors
    /// What no change of the form would mend.
    pub fn refuse(&mut self, error: ServiceError, names: &[(&str, &str)]) -> Result<(), Problem> {
        match error {
            ServiceError::Invalid(invalid) => {
                for violation in invalid.violations {
                    let named = names.iter().find(|(path, _)| *path == violation.field);
                    let field = match named {
                        Some((_, input)) => (*input).to_owned(),
                        None => input_of(&violation.field).to_owned(),
                    };
                    self.fault(field, violation.description);
                }
            }
            ServiceError::AlreadyExists { .. }
            | ServiceError::FailedPrecondition { .. }
            | ServiceError::ResourceExhausted { .. }
            | ServiceError::Unavailable(_) => self.complain(sentence(&error.to_string())),
            ServiceError::Aborted(_) => self.conflict = true,
            other => return Err(other.into()),
        }
        Ok(())
    }

    /// Takes in why a use case has refused to delete something, as [`Form::refuse`] does; but of a conflict there is
    /// nothing to choose from: the form is made anew, against what is there now.
    ///
    /// # Errors
    /// What no change of the form would mend.
    pub fn refuse_deletion(&mut self, error: ServiceError) -> Result<(), Problem> {
        if let ServiceError::Aborted(_) = error {
            self.complain(
                "Somebody else changed this in the meantime. Review it before you delete it.",
            );
            return Ok(());
        }
        self.refuse(error, &[])
    }

    /// After a conflict: the form of the object as it is now. Both are shown; submitting again overwrites it on purpose.
    pub fn merge(&mut self, latest: Self) {
        self.theirs = Some(latest.mine);
        self.etag = latest.etag;
    }

    /// The status of a page that shows it.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        if self.conflict {
            StatusCode::CONFLICT
        } else if self.is_refused() {
            StatusCode::UNPROCESSABLE_ENTITY
        } else {
            StatusCode::OK
        }
    }
}

// === impl Fault ===

impl Fault {
    /// The fault as a sentence, without a full stop.
    #[must_use]
    pub fn sentence(&self) -> String {
        let places: Vec<_> = self.field.split('.').map(words).collect();
        capitalized(&format!("{} {}", places.join(", "), self.text))
    }
}

/// A segment of a field's path as people say it: `max_sessions` is "max sessions", `topics[0]` is "topic 1".
fn words(segment: &str) -> String {
    let words = segment.replace('_', " ");
    let counted = words.strip_suffix(']').and_then(|it| it.split_once('['));
    match counted.map(|(list, index)| (list, index.parse::<usize>())) {
        Some((list, Ok(index))) => {
            let item = list.strip_suffix('s').unwrap_or(list);
            format!("{item} {}", index.saturating_add(1))
        }
        _ => words,
    }
}

/// Moves the faults of single items (`api.tags[3]`) to the inputs that hold all items of a list.
#[must_use]
pub fn at_list_inputs(error: ServiceError, inputs: &[&str]) -> ServiceError {
    let ServiceError::Invalid(mut invalid) = error else {
        return error;
    };
    for violation in &mut invalid.violations {
        let Some((list, index)) = violation.field.split_once('[') else {
            continue;
        };
        if inputs.contains(&input_of(list)) {
            let index: usize = index.trim_end_matches(']').parse().unwrap_or_default();
            violation.description = format!("item {}: {}", index + 1, violation.description);
            violation.field = list.to_owned();
        }
    }
    invalid.into()
}

/// The input of a field's path: what follows the message's name.
fn input_of(path: &str) -> &str {
    path.split_once('.').map_or(path, |(_, rest)| rest)
}

#[cfg(test)]
mod tests {
    use super::{Fields, Form, at_list_inputs};
    use crate::{
        domain::invalid::{Invalid, reason},
        service::error::ServiceError,
    };

    #[test]
    fn a_fault_comes_to_its_input_and_all_of_them_are_listed() {
        let mut form = Form::new();
        let mut invalid = Invalid::one("api.api_name", "REQUIRED", "must not be empty");
        let more = Invalid::one("api.topics[0].mapping", "MALFORMED", "must begin with `/`");
        invalid.violations.extend(more.violations);
        form.refuse(invalid.into(), &[("api.api_name", "name")])
            .unwrap();
        assert_eq!(form.fault_of("name").unwrap(), "Must not be empty");
        assert_eq!(
            form.fault_of("topics[0].mapping").unwrap(),
            "Must begin with `/`"
        );
        assert_eq!(form.faults()[0].sentence(), "Name must not be empty");
        assert_eq!(
            form.faults()[1].sentence(),
            "Topic 1, mapping must begin with `/`"
        );
        assert_eq!(form.status(), 422);
    }

    #[test]
    fn after_a_conflict_both_are_kept_and_the_next_attempt_is_against_what_is_there_now() {
        let mut form = Form::of(
            Fields::new()
                .with("a", "mine")
                .with("b", "same")
                .with("_etag", "1"),
        );
        form.refuse(ServiceError::Aborted("apis/x".to_owned()), &[])
            .unwrap();
        assert!(form.conflict);
        let latest = Fields::new().with("a", "theirs").with("b", "same");
        form.merge(Form::edits(latest, 2));
        assert_eq!(form.value("a"), "mine");
        assert_eq!(form.theirs("a").as_deref(), Some("theirs"));
        assert_eq!(form.theirs("b"), None);
        assert_eq!(form.etag(), "2");
    }

    #[test]
    fn the_field_of_an_item_is_told_by_its_place() {
        for (field, told) in [
            ("topics[0].mapping", "Topic 1, mapping must be short"),
            ("tags[11]", "Tag 12 must be short"),
            ("display_name", "Display name must be short"),
        ] {
            let mut form = Form::new();
            form.fault(field, "must be short");
            assert_eq!(form.faults()[0].sentence(), told);
        }
    }

    #[test]
    fn the_fault_of_an_item_is_the_fault_of_its_input() {
        let fault = |field| Invalid::one(field, reason::TOO_LONG, "is too long").into();
        let ServiceError::Invalid(moved) = at_list_inputs(fault("api.tags[3]"), &["tags"]) else {
            panic!("it stays invalid");
        };
        assert_eq!(moved.violations[0].field, "api.tags");
        assert_eq!(moved.violations[0].description, "item 4: is too long");
        let left = at_list_inputs(fault("api.topics[0].mapping"), &["tags"]);
        let ServiceError::Invalid(left) = left else {
            panic!("it stays invalid");
        };
        assert_eq!(left.violations[0].field, "api.topics[0].mapping");
    }

    #[test]
    fn what_no_change_of_the_form_would_mend_becomes_a_page() {
        let mut form = Form::new();
        let error = ServiceError::PermissionDenied("the role admin".to_owned());
        assert!(form.refuse(error, &[]).is_err());
    }
}
