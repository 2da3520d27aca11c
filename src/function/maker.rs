//! What environments of one function are made from.

use std::sync::Arc;

use super::build::Build;
use super::code::Code;
use super::world::World;
use crate::config::{FunctionKind, FunctionSpec};

/// One version of a function, as its environments need it.
pub struct Maker {
    /// What all functions share.
    pub world: Arc<World>,
    /// The function.
    pub spec: FunctionSpec,
    /// Its code.
    pub code: Code,
    build: Build,
}

impl Maker {
    /// Of this function, in this world. Nothing is looked at yet.
    pub fn new(world: Arc<World>, spec: FunctionSpec) -> Maker {
        Maker { code: Code::of(&spec), build: Build::default(), world, spec }
    }

    /// Builds this version of the code if it has to be built. The error is the end of what the build said.
    pub async fn ensure_built(&self, version: u64) -> Result<(), String> {
        match &self.spec.kind {
            FunctionKind::Run { build: Some(words), .. } => {
                self.build.ensure(&self.world, (&self.spec, words), version).await
            }
            _ => Ok(()),
        }
    }

    /// What runs it, as its log says: `python:3.12.v0`, `provided:al2023.v0`.
    pub fn runtime_version(&self) -> String {
        match &self.spec.kind {
            FunctionKind::Handler { runtime, .. } => self.world.interpreters.version(runtime),
            _ => "provided:local.v0".to_owned(),
        }
    }
}
