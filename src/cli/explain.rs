//! `dropwire explain`: the long form of an error code.

use crate::config;
use serde_json::json;

use super::failure::{Done, Failure};
use super::voice::Voice;

/// Which code.
#[derive(Debug, clap::Args)]
#[command(
    before_help = "Examples:\n  dropwire explain W201\n  dropwire explain E503\n  dropwire explain         (all codes)"
)]
pub struct Args {
    /// The code
    code: Option<String>,
}

/// The codes of the command line and of the control API; those of the wiring are with its rules.
const OURS: &[(&str, &str)] = &[
    (
        "E400",
        "Wrong usage: a flag, an argument or a request that makes no sense as it is. The message says which \
        part; `dropwire help COMMAND` shows how it is meant. Exit code 2.",
    ),
    (
        "E403",
        "Refused: the control API answers only requests to a loopback address that carry the token from \
        `.dropwire/running.json`. The command line sends it by itself, so this usually means that another program \
        or a web page tried. Exit code 2.",
    ),
    (
        "E404",
        "There is nothing of that name. Ids may be cut to a unique beginning of two characters or more \
        (`e7` for `e7k2`). `dropwire list` shows what there is, `dropwire list events` the last events. Exit code 6.",
    ),
    (
        "E408",
        "Time ran out before everything was done. What is unfinished goes on. With a frozen clock nothing falls \
        due by itself: `dropwire clock next` moves on. Exit code 8.",
    ),
    (
        "E409",
        "A dropwire already runs for this folder, and what was asked for can only be had at a start. \
        `dropwire down` stops it. Exit code 4.",
    ),
    (
        "E424",
        "The function ran and returned an error, or its event was given up after all tries. `dropwire show ID \
        --logs` shows the tries, `dropwire logs FUNCTION` what it wrote. Exit code 7.",
    ),
    (
        "E500",
        "dropwire could not do what was asked, though the request made sense: a file that cannot be written, a \
        full disk, or a fault of ours. Exit code 1.",
    ),
    (
        "E501",
        "A later version will do this; this one does not, and rather says so than ignores it. Exit code 2.",
    ),
    (
        "E503",
        "No dropwire runs for this folder. It is looked for in the current folder (or `--dir DIR`) and in those \
        above it, by the file `.dropwire/running.json`, and it has to answer. `dropwire up` starts one. Exit code 5.",
    ),
    (
        "E504",
        "dropwire was started in the background and did not come up. The end of `.dropwire/up.log` says why. \
        Exit code 4.",
    ),
];

/// Explains a code, or lists them all.
pub fn run(voice: &Voice, args: Args) -> Done {
    let Some(asked) = args.code else {
        let codes: Vec<&str> = all();
        return voice.answer(&codes, |_| codes.join("\n"));
    };
    let code = asked.to_ascii_uppercase();
    let ours = OURS.iter().find(|(ours, _)| *ours == code).map(|(_, text)| *text);
    let Some(text) = config::explain(&code).or(ours) else {
        let failure = Failure::not_found(format!("no error code {asked}"), near(&code));
        return Err(failure.trying("dropwire explain"));
    };
    voice.answer(&json!({ "code": code, "text": text }), |_| with_code(&code, text))
}

/// The text under its code, which the wiring's texts begin with already.
fn with_code(code: &str, text: &str) -> String {
    match text.trim().strip_prefix(code) {
        Some(_) => text.trim().to_owned(),
        None => format!("{code}: {}", text.trim()),
    }
}

fn all() -> Vec<&'static str> {
    let mut codes: Vec<&str> =
        config::codes().iter().copied().chain(OURS.iter().map(|(code, _)| *code)).collect();
    codes.sort_unstable();
    codes.dedup();
    codes
}

fn near(code: &str) -> String {
    let nearest = all().into_iter().min_by_key(|known| strsim::damerau_levenshtein(known, code));
    nearest.map_or(String::new(), |nearest| format!("did you mean {nearest}?"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_an_explanation_of_its_own() {
        for code in all() {
            let ours = OURS.iter().filter(|(ours, _)| *ours == code).count();
            let theirs = usize::from(config::explain(code).is_some());
            assert_eq!(ours + theirs, 1, "{code}");
        }
    }

    #[test]
    fn a_slip_of_the_finger_finds_the_nearest() {
        assert_eq!(near("E405").len(), "did you mean E404?".len());
    }
}
