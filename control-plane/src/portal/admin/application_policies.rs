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
        Service, application_policies::ApplicationPolicyInput, edit::Update, error::ServiceError,
        listing::ListQuery, standard::read_key,
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
            updated_at: policy.meta.updated_at,
            etag: policy.meta.etag,
        }
    }

    fn list(service: &Service, _: &Actor, query: &ListQuery) -> Listed<Self> {
        service.list(query)
    }
}

impl UseCases for ApplicationPolicies {
    type Key = String;
    type Object = ApplicationPolicy;

    fn get(service: &Service, _: &Actor, name: &String) -> Found<Self> {
        service.get(&read_key::<ApplicationPolicy>(name)?)
    }

    async fn create(service: &Service, actor: &Actor, fields: &Fields) -> Found<Self> {
        let name = fields.text("name").trim();
        service.create(actor, name, input(fields)).await
    }

    async fn update(service: &Service, actor: &Actor, name: &String, form: &Form) -> Found<Self> {
        let update = Update {
            key: read_key::<ApplicationPolicy>(name)?,
            input: input(form.fields()),
            mask: every_field(),
            etag: form.etag().to_owned(),
        };
        service.update(actor, update).await
    }

    async fn delete(
        service: &Service,
        actor: &Actor,
        name: &String,
        etag: &str,
    ) -> Result<(), ServiceError> {
        let key = read_key::<ApplicationPolicy>(name)?;
        service.delete::<ApplicationPolicy>(actor, &key, etag).await
    }
}

fn input(fields: &Fields) -> ApplicationPolicyInput {
    ApplicationPolicyInput {
        display_name: fields.text("display_name").to_owned(),
        description: fields.text("description").to_owned(),
        per_token: fields.has("per_token"),
        limits: Some(limit_fields::read(fields, "limits")),
    }
}
