//! Why a command did not succeed: a code, a sentence, a way out, and the exit code that follows.

use std::io;

use crate::control::Refusal;
use serde::Serialize;
use serde_json::Value;

/// The exit codes, as `dropwire help` lists them.
pub mod exit {
    /// An expectation failed, or dropwire itself could not do it.
    pub const FAILED: u8 = 1;
    /// Wrong usage.
    pub const USAGE: u8 = 2;
    /// The wiring file is wrong.
    pub const WIRING: u8 = 3;
    /// Could not start.
    pub const START: u8 = 4;
    /// No server is running here.
    pub const NO_SERVER: u8 = 5;
    /// No such event, function or bucket.
    pub const NOT_FOUND: u8 = 6;
    /// The function ran and returned an error.
    pub const FUNCTION: u8 = 7;
    /// Time ran out.
    pub const TIME: u8 = 8;
    /// Ctrl-C.
    pub const INTERRUPTED: u8 = 130;
}

/// What a command comes to: its exit code, or why it failed.
pub type Done = Result<u8, Failure>;

/// Why a command did not succeed.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Failure {
    /// For `dropwire explain`: `E404`.
    pub code: Box<str>,
    /// What was tried, on what, why not.
    pub message: String,
    /// What to do.
    pub hint: String,
    /// Commands to try.
    #[serde(rename = "try")]
    pub try_: Vec<String>,
    /// With which code the program ends.
    #[serde(skip)]
    pub exit: u8,
    /// What there is to show all the same (`invoke`: what the function answered).
    #[serde(skip)]
    pub data: Option<Box<Value>>,
    /// The whole text for people, where it is more than the message.
    #[serde(skip)]
    pub text: Option<Box<str>>,
}

impl Failure {
    /// Wrong usage.
    pub fn usage(message: impl Into<String>, hint: impl Into<String>) -> Failure {
        Failure::new("E400", exit::USAGE, message, hint)
    }
    /// Something that a later version will do.
    pub fn not_yet(what: &str, instead: &str) -> Failure {
        Failure::new("E501", exit::USAGE, format!("{what}: not yet"), instead)
    }
    /// No dropwire answers for this folder.
    pub fn no_server() -> Failure {
        let message = "no server is running here";
        let failure = Failure::new("E503", exit::NO_SERVER, message, "`dropwire up` first");
        failure.trying("dropwire up")
    }
    /// There is nothing of that name.
    pub fn not_found(message: impl Into<String>, hint: impl Into<String>) -> Failure {
        Failure::new("E404", exit::NOT_FOUND, message, hint)
    }
    /// The function ran and failed, or its event was given up.
    pub fn function(message: impl Into<String>, hint: impl Into<String>) -> Failure {
        Failure::new("E424", exit::FUNCTION, message, hint)
    }
    /// Time ran out.
    pub fn too_late(message: impl Into<String>, hint: impl Into<String>) -> Failure {
        Failure::new("E408", exit::TIME, message, hint)
    }
    /// dropwire or the machine could not do it.
    pub fn broken(message: impl Into<String>, hint: impl Into<String>) -> Failure {
        Failure::new("E500", exit::FAILED, message, hint)
    }
    /// Could not start.
    pub fn start(code: &str, message: impl Into<String>, hint: impl Into<String>) -> Failure {
        Failure::new(code, exit::START, message, hint)
    }
    /// This, with a command to try.
    pub fn trying(mut self, command: impl Into<String>) -> Failure {
        self.try_.push(command.into());
        self
    }

    /// The reader of our output went away, as `head` does: no error, and nobody to tell.
    pub fn is_nobody_reading(&self) -> bool {
        &*self.code == NOBODY_READS
    }

    fn new(code: &str, exit: u8, message: impl Into<String>, hint: impl Into<String>) -> Failure {
        Failure { code: code.into(), message: message.into(), hint: hint.into(), exit, ..Failure::default() }
    }
}

const NOBODY_READS: &str = "EPIPE";

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Failure {
        let exit = exit_of(&refusal.code);
        Failure {
            code: refusal.code.into(),
            message: refusal.message,
            hint: refusal.hint,
            try_: refusal.try_,
            exit,
            ..Failure::default()
        }
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Failure {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Failure::new(NOBODY_READS, 0, "nobody reads", ""),
            _ => Failure::broken(error.to_string(), ""),
        }
    }
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Failure {
        Failure::broken(format!("{error:#}"), "")
    }
}

/// The exit code that goes with the server's error code.
fn exit_of(code: &str) -> u8 {
    match code {
        "E400" | "E403" | "E405" | "E413" | "E501" => exit::USAGE,
        "E404" => exit::NOT_FOUND,
        "E408" => exit::TIME,
        "E424" => exit::FUNCTION,
        "E503" => exit::NO_SERVER,
        wiring if wiring.starts_with('W') => exit::WIRING,
        _ => exit::FAILED,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(code: &str, expected: u8) {
        let refusal =
            Refusal { code: code.into(), message: String::new(), hint: String::new(), try_: Vec::new() };
        assert_eq!(Failure::from(refusal).exit, expected, "{code}");
    }

    #[test]
    fn the_servers_codes_have_their_exit_codes() {
        check("E400", 2);
        check("E403", 2);
        check("E404", 6);
        check("E408", 8);
        check("E500", 1);
        check("W101", 3);
    }

    #[test]
    fn a_reader_that_went_away_is_no_error() {
        let failure = Failure::from(io::Error::from(io::ErrorKind::BrokenPipe));
        assert!(failure.is_nobody_reading());
        assert_eq!(failure.exit, 0);
    }
}
