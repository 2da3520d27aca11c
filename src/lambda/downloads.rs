//! Where code can be fetched: addresses with a token that is good for ten minutes.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::Lambda;
use super::archive;
use super::read::Picked;
use crate::clock::Timestamp;

/// How long a token is good, in simulated time.
const GOOD_FOR: Duration = Duration::from_secs(600);

/// The tokens that were given out.
#[derive(Default)]
pub struct Downloads(Mutex<HashMap<String, Download>>);

#[derive(Clone)]
struct Download {
    until: Timestamp,
    from: From,
}

#[derive(Clone)]
enum From {
    /// A zip that is kept.
    Package(PathBuf),
    /// Files that a zip is made of when it is asked for.
    Files(Vec<PathBuf>),
}

impl Lambda {
    /// The zip behind a token of a code location. None if there is none, or if it is no longer good.
    pub async fn code_of(&self, token: &str) -> Option<Vec<u8>> {
        let download = self.downloads.0.lock().unwrap_or_else(PoisonError::into_inner).get(token).cloned()?;
        if download.until < self.ground.clock.now() {
            return None;
        }
        let read = move || match download.from {
            From::Package(path) => std::fs::read(path),
            From::Files(roots) => archive::pack(&roots),
        };
        // What cannot be read any more is gone.
        tokio::task::spawn_blocking(read).await.ok()?.ok()
    }

    /// The address of a version's code.
    pub(super) fn location_of_function(&self, picked: &Picked) -> String {
        let sha256 = &picked.version.code.sha256;
        let declared = self.registry.world().declared.get(&picked.name).map(|declared| declared.spec.clone());
        match declared.filter(|_| picked.number == 0) {
            Some(spec) => self.location(From::Files(super::declared::roots(&spec))),
            None => self.location_of(&picked.name, sha256),
        }
    }

    /// The address of code that is kept.
    pub(super) fn location_of(&self, owner: &str, sha256: &str) -> String {
        match self.code.package(owner, sha256) {
            Some(path) => self.location(From::Package(path)),
            None => self.location(From::Files(vec![self.code.files(owner, sha256)])),
        }
    }

    fn location(&self, from: From) -> String {
        let now = self.ground.clock.now();
        let token = self.ground.random.uuid(4).replace('-', "");
        let mut downloads = self.downloads.0.lock().unwrap_or_else(PoisonError::into_inner);
        downloads.retain(|_, download| download.until >= now);
        downloads.insert(token.clone(), Download { until: now.plus(GOOD_FOR), from });
        self.path_address(&format!("/_dropwire/code/{token}"))
    }
}
