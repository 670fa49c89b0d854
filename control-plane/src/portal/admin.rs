//! The admin portal: the installation, looked after. One file below this for each group of pages. Addresses say what is
//! done before they say to whom (`/admin/plans/edit/Gold`), so that no name is in the way of a page.

mod limits;
mod civil;
mod gateways;
mod environments;
mod plans;
mod application_policies;
mod api_policies;
mod deny_policies;
mod application_keys;
mod counters;
mod users;
mod signing_keys;
mod audit;
mod settings;

use axum::{
    Router,
    routing::{get, post},
};

use super::{Portal, Problem, See, SignedIn, room::Place};
use crate::domain::user::Permission;

/// The side navigation.
pub(super) const PLACES: &[Place] = &[
    place("Gateways", "/admin/gateways", Permission::ViewGateways),
    place("Business plans", "/admin/plans", Permission::ManagePlans),
    place(
        "Application policies",
        "/admin/application-policies",
        Permission::ManagePolicies,
    ),
    place(
        "API policies",
        "/admin/api-policies",
        Permission::ManagePolicies,
    ),
    place(
        "Deny policies",
        "/admin/deny-policies",
        Permission::ManagePolicies,
    ),
    place(
        "Application keys",
        "/admin/application-keys",
        Permission::ManagePolicies,
    ),
    place("Counters", "/admin/counters", Permission::ManagePolicies),
    place("Users", "/admin/users", Permission::ManageUsers),
    place(
        "Signing keys",
        "/admin/signing-keys",
        Permission::ManageKeyManager,
    ),
    place("Audit log", "/admin/audit", Permission::ReadAudit),
    place("Settings", "/admin/settings", Permission::ManageSettings),
];

pub(super) fn routes() -> Router<Portal> {
    Router::new()
        .route(
            "/admin",
            get(async |_: SignedIn| See::page("/admin/gateways").answer()),
        )
        .merge(of_gateways())
        .merge(of_plans())
        .merge(of_policies())
        .merge(of_people())
        .route("/admin/signing-keys", get(signing_keys::list))
        .route("/admin/signing-keys/rotate", post(signing_keys::rotate))
        .route("/admin/audit", get(audit::list))
        .route("/admin/settings", get(settings::open).post(settings::save))
        .route("/admin/", get(async || See::page("/admin").answer()))
        .route("/admin/{*rest}", get(async || Problem::NotFound))
}

fn of_gateways() -> Router<Portal> {
    Router::new()
        .route("/admin/gateways", get(gateways::list))
        .route(
            "/admin/gateways/node/{environment}/{name}",
            get(gateways::node),
        )
        .route(
            "/admin/gateways/create",
            get(environments::ask).post(environments::create),
        )
        .route(
            "/admin/gateways/edit/{name}",
            get(environments::open).post(environments::save),
        )
        .route("/admin/gateways/delete/{name}", post(environments::delete))
}

fn of_plans() -> Router<Portal> {
    Router::new()
        .route("/admin/plans", get(plans::list))
        .route("/admin/plans/create", get(plans::ask).post(plans::create))
        .route(
            "/admin/plans/edit/{name}",
            get(plans::open).post(plans::save),
        )
        .route("/admin/plans/delete/{name}", post(plans::delete))
}

fn of_policies() -> Router<Portal> {
    use self::{api_policies as apis, application_policies as applications, deny_policies as deny};
    Router::new()
        .route("/admin/application-policies", get(applications::list))
        .route(
            "/admin/application-policies/create",
            get(applications::ask).post(applications::create),
        )
        .route(
            "/admin/application-policies/edit/{name}",
            get(applications::open).post(applications::save),
        )
        .route(
            "/admin/application-policies/delete/{name}",
            post(applications::delete),
        )
        .route("/admin/api-policies", get(apis::list))
        .route(
            "/admin/api-policies/create",
            get(apis::ask).post(apis::create),
        )
        .route(
            "/admin/api-policies/edit/{name}",
            get(apis::open).post(apis::save),
        )
        .route("/admin/api-policies/delete/{name}", post(apis::delete))
        .route("/admin/deny-policies", get(deny::list))
        .route(
            "/admin/deny-policies/create",
            get(deny::ask).post(deny::create),
        )
        .route(
            "/admin/deny-policies/edit/{id}",
            get(deny::open).post(deny::save),
        )
        .route("/admin/deny-policies/delete/{id}", post(deny::delete))
        .route("/admin/application-keys", get(application_keys::list))
        .route(
            "/admin/application-keys/edit/{application}/{client_id}",
            get(application_keys::open).post(application_keys::save),
        )
        .route("/admin/counters", get(counters::list))
        .route("/admin/counters/{kind}/{id}", post(counters::reset))
}

fn of_people() -> Router<Portal> {
    Router::new()
        .route("/admin/users", get(users::list))
        .route("/admin/users/create", get(users::ask).post(users::create))
        .route(
            "/admin/users/edit/{name}",
            get(users::open).post(users::save),
        )
        .route("/admin/users/password/{name}", post(users::set_password))
        .route("/admin/users/sign-out/{name}", post(users::sign_out))
        .route("/admin/users/delete/{name}", post(users::delete))
}

const fn place(name: &'static str, path: &'static str, needs: Permission) -> Place {
    Place {
        name,
        path,
        needs: Some(needs),
    }
}
