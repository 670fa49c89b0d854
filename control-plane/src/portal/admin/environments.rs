//! Gateway environments: created, changed, deleted. The list is the page of the gateways.

use std::sync::Arc;

use askama::Template;

use super::resource::{AdminResource, Found, UseCases, every_field};
use crate::{
    domain::{actor::Actor, endpoint::EndpointUrl, environment::Environment, user::Permission},
    portal::{Answer, Fields, Form, Frame, NavItem, Portal, SignedIn},
    service::{
        Service, edit::Update, environments::EnvironmentInput, error::ServiceError,
        standard::read_key,
    },
};

/// The resource.
pub(super) struct Environments;

/// The entry of the side navigation.
pub(super) const NAV: NavItem =
    NavItem::new("Gateways", "/admin/gateways", Permission::ViewGateways);

#[derive(Template)]
#[template(path = "admin/environment.html")]
struct EnvironmentEditor {
    frame: Frame,
    form: Form,
    /// The environment that is changed; `None` for a new one.
    environment: Option<Arc<Environment>>,
    action: String,
}

impl UseCases for Environments {
    type Key = String;
    type Object = Environment;

    fn get(service: &Service, _: &Actor, name: &String) -> Found<Self> {
        service.get(&read_key::<Environment>(name)?)
    }

    async fn create(service: &Service, actor: &Actor, fields: &Fields) -> Found<Self> {
        let name = fields.text("name").trim();
        service.create(actor, name, input(fields)).await
    }

    async fn update(service: &Service, actor: &Actor, name: &String, form: &Form) -> Found<Self> {
        let update = Update {
            key: read_key::<Environment>(name)?,
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
        let key = read_key::<Environment>(name)?;
        service.delete::<Environment>(actor, &key, etag).await
    }
}

impl AdminResource for Environments {
    const NAV: NavItem = NAV;
    const NEEDS: &'static [Permission] = &[Permission::ManageEnvironments];
    const NOUN: &'static str = "environment";
    const INPUTS: &'static [(&'static str, &'static str)] = &[("environment_id", "name")];

    fn key(environment: &Environment) -> String {
        environment.name.to_string()
    }

    fn blank(_: &Fields) -> Fields {
        Fields::new()
    }

    fn form(environment: &Environment) -> Form {
        let text =
            |url: &Option<EndpointUrl>| url.as_ref().map(ToString::to_string).unwrap_or_default();
        let fields = Fields::new()
            .with("display_name", environment.display_name.as_str())
            .with("description", environment.description.as_str())
            .with("ws_url", text(&environment.ws_url))
            .with("wss_url", text(&environment.wss_url));
        Form::edits(fields, environment.meta.etag)
    }

    fn page(
        _: &Portal,
        signed_in: &SignedIn,
        environment: Option<Arc<Environment>>,
        form: Form,
    ) -> Answer {
        let page = EnvironmentEditor {
            frame: Frame::new(signed_in, Self::title(environment.as_deref())),
            form,
            action: Self::action(environment.as_deref()),
            environment,
        };
        page.frame.show_with(page.form.status(), &page)
    }
}

fn input(fields: &Fields) -> EnvironmentInput {
    EnvironmentInput {
        display_name: fields.text("display_name").to_owned(),
        description: fields.text("description").to_owned(),
        ws_url: fields.text("ws_url").trim().to_owned(),
        wss_url: fields.text("wss_url").trim().to_owned(),
    }
}
