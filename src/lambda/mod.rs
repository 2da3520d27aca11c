//! The Lambda service.

use std::collections::BTreeMap;
use std::sync::RwLock;

use crate::arn::{Arn, Place};
use crate::aws::{Answer, AwsError, Call};
use crate::config::FunctionSpec;

pub mod invoke;
pub mod journal;
pub mod service;
mod stream;
mod url_event;
pub mod url_invoke;

pub mod names {
    //! stub
    use super::*;
    #[derive(Clone, Debug)]
    pub struct Target {
        pub name: String,
        pub qualifier: Option<String>,
    }
    pub fn parse_name(name: &str, qualifier: Option<&str>, _: &Place) -> Result<Target, AwsError> {
        Ok(Target { name: name.into(), qualifier: qualifier.map(str::to_owned) })
    }
}
pub mod routes {
    //! stub
    use super::*;
    pub enum Operation {
        Invoke { function: String },
        InvokeWithResponseStream { function: String },
        InvokeAsync { function: String },
        Other,
    }
    pub fn identify(_: &http::Method, segments: &[String]) -> Result<Operation, AwsError> {
        Ok(match segments {
            [_, _, f, last] if last == "invocations" => Operation::Invoke { function: f.clone() },
            [_, _, f, last] if last == "response-streaming-invocations" => {
                Operation::InvokeWithResponseStream { function: f.clone() }
            }
            _ => Operation::Other,
        })
    }
}
#[derive(Clone, Debug)]
pub struct Resolved {
    pub key: String,
    pub name: String,
    pub version: String,
    pub invoked_arn: String,
}
#[derive(Clone, Debug, Default)]
pub struct Cors {
    pub origins: Vec<String>,
    pub methods: Vec<String>,
    pub headers: Vec<String>,
    pub expose: Vec<String>,
    pub max_age: Option<u64>,
    pub credentials: bool,
}
#[derive(Clone, Debug)]
pub struct UrlConfig {
    pub name: String,
    pub qualifier: Option<String>,
    pub needs_signature: bool,
    pub cors: Option<Cors>,
    pub streaming: bool,
}
pub struct Lambda {
    pub declared: RwLock<BTreeMap<String, FunctionSpec>>,
    pub place: Place,
}
impl Lambda {
    pub fn place(&self) -> &Place {
        &self.place
    }
    pub fn is_pending(&self, _: &str) -> bool {
        false
    }
    pub async fn until_applied(&self, _: &str) {}
    pub fn url(&self, _: &str) -> Option<UrlConfig> {
        None
    }
    pub async fn code_of(&self, _: &str) -> Option<Vec<u8>> {
        None
    }
    pub async fn answer(&self, _: routes::Operation, _: Call) -> Result<Answer, AwsError> {
        Err(AwsError::new(400, "ValidationException", "stub"))
    }
    pub fn resolve(&self, target: &names::Target) -> Result<Resolved, AwsError> {
        let arn = Arn::function(&self.place, &target.name);
        if !self.declared.read().unwrap().contains_key(&target.name) {
            return Err(AwsError::new(
                404,
                "ResourceNotFoundException",
                format!("Function not found: {arn}:$LATEST"),
            ));
        }
        Ok(Resolved {
            key: target.name.clone(),
            name: target.name.clone(),
            version: "$LATEST".into(),
            invoked_arn: arn.as_str().into(),
        })
    }
}
