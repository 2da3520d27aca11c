//! GetAccountSettings: limits, and real figures of what there is.

use serde_json::json;

use super::archive::UNZIPPED_MAX;
use super::{Lambda, ok};
use crate::aws::{Answer, AwsError};

/// How many invocations of all functions may run at once.
pub const ACCOUNT_CONCURRENCY: u32 = 1000;
/// How many of them must stay for functions that reserve none.
pub const UNRESERVED_MIN: u32 = 100;

impl Lambda {
    pub(super) async fn account_settings(&self) -> Result<Answer, AwsError> {
        let names: Vec<String> = self.registry.world().names().into_iter().map(str::to_owned).collect();
        let mut size = 0;
        for name in &names {
            let latest = self.registry.world().version(name, 0);
            if let Some(latest) = latest {
                size += self.measured(name, latest).await?.code.size;
            }
        }
        let world = self.registry.world();
        let published = names.iter().flat_map(|name| world.function(name).versions.range(1..));
        size += published.map(|(_, version)| version.code.size).sum::<u64>();
        let layers = world.layers.values().flat_map(|layer| layer.versions.values());
        size += layers.map(|layer| layer.code.size).sum::<u64>();
        let reserved = world.reserved_by_others("");
        Ok(ok(&json!({
            "AccountLimit": {
                "TotalCodeSize": 80_530_636_800_u64,
                "CodeSizeUnzipped": UNZIPPED_MAX,
                "CodeSizeZipped": 52_428_800,
                "ConcurrentExecutions": ACCOUNT_CONCURRENCY,
                "UnreservedConcurrentExecutions": ACCOUNT_CONCURRENCY.saturating_sub(reserved),
            },
            "AccountUsage": {"TotalCodeSize": size, "FunctionCount": names.len()},
        })))
    }
}
