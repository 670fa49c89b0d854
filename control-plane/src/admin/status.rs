//! How a failed use case is reported to the caller: the status code, a message that is safe outside, and `google.rpc`
//! details. The one place where that is decided.

use std::{collections::HashMap, time::Duration};

use prost::Message;
use prost_types::Any;
use tidegate_kit::fault_log::FaultLog;
use tonic::{Code, Status};
use tonic_types::pb::{
    BadRequest, ErrorInfo, PreconditionFailure, ResourceInfo, RetryInfo, Status as RpcStatus,
    bad_request::FieldViolation, precondition_failure,
};

use crate::{
    domain::invalid::{Faults, Invalid},
    service::error::ServiceError,
};

/// The domain of all reasons.
const DOMAIN: &str = "tidegate";

/// Calls that failed through no fault of the caller.
static FAILED: FaultLog = FaultLog::new(30);

/// Details travel in a header; clients accept 8 KiB of them without being asked.
const VIOLATIONS_MAX: usize = 32;
/// For the fields and descriptions of violations together; Base64 and the rest make more of it.
const DETAILS_BYTES: usize = 4000;
/// A description may repeat an input, of whatever length.
const DESCRIPTION_BYTES: usize = 240;
/// In the message, which is for people who see no details.
const VIOLATIONS_IN_MESSAGE: usize = 3;
/// Long enough for the writer to have worked off what waited.
const UNAVAILABLE_RETRY: Duration = Duration::from_secs(1);

impl From<ServiceError> for Status {
    /// The status of a use case that failed.
    fn from(error: ServiceError) -> Self {
        let message = error.to_string();
        match error {
            ServiceError::Unauthenticated(_) => status(
                Code::Unauthenticated,
                message,
                vec![info("UNAUTHENTICATED")],
            ),
            ServiceError::PermissionDenied(_) => status(
                Code::PermissionDenied,
                message,
                vec![info("PERMISSION_DENIED")],
            ),
            ServiceError::Invalid(invalid) => bad_request(invalid),
            ServiceError::NotFound(resource) => {
                let details = vec![info("NOT_FOUND"), resource_info(&resource, "")];
                status(Code::NotFound, message, details)
            }
            ServiceError::AlreadyExists {
                resource,
                description,
            } => {
                let details = vec![
                    info("ALREADY_EXISTS"),
                    resource_info(&resource, &description),
                ];
                status(Code::AlreadyExists, message, details)
            }
            ServiceError::FailedPrecondition {
                reason,
                resource,
                description,
            } => {
                let violation = precondition_failure::Violation {
                    r#type: reason.to_owned(),
                    subject: resource,
                    description,
                };
                let failure = PreconditionFailure {
                    violations: vec![violation],
                };
                let details = vec![info(reason), any(&failure)];
                status(Code::FailedPrecondition, message, details)
            }
            ServiceError::Aborted(resource) => {
                let details = vec![info("ETAG_MISMATCH"), resource_info(&resource, "")];
                status(Code::Aborted, message, details)
            }
            ServiceError::ResourceExhausted { retry_after } => {
                let details = vec![info("TOO_MANY_ATTEMPTS"), retry(retry_after)];
                status(Code::ResourceExhausted, message, details)
            }
            ServiceError::Unavailable(_) => {
                let details = vec![info("UNAVAILABLE"), retry(UNAVAILABLE_RETRY)];
                status(Code::Unavailable, message, details)
            }
            // The inside was logged where it happened.
            ServiceError::Storage(_) => {
                let message = "the change could not be stored; the control plane's log says why";
                status(Code::Internal, message.to_owned(), vec![info("STORAGE")])
            }
        }
    }
}

/// Ends the reading of a request.
pub(super) fn check(faults: Faults) -> Result<(), Status> {
    faults.finish().map_err(bad_request)
}

