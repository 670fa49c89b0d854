//! The grammar of resource names: `apis/{uuid}/revisions/{uuid}` and so on, into the domain's ids. What does not follow
//! it breaks a rule of its field; whether the resource exists is the use cases' to say.

use std::str::FromStr;

use tidegate_proto::ids::{
    ApiId, ApplicationId, DenyPolicyId, DocumentId, RevisionId, SubscriptionId,
};

use crate::domain::{
    invalid::{Rule, reason},
    name::{ClientId, EnvironmentName, PlanName, PolicyName, UserName},
};

/// Reads `apis/{uuid}`.
pub(super) fn api(text: &str) -> Result<ApiId, Rule> {
    const FORM: &str = "apis/{uuid}";
    let [id] = segments(text, ["apis"], FORM)?;
    uuid(id, FORM)
}

/// Reads `apis/{uuid}/revisions/{uuid}`.
pub(super) fn revision(text: &str) -> Result<(ApiId, RevisionId), Rule> {
    const FORM: &str = "apis/{uuid}/revisions/{uuid}";
    let [api, revision] = segments(text, ["apis", "revisions"], FORM)?;
    Ok((uuid(api, FORM)?, uuid(revision, FORM)?))
}

/// Reads `apis/{uuid}/documents/{uuid}`.
pub(super) fn document(text: &str) -> Result<(ApiId, DocumentId), Rule> {
    const FORM: &str = "apis/{uuid}/documents/{uuid}";
    let [api, document] = segments(text, ["apis", "documents"], FORM)?;
    Ok((uuid(api, FORM)?, uuid(document, FORM)?))
}

/// Reads `apis/{uuid}/thumbnail`.
pub(super) fn thumbnail(text: &str) -> Result<ApiId, Rule> {
    const FORM: &str = "apis/{uuid}/thumbnail";
    let [id] = segments(parent(text, "/thumbnail", FORM)?, ["apis"], FORM)?;
    uuid(id, FORM)
}

/// Reads `plans/{name}`.
pub(super) fn plan(text: &str) -> Result<PlanName, Rule> {
    let [name] = segments(text, ["plans"], "plans/{name}")?;
    PlanName::parse(name)
}

/// Reads `applicationPolicies/{name}`.
pub(super) fn application_policy(text: &str) -> Result<PolicyName, Rule> {
    let form = "applicationPolicies/{name}";
    let [name] = segments(text, ["applicationPolicies"], form)?;
    PolicyName::parse(name)
}

/// Reads `apiPolicies/{name}`.
pub(super) fn api_policy(text: &str) -> Result<PolicyName, Rule> {
    let [name] = segments(text, ["apiPolicies"], "apiPolicies/{name}")?;
    PolicyName::parse(name)
}

/// Reads `denyPolicies/{uuid}`.
pub(super) fn deny_policy(text: &str) -> Result<DenyPolicyId, Rule> {
    const FORM: &str = "denyPolicies/{uuid}";
    let [id] = segments(text, ["denyPolicies"], FORM)?;
    uuid(id, FORM)
}

/// Reads `applications/{uuid}`.
pub(super) fn application(text: &str) -> Result<ApplicationId, Rule> {
    const FORM: &str = "applications/{uuid}";
    let [id] = segments(text, ["applications"], FORM)?;
    uuid(id, FORM)
}

/// Reads `applications/{uuid}/keys/{client_id}`.
pub(super) fn key(text: &str) -> Result<(ApplicationId, ClientId), Rule> {
    const FORM: &str = "applications/{uuid}/keys/{client_id}";
    let [application, client] = segments(text, ["applications", "keys"], FORM)?;
    Ok((uuid(application, FORM)?, ClientId::parse(client)?))
}

/// Reads `subscriptions/{uuid}`.
pub(super) fn subscription(text: &str) -> Result<SubscriptionId, Rule> {
    const FORM: &str = "subscriptions/{uuid}";
    let [id] = segments(text, ["subscriptions"], FORM)?;
    uuid(id, FORM)
}

/// Reads `subscriptions/{uuid}/usage`.
pub(super) fn subscription_usage(text: &str) -> Result<SubscriptionId, Rule> {
    const FORM: &str = "subscriptions/{uuid}/usage";
    let [id] = segments(parent(text, "/usage", FORM)?, ["subscriptions"], FORM)?;
    uuid(id, FORM)
}

