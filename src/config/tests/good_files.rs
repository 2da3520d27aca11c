//! Files without a mistake: one that uses everything, and small ones about single rules.

use std::time::Duration;

use super::project;
use crate::clock::Timestamp;
use crate::config::{
    Builtin, ClockStart, Config, Destination, From, FunctionKind, IGNORED_BY_DEFAULT, KeyKind, KeySpec,
    Origin, StreamView,
};

/// Uses every setting of this version.
pub(super) const EVERYTHING: &str = r##"#:schema .dropwire/schema.json
[sim]
region  = "eu-west-1"
account = "123456789012"
port    = 4567
clock   = "2026-01-05T09:00:00Z"
seed    = 42
event_version = "2.1"

[function.thumbnail]
runtime = "nodejs20.x"
handler = "index.handler"
on      = "s3:uploads/incoming/*.png"

[function.audit]
runtime = "python3.12"
handler = "app.handler"
code    = "functions/audit"
timeout = "10s"
memory  = "256MB"
env     = { TABLE = "audit-log", LOG_LEVEL = "debug" }
on      = ["s3:uploads ObjectRemoved:*", "topic:news"]
retries = 1
age     = "1h"
dlq     = "topic:order-events"
on_failure = "s3:archive"
on_success = "function:report"

[function.audit.wire.orders]
table   = "orders"
batch   = 10
window  = "500ms"
start   = "trim-horizon"
filter  = ['{ "eventName": ["INSERT"] }', '{ "eventName": ["MODIFY"] }']
retries = 2
bisect  = true
report_failures = true
age     = "1d"
on_failure = "queue:audit-dead"

[function.pay]
run   = "target/debug/pay --fast 'one word'"
watch = ["src/**/*.rs"]
build = "cargo build --bin pay"
concurrency = 4
timeout = 900

[function.report]
run = ["bin/report", "a b"]

[function.custom]
runtime = "provided.al2023"

[function.single]
runtime = "python3"
handler = "single.handler"
code    = "functions/single.py"

[function.notify]
exec = "sh functions/notify.sh"

[function.notify.wire.paid]
topic   = "order-events"
filter  = '{ "status": ["paid"] }'
scope   = "body"
retries = 3
backoff = ["1s", 2, "4s"]
dlq     = "notify-dead"

[function.notify.wire.left]
bucket = "archive"
events = ["s3:ObjectCreated:Put", "ObjectCreated:Copy"]
prefix = "left/"
suffix = ".txt"

[function.notify.wire.right]
bucket = "archive"
glob   = "right/*.txt"

[function.legacy]
url = "http://127.0.0.1:9000/2015-03-31/functions/function/invocations"

[function.debugme]
attach = true
on     = "topic:order-events"

[function.flaky]
builtin = "flaky"
args    = { fail_first = 2, error = "Timeout" }
on      = "topic:order-events"

[function.slow]
builtin = "sleep"
args    = { for = "5s" }

[bucket.uploads]
folder   = "buckets/uploads"
existing = "emit"
ignore   = [".DS_Store", "*.tmp", "~$*"]
overlap  = "refuse"

[bucket.archive]

[table.orders]
key    = "customer:S, ts:N"
stream = "NEW_IMAGE"
sqlite = "data/shop.db"
seed   = "seed/orders.jsonl"

[topic.order-events]

[queue.notify-dead]
[queue.audit-dead]
"##;

fn everything() -> (tempfile::TempDir, Config) {
    let root = project();
    let config = Config::parse(root.path(), "dropwire.toml", EVERYTHING).expect("nothing is wrong with it");
    (root, config)
}

#[test]
fn the_simulated_world_is_as_declared() {
    let (root, config) = everything();
    assert_eq!((config.root.as_path(), config.file), (root.path(), Some(root.path().join("dropwire.toml"))));
    assert_eq!(
        (config.sim.place.region.as_str(), config.sim.place.account.as_str()),
        ("eu-west-1", "123456789012")
    );
    assert_eq!(
        (config.sim.port, config.sim.seed, config.sim.event_version.as_str()),
        (4567, Some(42), "2.1")
    );
    assert_eq!(Timestamp::parse("2026-01-05T09:00:00Z").map(ClockStart::At), Some(config.sim.clock));
    assert_eq!(config.remarks, ["topic news is made with defaults (write it down: [topic.news])"]);
    assert!(config.topics.contains_key("news"));
    assert_eq!(config.queues.len(), 2);
}

