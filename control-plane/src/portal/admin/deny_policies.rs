//! Deny policies: who is refused at every gateway, and until when. The kind of target is chosen first, by a link, so that
//! the form has the right input without scripts.

use std::{str::FromStr, sync::Arc};

use askama::Template;
use axum::{Router, extract::State, routing::get};
use tidegate_proto::ids::DenyPolicyId;

use super::{
    local_time,
    resource::{self, AdminResource, Found, UseCases},
};
use crate::{
    domain::{
        actor::Actor,
        api::Api,
        application::Application,
        invalid::{Rule, reason},
        name::UserName,
        policy::{DenyPolicy, DenyTarget},
        time::Timestamp,
        user::{Permission, User},
    },
    portal::{
        Answer, Fields, Form, Frame, NavItem, Portal, SignedIn,
        list::{Filter, ListView, SEARCH},
    },
    service::{
        Service,
        deny_policies::{DenyPolicyInput, TargetInput},
        edit::Update,
        error::ServiceError,
        listing::ListQuery,
    },
};

/// The resource.
struct DenyPolicies;

#[derive(Template)]
#[template(path = "admin/deny_policies.html")]
struct DenyPolicyList {
    frame: Frame,
    list: ListView<Arc<DenyPolicy>>,
    /// The targets of those on the page.
    targets: Vec<Target>,
}

#[derive(Template)]
#[template(path = "admin/deny_policy.html")]
struct DenyPolicyEditor {
    frame: Frame,
    form: Form,
    /// The policy that is changed; `None` for a new one.
    policy: Option<Arc<DenyPolicy>>,
    /// The kind of target of a new one.
    kind: &'static str,
    /// The targets to choose from: values and labels.
    options: Vec<(String, String)>,
    /// How many more there are to choose from, found by name.
    more: usize,
    action: String,
}

/// The target of a policy, for people.
struct Target {
    kind: &'static str,
    name: String,
}

/// The entry of the side navigation.
pub(super) const NAV: NavItem = NavItem::new(
    "Deny policies",
    "/admin/deny-policies",
    Permission::ManagePolicies,
);
/// How many stand on a page.
const PAGE_SIZE: i32 = 30;
/// How many targets are offered for choice at once.
const CHOICES: i32 = 200;
/// The kinds of targets: what the address says, and what people read.
const KINDS: [(&str, &str); 4] = [
    ("address", "Addresses"),
    ("user", "User"),
    ("application", "Application"),
    ("api", "API"),
];

pub(super) fn routes() -> Router<Portal> {
    resource::routes::<DenyPolicies>().route(NAV.path, get(list))
}

async fn list(State(portal): State<Portal>, signed_in: SignedIn) -> Answer {
    let query = signed_in.query();
    let filter = Filter::new().contains("description", query.text(SEARCH));
    let listed = ListQuery {
        order_by: "create_time desc".to_owned(),
        ..filter.page(&query, PAGE_SIZE)
    };
    let viewer = signed_in.viewer();
    let page = portal.service.list_deny_policies(viewer, &listed)?;
    let targets = page.items.iter();
    let targets = targets.map(|policy| describe(&portal, viewer, policy));
    let page = DenyPolicyList {
        frame: Frame::new(&signed_in, NAV.name),
        targets: targets.collect(),
        list: ListView::new(NAV.path, query, page),
    };
    page.frame.show(&page)
}

/// What may be chosen as the target of a new policy, and how many more there are.
fn options(
    portal: &Portal,
    viewer: &Actor,
    kind: &str,
    search: &str,
) -> Result<(Vec<(String, String)>, usize), ServiceError> {
    let (service, named) = (&portal.service, |field| {
        Filter::new().contains(field, search).first(CHOICES)
    });
    let (options, total): (Vec<_>, _) = match kind {
        "api" => {
            let page = service.list_apis(viewer, &named("api_name"))?;
            let option = |api: &Arc<Api>| {
                let label = format!("{} {} · {}", api.name, api.version, api.base_path());
                (api.id.to_string(), label)
            };
            (page.items.iter().map(option).collect(), page.total_size)
        }
        "application" => {
            let page = service.list_applications(viewer, &named("display_name"))?;
            let option = |it: &Arc<Application>| {
                let label = format!("{} · {}", it.name, it.owner_name);
                (it.id.to_string(), label)
            };
            (page.items.iter().map(option).collect(), page.total_size)
        }
        "user" => {
            let page = service.list_users(viewer, &named("name"))?;
            let option = |user: &Arc<User>| (user.name.to_string(), user.name.to_string());
            (page.items.iter().map(option).collect(), page.total_size)
        }
        _ => (Vec::new(), 0),
    };
    let more = total - options.len();
    Ok((options, more))
}

fn kind_of(text: &str) -> &'static str {
    let known = KINDS.iter().find(|(kind, _)| *kind == text);
    known.unwrap_or(&KINDS[0]).0
}

fn target(fields: &Fields) -> Option<TargetInput> {
    let text = |name| fields.text(name).trim();
    match text("kind") {
        "api" => Some(TargetInput::Api(chosen(text("api")))),
        "application" => Some(TargetInput::Application(chosen(text("application")))),
        "user" => Some(TargetInput::User(UserName::parse(text("user")))),
        "address" => Some(TargetInput::Address(text("address").to_owned())),
        _ => None,
    }
}

