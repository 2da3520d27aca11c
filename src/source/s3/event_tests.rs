//! The records of a bucket, held against recorded ones.

use serde_json::Value;

use super::*;

fn voice() -> Voice {
    Voice::new(&Place::default(), "resource-1", "2.1", [7; 32])
}

fn event(key: &str, change: Change<'_>) -> Event {
    let at = Timestamp::from_micros(1_681_332_218_021_999);
    voice().describe(&Tale { key, change, sequencer: Sequencer::at(at), at, caller: None })
}

/// The value with every volatile leaf replaced by its form.
fn shape(value: &Value) -> String {
    fn form(text: &str) -> String {
        let class = |c: char| match c {
            'A'..='Z' | 'a'..='z' | '0'..='9' | '+' | '=' => 'x',
            other => other,
        };
        text.chars().map(class).collect()
    }
    match value {
        Value::Object(map) => map
            .iter()
            .map(|(name, value)| match name.as_str() {
                "x-amz-id-2" | "configurationId" | "sourceIPAddress" | "principalId" => {
                    format!("{name}:…;")
                }
                "eventTime" | "x-amz-request-id" | "sequencer" => {
                    format!("{name}:{};", form(value.as_str().expect("a text")))
                }
                _ => format!("{name}:{{{}}};", shape(value)),
            })
            .collect(),
        other => other.to_string(),
    }
}

fn check_golden(golden: &str, key: &str, change: Change<'_>) {
    let golden: Value = serde_json::from_str(golden).expect("the golden file is JSON");
    let record = event(key, change).record.value();
    assert_eq!(shape(&record), shape(&golden["Records"][0]));
}

const GONE: Change<'_> = Change::Removed { version: "", expired: false };
const NINE: Change<'_> =
    Change::Written { how: How::Put, size: 9, etag: "437b930db84b8079c2dd804a71936b5f", version: "" };

#[test]
fn records_have_the_recorded_shape() {
    check_golden(include_str!("golden/object_created_put.json"), "my_key_0", NINE);
    check_golden(include_str!("golden/key_encoding.json"), "a@b", NINE);
    check_golden(include_str!("golden/object_removed_delete.json"), "my-key-2", GONE);
}

/// A change like that which this record tells.
fn like(record: &Value) -> Change<'_> {
    let object = &record["s3"]["object"];
    let text = |name: &str| object[name].as_str().unwrap_or_default();
    let (etag, version) = (text("eTag"), text("versionId"));
    let size = object["size"].as_u64().unwrap_or_default();
    let written = |how| Change::Written { how, size, etag, version };
    let retouched = |what| Change::Retouched { what, etag, version };
    match record["eventName"].as_str().expect("a name") {
        "ObjectCreated:Put" => written(How::Put),
        "ObjectCreated:Post" => written(How::Post),
        "ObjectCreated:Copy" => written(How::Copy),
        "ObjectCreated:CompleteMultipartUpload" => written(How::CompleteMultipartUpload),
        "ObjectRemoved:Delete" => Change::Removed { version, expired: false },
        "ObjectRemoved:DeleteMarkerCreated" => Change::Marked { version, expired: false },
        "ObjectTagging:Put" => retouched(Retouch::Tagged),
        "ObjectTagging:Delete" => retouched(Retouch::Untagged),
        "ObjectAcl:Put" => retouched(Retouch::Acl),
        other => panic!("no change is told as {other}"),
    }
}

#[test]
fn every_call_is_told_as_recorded() {
    for golden in [
        include_str!("golden/object_created_copy.json"),
        include_str!("golden/object_created_post.json"),
        include_str!("golden/object_created_complete_multipart.json"),
        include_str!("golden/object_tagging_put.json"),
        include_str!("golden/object_tagging_delete.json"),
        include_str!("golden/object_acl_put.json"),
        include_str!("golden/versioned_put.json"),
        include_str!("golden/versioned_delete_marker_created.json"),
        include_str!("golden/versioned_delete_specific_version.json"),
        include_str!("golden/suspended_put_null_version.json"),
    ] {
        let recorded: Value = serde_json::from_str(golden).expect("the golden file is JSON");
        let record = &recorded["Records"][0];
        let key = record["s3"]["object"]["key"].as_str().expect("a key");
        let bucket = record["s3"]["bucket"]["name"].as_str().expect("a bucket");
        let voice = Voice::new(&Place::default(), bucket, "2.1", [7; 32]);
        let (change, at) = (like(record), Timestamp::from_micros(1));
        let tale = Tale { key, change, sequencer: Sequencer::at(at), at, caller: None };
        let told = voice.describe(&tale).record.value();
        assert_eq!(shape(&told), shape(record));
        assert_eq!(told["s3"]["object"]["versionId"], record["s3"]["object"]["versionId"]);
    }
}