/// Reads `environments/{name}`.
pub(super) fn environment(text: &str) -> Result<EnvironmentName, Rule> {
    let [name] = segments(text, ["environments"], "environments/{name}")?;
    EnvironmentName::parse(name)
}

/// Reads `environments/{name}/nodes/{node}`.
pub(super) fn node(text: &str) -> Result<(EnvironmentName, &str), Rule> {
    let form = "environments/{name}/nodes/{node}";
    let [environment, node] = segments(text, ["environments", "nodes"], form)?;
    Ok((EnvironmentName::parse(environment)?, node))
}

/// Reads `users/{name}`.
pub(super) fn user(text: &str) -> Result<UserName, Rule> {
    let [name] = segments(text, ["users"], "users/{name}")?;
    UserName::parse(name)
}

/// Takes the end off the name of something of which there is one; an empty name stays so.
fn parent<'a>(text: &'a str, end: &str, form: &str) -> Result<&'a str, Rule> {
    match text.strip_suffix(end) {
        Some(name) if !name.is_empty() => Ok(name),
        None if text.is_empty() => Ok(text),
        _ => Err(malformed(form)),
    }
}

/// Takes a name apart into the ids that follow its collections.
fn segments<'a, const N: usize>(
    text: &'a str,
    collections: [&str; N],
    form: &str,
) -> Result<[&'a str; N], Rule> {
    if text.is_empty() {
        return Err(Rule::new(reason::REQUIRED, "must not be empty"));
    }
    let mut parts = text.split('/');
    let mut ids = [""; N];
    for (collection, id) in collections.into_iter().zip(&mut ids) {
        match (parts.next(), parts.next()) {
            (Some(first), Some(second)) if first == collection && !second.is_empty() => {
                *id = second;
            }
            _ => return Err(malformed(form)),
        }
    }
    match parts.next() {
        None => Ok(ids),
        Some(_) => Err(malformed(form)),
    }
}

fn uuid<T: FromStr>(text: &str, form: &str) -> Result<T, Rule> {
    text.parse().map_err(|_| malformed(form))
}

fn malformed(form: &str) -> Rule {
    Rule::new(reason::MALFORMED, format!("must have the form `{form}`"))
}

#[cfg(test)]
mod tests {
    use tidegate_proto::ids::{ApiId, RevisionId, SubscriptionId};

    use super::{api, environment, key, node, plan, revision, subscription_usage};
    use crate::domain::invalid::reason;

    #[test]
    fn names_read_back() {
        let (a, r) = (ApiId::generate(), RevisionId::generate());
        assert_eq!(api(&format!("apis/{a}")), Ok(a));
        assert_eq!(revision(&format!("apis/{a}/revisions/{r}")), Ok((a, r)));
        assert_eq!(plan("plans/Gold").unwrap().as_str(), "Gold");
        let s = SubscriptionId::generate();
        let usage = format!("subscriptions/{s}/usage");
        assert_eq!(subscription_usage(&usage), Ok(s));
        let (environment, node) = node("environments/default/nodes/host:9099").unwrap();
        assert_eq!((environment.as_str(), node), ("default", "host:9099"));
    }

    #[test]
    fn what_is_no_name_breaks_a_rule_that_shows_the_form() {
        assert_eq!(api("").unwrap_err().reason, reason::REQUIRED);
        let id = ApiId::generate();
        for text in [
            "apis".to_owned(),
            "apis/".to_owned(),
            "apis/1".to_owned(),
            format!("api/{id}"),
            format!("/apis/{id}"),
            format!("apis/{id}/"),
            format!("apis/{id}/revisions"),
        ] {
            let rule = api(&text).unwrap_err();
            assert_eq!(rule.reason, reason::MALFORMED, "{text}");
            assert!(rule.description.contains("`apis/{uuid}`"), "{text}");
        }
        assert!(key(&format!("applications/{id}/keys/a b")).is_err());
        assert!(environment("environments/a/b").is_err());
        let form = "`subscriptions/{uuid}/usage`";
        for text in [
            "/usage".to_owned(),
            format!("subscriptions/{id}"),
            "a/usage".to_owned(),
        ] {
            let rule = subscription_usage(&text).unwrap_err();
            assert!(rule.description.contains(form), "{text}");
        }
        assert_eq!(subscription_usage("").unwrap_err().reason, reason::REQUIRED);
    }
}