fn check_function(name: &str, expected: impl Fn(&std::path::Path) -> FunctionKind) {
    let (root, config) = everything();
    assert_eq!(config.functions[name].kind, expected(root.path()), "{name}");
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

#[test]
fn functions_run_in_six_ways() {
    check_function("thumbnail", |root| FunctionKind::Handler {
        runtime: "nodejs20.x".into(),
        handler: "index.handler".into(),
        code: root.join("functions/thumbnail"),
    });
    check_function("single", |root| FunctionKind::Handler {
        runtime: "python3".into(),
        handler: "single.handler".into(),
        code: root.join("functions/single.py"),
    });
    check_function("pay", |root| FunctionKind::Run {
        command: words(&[&root.join("target/debug/pay").to_string_lossy(), "--fast", "one word"]),
        build: Some(words(&["cargo", "build", "--bin", "pay"])),
        watch: words(&["src/**/*.rs"]),
    });
    check_function("report", |root| FunctionKind::Run {
        command: words(&[&root.join("bin/report").to_string_lossy(), "a b"]),
        build: None,
        watch: Vec::new(),
    });
    check_function("custom", |root| FunctionKind::Run {
        command: words(&[&root.join("functions/custom/bootstrap").to_string_lossy()]),
        build: None,
        watch: Vec::new(),
    });
    check_function("notify", |_| FunctionKind::Exec { command: words(&["sh", "functions/notify.sh"]) });
    let url = "http://127.0.0.1:9000/2015-03-31/functions/function/invocations";
    check_function("legacy", |_| FunctionKind::Url { url: url.into() });
    check_function("debugme", |_| FunctionKind::Attach);
    check_function("flaky", |_| {
        FunctionKind::Builtin(Builtin::Flaky { fail_first: 2, error: "Timeout".into() })
    });
    check_function("slow", |_| FunctionKind::Builtin(Builtin::Sleep { duration: Duration::from_secs(5) }));
}

#[test]
fn functions_have_limits_folders_and_an_environment() {
    let (root, config) = everything();
    let audit = &config.functions["audit"];
    assert_eq!((audit.timeout, audit.memory_mb, audit.concurrency), (Some(Duration::from_secs(10)), 256, 10));
    assert_eq!(audit.env["LOG_LEVEL"], "debug");
    assert_eq!(audit.folder, root.path().join("functions/audit"));
    assert_eq!(audit.origin, Origin { file: "dropwire.toml".into(), line: 15 });
    assert_eq!(config.functions["single"].folder, root.path().join("functions"));
    assert_eq!(config.functions["custom"].folder, root.path().join("functions/custom"));
    assert_eq!(config.functions["notify"].folder, root.path());
    assert_eq!(config.functions["notify"].timeout, Some(Duration::from_secs(3)));
    assert_eq!(config.functions["debugme"].timeout, None);
    assert_eq!((config.functions["pay"].concurrency, config.functions["pay"].memory_mb), (4, 128));
}

#[test]
fn wires_are_in_the_order_of_the_file() {
    let (_root, config) = everything();
    let ids: Vec<&str> = config.wires.iter().map(|wire| wire.id.as_str()).collect();
    let expected = [
        "thumbnail/on",
        "audit/on",
        "audit/on.2",
        "audit/orders",
        "notify/paid",
        "notify/left",
        "notify/right",
        "debugme/on",
        "flaky/on",
    ];
    assert_eq!(ids, expected);
    assert_eq!(config.wires[3].origin.line, 29);
}

#[test]
fn a_wire_may_stand_far_from_its_function() {
    let text = "[function.a]\nexec = \"sh\"\n[function.b]\nexec = \"sh\"\non = \"topic:t\"\n[function.a.wire.w]\ntopic = \"t\"\n";
    let config = Config::parse(project().path(), "dropwire.toml", text).expect("nothing is wrong with it");
    let ids: Vec<&str> = config.wires.iter().map(|wire| wire.id.as_str()).collect();
    assert_eq!(ids, ["b/on", "a/w"]);
}

#[test]
fn wires_carry_their_options() {
    let (_root, config) = everything();
    let wire = |id: &str| config.wires.iter().find(|wire| wire.id == id).expect("the wire");
    let orders = wire("audit/orders");
    assert_eq!((orders.retries, orders.age_max), (Some(2), Some(Duration::from_secs(86_400))));
    assert_eq!(
        (orders.dlq.clone(), orders.on_failure.clone()),
        (None, Some(Destination::Queue("audit-dead".into())))
    );
    assert_eq!(
        orders.from,
        From::Table {
            table: "orders".into(),
            filter: words(&[r#"{ "eventName": ["INSERT"] }"#, r#"{ "eventName": ["MODIFY"] }"#]),
            batch: 10,
            window: Duration::from_millis(500),
            from_horizon: true,
            bisect: true,
            report_failures: true,
        }
    );
    let paid = wire("notify/paid");
    assert_eq!(paid.backoff, Some([1, 2, 4].map(Duration::from_secs).to_vec()));
    assert_eq!(paid.dlq, Some(Destination::Queue("notify-dead".into())));
    let filter = Some(r#"{ "status": ["paid"] }"#.to_owned());
    assert_eq!(paid.from, From::Topic { topic: "order-events".into(), filter, body_scope: true });
    let right = From::Bucket {
        bucket: "archive".into(),
        events: words(&["ObjectCreated:*"]),
        prefix: "right/".into(),
        suffix: ".txt".into(),
    };
    assert_eq!(wire("notify/right").from, right);
}

#[test]
fn sources_are_as_declared() {
    let (root, config) = everything();
    let (uploads, archive) = (&config.buckets["uploads"], &config.buckets["archive"]);
    assert!(uploads.emit_existing && !archive.emit_existing && !uploads.allow_overlap);
    assert_eq!(uploads.ignore, [".DS_Store", "*.tmp", "~$*"]);
    assert_eq!(
        (&archive.folder, archive.ignore.as_slice()),
        (&root.path().join("buckets/archive"), &words(IGNORED_BY_DEFAULT)[..])
    );
    let orders = &config.tables["orders"];
    let key = |name: &str, kind| KeySpec { name: name.into(), kind };
    assert_eq!(orders.keys, [key("customer", KeyKind::S), key("ts", KeyKind::N)]);
    assert_eq!((orders.view, &orders.sqlite), (StreamView::NewImage, &root.path().join("data/shop.db")));
    assert_eq!(orders.seed, Some(root.path().join("seed/orders.jsonl")));
}

/// `text` is a good file, and these are its remarks.
fn check_remarks(text: &str, remarks: &[&str]) {
    let root = project();
    super::write(root.path(), ".dropwire/tables.db");
    let config = Config::parse(root.path(), "dropwire.toml", text).expect("nothing is wrong with it");
    assert_eq!(config.remarks, remarks, "{text}");
}

#[test]
fn overlaps_are_fine_where_s3_takes_them_or_the_bucket_allows_them() {
    let wires = |wires: &str| format!("[function.f]\nexec = \"sh\"\non = [{wires}]\n[bucket.abc]\n");
    check_remarks(&wires(r#""s3:abc/in/*.jpg", "s3:abc/in/*.png""#), &[]);
    check_remarks(&wires(r#""s3:abc", "s3:abc ObjectRemoved:*""#), &[]);
    check_remarks(&wires(r#""s3:abc/a/", "s3:abc/b/""#), &[]);
    check_remarks(&format!("{}overlap = \"allow\"\n", wires(r#""s3:abc", "s3:abc""#)), &[]);
}

#[test]
fn what_is_only_named_is_made_and_remarked() {
    let function = "[function.f]\nexec = \"sh\"\n";
    let made = "bucket inbox is made with defaults: folder buckets/inbox (write it down: [bucket.inbox])";
    check_remarks(&format!("{function}on = [\"s3:inbox/a\", \"s3:inbox/b\"]\n"), &[made]);
    let silent = "dropwire.toml:3: ObjectRestore:* never happens to objects here";
    check_remarks(&format!("{function}on = \"s3:abc ObjectRestore:*\"\n[bucket.abc]\n"), &[silent]);
    for told in ["ObjectTagging:*", "ObjectAcl:Put", "LifecycleExpiration:*", "ObjectRemoved:*"] {
        check_remarks(&format!("{function}on = \"s3:abc {told}\"\n[bucket.abc]\n"), &[]);
    }
}

#[test]
fn a_table_without_key_is_attached_if_its_file_is_there() {
    check_remarks("[table.orders]\n", &[]);
}
