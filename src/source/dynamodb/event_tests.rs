//! Our records against recorded ones.

use serde_json::Value;

use super::*;
use crate::source::dynamodb::changes::Change;

const SAMPLES: [(&str, &str); 6] = [
    ("batch_write", include_str!("golden/batch_write.json")),
    ("keys_only", include_str!("golden/keys_only_insert_modify_remove.json")),
    ("all_ops", include_str!("golden/new_and_old_images_all_ops.json")),
    ("binary", include_str!("golden/lambda_new_image_binary.json")),
    ("real_2021", include_str!("golden/lambda_real_2021.json")),
    ("raw_2023", include_str!("golden/lambda_raw_number_literal_2023.raw.json")),
];

fn item(value: &Value) -> Option<Item> {
    value.is_object().then(|| attribute::item(&value.to_string())).flatten()
}

/// The stream and the change that a recorded record tells of.
fn told(record: &Value) -> (Stream, Change) {
    let arn = record["eventSourceARN"].as_str().expect("an ARN");
    let (table, label) = arn.split_once("/stream/").expect("a stream ARN");
    let parts: Vec<&str> = table.split(':').collect();
    let body = &record["dynamodb"];
    let view = match body["StreamViewType"].as_str() {
        Some("KEYS_ONLY") => StreamView::KeysOnly,
        Some("NEW_IMAGE") => StreamView::NewImage,
        Some("NEW_AND_OLD_IMAGES") => StreamView::NewAndOldImages,
        other => panic!("a view: {other:?}"),
    };
    let key: Key = item(&body["Keys"]).expect("keys").into_iter().collect();
    let keyed = || Some(key.iter().cloned().collect::<Item>());
    let (mut old, mut new) = (item(&body["OldImage"]), item(&body["NewImage"]));
    // What the view hides was there all the same.
    match record["eventName"].as_str() {
        Some("INSERT") => new = new.or_else(keyed),
        Some("REMOVE") => old = old.or_else(keyed),
        _ => (old, new) = (old.or_else(keyed), new.or_else(keyed)),
    }
    let place = Place { region: parts[3].to_owned(), account: parts[4].to_owned() };
    let stream = Stream { place, table: Arn::parse(table).expect("an ARN"), label: label.to_owned(), view };
    (stream, Change { seq: 1, part: 0, key, old, new })
}

fn names(value: &Value) -> Vec<&String> {
    value.as_object().map(|object| object.keys().collect()).unwrap_or_default()
}

fn check_recorded(sample: &str, recorded: &Value) {
    let (stream, change) = told(recorded);
    let seconds = recorded["dynamodb"]["ApproximateCreationDateTime"].as_f64().expect("a time") as i64;
    let at = Timestamp::from_millis(seconds * 1000 + 987);
    let ours = stream.event(&change, Mark { log: "file", ordinal: 1, at }).record.value();
    assert_eq!(names(&ours), names(recorded), "{sample}");
    assert_eq!(names(&ours["dynamodb"]), names(&recorded["dynamodb"]), "{sample}");
    for field in ["eventName", "eventVersion", "eventSource", "awsRegion", "eventSourceARN"] {
        assert_eq!(ours[field], recorded[field], "{sample} {field}");
    }
    for field in ["Keys", "NewImage", "OldImage", "StreamViewType"] {
        assert_eq!(ours["dynamodb"][field], recorded["dynamodb"][field], "{sample} {field}");
    }
    // The one trimmed by its author tells the size of the whole.
    if sample != "raw_2023" {
        assert_eq!(ours["dynamodb"]["SizeBytes"], recorded["dynamodb"]["SizeBytes"], "{sample}");
    }
    assert_eq!(
        ours["dynamodb"]["ApproximateCreationDateTime"],
        Value::from(seconds),
        "{sample}: whole seconds"
    );
    for (field, len) in [(&ours["eventID"], 32..=32), (&ours["dynamodb"]["SequenceNumber"], 21..=40)] {
        let text = field.as_str().expect("text");
        assert!(len.contains(&text.len()), "{sample}: {text}");
        assert!(text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b)), "{sample}: {text}");
    }
}

