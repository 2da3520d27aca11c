//! `dropwire check`: reads the wiring file and says what is wrong with it, without starting anything.

use std::path::PathBuf;

use crate::config::Config;
use serde_json::json;

use super::failure::Done;
use super::page::Page;
use super::voice::Voice;
use super::{wiring, words};

/// What to check.
#[derive(Debug, clap::Args)]
#[command(before_help = "Examples:
  dropwire check
  dropwire check ../shop
  dropwire check -f other.toml --json

Exit code 3 if something is wrong.")]
pub struct Args {
    /// The folder
    folder: Option<PathBuf>,
    /// The wiring file, dropwire.toml by default
    #[arg(short, long, value_name = "FILE")]
    file: Option<PathBuf>,
}

/// Checks.
pub fn run(voice: &Voice, args: Args) -> Done {
    let dir = args.folder.map_or(voice.dir.clone(), |folder| voice.dir.join(folder));
    let config = wiring::load(&dir, args.file.as_deref())?;
    let facts = json!({
        "file": config.file,
        "functions": config.functions.keys().collect::<Vec<_>>(),
        "wires": config.wires.iter().map(|wire| &wire.id).collect::<Vec<_>>(),
        "remarks": config.remarks,
    });
    voice.answer(&facts, |page| fine(&config, page))
}

fn fine(config: &Config, page: Page) -> String {
    let file = config
        .file
        .as_ref()
        .and_then(|file| file.file_name())
        .map(|name| name.to_string_lossy().into_owned());
    let what = match file {
        Some(name) => format!("{name} is fine"),
        None => "no dropwire.toml; the folders alone say".into(),
    };
    let functions = words::count(config.functions.len(), "function");
    let mut text =
        format!("{}: {functions}, {}\n", page.good(&what), words::count(config.wires.len(), "wire"));
    for remark in &config.remarks {
        text.push_str(&format!("{}\n", page.aside(remark)));
    }
    text
}
