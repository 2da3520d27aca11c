//! `dropwire init`: a working example in a folder, or what its folders say by convention written down.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use crate::config::{Config, From, FunctionKind, FunctionSpec};
use serde_json::json;

use super::failure::{Done, Failure};
use super::page::Page;
use super::voice::Voice;
use super::wiring;

/// Where.
#[derive(Debug, clap::Args)]
#[command(before_help = "Examples:
  dropwire init
  dropwire init shop && dropwire up shop
  dropwire init --wiring              (write down what the folders say)")]
pub struct Args {
    /// The folder, made if it is not there
    folder: Option<PathBuf>,
    /// Write down as dropwire.toml what is wired by convention
    #[arg(long)]
    wiring: bool,
}

const WIRING_FILE: &str = "dropwire.toml";
const SCRIPT: &str = "functions/hello/main.sh";
const BUCKET: &str = "buckets/inbox";

const EXAMPLE_TOML: &str = r#"# What happens here: drop a file into buckets/inbox, and the function `hello` gets the event
# that Amazon S3 would have sent. Try it:   dropwire up   and in another terminal   cp FILE buckets/inbox/

[function.hello]
exec = "sh functions/hello/main.sh"   # one process an event: the event on stdin, the result on stdout
on   = "s3:inbox"

[bucket.inbox]                        # the folder buckets/inbox
"#;

const EXAMPLE_SH: &str = r#"#!/bin/sh
# The event comes on stdin. What goes to stdout is the result, what goes to stderr is the log;
# an exit code other than 0 is a failure, and the event is tried again.
event=$(cat)
key=$(printf '%s' "$event" | sed -n 's/.*"key":"\([^"]*\)".*/\1/p')
echo "hello, $key" >&2
printf '{"greeted":"%s"}\n' "$key"
"#;

/// Writes it.
pub fn run(voice: &Voice, args: Args) -> Done {
    let dir = args.folder.map_or(voice.dir.clone(), |folder| voice.dir.join(folder));
    let written = match args.wiring {
        true => write_wiring(&dir)?,
        false => write_example(&dir)?,
    };
    let facts = json!({ "folder": dir, "written": written });
    voice.answer(&facts, |page| told(&dir, &written, args.wiring, page))
}

/// All of it or nothing: what is already there is found before the first file is written.
fn write_example(dir: &Path) -> Result<Vec<String>, Failure> {
    for file in [WIRING_FILE, SCRIPT] {
        refuse_existing(&dir.join(file))?;
    }
    for folder in [BUCKET, "functions/hello"] {
        let folder = dir.join(folder);
        fs::create_dir_all(&folder).map_err(|error| unwritable(&folder, &error))?;
    }
    write_new(&dir.join(SCRIPT), EXAMPLE_SH)?;
    write_new(&dir.join(WIRING_FILE), EXAMPLE_TOML)?;
    Ok([WIRING_FILE, SCRIPT, "buckets/inbox/"].map(str::to_owned).to_vec())
}

fn write_wiring(dir: &Path) -> Result<Vec<String>, Failure> {
    refuse_existing(&dir.join(WIRING_FILE))?;
    let config = wiring::load(dir, None)?;
    if config.functions.is_empty() && config.buckets.is_empty() {
        let message = "the folders say nothing yet: there is no buckets/NAME and no functions/NAME";
        return Err(Failure::usage(message, "make one, or let `dropwire init` write an example")
            .trying("dropwire init"));
    }
    write_new(&dir.join(WIRING_FILE), &wiring_toml(&config))?;
    Ok(vec![WIRING_FILE.to_owned()])
}

/// The config of a folder without a wiring file, as a wiring file.
fn wiring_toml(config: &Config) -> String {
    let mut text = String::from(
        "# Written down from the folders by `dropwire init --wiring`. Now this file alone counts.\n",
    );
    for function in config.functions.values() {
        text.push_str(&format!("\n[function.{}]\n", function.name));
        text.push_str(&function_lines(&config.root, function));
        let wires = config.wires.iter().filter(|wire| wire.function == function.name);
        let buckets: Vec<String> = wires
            .filter_map(|wire| match &wire.from {
                From::Bucket { bucket, .. } => Some(quoted(&format!("s3:{bucket}"))),
                _ => None,
            })
            .collect();
        match buckets.as_slice() {
            [] => text.push_str("# on = \"s3:BUCKET\"\n"),
            [one] => text.push_str(&format!("on = {one}\n")),
            more => text.push_str(&format!("on = [{}]\n", more.join(", "))),
        }
    }
    for bucket in config.buckets.values() {
        text.push_str(&format!("\n[bucket.{}]\n", quoted_key(&bucket.name)));
    }
    text
}

