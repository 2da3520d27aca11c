//! What the README says can be typed: its commands exist, its wirings are right, its links lead somewhere.

use std::path::Path;

use clap::Parser;
use dropwire::cli::Cli;
use dropwire::config::Config;

use crate::simulator::Project;

fn pages() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let names = [
        "README.md",
        "examples/hello/README.md",
        "examples/orders/README.md",
        "examples/thumbnails/README.md",
    ];
    names.map(|name| (name.to_owned(), std::fs::read_to_string(root.join(name)).expect("a page"))).into()
}

/// The fenced blocks of this language.
fn blocks(page: &str, language: &str) -> Vec<String> {
    let begin = format!("```{language}\n");
    let parts = page.split(&begin).skip(1);
    parts.map(|rest| rest.split("```").next().unwrap_or_default().to_owned()).collect()
}

/// Every command line of `dropwire` on a page: in indented and shell blocks, and between backticks.
fn commands(page: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut is_shell = true;
    for line in page.lines() {
        if let Some(language) = line.strip_prefix("```") {
            is_shell = language.is_empty() || language == "sh";
            continue;
        }
        let block = line.strip_prefix("    ").filter(|_| is_shell).or(Some(line).filter(|_| is_shell));
        let command = block.map(|line| line.trim_start_matches("$ "));
        if let Some(command) =
            command.filter(|line| line.starts_with("dropwire ") || line.starts_with("cargo run "))
        {
            found.push(command.to_owned());
        }
        let between = line.split('`').skip(1).step_by(2).filter(|text| text.starts_with("dropwire "));
        found.extend(between.map(str::to_owned));
    }
    found
}

/// The words of a command line, as a shell splits them.
fn words(command: &str) -> Vec<String> {
    let (mut words, mut word, mut quote, mut escaped) = (Vec::new(), None::<String>, None, false);
    for c in command.chars() {
        let begun = word.get_or_insert_default();
        match (quote, c) {
            _ if escaped => {
                begun.push(c);
                escaped = false;
            }
            (None | Some('"'), '\\') => escaped = true,
            (None, '\'' | '"') => quote = Some(c),
            (Some(open), close) if open == close => quote = None,
            (None, c) if c.is_whitespace() => {
                words.extend(word.take().filter(|word| !word.is_empty()));
            }
            (None, '>' | '|' | '#') if begun.is_empty() => break,
            _ => begun.push(c),
        }
    }
    words.extend(word.filter(|word| !word.is_empty()));
    words
}

#[test]
fn every_command_is_one_that_dropwire_takes() {
    let mut wrong = Vec::new();
    let mut count = 0;
    for (page, text) in pages() {
        for command in commands(&text) {
            let mut words = words(&command);
            if let Some(at) = words.iter().position(|word| word == "--").filter(|_| words[0] == "cargo") {
                words.splice(..=at, ["dropwire".to_owned()]);
            }
            count += 1;
            if let Err(error) = Cli::try_parse_from(&words)
                && error.exit_code() != 0
            {
                wrong.push(format!("{page}: {command}: {error}"));
            }
        }
    }
    assert_eq!(wrong, [""; 0]);
    assert!(count >= 15, "only {count} commands were found");
}

#[test]
fn every_wiring_is_right() {
    let mut count = 0;
    for (page, text) in pages() {
        for block in blocks(&text, "toml") {
            let project = Project::new("");
            // What the wiring names is there in the reader's project.
            for (name, text) in [
                ("functions/thumbnail/app.py", ""),
                ("functions/notify.sh", ""),
                ("buckets/uploads/.keep", ""),
            ] {
                project.write(name, text);
            }
            let parsed = Config::parse(project.root(), "README.md", &block);
            parsed.unwrap_or_else(|complaints| panic!("{page}: {complaints}"));
            count += 1;
        }
    }
    assert!(count > 0, "the README shows no wiring");
}

#[test]
fn every_link_leads_somewhere() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for (page, text) in pages() {
        let folder = root.join(&page);
        let folder = folder.parent().expect("a folder");
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let is_elsewhere = link.starts_with("http") || link.starts_with('#');
            assert!(is_elsewhere || folder.join(link).exists(), "{page}: {link}");
        }
    }
}

#[test]
fn it_names_the_two_commands_that_a_newcomer_needs() {
    let readme = &pages()[0].1;
    for command in ["    cargo run --release -- up examples/hello\n", "    cargo test\n"] {
        assert!(readme.contains(command), "{command}");
    }
}

#[test]
fn words_are_split_as_a_shell_does() {
    let split = |line| words(line).join("|");
    assert_eq!(
        split(r#"dropwire fire topic t '{"a":1}' --attr s=p   # why"#),
        r#"dropwire|fire|topic|t|{"a":1}|--attr|s=p"#
    );
    assert_eq!(split(r#"dropwire invoke f "{\"a\": 1}" > answer"#), r#"dropwire|invoke|f|{"a": 1}"#);
}
