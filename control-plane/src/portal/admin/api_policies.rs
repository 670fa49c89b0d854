//! API policies with their conditional groups: listed, created, changed, deleted. Groups and conditions are added and
//! removed by buttons that send the form here and get it back, so that it works without scripts.

mod groups;

use std::sync::Arc;

use askama::Template;
use axum::{Router, extract::State, routing::get};

use self::groups::{CONDITIONS, GroupInputs, Groups};
use super::{
    limit_fields,
    resource::{self, AdminResource, Found, UseCases, every_field},
};
use crate::{
    domain::{
        actor::Actor,
        policy::{ApiPolicy, Per},
        user::Permission,
    },
    portal::{
        Answer, Fields, Form, Frame, NavItem, Portal, SignedIn,
        editor::Typed,
        limits,
        list::{Filter, ListView},
    },
    service::{
        Service, api_policies::ApiPolicyInput, edit::Update, error::ServiceError,
        standard::read_key,
    },
};

/// The resource.
struct ApiPolicies;

#[derive(Template)]
#[template(path = "admin/api_policies.html")]
struct ApiPolicyList {
    frame: Frame,
    list: ListView<Arc<ApiPolicy>>,
}

#[derive(Template)]
#[template(path = "admin/api_policy.html")]
struct ApiPolicyEditor {
    frame: Frame,
    form: Form,
    groups: Vec<GroupInputs>,
    /// The policy that is changed; `None` for a new one.
    policy: Option<Arc<ApiPolicy>>,
    action: String,
}

/// The entry of the side navigation.
pub(super) const NAV: NavItem = NavItem::new(
    "API policies",
    "/admin/api-policies",
    Permission::ManagePolicies,
);
/// How many stand on a page.
const PAGE_SIZE: i32 = 30;
/// Whose messages count together: what the form sends, and what people read.
const PER: [(&str, &str); 4] = [
    ("API", "All callers together"),
    ("APPLICATION", "Each application separately"),
    ("USER", "Each user separately"),
    ("ADDRESS", "Each client address separately"),
];

pub(super) fn routes() -> Router<Portal> {
    resource::routes::<ApiPolicies>().route(NAV.path, get(list))
}

async fn list(State(portal): State<Portal>, signed_in: SignedIn) -> Answer {
    let query = signed_in.query();
    let listed = Filter::named(&query).page(&query, PAGE_SIZE);
    let page = portal.service.list::<ApiPolicy>(&listed)?;
    let page = ApiPolicyList {
        frame: Frame::new(&signed_in, NAV.name),
        list: ListView::new(NAV.path, query, page),
    };
    page.frame.show(&page)
}

/// The fields that are the policy's own.
fn own(fields: &Fields) -> Fields {
    fields.only(|name| name != groups::CHANGE && !groups::is_of_one(name))
}

fn input(fields: &Fields) -> ApiPolicyInput {
    let per = fields.text("per");
    ApiPolicyInput {
        display_name: fields.text("display_name").to_owned(),
        description: fields.text("description").to_owned(),
        per: Per::ALL
            .into_iter()
            .find(|known| known.as_str() == per)
            .ok_or(if per.is_empty() { 0 } else { -1 }),
        limits: Some(limit_fields::read(fields, "limits")),
        groups: Groups::read(fields).input(),
    }
}

// === impl ApiPolicies ===

impl UseCases for ApiPolicies {
    type Key = String;
    type Object = ApiPolicy;

    fn get(service: &Service, _: &Actor, name: &String) -> Found<Self> {
        service.get(&read_key::<ApiPolicy>(name)?)
    }

    async fn create(service: &Service, actor: &Actor, fields: &Fields) -> Found<Self> {
        let name = fields.text("name").trim();
        let created = service.create(actor, name, input(fields)).await;
        created.map_err(groups::at_inputs)
    }

    async fn update(service: &Service, actor: &Actor, name: &String, form: &Form) -> Found<Self> {
        let update = Update {
            key: read_key::<ApiPolicy>(name)?,
            input: input(form.fields()),
            mask: every_field(),
            etag: form.etag().to_owned(),
        };
        let updated = service.update(actor, update);
        updated.await.map_err(groups::at_inputs)
    }

    async fn delete(
        service: &Service,
        actor: &Actor,
        name: &String,
        etag: &str,
    ) -> Result<(), ServiceError> {
        let key = read_key::<ApiPolicy>(name)?;
        service.delete::<ApiPolicy>(actor, &key, etag).await
    }
}

impl AdminResource for ApiPolicies {
    const NAV: NavItem = NAV;
    const NEEDS: &'static [Permission] = &[Permission::ManagePolicies];
    const NOUN: &'static str = "API policy";
    const INPUTS: &'static [(&'static str, &'static str)] = &[("api_policy_id", "name")];

    fn key(policy: &ApiPolicy) -> String {
        policy.name.to_string()
    }

    fn blank(_: &Fields) -> Fields {
        limit_fields::blank(Fields::new(), "limits")
    }

    fn form(policy: &ApiPolicy) -> Form {
        let fields = Fields::new()
            .with("display_name", policy.display_name.as_str())
            .with("description", policy.description.as_str())
            .with("per", policy.per.as_str());
        let fields = limit_fields::write(fields, "limits", &policy.limits);
        Form::edits(Groups::of(&policy.groups).write(fields), policy.meta.etag)
    }

    /// The groups are numbered without gaps, as faults number them.
    fn typed(fields: &Fields) -> Typed {
        let mut groups = Groups::read(fields);
        let is_changed = groups.change(fields.text(groups::CHANGE));
        let fields = groups.write(own(fields));
        if is_changed {
            Typed::Show(fields)
        } else {
            Typed::Save(fields)
        }
    }

    fn page(
        _: &Portal,
        signed_in: &SignedIn,
        policy: Option<Arc<ApiPolicy>>,
        mut form: Form,
    ) -> Answer {
        let groups = Groups::read(form.fields()).inputs();
        let saved = policy.as_ref().map(|policy| policy.groups.len());
        if let Some(saved) = saved.filter(|&saved| form.conflict && saved != groups.len()) {
            form.complain(format!("The saved policy has {saved} groups."));
        }
        let page = ApiPolicyEditor {
            frame: Frame::new(signed_in, Self::title(policy.as_deref())),
            form,
            groups,
            action: Self::action(policy.as_deref()),
            policy,
        };
        page.frame.show_with(page.form.status(), &page)
    }
}

// === impl ApiPolicyList ===

impl ApiPolicyList {
    fn per(&self, policy: &ApiPolicy) -> &'static str {
        let known = PER.iter().find(|(name, _)| *name == policy.per.as_str());
        known.map_or("", |(_, text)| text)
    }
}
