//! `dropwire aws`: the installed aws command line, pointed here.

use std::ffi::OsString;
use std::process::Command;

use super::client::Client;
use super::env;
use super::failure::{Done, Failure};
use super::voice::Voice;

/// What aws is told.
#[derive(Debug, clap::Args)]
#[command(before_help = "Examples:
  dropwire aws lambda list-functions
  dropwire aws lambda invoke --function-name hello out.json")]
pub struct Args {
    /// The words after `aws`
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, required = true, value_name = "WORDS")]
    words: Vec<OsString>,
}

/// Runs it, and ends as it ends.
pub async fn run(voice: &Voice, args: Args) -> Done {
    let client = Client::find(&voice.dir).await?;
    let status = client.status().await?;
    let mut command = Command::new("aws");
    command.args(args.words).envs(env::variables_of(&client.running, &status));
    // A profile of the real cloud has no say here, and no screen is filled with a pager.
    command.env_remove("AWS_PROFILE").env_remove("AWS_SESSION_TOKEN").env("AWS_PAGER", "");
    let ended = command.status().map_err(|error| {
        let message = format!("cannot run aws: {error}");
        Failure::usage(message, "install the AWS command line, or set `dropwire env` for another client")
    })?;
    Ok(ended.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1))
}
