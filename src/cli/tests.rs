//! The command line as a whole: what is read, what is refused, and with which exit code.

use clap::{CommandFactory, Parser};

use super::*;

fn check(words: &[&str], expected: &str) {
    let cli = Cli::try_parse_from(["dropwire"].iter().chain(words)).expect("these words are right");
    assert_eq!(cli.command.name(), expected);
}

fn check_refused(words: &[&str], part: &str) {
    let error = Cli::try_parse_from(["dropwire"].iter().chain(words)).expect_err("these words are wrong");
    assert_eq!(error.exit_code(), 2, "{words:?}");
    let text = error.to_string();
    assert!(text.contains(part), "{words:?} says\n{text}");
}

#[test]
fn clap_finds_no_fault() {
    Cli::command().debug_assert();
}

#[test]
fn commands_are_read() {
    check(&["up", "shop", "--port", "0"], "up");
    check(&["fire", "topic", "orders", "{}", "--attr", "a=b", "--wait", "--timeout", "5s"], "fire");
    check(&["fire", "--times", "3", "s3", "uploads/a"], "fire");
    check(&["list", "events", "--json"], "list");
    check(&["dead", "drop", "d1"], "dead");
    check(&["clock", "advance", "12h"], "clock");
    check(&["replay", "--last", "2", "--only-failed"], "replay");
    check(&["complete", "--", "fire", "s3"], "complete");
}

#[test]
fn wrong_words_are_refused_with_the_nearest() {
    check_refused(&["tial"], "tail");
    check_refused(&["up", "--prot", "1"], "--port");
    check_refused(&["clock", "advance", "soon"], "no duration");
    check_refused(&["fire", "table", "orders"], "--put");
    check_refused(&["show"], "<ID>");
}

#[test]
fn every_command_is_on_the_overview_and_begins_its_help_with_examples() {
    let mut program = Cli::command();
    program.build();
    for command in program.get_subcommands_mut().filter(|command| !command.is_hide_set()) {
        let name = command.get_name().to_owned();
        if name == "help" {
            continue;
        }
        assert!(
            overview::OVERVIEW.contains(&format!(" {name} "))
                || overview::OVERVIEW.contains(&format!(" {name}\n")),
            "{name}"
        );
        let help = command.render_long_help().to_string();
        assert!(help.starts_with("Examples:\n  "), "{name}: {help}");
    }
}
