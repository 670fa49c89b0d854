//! Deny policies: who is kept out, until when. Whom one is about is chosen first, by a link, so that the form has the
//! right field without scripts.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Path, State};
use tidegate_proto::ids::DenyPolicyId;

use super::civil;
use crate::{
    domain::{
        actor::Actor,
        api::Api,
        application::Application,
        invalid::{Rule, reason},
        name::UserName,
        policy::{DenyPolicy, DenyTarget},
        time::Timestamp,
        user::User,
    },
    portal::{
        Answer, Form, Frame, Notice, Portal, Posted, Problem, See, SignedIn, Visitor,
        fields::Fields,
        list::{Filter, PAGE, Pager},
    },
    service::{
        deny_policies::{DenyPolicyInput, TargetInput},
        listing::ListQuery,
    },
};

#[derive(Template)]
#[template(path = "admin/deny_policies.html")]
struct Policies {
    frame: Frame,
    query: Fields,
    policies: Vec<(Arc<DenyPolicy>, Told)>,
    pager: Pager,
}

#[derive(Template)]
#[template(path = "admin/deny_policy.html")]
struct PolicyPage {
    frame: Frame,
    form: Form,
    /// The policy that is changed; `None` for one that is made.
    policy: Option<(Arc<DenyPolicy>, Told)>,
    /// What one that is made is about.
    kind: &'static str,
    /// What may be chosen: values and labels.
    options: Vec<(String, String)>,
    /// How many more there are to choose from, found by name.
    more: usize,
    action: String,
}

/// Whom a policy is about, for people.
struct Told {
    kind: &'static str,
    who: String,
}

const LIST: &str = "/admin/deny-policies";
const CREATE: &str = "/admin/deny-policies/create";
/// How many stand on a page.
const PAGE_SIZE: i32 = 30;
/// How many are offered for choice at once.
const CHOICES: i32 = 200;
/// What those that are offered have in their names.
const SEARCH: &str = "q";
/// Kinds of targets: what the address says, and what people read.
const KINDS: [(&str, &str); 4] = [
    ("address", "Addresses"),
    ("user", "User"),
    ("application", "Application"),
    ("api", "API"),
];

pub(super) async fn list(State(portal): State<Portal>, signed_in: SignedIn) -> Answer {
    let query = signed_in.query();
    let listed = ListQuery {
        page_size: PAGE_SIZE,
        page_token: query.text(PAGE).to_owned(),
        filter: Filter::new()
            .contains("description", query.text("q"))
            .text(),
        order_by: "create_time desc".to_owned(),
    };
    let page = portal
        .service
        .list_deny_policies(&signed_in.actor, &listed)?;
    let pager = Pager::new(LIST, &query, &page);
    let policies = page.items.into_iter().map(|policy| {
        let told = told(&portal, &signed_in.actor, &policy);
        (policy, told)
    });
    let page = Policies {
        frame: signed_in.frame("Deny policies"),
        policies: policies.collect(),
        pager,
        query,
    };
    page.frame.show(&page)
}

pub(super) async fn ask(State(portal): State<Portal>, signed_in: SignedIn) -> Answer {
    let query = signed_in.query();
    let kind = kind_of(query.text("kind"));
    let fields = Fields::new().with("kind", kind);
    let given = query.only(|name| name == kind || name == SEARCH);
    let fields = given
        .iter()
        .fold(fields, |it, (name, value)| it.with(name, value));
    let form = Form::of(fields);
    new(&portal, &signed_in.actor, signed_in.frame(NEW), form)
}

pub(super) async fn create(State(portal): State<Portal>, posted: Posted) -> Answer {
    let mut form = posted.form();
    if !posted.is_resumed() {
        let input = DenyPolicyInput {
            target: target(&posted.fields),
            invert: posted.fields.has("invert"),
            ..input(&posted.fields)
        };
        match portal
            .service
            .create_deny_policy(&posted.actor, input)
            .await
        {
            Ok(_) => {
                let done =
                    Notice::done("The policy is in force, and open sessions that it is about end.");
                return See::page(LIST).saying(done).answer();
            }
            Err(error) => form.refuse(error, &[("deny_policy", "kind")])?,
        }
    }
    new(&portal, &posted.actor, posted.frame(NEW), form)
}

pub(super) async fn open(
    State(portal): State<Portal>,
    signed_in: SignedIn,
    Path(id): Path<String>,
) -> Answer {
    let policy = portal
        .service
        .get_deny_policy(&signed_in.actor, parse(&id)?)?;
    let form = Form::edits(fields(&policy), policy.etag);
    existing(&portal, (&signed_in.actor, &signed_in), form, policy)
}

pub(super) async fn save(
    State(portal): State<Portal>,
    Path(id): Path<String>,
    posted: Posted,
) -> Answer {
    let id = parse(&id)?;
    let mut form = posted.form();
    if !posted.is_resumed() {
        let mask = ["description", "expire_time", "disabled"].map(str::to_owned);
        let saved = portal.service.update_deny_policy(
            &posted.actor,
            id,
            input(&posted.fields),
            mask.to_vec(),
            form.etag(),
        );
        match saved.await {
            Ok(_) => {
                let done = Notice::done("The policy is saved.");
                return See::page(LIST).saying(done).answer();
            }
            Err(error) => form.refuse(error, &[])?,
        }
    }
    let policy = portal.service.get_deny_policy(&posted.actor, id)?;
    if form.conflict {
        form.meanwhile(fields(&policy), policy.etag);
    }
    existing(&portal, (&posted.actor, &posted), form, policy)
}

