//! What the forms that change an API share: they name the fields that they change, and the inputs that hold several items.

use std::sync::Arc;

use tidegate_proto::ids::ApiId;

use crate::{
    domain::{actor::Actor, api::Api, plan::Plan, policy::ApiPolicy, user::Permission},
    portal::{
        Answer, Editor, Fields, Form, Portal, Problem, Redirect, SignedIn,
        editor::{Saved, Typed},
        form::at_list_inputs,
        list::Filter,
        tab::Tab,
    },
    service::{
        apis::{ApiInput, ApiUpdate},
        listing::ListQuery,
    },
};

/// A tab with a form that changes some fields of an API.
pub(super) trait ApiForm: Sized + Send + Sync + 'static {
    /// The tab.
    const TAB: Tab;
    /// The fields that it changes, as the admin API names them.
    const MASK: &'static [&'static str];
    /// The inputs that hold several items of a field.
    const LISTS: &'static [&'static str];
    /// What the page says after a change.
    const UPDATED: &'static str;

    /// As [`Editor::form`].
    fn form(api: &Api) -> Form;
    /// As [`Editor::typed`].
    fn typed(fields: &Fields) -> Typed {
        Typed::Save(fields.clone())
    }
    /// What was typed, as the use case takes it.
    fn input(fields: &Fields) -> ApiInput;
    /// As [`Editor::page`].
    fn page(portal: &Portal, signed_in: &SignedIn, api: Arc<Api>, form: Form) -> Answer;
}

/// As many as there may be.
const ALL: i32 = 500;

// === impl Editor ===

impl<F: ApiForm> Editor for F {
    type Key = ApiId;
    type Subject = Arc<Api>;

    const NEEDS: &'static [Permission] = F::TAB.needs;

    fn load(portal: &Portal, signed_in: &SignedIn, id: &ApiId) -> Result<Arc<Api>, Problem> {
        load(portal, signed_in, *id)
    }

    fn form(api: &Arc<Api>) -> Form {
        F::form(api)
    }

    fn typed(fields: &Fields) -> Typed {
        F::typed(fields)
    }

    async fn save(portal: &Portal, actor: &Actor, id: &ApiId, form: &Form) -> Saved {
        let update = ApiUpdate {
            key: *id,
            input: F::input(form.fields()),
            mask: F::MASK.iter().copied().map(str::to_owned).collect(),
            etag: form.etag().to_owned(),
        };
        let updated = portal.service.update_api(actor, update).await;
        updated.map_err(|error| at_list_inputs(error, F::LISTS))?;
        Ok(Redirect::to(F::TAB.path(id)).success(F::UPDATED))
    }

    fn page(portal: &Portal, signed_in: &SignedIn, api: Arc<Api>, form: Form) -> Answer {
        F::page(portal, signed_in, api, form)
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
