//! DeleteFunction, and what becomes of code that no version uses any more.

use std::collections::HashSet;
use std::sync::PoisonError;
use std::time::Duration;

use super::code::folder_name;
use super::declared::must_not_be_declared;
use super::errors::{conflict, invalid};
use super::names::{NameRule, Target, is_version};
use super::request::Request;
use super::things::{CodeRef, Key, Kind};
use super::world::{Edit, World, number_of, version_text};
use super::{Lambda, layers, nothing};
use crate::aws::{Answer, AwsError};
use crate::clock::{Timestamp, real};
use crate::config::LATEST;

/// Code that no version uses any more, since when. It stays while environments of before may still run it.
pub struct Retired {
    owner: String,
    code: CodeRef,
    since: Timestamp,
}

/// An invocation takes at most so long, in real time.
const RUNS_ON_MAX: Duration = Duration::from_secs(900);

impl Lambda {
    pub(super) async fn delete_function(&self, request: &Request<'_>) -> Result<Answer, AwsError> {
        let Target { name, qualifier } = request.target(NameRule::Function)?;
        let gone = self.registry.change(|world| match qualifier.as_deref() {
            None => self.decide_delete(world, &name),
            Some(qualifier) => self.decide_delete_version(world, &name, qualifier),
        });
        let gone = gone.await?;
        self.retire(&name, gone).await;
        Ok(nothing())
    }

    fn decide_delete(&self, world: &World, name: &str) -> Result<(Vec<CodeRef>, Vec<Edit>), AwsError> {
        must_not_be_declared(world, name)?;
        let function = world.must_exist(self.place(), name)?;
        let code = function.versions.values().flat_map(|version| version.kept().cloned()).collect();
        Ok((code, vec![Edit::RemoveFunction(name.to_owned())]))
    }

    fn decide_delete_version(
        &self,
        world: &World,
        name: &str,
        qualifier: &str,
    ) -> Result<(Vec<CodeRef>, Vec<Edit>), AwsError> {
        if qualifier == LATEST {
            return Err(invalid("$LATEST version cannot be deleted without deleting the function."));
        }
        if !is_version(qualifier) {
            return Err(invalid("Deletion of aliases is not currently supported."));
        }
        let function = world.must_exist(self.place(), name)?;
        let names_it = function.aliases.iter().filter(|(_, alias)| {
            alias.version == qualifier || alias.other.as_ref().is_some_and(|(other, _)| other == qualifier)
        });
        let aliases: Vec<&str> = names_it.map(|(alias, _)| alias.as_str()).collect();
        if !aliases.is_empty() {
            return Err(conflict(format!(
                "Unable to delete version because the following aliases reference it: [{}]",
                aliases.join(", ")
            )));
        }
        let Some(version) = function.versions.get(&number_of(qualifier)) else {
            return Ok((Vec::new(), Vec::new()));
        };
        let kinds = [Kind::Version, Kind::Policy, Kind::InvokeConfig, Kind::Provisioned, Kind::RuntimeRule];
        let part = version_text(number_of(qualifier));
        let edits = kinds.map(|kind| Edit::Remove(kind, Key::of(name, &part))).to_vec();
        Ok((version.kept().cloned().collect(), edits))
    }

    /// This code may not be used any more: it is swept away when nothing can run it. So is what was retired before.
    pub(super) async fn retire(&self, owner: &str, gone: Vec<CodeRef>) {
        let now = real::now();
        let unused: Vec<CodeRef> = {
            let world = self.registry.world();
            gone.into_iter().filter(|code| !world.uses(owner, code)).collect()
        };
        let over: Vec<Retired> = {
            let mut retired = self.retired.lock().unwrap_or_else(PoisonError::into_inner);
            retired.extend(unused.into_iter().map(|code| Retired {
                owner: owner.to_owned(),
                code,
                since: now,
            }));
            let (over, waiting) = std::mem::take(&mut *retired)
                .into_iter()
                .partition(|retired| now.since(retired.since) > RUNS_ON_MAX);
            *retired = waiting;
            over
        };
        if over.is_empty() {
            return;
        }
        let (store, registry) = (self.code.clone(), self.registry.clone());
        let sweep = move || {
            for Retired { owner, code, .. } in over {
                // Somebody may have brought the same code again.
                store.drop_unused(&owner, &code.sha256, || !registry.world().uses(&owner, &code));
            }
        };
        // What is left is swept away at the next start.
        tokio::task::spawn_blocking(sweep).await.ok();
    }
}

impl World {
    /// Owner and folder of all code that versions and layers use.
    pub fn code_in_use(&self) -> HashSet<(String, String)> {
        let mut used = HashSet::new();
        for (name, function) in &self.functions {
            let kept = function.versions.values().flat_map(|version| version.kept());
            used.extend(kept.map(|code| (name.clone(), folder_name(&code.sha256))));
        }
        let named: HashSet<(&str, &str)> = self
            .functions
            .values()
            .flat_map(|function| function.versions.values())
            .flat_map(|version| version.settings.layers.iter())
            .filter_map(|arn| arn.rsplit_once(':'))
            .filter_map(|(layer, number)| Some((layer.rsplit(':').next()?, number)))
            .collect();
        for (name, layer) in &self.layers {
            let versions = layer.versions.iter().filter(|(number, version)| {
                !version.deleted || named.contains(&(name.as_str(), number.to_string().as_str()))
            });
            used.extend(
                versions.map(|(_, version)| (layers::owner(name), folder_name(&version.code.sha256))),
            );
        }
        used
    }
}
