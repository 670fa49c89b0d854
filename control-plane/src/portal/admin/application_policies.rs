//! Application policies: what an application may use over all of its subscriptions.

use super::{
    limit_fields,
    limited::{Checkbox, Facets, Limited, Listed, Texts},
    resource::{Found, UseCases, every_field},
};
use crate::{
    domain::{actor::Actor, policy::ApplicationPolicy, user::Permission},
    portal::{Fields, Form, NavItem},
    service::{
        Service, application_policies::ApplicationPolicyInput, error::ServiceError,
        listing::ListQuery,
    },
};

/// The resource.
pub(super) struct ApplicationPolicies;

impl Limited for ApplicationPolicies {
    const NAV: NavItem = NavItem::new(
        "Application policies",
        "/admin/application-policies",
        Permission::ManagePolicies,
    );
    const NEEDS: &'static [Permission] = &[Permission::ManagePolicies];
    const INPUTS: &'static [(&'static str, &'static str)] = &[("application_policy_id", "name")];
    const TEXTS: Texts = Texts {
        noun: "application policy",
        plural: "application policies",
        lead: "An application policy limits what an application may use over all of its subscriptions, or what each of its tokens may use.",
        limits: "An application may use",
        deletion: "You can't delete a policy that an application uses.",
        checkbox: Some(Checkbox {
            field: "per_token",
            label: "Count each token separately instead of all tokens of an application together",
            column: "Counted for",
            yes: "each token",
            no: "all tokens together",
        }),
    };

    fn facets(policy: &ApplicationPolicy) -> Facets<'_> {
        Facets {
            name: policy.name.as_str(),
            display_name: &policy.display_name,
            description: &policy.description,
            limits: &policy.limits,
            is_checked: policy.per_token,
            updated_at: policy.updated_at,
            etag: policy.etag,
        }
    }

    fn list(service: &Service, viewer: &Actor, query: &ListQuery) -> Listed<Self> {
        service.list_application_policies(viewer, query)
    }
}

impl UseCases for ApplicationPolicies {
    type Key = String;
    type Object = ApplicationPolicy;

    fn get(service: &Service, viewer: &Actor, name: &String) -> Found<Self> {
        service.get_application_policy(viewer, name)
    }

    async fn create(service: &Service, actor: &Actor, fields: &Fields) -> Found<Self> {
        let input = input(fields.text("name").trim(), fields);
        service.create_application_policy(actor, input).await
    }

    async fn update(service: &Service, actor: &Actor, name: &String, form: &Form) -> Found<Self> {
        let input = input(name, form.fields());
        service
            .update_application_policy(actor, input, every_field(), form.etag())
            .await
    }

    async fn delete(
        service: &Service,
        actor: &Actor,
        name: &String,
        etag: &str,
    ) -> Result<(), ServiceError> {
        service.delete_application_policy(actor, name, etag).await
    }
}

fn input(name: &str, fields: &Fields) -> ApplicationPolicyInput {
    ApplicationPolicyInput {
        name: name.to_owned(),
        display_name: fields.text("display_name").to_owned(),
        description: fields.text("description").to_owned(),
        per_token: fields.has("per_token"),
        limits: Some(limit_fields::read(fields, "limits")),
    }
}
