//! Moments as they come over the control API's stream, read back into the timeline's own types.

use crate::clock::Timestamp;
use crate::timeline::{Moment, Told};
use serde::{Deserialize, Deserializer};

/// One line of the stream; none if it is no moment.
pub fn read(line: &[u8]) -> Option<Told> {
    serde_json::from_slice::<Line>(line).ok().map(|line| Told {
        seq: line.seq,
        at: line.at,
        wall: line.wall,
        moment: line.moment,
    })
}

#[derive(Deserialize)]
struct Line {
    seq: u64,
    #[serde(deserialize_with = "time")]
    at: Timestamp,
    #[serde(deserialize_with = "time")]
    wall: Timestamp,
    #[serde(flatten, with = "Shape")]
    moment: Moment,
}

/// By this name serde does not take it for text to be borrowed from the line.
type Level = &'static str;

/// How a moment is written. The compiler holds it to the timeline's own.
#[derive(Deserialize)]
#[serde(remote = "Moment", tag = "kind", rename_all = "snake_case")]
enum Shape {
    Emitted {
        id: String,
        cause: Option<String>,
        source: String,
        name: String,
        event: String,
        subject: String,
        size: Option<u64>,
        wanted_by: Vec<String>,
        unwanted: Option<String>,
    },
    Started {
        id: String,
        function: String,
        wire: String,
        batch: usize,
        attempt: u32,
        request_id: String,
    },
    Line {
        id: Option<String>,
        function: String,
        text: String,
    },
    Ended {
        id: String,
        function: String,
        wire: String,
        attempt: u32,
        attempts_max: Option<u32>,
        ok: bool,
        duration_ms: f64,
        init_ms: Option<f64>,
        error: Option<String>,
        #[serde(default, deserialize_with = "perhaps_time")]
        retry_at: Option<Timestamp>,
        gave_up: Option<String>,
    },
    Notice {
        #[serde(deserialize_with = "level")]
        level: Level,
        text: String,
    },
}

fn time<'de, D: Deserializer<'de>>(from: D) -> Result<Timestamp, D::Error> {
    let text = String::deserialize(from)?;
    Timestamp::parse(&text).ok_or_else(|| serde::de::Error::custom("no time"))
}

fn perhaps_time<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Timestamp>, D::Error> {
    Ok(Option::<String>::deserialize(from)?.and_then(|text| Timestamp::parse(&text)))
}

fn level<'de, D: Deserializer<'de>>(from: D) -> Result<Level, D::Error> {
    Ok(match String::deserialize(from)?.as_str() {
        "warning" => "warning",
        "error" => "error",
        _ => "info",
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(moment: Moment) {
        let told =
            Told { seq: 7, at: Timestamp::from_millis(1_000), wall: Timestamp::from_millis(2_000), moment };
        let line = serde_json::to_vec(&told).expect("a moment is JSON");
        let back = read(&line).expect("what was written can be read");
        assert_eq!((back.seq, back.at, back.wall), (told.seq, told.at, told.wall));
        assert_eq!(back.moment, told.moment);
    }

    #[test]
    fn every_moment_comes_back_as_it_was() {
        check(super::super::story::samples::emitted("e7k2", None));
        check(super::super::story::samples::started("e7k2.1", "thumbnail"));
        check(super::super::story::samples::failed("e7k2.1"));
        check(Moment::Line { id: None, function: "hello".into(), text: "hi".into() });
        check(Moment::Notice { level: "warning", text: "polled".into() });
        assert!(read(b"{\"missed\":3}\n").is_none());
    }
}
