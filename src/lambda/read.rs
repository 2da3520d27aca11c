//! GetFunction, GetFunctionConfiguration, ListFunctions.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::check::Constraints;
use super::names::{NameRule, Target};
use super::request::Request;
use super::shown::Shown;
use super::things::Version;
use super::world::{World, version_text};
use super::{Lambda, ok};
use crate::aws::{Answer, AwsError};

/// A version that is to be shown, taken out of the world: its name, number, itself, its qualifier.
pub struct Picked {
    /// The function's name.
    pub name: String,
    /// The version's number, 0 for `$LATEST`.
    pub number: u32,
    /// The version.
    pub version: Arc<Version>,
    /// What its ARN says behind the name.
    pub qualifier: Option<String>,
}

impl Picked {
    /// How it is shown.
    pub fn shown<'a>(&'a self, lambda: &'a Lambda, world: &World) -> Shown<'a> {
        Shown {
            place: lambda.place(),
            name: &self.name,
            number: self.number,
            version: &self.version,
            phase: world.phase(&self.name, self.number),
            qualifier: self.qualifier.as_deref(),
        }
    }
}

impl Lambda {
    /// The version that a target means, its code measured.
    pub(super) async fn pick(&self, target: Target) -> Result<Picked, AwsError> {
        let (number, version) = self.registry.world().find(self.place(), &target)?;
        let version = self.measured(&target.name, version).await?;
        Ok(Picked { name: target.name, number, version, qualifier: target.qualifier })
    }

    pub(super) async fn get_configuration(&self, request: &Request<'_>) -> Result<Answer, AwsError> {
        let picked = self.pick(request.target(NameRule::Function)?).await?;
        let world = self.registry.world();
        Ok(ok(&picked.shown(self, &world).configuration(&world)))
    }

    pub(super) async fn get_function(&self, request: &Request<'_>) -> Result<Answer, AwsError> {
        let picked = self.pick(request.target(NameRule::Function)?).await?;
        let location = self.location_of_function(&picked);
        let world = self.registry.world();
        let mut shown = Map::new();
        shown.insert("Configuration".into(), picked.shown(self, &world).configuration(&world));
        shown.insert("Code".into(), json!({"RepositoryType": "S3", "Location": location}));
        let head = &world.function(&picked.name).head;
        if !head.tags.is_empty() {
            shown.insert("Tags".into(), json!(head.tags));
        }
        if let Some(reserved) = head.reserved {
            shown.insert("Concurrency".into(), json!({"ReservedConcurrentExecutions": reserved}));
        }
        Ok(ok(&Value::Object(shown)))
    }

    pub(super) async fn list_functions(&self, request: &Request<'_>) -> Result<Answer, AwsError> {
        let page = request.page(10_000)?;
        let which = request.call.query("FunctionVersion");
        let mut constraints = Constraints::new();
        constraints.one_of("functionVersion", which, &["ALL"]);
        constraints.finish()?;
        let (picked, marker) = {
            let world = self.registry.world();
            match which {
                None => {
                    page.of(world.names().into_iter().map(|name| (name.to_owned(), (name.to_owned(), 0))))
                }
                Some(_) => {
                    let all = world.names().into_iter().flat_map(|name| {
                        let numbers = world.numbers(name).into_iter();
                        // Numbers in their order, not in that of their digits.
                        numbers.map(move |number| (format!("{name} {number:010}"), (name.to_owned(), number)))
                    });
                    page.of(all)
                }
            }
        };
        let functions = self.entries(picked, which.is_some()).await?;
        Ok(ok(&listing("Functions", functions, marker)))
    }

    /// These versions as lists show them. One that has gone in the meantime is left out.
    pub(super) async fn entries(
        &self,
        picked: Vec<(String, u32)>,
        qualified: bool,
    ) -> Result<Vec<Value>, AwsError> {
        let mut entries = Vec::with_capacity(picked.len());
        for (name, number) in picked {
            let version = self.registry.world().version(&name, number);
            let Some(version) = version else { continue };
            let version = self.measured(&name, version).await?;
            let qualifier = qualified.then(|| version_text(number));
            let picked = Picked { name, number, version, qualifier };
            let world = self.registry.world();
            entries.push(Value::Object(picked.shown(self, &world).entry(&world)));
        }
        Ok(entries)
    }
}

impl World {
    /// The numbers of all versions of a function, 0 for `$LATEST` first.
    pub fn numbers(&self, name: &str) -> Vec<u32> {
        let versions = self.function(name).versions.keys().copied().filter(|number| *number > 0);
        std::iter::once(0).chain(versions).collect()
    }
}

/// A page of a list.
pub fn listing(name: &str, entries: impl Into<Value>, marker: Option<String>) -> Value {
    let mut page = Map::new();
    if let Some(marker) = marker {
        page.insert("NextMarker".into(), json!(marker));
    }
    page.insert(name.into(), entries.into());
    Value::Object(page)
}