#[test]
fn a_call_is_told_with_its_own_ids_and_address() {
    let caller = Caller { request_id: "R".into(), host_id: "H".into(), address: "10.0.0.7".into() };
    let at = Timestamp::from_micros(1_500_000);
    let tale = Tale { key: "k", change: NINE, sequencer: Sequencer::at(at), at, caller: Some(&caller) };
    let record = voice().describe(&tale).record.value();
    assert_eq!(record["requestParameters"]["sourceIPAddress"], "10.0.0.7");
    assert_eq!(record["responseElements"]["x-amz-request-id"], "R");
    assert_eq!(record["responseElements"]["x-amz-id-2"], "H");
    assert_eq!(Sequencer::at(at).time(), at);
}

#[test]
fn the_volatile_values_have_their_recorded_forms() {
    let record = event("k", NINE).record.value();
    assert_eq!(record["eventTime"], "2023-04-12T20:43:38.021Z");
    let all =
        |value: &Value, test: fn(char) -> bool| value.as_str().is_some_and(|text| text.chars().all(test));
    let ids = &record["responseElements"];
    assert!(all(&ids["x-amz-request-id"], |c| c.is_ascii_uppercase() || c.is_ascii_digit()), "{ids}");
    assert_eq!(ids["x-amz-request-id"].as_str().map(str::len), Some(16));
    assert_eq!(ids["x-amz-id-2"].as_str().map(str::len), Some(76));
    let owner = &record["s3"]["bucket"]["ownerIdentity"]["principalId"];
    assert!(owner.as_str().is_some_and(|text| text.len() == 14 && text.starts_with('A')), "{owner}");
    let user = record["userIdentity"]["principalId"].as_str().expect("a text");
    assert!(user.starts_with("AWS:AIDA") && user.len() == 25, "{user}");
}

#[test]
fn the_official_type_reads_every_record() {
    for change in [NINE, GONE] {
        let event = event("a b/ü.txt", change);
        let payload = crate::event::payload(&[&event.record], &|_| "wire-1".to_owned());
        let read: aws_lambda_events::s3::S3Event = serde_json::from_str(&payload).expect("an S3 event");
        let record = &read.records[0];
        assert_eq!(record.event_name.as_deref(), Some(change.name()));
        assert_eq!(record.s3.configuration_id.as_deref(), Some("wire-1"));
        assert_eq!(record.s3.object.key.as_deref(), Some("a+b/%C3%BC.txt"));
        assert_eq!(record.s3.object.size, matches!(change, Change::Written { .. }).then_some(9));
    }
}

fn check_encoded(key: &str, expected: &str) {
    let mut text = String::new();
    push_encoded(&mut text, key);
    assert_eq!(text, expected, "{key:?}");
}

#[test]
fn keys_are_encoded_as_a_form_is() {
    check_encoded("a b/c-d_e.f*", "a+b/c-d_e.f*");
    check_encoded("a+b@c:d=e", "a%2Bb%40c%3Ad%3De");
    check_encoded("~%\n\"\\", "%7E%25%0A%22%5C");
    check_encoded("Grüße/日本", "Gr%C3%BC%C3%9Fe/%E6%97%A5%E6%9C%AC");
}

#[test]
fn sequencers_are_seconds_and_a_binary_fraction() {
    let at = |micros| Sequencer::at(Timestamp::from_micros(micros));
    assert_eq!(at(1_681_332_217_971_562).text(), "00643717F9F8B84988");
    assert_eq!(at(1_500_000).text(), "000000000180000000");
    assert_eq!(Sequencer::read(&at(1_500_000).text()), at(1_500_000));
    assert!(at(2) < at(2).next() && at(2).next() < at(3));
    assert!(at(1_999_999).text() < at(2_000_000).text());
}

#[test]
fn the_same_change_tells_the_same_whoever_notices_first() {
    assert_eq!(event("k", NINE), event("k", NINE));
    assert_ne!(event("k", NINE).record, event("l", NINE).record);
    assert_eq!(event("k", NINE).record.text().matches(&Record::slot("wire")).count(), 1);
}

#[test]
fn changes_are_told_apart_while_the_clock_stands() {
    let (mut count, now) = (Count::default(), Timestamp::from_micros(1_681_332_218_021_999));
    let first = count.next(now);
    assert_eq!(first, Sequencer::at(now));
    let mut last = first;
    for _ in 1..4096 {
        let next = count.next(now);
        assert!(next > last && next.time() <= now, "{next:?}");
        last = next;
    }
    // Then it begins again, however long the clock stands.
    assert_eq!(count.next(now), first);
    let more: Vec<Sequencer> = (0..70_000).map(|_| count.next(now)).collect();
    assert!(more.iter().all(|one| (first..=last).contains(one)));
    // All are before those of the next moment.
    let later = Timestamp::from_micros(now.as_micros() + 1);
    assert!(count.next(later) > last);
    assert_eq!(count.next(now), first);
}
