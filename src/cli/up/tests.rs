//! How the flags of `up` are read, passed on to the background, and refused.

use clap::Parser;

use super::super::{Cli, Command};
use super::*;

fn parse(words: &[&str]) -> Args {
    let cli = Cli::try_parse_from(["dropwire", "up"].iter().chain(words)).expect("these words are right");
    match cli.command {
        Command::Up(args) => args,
        other => panic!("{other:?} is not up"),
    }
}

fn check_passed_on(words: &[&str]) {
    let mut again: Vec<String> =
        parse(words).words(Path::new("shop")).iter().map(|w| w.display().to_string()).collect();
    again.drain(..4);
    assert_eq!(again, words, "the background gets the same flags");
}

fn check_refused(words: &[&str]) {
    let failure = parse(words).later.refuse().expect_err("it is not there yet");
    assert_eq!((failure.exit, &*failure.code), (2, "E501"), "{words:?}");
    assert!(!failure.hint.is_empty(), "{words:?} has a way out");
}

#[test]
fn the_background_gets_the_same_flags() {
    check_passed_on(&["-f", "x.toml", "--port", "0", "--seed", "7", "--clock", "frozen", "--strict-port"]);
    check_passed_on(&["--clock", "x60", "--fresh", "--no-watch", "--verbose"]);
    check_passed_on(&["--port", "0", "--host", "0.0.0.0", "--host", "box.lan"]);
    check_passed_on(&["--clock", "2026-01-05T09:00:00.000Z", "--quiet"]);
}

#[test]
fn later_flags_are_refused_not_ignored() {
    check_refused(&["-p", "demo"]);
    check_refused(&["--open"]);
    check_refused(&["--share"]);
    check_refused(&["--no-console"]);
}

#[test]
fn a_running_server_cannot_take_up_what_concerns_the_start() {
    assert_eq!(parse(&["--fresh"]).only_at_start(), Some("--fresh"));
    assert_eq!(parse(&["-v"]).only_at_start(), None);
}
