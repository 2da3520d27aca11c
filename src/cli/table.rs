//! `dropwire table`: what concerns the files that tables live in.

use std::path::PathBuf;

use clap::Subcommand;

use super::failure::{Done, Failure};
use super::voice::Voice;

/// What to do.
#[derive(Debug, clap::Args)]
#[command(before_help = "Examples:\n  dropwire table detach data/shop.db")]
pub struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Take out of a SQLite file what dropwire put into it: the triggers and the log of changes
    #[command(before_help = "Examples:\n  dropwire table detach data/shop.db")]
    Detach {
        /// The SQLite file
        file: PathBuf,
    },
}

/// Does it.
pub async fn run(_voice: &Voice, args: Args) -> Done {
    let What::Detach { file } = args.what;
    let what = format!("detaching {}", file.display());
    Err(Failure::not_yet(&what, "drop the triggers whose names begin with `dropwire` with sqlite3"))
}
