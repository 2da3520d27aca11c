//! The runtimes that Lambda knows, and those that run here. Pure.

use super::errors::invalid;
use crate::aws::AwsError;

/// What a call that names no runtime of Lambda is told (semantics: Lambda errors).
const OFFERED: [&str; 20] = [
    "nodejs20.x",
    "python3.14",
    "provided.al2023",
    "python3.12",
    "python3.13",
    "nodejs24.x",
    "nodejs22.x",
    "java25",
    "python3.10",
    "python3.11",
    "java21",
    "java17",
    "java11",
    "java8.al2",
    "dotnet8",
    "dotnet10",
    "provided.al2",
    "ruby3.3",
    "ruby3.4",
    "ruby3.2",
];

/// Every name that Lambda has ever had, those of retired runtimes too.
pub const KNOWN: [&str; 46] = [
    "nodejs",
    "nodejs4.3",
    "nodejs6.10",
    "nodejs8.10",
    "nodejs10.x",
    "nodejs12.x",
    "nodejs14.x",
    "nodejs16.x",
    "java8",
    "java8.al2",
    "java11",
    "python2.7",
    "python3.6",
    "python3.7",
    "python3.8",
    "python3.9",
    "dotnetcore1.0",
    "dotnetcore2.0",
    "dotnetcore2.1",
    "dotnetcore3.1",
    "dotnet6",
    "dotnet8",
    "nodejs4.3-edge",
    "go1.x",
    "ruby2.5",
    "ruby2.7",
    "provided",
    "provided.al2",
    "nodejs18.x",
    "python3.10",
    "java17",
    "ruby3.2",
    "ruby3.3",
    "ruby3.4",
    "python3.11",
    "nodejs20.x",
    "provided.al2023",
    "python3.12",
    "java21",
    "python3.13",
    "nodejs22.x",
    "nodejs24.x",
    "python3.14",
    "java25",
    "dotnet10",
    "ruby4.0",
];

/// Whether a function with this runtime can run here. Retired runtimes do: an interpreter of today runs their code.
pub fn check(runtime: &str) -> Result<(), AwsError> {
    if !KNOWN.contains(&runtime) {
        return Err(invalid(format!(
            "Value {runtime} at 'runtime' failed to satisfy constraint: Member must satisfy enum value set: [{}] or be \
             a valid ARN",
            OFFERED.join(", ")
        )));
    }
    if ["nodejs", "python", "provided"].iter().any(|family| runtime.starts_with(family)) {
        return Ok(());
    }
    Err(invalid(format!(
        "dropwire does not start the runtime {runtime}. A program that speaks the Lambda Runtime API can be declared in \
         the wiring file with `run = \"…\"`, or uploaded as `bootstrap` with the runtime provided.al2023."
    )))
}

/// Whether SnapStart is offered with this runtime.
pub fn has_snap_start(runtime: &str) -> bool {
    ["python3.12", "python3.13", "python3.14", "java11", "java17", "java21", "java25", "dotnet8", "dotnet10"]
        .contains(&runtime)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_node_and_python_runs_and_the_others_hear_of_the_way_out() {
        for runtime in ["nodejs8.10", "nodejs", "python2.7", "python3.14", "provided", "provided.al2023"] {
            assert_eq!(check(runtime), Ok(()), "{runtime}");
        }
        for runtime in ["java21", "ruby3.3", "dotnet8", "go1.x"] {
            let error = check(runtime).expect_err("it does not run here");
            assert!(error.message.contains(runtime) && error.message.contains("`run ="), "{error}");
        }
        let error = check("perl5").expect_err("there is none");
        assert!(error.message.starts_with("Value perl5 at 'runtime' failed to satisfy constraint: Member must satisfy enum value set: [nodejs20.x, python3.14, provided.al2023, "));
        assert!(error.message.ends_with("] or be a valid ARN"));
    }
}
