//! What callers are told of each failure.

use std::time::Duration;

use prost::Message as _;
use tonic::{Code, Status};
use tonic_types::{StatusExt as _, pb};

use super::VIOLATIONS_MAX;
use crate::{
    domain::invalid::{Faults, reason},
    service::error::ServiceError,
};

/// The code and the stable reason.
fn told(error: ServiceError) -> (Code, String, Status) {
    let status = Status::from(error);
    let info = status.get_details_error_info().unwrap();
    assert_eq!(info.domain, "tidegate");
    (status.code(), info.reason, status)
}

#[test]
fn every_violation_is_told_with_its_path_its_reason_and_a_sentence() {
    let mut faults = Faults::new();
    faults.add("api.api_name", reason::REQUIRED, "must not be empty");
    faults.add("api.topics[1].mapping", reason::TOO_LONG, "is too long");
    let (code, reason, status) = told(ServiceError::Invalid(faults.finish().unwrap_err()));
    assert_eq!(
        (code, reason.as_str()),
        (Code::InvalidArgument, "INVALID_ARGUMENT")
    );
    assert_eq!(
        status.message(),
        "invalid: api.api_name must not be empty; api.topics[1].mapping is too long"
    );
    // The library's own types leave the reasons out.
    let details = pb::Status::decode(status.details()).unwrap();
    let bad_request = details
        .details
        .iter()
        .find(|any| any.type_url == "type.googleapis.com/google.rpc.BadRequest")
        .unwrap();
    let bad_request = pb::BadRequest::decode(bad_request.value.as_slice()).unwrap();
    let told: Vec<_> = bad_request
        .field_violations
        .iter()
        .map(|v| (v.field.as_str(), v.reason.as_str(), v.description.as_str()))
        .collect();
    assert_eq!(
        told,
        [
            ("api.api_name", "REQUIRED", "must not be empty"),
            ("api.topics[1].mapping", "TOO_LONG", "is too long"),
        ]
    );
}

#[test]
fn a_thousand_violations_still_fit_into_a_header() {
    let mut faults = Faults::new();
    for index in 0..1000 {
        faults.add(
            format!("api.tags[{index}]"),
            reason::TOO_LONG,
            "must have at most 30 characters",
        );
    }
    let (_, _, status) = told(ServiceError::Invalid(faults.finish().unwrap_err()));
    assert!(
        status.message().ends_with("and 997 more"),
        "{}",
        status.message()
    );
    assert_eq!(
        status
            .get_details_bad_request()
            .unwrap()
            .field_violations
            .len(),
        VIOLATIONS_MAX
    );
    assert!(status.details().len() < 6000, "{}", status.details().len());
}

#[test]
fn violations_that_repeat_long_inputs_still_fit_into_a_header() {
    let mut faults = Faults::new();
    for index in 0..100 {
        let described = format!("names the plan `{}`", "ü".repeat(10_000));
        faults.add(format!("api.plans[{index}]"), reason::NOT_FOUND, described);
    }
    let (_, _, status) = told(ServiceError::Invalid(faults.finish().unwrap_err()));
    let details = status.get_details_bad_request().unwrap();
    assert!(details.field_violations.len() > 5);
    assert!(status.details().len() < 6000, "{}", status.details().len());
    assert!(status.message().len() < 1000, "{}", status.message().len());
}

#[test]
fn what_is_missing_or_in_the_way_is_named() {
    let (code, _, status) = told(ServiceError::NotFound("apis/1/revisions/2".to_owned()));
    let info = status.get_details_resource_info().unwrap();
    assert_eq!(code, Code::NotFound);
    assert_eq!(
        (info.resource_type.as_str(), info.resource_name.as_str()),
        ("revisions", "apis/1/revisions/2")
    );
    let (code, _, status) = told(ServiceError::AlreadyExists {
        resource: "apis/1".to_owned(),
        description: "it has the context /echo".to_owned(),
    });
    let info = status.get_details_resource_info().unwrap();
    assert_eq!(code, Code::AlreadyExists);
    assert_eq!(
        (info.resource_type.as_str(), info.resource_name.as_str()),
        ("apis", "apis/1")
    );
    assert!(info.description.contains("/echo"));
}

#[test]
fn a_state_that_does_not_allow_it_is_told_by_its_own_reason() {
    let (code, reason, status) = told(ServiceError::FailedPrecondition {
        reason: "REVISION_LIMIT",
        resource: "apis/1".to_owned(),
        description: "delete a revision first".to_owned(),
    });
    assert_eq!(
        (code, reason.as_str()),
        (Code::FailedPrecondition, "REVISION_LIMIT")
    );
    let failure = status.get_details_precondition_failure().unwrap();
    assert_eq!(failure.violations[0].r#type, "REVISION_LIMIT");
    assert_eq!(failure.violations[0].subject, "apis/1");
    let (code, reason, _) = told(ServiceError::Aborted("apis/1".to_owned()));
    assert_eq!((code, reason.as_str()), (Code::Aborted, "ETAG_MISMATCH"));
}

#[test]
fn what_may_be_tried_again_says_when() {
    let (code, _, status) = told(ServiceError::ResourceExhausted {
        retry_after: Duration::from_secs(7),
    });
    assert_eq!(code, Code::ResourceExhausted);
    let retry = status.get_details_retry_info().unwrap();
    assert_eq!(retry.retry_delay, Some(Duration::from_secs(7)));
    let (code, _, status) = told(ServiceError::Unavailable("too many changes wait"));
    assert_eq!(code, Code::Unavailable);
    assert!(
        status
            .get_details_retry_info()
            .unwrap()
            .retry_delay
            .is_some()
    );
}

#[test]
fn the_inside_of_the_store_stays_inside() {
    let inside = "no space left on /var/lib/tidegate/store";
    let (code, reason, status) = told(ServiceError::Storage(inside.to_owned()));
    assert_eq!((code, reason.as_str()), (Code::Internal, "STORAGE"));
    let all = format!("{status:?}{:?}", status.details());
    assert!(!all.contains("/var/lib"), "{all}");
}

#[test]
fn who_may_not_is_told_apart_from_who_is_unknown() {
    let (code, reason, _) = told(ServiceError::Unauthenticated("the token is unknown"));
    assert_eq!(
        (code, reason.as_str()),
        (Code::Unauthenticated, "UNAUTHENTICATED")
    );
    let (code, reason, status) = told(ServiceError::PermissionDenied("role admin".to_owned()));
    assert_eq!(
        (code, reason.as_str()),
        (Code::PermissionDenied, "PERMISSION_DENIED")
    );
    assert!(status.message().contains("role admin"));
}
