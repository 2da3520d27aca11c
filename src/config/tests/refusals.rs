//! Everything that is refused: for each mistake its code and its place.

use super::{complaints, project};

/// `text` has one mistake, of this code; the complaint points at `place`.
pub(super) fn check(text: &str, code: &str, place: &str) {
    let complaints = complaints(&project(), text);
    let found: Vec<_> = complaints.list().iter().map(|one| one.code).collect();
    assert_eq!(found, [code], "{text}\n{complaints}");
    let one = &complaints.list()[0];
    let line = text.lines().nth(one.line.saturating_sub(1)).unwrap_or_default();
    let at: String = line.chars().skip(one.column.saturating_sub(1)).collect();
    assert!(at.starts_with(place), "points at {at:?}, not at {place:?}\n{complaints}");
}

/// The same for lines of a function that is otherwise fine.
pub(super) fn check_function(lines: &str, code: &str, place: &str) {
    check(&format!("[function.f]\n{lines}\n"), code, place);
}

/// The same for lines of a wire of a function that is otherwise fine.
pub(super) fn check_wire(lines: &str, code: &str, place: &str) {
    let around = "[function.f]\nexec = \"sh x.sh\"\n[table.orders]\nkey = \"id:S\"\n[function.f.wire.w]";
    check(&format!("{around}\n{lines}\n"), code, place);
}

#[test]
fn what_is_not_toml() {
    check("[function.f\n", "W100", "");
    check("a = \"open\n", "W100", "");
    check("[bucket.abc]\nfolder = \"data\"\nfolder = \"data\"\n", "W100", "folder");
    check("[bucket.abc]\n[bucket.abc]\n", "W100", "abc");
}

#[test]
fn unknown_and_misplaced_tables() {
    check("[functions.f]\n", "W101", "functions");
    check("function = 3\n", "W102", "3");
    check("[[function.f]]\nexec = \"sh\"\n", "W102", "[[function.f]]");
    check("[function]\nf = \"sh x.sh\"\n", "W102", "\"sh x.sh\"");
}

#[test]
fn the_simulated_world() {
    check("[sim]\nregion = \"Europe\"\n", "W102", "\"Europe\"");
    check("[sim]\naccount = 123456789012\n", "W102", "123456789012");
    check("[sim]\naccount = \"12345\"\n", "W102", "\"12345\"");
    check("[sim]\nport = 65536\n", "W102", "65536");
    check("[sim]\nseed = -1\n", "W102", "-1");
    check("[sim]\nclock = \"slow\"\n", "W102", "\"slow\"");
    check("[sim]\nevent_version = \"2.2\"\n", "W102", "\"2.2\"");
    check("[sim]\nsmtp = 2525\n", "W902", "smtp");
    check("[sim]\nregoin = \"eu-west-1\"\n", "W101", "regoin");
}

#[test]
fn names_that_aws_would_not_take() {
    check("[bucket.Uploads]\n", "W105", "Uploads");
    check("[table.ab]\nkey = \"id:S\"\n", "W105", "ab");
    check("[topic.\"a.fifo\"]\n", "W105", "\"a.fifo\"");
    check("[queue.\"a b\"]\n", "W105", "\"a b\"");
    check("[function.\"a.b\"]\nexec = \"sh\"\n", "W105", "\"a.b\"");
    check_function("exec = \"sh\"\non = \"s3:Inbox\"", "W105", "Inbox");
    check_function("exec = \"sh\"\n[function.f.wire.on]\ntopic = \"t\"", "W105", "on");
}

#[test]
fn how_a_function_is_started() {
    check("[function.f]\n", "W104", "[function.f]");
    check("[function.f]\nexec = \"sh\"\n[function.ff.wire.w]\ntopic = \"t\"\n", "W104", "ff");
    check("[function.report]\nexec = \"sh\"\n[function.reprot.wire.w]\ntopic = \"t\"\n", "W202", "reprot");
    check_function("handler = \"app.handler\"", "W104", "handler");
    check_function("runtime = \"python3.12\"", "W104", "runtime");
    check_function("runtime = \"java21\"\nhandler = \"a.b\"", "W107", "\"java21\"");
    check_function("runtime = \"go1.x\"\nhandler = \"a.b\"", "W107", "\"go1.x\"");
    check_function("runtime = \"python2.7\"\nhandler = \"app.b\"", "W107", "\"python2.7\"");
    check_function("runtime = \"python3.12\"\nrun = \"sh\"", "W103", "run");
    check_function("exec = \"sh\"\nattach = true", "W103", "attach");
    check_function("attach = false", "W102", "false");
    check_function("exec = \"sh\"\ncode = \"functions/f\"", "W207", "code");
    check_function("exec = \"sh\"\nwatch = [\"*.rs\"]", "W207", "watch");
    check_function("exec = \"sh\"\nargs = { }", "W207", "args");
    check_function("exec = \"sh\"\nstorage = \"1024MB\"", "W207", "storage");
    check_function("attach = true\nlayers = []", "W207", "layers");
    check_function("builtin = \"ehco\"", "W102", "\"ehco\"");
    check_function("builtin = \"echo\"\nargs = { error = \"E\" }", "W101", "error");
    check_function("url = \"https://127.0.0.1/\"", "W902", "\"https://127.0.0.1/\"");
    check_function("url = \"127.0.0.1:9000\"", "W102", "\"127.0.0.1:9000\"");
}