pub(super) async fn delete(
    State(portal): State<Portal>,
    Path(id): Path<String>,
    posted: Posted,
) -> Answer {
    let id = parse(&id)?;
    if posted.is_resumed() {
        return See::press_again(edit_path(id)).answer();
    }
    let etag = posted.form().etag().to_owned();
    match portal
        .service
        .delete_deny_policy(&posted.actor, id, &etag)
        .await
    {
        Ok(()) => {
            let done = Notice::done("The policy is deleted, and keeps nobody out any more.");
            See::page(LIST).saying(done).answer()
        }
        Err(error) => {
            let policy = portal.service.get_deny_policy(&posted.actor, id)?;
            let mut form = Form::edits(fields(&policy), policy.etag);
            form.refuse_deletion(error)?;
            existing(&portal, (&posted.actor, &posted), form, policy)
        }
    }
}

const NEW: &str = "New deny policy";

/// Shows the form of one that is made.
fn new(portal: &Portal, actor: &Actor, frame: Frame, form: Form) -> Answer {
    let kind = kind_of(form.value("kind"));
    let named = |field| ListQuery {
        page_size: CHOICES,
        filter: Filter::new().contains(field, form.value(SEARCH)).text(),
        ..ListQuery::default()
    };
    let (options, total): (Vec<_>, _) = match kind {
        "api" => {
            let page = portal.service.list_apis(actor, &named("api_name"))?;
            let option = |api: &Arc<Api>| {
                let label = format!("{} {} · {}", api.name, api.version, api.base_path());
                (api.id.to_string(), label)
            };
            (page.items.iter().map(option).collect(), page.total_size)
        }
        "application" => {
            let named = named("display_name");
            let page = portal.service.list_applications(actor, &named)?;
            let option = |it: &Arc<Application>| {
                let label = format!("{} · {}", it.name, it.owner_name);
                (it.id.to_string(), label)
            };
            (page.items.iter().map(option).collect(), page.total_size)
        }
        "user" => {
            let page = portal.service.list_users(actor, &named("name"))?;
            let option = |user: &Arc<User>| (user.name.to_string(), user.name.to_string());
            (page.items.iter().map(option).collect(), page.total_size)
        }
        _ => (Vec::new(), 0),
    };
    show(PolicyPage {
        frame,
        form,
        policy: None,
        kind,
        more: total - options.len(),
        options,
        action: CREATE.to_owned(),
    })
}

/// Shows the form of one that is changed.
fn existing(
    portal: &Portal,
    (actor, visitor): (&Actor, &Visitor),
    form: Form,
    policy: Arc<DenyPolicy>,
) -> Answer {
    let told = told(portal, actor, &policy);
    show(PolicyPage {
        frame: visitor.frame(format!("{}: {}", told.kind, told.who)),
        form,
        action: edit_path(policy.id),
        kind: "",
        options: Vec::new(),
        more: 0,
        policy: Some((policy, told)),
    })
}

fn show(page: PolicyPage) -> Answer {
    page.frame.show_with(page.form.status(), &page)
}

fn edit_path(id: DenyPolicyId) -> String {
    format!("{LIST}/edit/{id}")
}

fn parse(id: &str) -> Result<DenyPolicyId, Problem> {
    id.parse().map_err(|_| Problem::NotFound)
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

fn chosen<T: std::str::FromStr>(text: &str) -> Result<T, Rule> {
    let rule = || Rule::new(reason::REQUIRED, "must be chosen");
    text.parse().map_err(|_| rule())
}

fn input(fields: &Fields) -> DenyPolicyInput {
    DenyPolicyInput {
        description: fields.text("description").to_owned(),
        expires_at: civil::read(fields.text("expire_time")),
        disabled: fields.has("disabled"),
        ..DenyPolicyInput::default()
    }
}

fn fields(policy: &DenyPolicy) -> Fields {
    let end = policy.expires_at.map(civil::write);
    Fields::new()
        .with("description", policy.description.as_str())
        .with("expire_time", end.unwrap_or_default())
        .with_all("disabled", policy.disabled.then_some("1"))
}

fn told(portal: &Portal, actor: &Actor, policy: &DenyPolicy) -> Told {
    let (kind, who) = match &policy.target {
        DenyTarget::Api(id) => {
            let api = portal.service.get_api(actor, *id);
            let name = api.map(|api| format!("{} {}", api.name, api.version));
            ("API", name.unwrap_or_else(|_| id.to_string()))
        }
        DenyTarget::Application(id) => {
            let application = portal.service.get_application(actor, *id);
            let name = application.map(|it| format!("{} of {}", it.name, it.owner_name));
            ("Application", name.unwrap_or_else(|_| id.to_string()))
        }
        DenyTarget::User(name) => ("User", name.to_string()),
        DenyTarget::Address(range) => ("Addresses", range.to_string()),
        DenyTarget::AddressesBut(range) => ("All addresses but", range.to_string()),
    };
    Told { kind, who }
}

// === impl Policies ===

impl Policies {
    /// Whether it keeps anybody out now: a badge's class and its text.
    fn force(&self, policy: &DenyPolicy) -> (&'static str, &'static str) {
        let over = |end: Timestamp| end <= self.frame.now();
        if policy.disabled {
            ("off", "Switched off")
        } else if policy.expires_at.is_some_and(over) {
            ("off", "Over")
        } else {
            ("bad", "In force")
        }
    }
}