/// How it runs. A script's file is named from the wiring file's folder, where such functions run.
fn function_lines(root: &Path, function: &FunctionSpec) -> String {
    let folder = function.folder.strip_prefix(root).unwrap_or(&function.folder).display().to_string();
    match &function.kind {
        FunctionKind::Handler { runtime, handler, .. } => {
            let (runtime, handler, code) = (quoted(runtime), quoted(handler), quoted(&folder));
            format!("runtime = {runtime}\nhandler = {handler}\ncode    = {code}\n")
        }
        FunctionKind::Run { .. } => format!("run = {}\n", quoted(&format!("{folder}/bootstrap"))),
        FunctionKind::Exec { .. } => format!("exec = {}\n", quoted(&format!("sh {folder}/main.sh"))),
        // Folders alone never say any of these.
        FunctionKind::Url { .. } | FunctionKind::Attach | FunctionKind::Builtin(_) => String::new(),
    }
}

fn told(dir: &Path, written: &[String], is_wiring: bool, page: Page) -> String {
    let mut text: String =
        written.iter().map(|file| format!("wrote {}\n", dir.join(file).display())).collect();
    if !is_wiring && page.is_pretty() {
        let up = if dir == Path::new(".") {
            "dropwire up".into()
        } else {
            format!("dropwire up {}", dir.display())
        };
        let drop = dir.join(BUCKET);
        text.push_str(&format!("Next:  {up}     and in another terminal     cp FILE {}/\n", drop.display()));
    }
    text
}

fn refuse_existing(file: &Path) -> Result<(), Failure> {
    match file.exists() {
        true => {
            let message = format!("{} is there already, and nothing is overwritten", file.display());
            Err(Failure::usage(message, "give another folder").trying("dropwire init FOLDER"))
        }
        false => Ok(()),
    }
}

fn write_new(file: &Path, text: &str) -> Result<(), Failure> {
    let mut options = OpenOptions::new();
    let opened = options.write(true).create_new(true).open(file);
    opened.and_then(|mut file| file.write_all(text.as_bytes())).map_err(|error| unwritable(file, &error))
}

fn unwritable(path: &Path, error: &std::io::Error) -> Failure {
    Failure::broken(format!("{} cannot be written: {error}", path.display()), "")
}

/// A TOML string. JSON's escapes are TOML's.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// Bucket names may hold dots, which part keys in TOML.
fn quoted_key(name: &str) -> String {
    match name.contains('.') {
        true => quoted(name),
        false => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_is_a_good_wiring_and_is_never_overwritten() {
        let dir = tempfile::tempdir().expect("a folder");
        write_example(dir.path()).expect("it is written");
        let config = Config::load(dir.path(), None).expect("it is a good wiring file");
        assert_eq!(config.wires.len(), 1);
        assert!(dir.path().join(BUCKET).is_dir());
        let again = write_example(dir.path()).expect_err("it is there already");
        assert_eq!(again.exit, 2);
    }

    #[test]
    fn conventions_written_down_say_the_same() {
        let dir = tempfile::tempdir().expect("a folder");
        for folder in ["buckets/in.box", "functions/hello", "functions/other"] {
            fs::create_dir_all(dir.path().join(folder)).expect("a folder");
        }
        fs::remove_dir(dir.path().join("functions/other")).expect("one function alone is wired");
        fs::write(dir.path().join(SCRIPT), EXAMPLE_SH).expect("a script");
        let before = Config::load(dir.path(), None).expect("folders are never wrong");
        write_wiring(dir.path()).expect("it is written");
        let after = Config::load(dir.path(), None).expect("it is a good wiring file");
        assert_eq!(before.functions.keys().collect::<Vec<_>>(), after.functions.keys().collect::<Vec<_>>());
        assert_eq!(before.buckets.keys().collect::<Vec<_>>(), after.buckets.keys().collect::<Vec<_>>());
        assert_eq!(before.wires.len(), after.wires.len());
        assert_eq!(before.wires[0].from, after.wires[0].from);
    }
}