#[test]
fn code_and_programs_that_are_not_there() {
    check_function("run = \"bin/nothing\"", "W110", "\"bin/nothing\"");
    check_function("exec = \"no-such-program-anywhere\"", "W110", "\"no-such");
    check_function("exec = \"functions/f/app.py\"", "W110", "\"functions/f/app.py\"");
    check_function("exec = \"\"", "W102", "\"\"");
    check_function("exec = []", "W102", "[]");
    check_function("exec = \"sh 'open\"", "W102", "\"sh 'open\"");
    check_function("runtime = \"python3.12\"\nhandler = \"main.handler\"", "W111", "\"main.handler\"");
    check_function("runtime = \"nodejs20.x\"\nhandler = \"handler\"", "W111", "\"handler\"");
    check_function("runtime = \"python3\"\nhandler = \"app.h\"\ncode = \"nowhere\"", "W111", "\"nowhere\"");
    check_function(
        "runtime = \"python3\"\nhandler = \"app.h\"\ncode = \"functions/single.py\"",
        "W111",
        "\"app.h\"",
    );
    check_function(
        "runtime = \"python3\"\nhandler = \"a.h\"\ncode = \"functions/plain/notes.txt\"",
        "W111",
        "\"fun",
    );
    check_function("runtime = \"provided.al2023\"", "W112", "[function.f]");
}

#[test]
fn limits_and_environment() {
    for wrong in ["\"0s\"", "901", "\"16m\"", "true", "1.5", "\"10\""] {
        check_function(&format!("exec = \"sh\"\ntimeout = {wrong}"), "W102", wrong);
    }
    for wrong in ["127", "\"11GB\"", "\"256\"", "\"256mb\"", "[]"] {
        check_function(&format!("exec = \"sh\"\nmemory = {wrong}"), "W102", wrong);
    }
    check_function("exec = \"sh\"\nconcurrency = 0", "W102", "0");
    check_function("exec = \"sh\"\nenv = { A = \"1\" }", "W106", "A");
    check_function("exec = \"sh\"\nenv = { _HANDLER = \"1\" }", "W106", "_HANDLER");
    check_function("exec = \"sh\"\nenv = { AWS_REGION = \"eu\" }", "W106", "AWS_REGION");
    check_function("exec = \"sh\"\nenv = { \"A-B\" = \"1\" }", "W106", "\"A-B\"");
    check_function("exec = \"sh\"\nenv = { DEBUG = 1 }", "W102", "1");
    check_function(&format!("exec = \"sh\"\nenv = {{ BIG = \"{}\" }}", "x".repeat(4096)), "W106", "{ BIG");
}

#[test]
fn folders_of_buckets() {
    check("[bucket.abc]\nfolder = \"nowhere\"\n", "W120", "\"nowhere\"");
    check("[bucket.abc]\nfolder = \"seed/orders.jsonl\"\n", "W120", "\"seed");
    check(
        "[bucket.abc]\nfolder = \"data\"\n[bucket.def]\nfolder = \"./data/../data\"\n",
        "W121",
        "[bucket.def]",
    );
    check(
        "[bucket.abc]\nfolder = \"elsewhere\"\n[bucket.def]\nfolder = \"elsewhere/inner\"\n",
        "W121",
        "[bucket.def]",
    );
    check("[bucket.abc]\nfolder = \".\"\n", "W122", "[bucket.abc]");
    check("[bucket.abc]\nignore = [\"a/*\"]\n", "W102", "\"a/*\"");
    check("[bucket.abc]\nexisting = \"keep\"\n", "W102", "\"keep\"");
    check("[bucket.abc]\nversioning = true\n", "W101", "versioning");
}

#[test]
fn tables_topics_and_queues() {
    check("[table.orders]\n", "W104", "[table.orders]");
    check("[table.orders]\nkey = \"id\"\n", "W130", "\"id\"");
    check("[table.orders]\nkey = \"id:S\"\nsqlite = \"nowhere/a.db\"\n", "W131", "\"nowhere");
    check("[table.orders]\nkey = \"id:S\"\nsqlite = \"data\"\n", "W131", "\"data\"");
    check("[table.orders]\nkey = \"id:S\"\nseed = \"seed/none.jsonl\"\n", "W131", "\"seed/none");
    check("[table.orders]\nkey = \"id:S\"\nstream = \"ALL\"\n", "W102", "\"ALL\"");
    check("[table.orders]\nkey = \"id:S\"\nttl = \"expires\"\n", "W902", "ttl");
    check("[topic.t]\nfifo = true\n", "W101", "fifo");
    for later in ["visibility = \"30s\"", "dlq = \"dead\"", "max_receives = 5"] {
        check(&format!("[queue.work]\n{later}\n"), "W902", later.split(' ').next().unwrap_or_default());
    }
    check("[queue.work]\ncolour = 1\n", "W101", "colour");
}

