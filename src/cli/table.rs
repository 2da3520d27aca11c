//! `dropwire table`: what concerns the files that tables live in.

use std::path::PathBuf;

use crate::source::dynamodb;
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

/// Does it. A dropwire that watches the file puts its triggers back when it next starts.
pub async fn run(voice: &Voice, args: Args) -> Done {
    let What::Detach { file } = args.what;
    if !file.is_file() {
        return Err(Failure::not_found(
            format!("no file {}", file.display()),
            "give the SQLite file of a table",
        ));
    }
    let removed = dynamodb::detach(&file).await.map_err(|error| {
        Failure::broken(error.to_string(), "`dropwire down` first, if one runs with this file")
    })?;
    if removed.is_empty() {
        voice.remark("there was nothing of dropwire's in it");
    }
    voice.answer(&removed, |_| removed.iter().map(|what| format!("removed {what}\n")).collect())
}
