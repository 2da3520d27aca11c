//! GetAccountSettings.

use serde_json::json;

use super::{Lambda, ok};
use crate::aws::{Answer, AwsError};

/// How many invocations of all functions may run at once.
pub const CONCURRENCY_MAX: u32 = 1000;
/// How much of that cannot be reserved by functions.
pub const UNRESERVED_MIN: u32 = 100;
/// All code together, in bytes: what AWS allows, and here the disk does.
const CODE_MAX: u64 = 80_530_636_800;

impl Lambda {
    pub(super) async fn account_settings(&self) -> Result<Answer, AwsError> {
        let world = self.registry.world();
        let made = world.functions.values().flat_map(|function| function.versions.values());
        let of_layers = world.layers.values().flat_map(|layer| layer.versions.values());
        let size: u64 = made.map(|version| version.code.size).sum::<u64>()
            + of_layers.map(|version| version.code.size).sum::<u64>();
        let unreserved = CONCURRENCY_MAX - world.reserved_by_others("").min(CONCURRENCY_MAX);
        Ok(ok(&json!({
            "AccountLimit": {
                "TotalCodeSize": CODE_MAX,
                "CodeSizeUnzipped": super::archive::UNZIPPED_MAX,
                "CodeSizeZipped": super::package::ZIPPED_MAX,
                "ConcurrentExecutions": CONCURRENCY_MAX,
                "UnreservedConcurrentExecutions": unreserved,
            },
            "AccountUsage": { "TotalCodeSize": size, "FunctionCount": world.names().len() },
        })))
    }
}