#[test]
fn tables_and_wires_of_a_later_version() {
    for table in ["mail", "logs", "api", "schedule", "bus", "profile"] {
        check(&format!("[{table}.a]\nx = 1\n"), "W902", table);
    }
    for scheme in [
        "mail:x",
        "logs:/x ERROR",
        "http:GET /x",
        "schedule:x",
        "every:5 minutes",
        "cron:x",
        "queue:q",
        "bus:b",
    ] {
        check_function(&format!("exec = \"sh\"\non = \"{scheme}\""), "W902", &format!("\"{scheme}\""));
    }
    check_wire("queue = \"work\"", "W902", "queue");
    check_wire("topic = \"t\"\non_failure = \"bus:t\"", "W902", "\"bus:t\"");
}

#[test]
fn short_wires_that_cannot_be_read() {
    check_function("exec = \"sh\"\non = \"uploads\"", "W209", "\"uploads\"");
    check_function("exec = \"sh\"\non = \"bucket:uploads\"", "W209", "\"bucket");
    check_function("exec = \"sh\"\non = \"s3:\"", "W209", "\"s3:\"");
    check_function("exec = \"sh\"\non = \"topic:a b\"", "W209", "\"topic:a b\"");
    check_function("exec = \"sh\"\non = 3", "W102", "3");
    check_function("exec = \"sh\"\non = [\"s3:abc\", 3]", "W102", "3");
    check_function("exec = \"sh\"\non = \"s3:abc/a*b*c\"", "W205", "a*b*c");
    check_function("exec = \"sh\"\non = \"s3:abc ObjectCreate:*\"", "W208", "ObjectCreate:*");
    check_function("exec = \"sh\"\non = \"s3:abc ObjectCreated:P*\"", "W208", "ObjectCreated:P*");
    check_function("exec = \"sh\"\non = \"table:orders\"", "W201", "orders");
}

#[test]
fn named_wires_that_cannot_be_read() {
    check_wire("", "W210", "[function.f.wire.w]");
    check_wire("topic = \"t\"\nbucket = \"abc\"", "W210", "bucket");
    check_wire("topic = 3", "W102", "3");
    check_wire("bucket = \"abc\"\nbatch = 3", "W207", "batch");
    check_wire("bucket = \"abc\"\nfilter = \"{}\"", "W207", "filter");
    check_wire("table = \"orders\"\nscope = \"body\"", "W207", "scope");
    check_wire("table = \"orders\"\nbackoff = \"1s\"", "W207", "backoff");
    check_wire("topic = \"t\"\nprefix = \"a\"", "W207", "prefix");
    check_wire("topic = \"t\"\nretires = 3", "W101", "retires");
    check_wire("topic = \"t\"\nretries = 101", "W102", "101");
    check_wire("table = \"orders\"\nretries = 10001", "W102", "10001");
    check_wire("table = \"orders\"\nbatch = 10001", "W102", "10001");
    check_wire("table = \"orders\"\nwindow = \"301s\"", "W102", "\"301s\"");
    check_wire("table = \"orders\"\nstart = \"now\"", "W102", "\"now\"");
    check_wire("table = \"orders\"\nage = \"8d\"", "W102", "\"8d\"");
    check_wire("topic = \"t\"\nage = \"59s\"", "W102", "\"59s\"");
    check_wire("topic = \"t\"\nage = \"7h\"", "W102", "\"7h\"");
    check_wire("topic = \"t\"\nbackoff = []", "W102", "[]");
    check_wire("topic = \"t\"\nscope = \"all\"", "W102", "\"all\"");
    check_wire("bucket = \"abc\"\nevents = []", "W102", "[]");
    check_wire("bucket = \"abc\"\nevents = [\"s3:ObjectMade:*\"]", "W208", "\"s3:ObjectMade:*\"");
    check_wire("bucket = \"abc\"\nprefix = \"a*\"", "W205", "\"a*\"");
    check_wire("bucket = \"abc\"\nprefix = \"a\"\nglob = \"b*\"", "W205", "glob");
    check_wire("table = \"order\"", "W201", "order");
    check_wire("table = \"orders\"\ndlq = \"dead\"", "W206", "dead");
    check_wire("topic = \"t\"\n[function.f.wire.v]\ntopic = \"t\"", "W212", "[function.f.wire.v]");
}

#[test]
fn overlaps_across_functions_and_kinds_of_wires() {
    let both = |one: &str, other: &str| {
        format!("[function.f]\nexec = \"sh\"\non = {one}\n[function.g]\nexec = \"sh\"\non = {other}\n")
    };
    check(&both("\"s3:uploads\"", "\"s3:uploads/a/*.png\""), "W204", "\"s3:uploads/a");
    let named = "exec = \"sh\"\non = \"s3:abc\"\n[function.f.wire.w]\nbucket = \"abc\"\nsuffix = \".x\"\nevents = \"ObjectCreated:Put\"";
    check_function(named, "W204", "[function.f.wire.w]");
}
