//! What the forms that change an API share: they name the fields they change, are refused as a whole when somebody else
//! was faster, and keep what was typed.

use std::sync::Arc;

use tidegate_proto::ids::ApiId;

use crate::{
    domain::{actor::Actor, api::Api, plan::Plan, user::Permission},
    portal::{Form, Portal, Posted, Problem, fields::Fields},
    service::{
        apis::{ApiInput, ApiUpdate},
        error::ServiceError,
        listing::ListQuery,
    },
};

/// A form that changes some fields of an API.
pub(super) struct Edit {
    /// The fields that it changes, as the admin API names them.
    pub(super) mask: &'static [&'static str],
    /// The inputs that hold several items of a field.
    pub(super) lists: &'static [&'static str],
    /// An API as the form shows it.
    pub(super) fields: fn(&Api) -> Fields,
    /// What was typed, as the use case takes it.
    pub(super) input: fn(&Fields) -> ApiInput,
}

/// What came of a form that was posted.
pub(super) enum Outcome {
    /// It is done.
    Saved,
    /// To be shown again.
    Again(Box<Form>),
}

// === impl Edit ===

impl Edit {
    /// The form over an API.
    pub(super) fn form(&self, api: &Api) -> Form {
        Form::edits((self.fields)(api), api.etag)
    }

    /// Makes the change that a form asks for.
    pub(super) async fn save(
        &self,
        portal: &Portal,
        posted: &Posted,
        id: ApiId,
        mut form: Form,
    ) -> Result<Outcome, Problem> {
        if posted.is_resumed() {
            return Ok(Outcome::Again(Box::new(form)));
        }
        let update = ApiUpdate {
            id,
            input: (self.input)(form.fields()),
            mask: self.mask.iter().copied().map(str::to_owned).collect(),
            etag: form.etag().to_owned(),
        };
        let error = match portal.service.update_api(&posted.actor, update).await {
            Ok(_) => return Ok(Outcome::Saved),
            Err(error) => error,
        };
        form.refuse(gather(error, self.lists), &[])?;
        if form.conflict {
            let now = portal.service.get_api(&posted.actor, id)?;
            form.meanwhile((self.fields)(&now), now.etag);
        }
        Ok(Outcome::Again(Box::new(form)))
    }
}

/// The items of a field that is typed on one line, separated by commas.
pub(super) fn items(text: &str) -> Vec<String> {
    let items = text.split(',').map(str::trim);
    items
        .filter(|it| !it.is_empty())
        .map(str::to_owned)
        .collect()
}

/// Puts the faults of items (`api.tags[3]`) under the input that holds all of them.
pub(super) fn gather(error: ServiceError, lists: &[&str]) -> ServiceError {
    let ServiceError::Invalid(mut invalid) = error else {
        return error;
    };
    for violation in &mut invalid.violations {
        let list = violation.field.split_once('[').map(|(list, _)| list);
        let list = list.filter(|list| {
            let input = list.split_once('.').map_or(*list, |(_, input)| input);
            lists.contains(&input)
        });
        let Some(list) = list.map(str::to_owned) else {
            continue;
        };
        let place: usize = violation.field[list.len() + 1..]
            .trim_end_matches(']')
            .parse()
            .unwrap_or_default();
        violation.description = format!("number {}: {}", place + 1, violation.description);
        violation.field = list;
    }
    invalid.into()
}

/// Every plan, for forms that choose among them.
pub(super) fn plans(portal: &Portal, actor: &Actor) -> Result<Vec<Arc<Plan>>, Problem> {
    let all = ListQuery {
        page_size: 500,
        order_by: "name".to_owned(),
        ..ListQuery::default()
    };
    Ok(portal.service.list_plans(actor, &all)?.items)
}

/// Choices of an API policy: none, and every one that there is.
pub(super) fn policies(portal: &Portal, actor: &Actor) -> Result<Vec<(String, String)>, Problem> {
    let all = ListQuery {
        page_size: 500,
        order_by: "name".to_owned(),
        ..ListQuery::default()
    };
    let policies = portal.service.list_api_policies(actor, &all)?.items;
    let none = (String::new(), "No policy".to_owned());
    let some = policies.iter().map(|policy| {
        let name = policy.name.to_string();
        let label = match policy.display_name.as_str() {
            "" => name.clone(),
            label => label.to_owned(),
        };
        (name, label)
    });
    Ok(std::iter::once(none).chain(some).collect())
}

/// The page of a form is for those who may send it.
pub(super) const DESIGN: Permission = Permission::DesignApis;

#[cfg(test)]
mod tests {
    use super::{gather, items};
    use crate::{
        domain::invalid::{Invalid, reason},
        service::error::ServiceError,
    };

    #[test]
    fn items_are_what_stands_between_commas() {
        assert_eq!(items(" a, b c ,,d "), ["a", "b c", "d"]);
        assert!(items(" , ").is_empty());
    }

    #[test]
    fn the_fault_of_an_item_is_the_fault_of_its_input() {
        let fault = |field| Invalid::one(field, reason::TOO_LONG, "is too long").into();
        let ServiceError::Invalid(gathered) = gather(fault("api.tags[3]"), &["tags"]) else {
            panic!("it stays invalid");
        };
        assert_eq!(gathered.violations[0].field, "api.tags");
        assert_eq!(gathered.violations[0].description, "number 4: is too long");
        let ServiceError::Invalid(left) = gather(fault("api.topics[0].mapping"), &["tags"]) else {
            panic!("it stays invalid");
        };
        assert_eq!(left.violations[0].field, "api.topics[0].mapping");
    }
}
