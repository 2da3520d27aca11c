//! What environments of one function are made from.

use std::sync::{Arc, OnceLock};

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
    code: OnceLock<Code>,
    build: Build,
}

impl Maker {
    /// Of this function, in this world. Nothing is looked at yet.
    pub fn new(world: Arc<World>, spec: FunctionSpec) -> Maker {
        Maker { code: OnceLock::new(), build: Build::default(), world, spec }
    }

    /// A number that is another one after each change of the code.
    pub fn code_version(&self) -> u64 {
        self.code.get_or_init(|| Code::of(&self.spec)).version()
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
