//! What the forms that change an API share: they name the fields that they change, and the inputs that hold several items.

use std::sync::Arc;

use tidegate_proto::ids::ApiId;

use crate::{
    domain::{actor::Actor, api::Api, plan::Plan, policy::ApiPolicy},
    portal::{Fields, Form, Portal, Problem, SignedIn, form::at_list_inputs, list::Filter},
    service::{
        apis::{ApiInput, ApiUpdate},
        error::ServiceError,
        listing::ListQuery,
    },
};

/// What a form changes.
pub(super) struct Change {
    /// The fields, as the admin API names them.
    pub(super) mask: &'static [&'static str],
    /// The inputs that hold several items of a field.
    pub(super) lists: &'static [&'static str],
    /// What was typed, as the use case takes it.
    pub(super) input: fn(&Fields) -> ApiInput,
}

/// As many as there may be.
const ALL: i32 = 500;

// === impl Change ===

impl Change {
    /// Makes the change that a form asks for.
    pub(super) async fn save(
        &self,
        portal: &Portal,
        actor: &Actor,
        id: ApiId,
        form: &Form,
    ) -> Result<Arc<Api>, ServiceError> {
        let update = ApiUpdate {
            key: id,
            input: (self.input)(form.fields()),
            mask: self.mask.iter().copied().map(str::to_owned).collect(),
            etag: form.etag().to_owned(),
        };
        let saved = portal.service.update_api(actor, update).await;
        saved.map_err(|error| at_list_inputs(error, self.lists))
    }
}

/// The API that a form is about.
pub(super) fn load(portal: &Portal, signed_in: &SignedIn, id: ApiId) -> Result<Arc<Api>, Problem> {
    Ok(portal.service.get_api(signed_in.viewer(), id)?)
}

/// The items of a field that is typed on one line, separated by commas.
pub(super) fn items(text: &str) -> Vec<String> {
    let items = text.split(',').map(str::trim);
    items
        .filter(|it| !it.is_empty())
        .map(str::to_owned)
        .collect()
}

/// All plans, for forms that choose among them.
pub(super) fn plans(portal: &Portal) -> Result<Vec<Arc<Plan>>, Problem> {
    Ok(portal.service.list::<Plan>(&all())?.items)
}

/// The choices of an API policy: none, and all that there are.
pub(super) fn policies(portal: &Portal) -> Result<Vec<(String, String)>, Problem> {
    let policies = portal.service.list::<ApiPolicy>(&all())?.items;
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

fn all() -> ListQuery {
    ListQuery {
        order_by: "name".to_owned(),
        ..Filter::new().first(ALL)
    }
}

#[cfg(test)]
mod tests {
    use super::items;

    #[test]
    fn items_are_what_stands_between_commas() {
        assert_eq!(items(" a, b c ,,d "), ["a", "b c", "d"]);
        assert!(items(" , ").is_empty());
    }
}