#[test]
fn records_are_those_that_aws_sent() {
    for (sample, text) in SAMPLES {
        let recorded: Value = serde_json::from_str(text).expect("JSON");
        for record in recorded["Records"].as_array().expect("records") {
            check_recorded(sample, record);
        }
    }
}

#[test]
fn the_official_types_read_our_records() {
    for (sample, text) in SAMPLES {
        let recorded: Value = serde_json::from_str(text).expect("JSON");
        for record in recorded["Records"].as_array().expect("records") {
            let (stream, change) = told(record);
            let event = stream.event(&change, Mark { log: "f", ordinal: 3, at: Timestamp::from_millis(0) });
            let payload = crate::event::payload(&[&event.record], &|_| String::new());
            let read: Result<aws_lambda_events::dynamodb::Event, _> = serde_json::from_str(&payload);
            assert!(read.is_ok(), "{sample}: {read:?}");
        }
    }
}

#[test]
fn views_show_what_their_names_say() {
    let recorded: Value = serde_json::from_str(SAMPLES[2].1).expect("JSON");
    let shown = |record: usize, view| {
        let (mut stream, change) = told(&recorded["Records"][record]);
        stream.view = view;
        let ours =
            stream.event(&change, Mark { log: "f", ordinal: 1, at: Timestamp::default() }).record.value();
        (ours["dynamodb"].get("NewImage").is_some(), ours["dynamodb"].get("OldImage").is_some())
    };
    let (insert, modify, remove) = (0, 2, 4);
    for (view, expected) in [
        (StreamView::KeysOnly, [(false, false); 3]),
        (StreamView::NewImage, [(true, false), (true, false), (false, false)]),
        (StreamView::OldImage, [(false, false), (false, true), (false, true)]),
        (StreamView::NewAndOldImages, [(true, false), (true, true), (false, true)]),
    ] {
        assert_eq!([insert, modify, remove].map(|record| shown(record, view)), expected, "{view:?}");
    }
}

#[test]
fn sequence_numbers_grow_as_numbers() {
    let number = |ordinal| sequence_number(ordinal).parse::<u128>().expect("digits");
    assert_eq!(sequence_number(1), "100000000003218256368");
    for ordinal in [1, 9, 10, 99, 100, 12_345, 9_999_999] {
        assert!(number(ordinal) < number(ordinal + 1));
        assert!((21..=40).contains(&sequence_number(ordinal).len()));
    }
}

#[test]
fn subject_and_lane_name_the_item() {
    let event = |key: &[(&str, &str)]| {
        let key: Key = key
            .iter()
            .map(|(n, json)| ((*n).to_owned(), Attribute::from_plain(json).expect("JSON")))
            .collect();
        let change = Change { seq: 1, part: 0, new: Some(key.iter().cloned().collect()), key, old: None };
        let table = Arn::table(&Place::default(), "t");
        let stream = Stream {
            place: Place::default(),
            table,
            label: label(Timestamp::default()),
            view: StreamView::KeysOnly,
        };
        assert_eq!(
            stream.arn(),
            "arn:aws:dynamodb:us-east-1:000000000000:table/t/stream/1970-01-01T00:00:00.000"
        );
        let event = stream.event(&change, Mark { log: "f", ordinal: 1, at: Timestamp::default() });
        (event.subject, event.lane.unwrap_or_default())
    };
    assert_eq!(event(&[("id", "\"a\\\"b\"")]), (r#"{"id":"a\"b"}"#.into(), "a\"b".into()));
    assert_eq!(
        event(&[("id", "\"a\""), ("ts", "12.0")]),
        (r#"{"id":"a","ts":12}"#.into(), r#"["a","12"]"#.into())
    );
    assert_eq!(event(&[("id", r#"{"B":"AAE="}"#)]), (r#"{"id":{"B":"AAE="}}"#.into(), "AAE=".into()));
}
