//! The comments of the admin API name the fields that filters and orders take; they are compared with the schemas here.

use std::{fs, path::Path};

use crate::{
    domain::{
        environment::Environment,
        plan::Plan,
        policy::{ApiPolicy, ApplicationPolicy},
    },
    service::{
        apis, applications, audit, catalog, deny_policies, documents, listing::Schema,
        standard::Standard, subscriptions, users,
    },
};

/// The comment in front of the first line behind `start` that begins with `line`.
fn comment(file: &str, start: &str, line: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../proto/proto/tidegate/admin/v1");
    let text = fs::read_to_string(folder.join(file)).unwrap();
    let start = text.find(start).unwrap();
    let mut comment = String::new();
    for it in text[start..].lines().map(str::trim) {
        match it.strip_prefix("//") {
            Some(more) => comment += more,
            None if it.starts_with(line) => return comment,
            None => comment.clear(),
        }
    }
    panic!("{file} has no {line}");
}

/// The names in back quotes after a mark, up to the end of the sentence; what stands in parentheses explains them.
fn names(text: &str, mark: &str) -> Vec<String> {
    let rest = text.split_once(mark).map_or("", |(_, rest)| rest);
    let mut depth = 0;
    let mut bare = String::new();
    for c in rest.chars() {
        match c {
            '(' => depth += 1,
            ')' => depth -= 1,
            '.' if depth == 0 => break,
            c if depth == 0 => bare.push(c),
            _ => {}
        }
    }
    let names = bare.split('`').skip(1).step_by(2);
    names.map(str::to_owned).collect()
}

fn check<T>(file: &str, method: &str, schema: &Schema<T>) {
    let request = format!("message List{method}Request {{");
    let filter: Vec<_> = schema.filter.iter().map(|(name, _)| *name).collect();
    let rpc = comment(file, "service ", &format!("rpc List{method}("));
    let of_field = comment(file, &request, "string filter");
    let documented = [names(&rpc, "Filter fields:"), names(&of_field, "Fields:")].concat();
    assert_eq!(documented, filter, "the filter fields of List{method}");
    let order = comment(file, &request, "string order_by");
    let mark = if method == "Apis" {
        "falling order:"
    } else {
        "`ListApisRequest.order_by`:"
    };
    assert_eq!(
        names(&order, mark),
        schema.order,
        "the order of List{method}"
    );
    assert_eq!(names(&order, "By default"), [schema.default_order]);
}

#[test]
fn the_fields_that_comments_name_are_those_that_lists_take() {
    check("plan_service.proto", "Plans", &Plan::SCHEMA);
    check(
        "gateway_service.proto",
        "Environments",
        &Environment::SCHEMA,
    );
    let policies = "ApplicationPolicies";
    check(
        "application_policy_service.proto",
        policies,
        &ApplicationPolicy::SCHEMA,
    );
    check(
        "api_policy_service.proto",
        "ApiPolicies",
        &ApiPolicy::SCHEMA,
    );
    check(
        "deny_policy_service.proto",
        "DenyPolicies",
        &deny_policies::SCHEMA,
    );
    check("api_service.proto", "Apis", &apis::schema::SCHEMA);
    check("catalog_service.proto", "CatalogApis", &catalog::SCHEMA);
    check("document_service.proto", "Documents", &documents::SCHEMA);
    check(
        "application_service.proto",
        "Applications",
        &applications::SCHEMA,
    );
    check(
        "subscription_service.proto",
        "Subscriptions",
        &subscriptions::SCHEMA,
    );
    check("user_service.proto", "Users", &users::SCHEMA);
    let rpc = comment("audit_service.proto", "service ", "rpc ListAuditEntries(");
    let filter = audit::FIELDS.map(|(name, _)| name);
    assert_eq!(names(&rpc, "Filter fields:"), filter);
}
