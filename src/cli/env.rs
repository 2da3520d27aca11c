//! `dropwire env`: the environment variables that point a shell's AWS programs here.

use std::path::Path;

use crate::config::Config;
use crate::control::{Running, Status};
use serde_json::{Map, Value};

use super::client::Client;
use super::failure::Done;
use super::terminal;
use super::voice::Voice;

/// In which notation.
#[derive(Debug, clap::Args)]
#[command(before_help = "Examples:
  eval \"$(dropwire env)\"
  dropwire env --dotenv > .env
  dropwire env --json")]
pub struct Args {
    /// Lines of NAME=VALUE
    #[arg(long, conflicts_with = "json")]
    dotenv: bool,
}

/// How a shell sets a variable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Notation {
    Sh,
    Fish,
    Csh,
    PowerShell,
    Dotenv,
}

/// Prints them.
pub async fn run(voice: &Voice, args: Args) -> Done {
    let client = Client::find(&voice.dir).await?;
    let status = client.status().await?;
    let variables = variables_of(&client.running, &status);
    let notation =
        if args.dotenv { Notation::Dotenv } else { of_shell(terminal::variable("SHELL").as_deref()) };
    let map: Map<String, Value> =
        variables.iter().map(|(name, value)| ((*name).into(), value.as_str().into())).collect();
    voice.answer(&map, |_| variables.iter().map(|(name, value)| set(notation, name, value)).collect())
}

/// The variables that point an AWS program to the dropwire of this status.
pub fn variables_of(running: &Running, status: &Status) -> [(&'static str, String); 5] {
    let file = status.file.as_deref().map(Path::new);
    // With a broken edit in the file the region is not known, and the default one as good as any.
    let place =
        Config::load(Path::new(&status.root), file).map(|config| config.sim.place).unwrap_or_default();
    // Credentials that nothing real accepts, so that no program reaches AWS by mistake.
    [
        ("AWS_ENDPOINT_URL", format!("http://{}", status.address)),
        ("AWS_REGION", place.region.clone()),
        ("AWS_DEFAULT_REGION", place.region),
        ("AWS_ACCESS_KEY_ID", running.access_key.clone()),
        ("AWS_SECRET_ACCESS_KEY", running.secret_key.clone()),
    ]
}

fn of_shell(shell: Option<&str>) -> Notation {
    match shell.and_then(|path| path.rsplit(['/', '\\']).next()) {
        Some("fish") => Notation::Fish,
        Some("csh" | "tcsh") => Notation::Csh,
        Some("pwsh" | "powershell" | "pwsh.exe") => Notation::PowerShell,
        _ => Notation::Sh,
    }
}

/// None of the values needs quotes: an address, a region, the words of a pair.
fn set(notation: Notation, name: &str, value: &str) -> String {
    match notation {
        Notation::Sh => format!("export {name}={value}\n"),
        Notation::Fish => format!("set -gx {name} {value};\n"),
        Notation::Csh => format!("setenv {name} {value};\n"),
        Notation::PowerShell => format!("$env:{name} = '{value}'\n"),
        Notation::Dotenv => format!("{name}={value}\n"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(shell: Option<&str>, expected: &str) {
        assert_eq!(set(of_shell(shell), "A", "b"), expected);
    }

    #[test]
    fn each_shell_gets_its_own_notation() {
        check(Some("/bin/bash"), "export A=b\n");
        check(None, "export A=b\n");
        check(Some("/usr/bin/fish"), "set -gx A b;\n");
        check(Some("/bin/tcsh"), "setenv A b;\n");
        check(Some("pwsh"), "$env:A = 'b'\n");
    }
}
