//! The failures that most operations share, with the texts of the service (semantics: Lambda errors). Pure.

use crate::arn::{Arn, Place};
use crate::aws::AwsError;

/// What a caller gave is well formed and yet not allowed.
pub fn invalid(message: impl Into<String>) -> AwsError {
    AwsError::new(400, "InvalidParameterValueException", message)
}

/// What a caller gave is not well formed.
pub fn validation(message: impl Into<String>) -> AwsError {
    AwsError::new(400, "ValidationException", message)
}

/// There is no such thing.
pub fn missing(message: impl Into<String>) -> AwsError {
    AwsError::new(404, "ResourceNotFoundException", message)
}

/// It is there already, or something else is going on with it.
pub fn conflict(message: impl Into<String>) -> AwsError {
    AwsError::new(409, "ResourceConflictException", message)
}

/// It cannot be done now.
pub const NOT_NOW: &str = "The operation cannot be performed at this time.";

/// The function was made a moment ago, and is not there yet.
pub fn pending() -> AwsError {
    conflict(format!("{NOT_NOW} The function is currently in the following state: Pending"))
}

/// The thing has changed since the caller looked at it; `look` is the operation to look again.
pub fn stale(look: &str) -> AwsError {
    let message = format!(
        "The Revision Id provided does not match the latest Revision Id. Call the {look} API to retrieve the latest \
         Revision Id"
    );
    AwsError::new(412, "PreconditionFailedException", message)
}

/// It is our fault. The text says what we tried.
pub fn broken(message: impl std::fmt::Display) -> AwsError {
    AwsError::new(500, "ServiceException", message.to_string())
}

/// There is no such function; the qualifier that was asked for is named with it.
pub fn no_function(place: &Place, name: &str, qualifier: Option<&str>) -> AwsError {
    let arn = Arn::function(place, name);
    match qualifier {
        Some(qualifier) => missing(format!("Function not found: {arn}:{qualifier}")),
        None => missing(format!("Function not found: {arn}")),
    }
}

/// The text for a thing that cannot be named better.
pub const NOT_THERE: &str = "The resource you requested does not exist.";