/// A message that protobuf cannot decode.
pub(super) fn undecodable(cause: &str) -> Status {
    let message = format!("the request is not a valid protobuf message: {cause}");
    status(
        Code::InvalidArgument,
        message,
        vec![info("MALFORMED_MESSAGE")],
    )
}

/// A part of the process that failed in a way that the caller cannot help.
pub(super) fn internal(what: &'static str, cause: &dyn std::error::Error) -> Status {
    if let Some(line) = FAILED.fault(&format!("{what}: {cause}")) {
        let suppressed = line.suppressed;
        tracing::error!(%cause, what, suppressed, "an admin call failed");
    }
    let message = format!("{what}; the control plane's log says why");
    status(Code::Internal, message, vec![info("INTERNAL")])
}

fn bad_request(invalid: Invalid) -> Status {
    let n_all = invalid.violations.len();
    let mut violations = invalid.violations;
    violations.truncate(VIOLATIONS_MAX);
    for violation in &mut violations {
        clip(&mut violation.description);
    }
    let mut message = String::from("invalid: ");
    for (index, violation) in violations.iter().take(VIOLATIONS_IN_MESSAGE).enumerate() {
        let separator = if index == 0 { "" } else { "; " };
        message += &format!("{separator}{} {}", violation.field, violation.description);
    }
    if n_all > VIOLATIONS_IN_MESSAGE {
        message += &format!("; and {} more", n_all - VIOLATIONS_IN_MESSAGE);
    }
    let mut room = DETAILS_BYTES;
    let field_violations = violations
        .into_iter()
        .take_while(|violation| {
            let taken = violation.field.len() + violation.description.len();
            let fits = taken <= room;
            room = room.saturating_sub(taken);
            fits
        })
        .map(|violation| FieldViolation {
            field: violation.field,
            description: violation.description,
            reason: violation.reason.to_owned(),
            localized_message: None,
        })
        .collect();
    let details = vec![
        info("INVALID_ARGUMENT"),
        any(&BadRequest { field_violations }),
    ];
    status(Code::InvalidArgument, message, details)
}

/// Cuts what would not fit into a header.
fn clip(text: &mut String) {
    if text.len() > DESCRIPTION_BYTES {
        text.truncate(text.floor_char_boundary(DESCRIPTION_BYTES));
        text.push_str("...");
    }
}

fn info(reason: &str) -> Any {
    any(&ErrorInfo {
        reason: reason.to_owned(),
        domain: DOMAIN.to_owned(),
        metadata: HashMap::new(),
    })
}

/// `apis/{uuid}` is a resource of the type `apis`.
fn resource_info(resource: &str, description: &str) -> Any {
    let resource_type = resource.split('/').step_by(2).last();
    any(&ResourceInfo {
        resource_type: resource_type.unwrap_or_default().to_owned(),
        resource_name: resource.to_owned(),
        owner: String::new(),
        description: description.to_owned(),
    })
}

fn retry(after: Duration) -> Any {
    any(&RetryInfo {
        retry_delay: super::duration(after),
    })
}

fn any<M: Detail>(detail: &M) -> Any {
    Any {
        type_url: format!("type.googleapis.com/google.rpc.{}", M::NAME),
        value: detail.encode_to_vec(),
    }
}

/// The messages of `google/rpc/error_details.proto`, by name.
trait Detail: Message {
    const NAME: &'static str;
}

macro_rules! details {
    ($($message:ident),*) => {
        $(impl Detail for $message {
            const NAME: &'static str = stringify!($message);
        })*
    };
}

details!(
    BadRequest,
    ErrorInfo,
    PreconditionFailure,
    ResourceInfo,
    RetryInfo
);

fn status(code: Code, message: String, details: Vec<Any>) -> Status {
    let encoded = RpcStatus {
        code: code as i32,
        message: message.clone(),
        details,
    }
    .encode_to_vec();
    Status::with_details(code, message, encoded.into())
}

#[cfg(test)]
mod tests;