fn chosen<T: FromStr>(text: &str) -> Result<T, Rule> {
    let rule = || Rule::new(reason::REQUIRED, "must be chosen");
    text.parse().map_err(|_| rule())
}

fn input(fields: &Fields) -> DenyPolicyInput {
    DenyPolicyInput {
        description: fields.text("description").to_owned(),
        expires_at: local_time::read(fields.text("expire_time")),
        disabled: fields.has("disabled"),
        ..DenyPolicyInput::default()
    }
}

fn describe(portal: &Portal, viewer: &Actor, policy: &DenyPolicy) -> Target {
    let (kind, name) = match &policy.target {
        DenyTarget::Api(id) => {
            let api = portal.service.get_api(viewer, *id);
            let name = api.map(|api| format!("{} {}", api.name, api.version));
            ("API", name.unwrap_or_else(|_| id.to_string()))
        }
        DenyTarget::Application(id) => {
            let application = portal.service.get_application(viewer, *id);
            let name = application.map(|it| format!("{} of {}", it.name, it.owner_name));
            ("Application", name.unwrap_or_else(|_| id.to_string()))
        }
        DenyTarget::User(name) => ("User", name.to_string()),
        DenyTarget::Address(range) => ("Addresses", range.to_string()),
        DenyTarget::AddressesBut(range) => ("All addresses except", range.to_string()),
    };
    Target { kind, name }
}

// === impl DenyPolicies ===

impl UseCases for DenyPolicies {
    type Key = DenyPolicyId;
    type Object = DenyPolicy;

    fn get(service: &Service, viewer: &Actor, id: &DenyPolicyId) -> Found<Self> {
        service.get_deny_policy(viewer, *id)
    }

    async fn create(service: &Service, actor: &Actor, fields: &Fields) -> Found<Self> {
        let input = DenyPolicyInput {
            target: target(fields),
            invert: fields.has("invert"),
            ..input(fields)
        };
        service.create_deny_policy(actor, input).await
    }

    async fn update(
        service: &Service,
        actor: &Actor,
        id: &DenyPolicyId,
        form: &Form,
    ) -> Found<Self> {
        let mask = ["description", "expire_time", "disabled"].map(str::to_owned);
        let update = Update {
            key: *id,
            input: input(form.fields()),
            mask: mask.to_vec(),
            etag: form.etag().to_owned(),
        };
        service.update_deny_policy(actor, update).await
    }

    async fn delete(
        service: &Service,
        actor: &Actor,
        id: &DenyPolicyId,
        etag: &str,
    ) -> Result<(), ServiceError> {
        service.delete_deny_policy(actor, *id, etag).await
    }
}

impl AdminResource for DenyPolicies {
    const NAV: NavItem = NAV;
    const NEEDS: &'static [Permission] = &[Permission::ManagePolicies];
    const NOUN: &'static str = "deny policy";
    const INPUTS: &'static [(&'static str, &'static str)] = &[("deny_policy", "kind")];

    fn key(policy: &DenyPolicy) -> DenyPolicyId {
        policy.id
    }

    fn blank(query: &Fields) -> Fields {
        let kind = kind_of(query.text("kind"));
        let given = query.only(|name| name == kind || name == SEARCH);
        given
            .iter()
            .fold(Fields::new().with("kind", kind), |fields, (name, value)| {
                fields.with(name, value)
            })
    }

    fn form(policy: &DenyPolicy) -> Form {
        let end = policy.expires_at.map(local_time::write);
        let fields = Fields::new()
            .with("description", policy.description.as_str())
            .with("expire_time", end.unwrap_or_default())
            .with_all("disabled", policy.disabled.then_some("1"));
        Form::edits(fields, policy.meta.etag)
    }

    fn page(
        portal: &Portal,
        signed_in: &SignedIn,
        policy: Option<Arc<DenyPolicy>>,
        form: Form,
    ) -> Answer {
        let viewer = signed_in.viewer();
        let (title, kind) = match &policy {
            Some(policy) => {
                let target = describe(portal, viewer, policy);
                (format!("{}: {}", target.kind, target.name), "")
            }
            None => (Self::title(None), kind_of(form.value("kind"))),
        };
        let (options, more) = options(portal, viewer, kind, form.value(SEARCH))?;
        let page = DenyPolicyEditor {
            frame: Frame::new(signed_in, title),
            form,
            kind,
            more,
            options,
            action: Self::action(policy.as_deref()),
            policy,
        };
        page.frame.show_with(page.form.status(), &page)
    }

    fn notice(_: &DenyPolicyId, done: &str) -> String {
        let text = match done {
            "created" => "Deny policy created. Sessions that match it are closed.",
            "updated" => "Deny policy updated",
            _ => "Deny policy deleted",
        };
        text.to_owned()
    }
}

// === impl DenyPolicyList ===

impl DenyPolicyList {
    /// Whether a policy applies now: a badge's class and its text.
    fn status(&self, policy: &DenyPolicy) -> (&'static str, &'static str) {
        let over = |end: Timestamp| end <= self.frame.now();
        if policy.disabled {
            ("off", "Disabled")
        } else if policy.expires_at.is_some_and(over) {
            ("off", "Expired")
        } else {
            ("bad", "Active")
        }
    }
}
