//! The keys of the live view. The terminal gives them one by one while this lives, and is put back after it.

use std::io::Read;

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::terminal;

/// What was pressed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Key {
    /// `h`
    Help,
    /// `f`: a line is being typed; nothing else may be written until it comes.
    Asking,
    /// The line that was typed after `f`.
    Fire(Vec<String>),
    /// `r`
    Replay,
    /// `q`
    Quit,
}

/// Somebody who may press keys.
pub struct Keys {
    pressed: UnboundedReceiver<Key>,
    saved: String,
}

impl Keys {
    /// Reads keys, if somebody is there to press them.
    pub fn begin() -> Option<Keys> {
        if !terminal::is_attended() {
            return None;
        }
        let saved = terminal::stty(&["-g"])?.trim().to_owned();
        one_by_one()?;
        let (sender, pressed) = unbounded_channel();
        let line_mode = saved.clone();
        // Reading a terminal blocks, so a thread does it; it ends with the program.
        std::thread::spawn(move || read(&sender, &line_mode));
        Some(Keys { pressed, saved })
    }

    /// The next key. Never if nobody can press any more. May be dropped and called again.
    pub async fn next(&mut self) -> Key {
        match self.pressed.recv().await {
            Some(key) => key,
            None => std::future::pending().await,
        }
    }
}

impl Drop for Keys {
    fn drop(&mut self) {
        terminal::stty(&[&self.saved]);
    }
}

/// Splits what was typed as a shell would: blanks part words, quotes keep them together.
pub fn typed_words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    for sign in line.chars() {
        match (quote, sign) {
            (Some(open), _) if sign == open => quote = None,
            (None, '\'' | '"') => {
                quote = Some(sign);
                word.get_or_insert_default();
            }
            (None, _) if sign.is_whitespace() => words.extend(word.take()),
            _ => word.get_or_insert_default().push(sign),
        }
    }
    words.extend(word);
    words
}

/// Signals still come from Ctrl-C: only the waiting for whole lines and the echo are off.
fn one_by_one() -> Option<()> {
    terminal::stty(&["-icanon", "-echo", "min", "1", "time", "0"]).map(|_| ())
}

fn read(pressed: &UnboundedSender<Key>, line_mode: &str) {
    let mut byte = [0];
    while std::io::stdin().read_exact(&mut byte).is_ok() {
        let key = match byte[0] {
            b'h' | b'?' => Key::Help,
            b'r' => Key::Replay,
            b'q' => Key::Quit,
            b'f' => {
                pressed.send(Key::Asking).ok();
                Key::Fire(ask(line_mode))
            }
            _ => continue,
        };
        if pressed.send(key).is_err() {
            return;
        }
    }
}

fn ask(line_mode: &str) -> Vec<String> {
    terminal::stty(&[line_mode]);
    eprint!("fire> ");
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).ok();
    one_by_one();
    typed_words(&line)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(line: &str, expected: &[&str]) {
        assert_eq!(typed_words(line), expected, "{line}");
    }

    #[test]
    fn a_typed_line_is_split_as_a_shell_does() {
        check("s3 uploads/a.png --file a.png\n", &["s3", "uploads/a.png", "--file", "a.png"]);
        check(r#"topic t '{"a": 1}' --attr s="x y""#, &["topic", "t", r#"{"a": 1}"#, "--attr", "s=x y"]);
        check("topic t ''", &["topic", "t", ""]);
        check("\n", &[]);
    }
}
