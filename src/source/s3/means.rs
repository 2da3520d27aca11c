//! How changes in a bucket's folder can be noticed: by the kernel's hints, or by surveys alone.

use super::watch::{self, Hints, Watches};
use super::{Bucket, Watching, platform};

/// How changes in a folder can be noticed.
pub struct Means {
    /// The watches, none of them on yet; none if it is polled.
    pub watches: Option<Watches>,
    /// What the kernel tells.
    pub hints: Hints,
    /// Why surveys are all there is, if so.
    pub polled: Option<String>,
    /// Whether this kernel knows everybody who writes there.
    pub asks_writers: bool,
}

/// Finds out how changes in the bucket's folder can be noticed.
pub fn means(bucket: &Bucket) -> Means {
    let folder = &bucket.spec.folder;
    let shown = folder.display();
    let silent = platform::open_root(folder).ok().and_then(|root| platform::silent_file_system(&root));
    let why = match (bucket.watching, silent) {
        (Watching::Surveys, _) => format!("{shown} is not watched, as asked"),
        (_, Some(name)) => format!("{shown} lies on {name}, which does not tell of every change"),
        (Watching::Hints, None) => match watch::start(folder) {
            Ok((watches, hints)) => {
                return Means { watches: Some(watches), hints, polled: None, asks_writers: true };
            }
            Err(why) => format!("cannot watch {shown}: {why}"),
        },
    };
    // Writers on other machines hold no lease that this kernel knows of.
    let asks_writers = bucket.watching == Watching::Hints && silent.is_none();
    Means { watches: None, hints: watch::silence(), polled: Some(why), asks_writers }
}
