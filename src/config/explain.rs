//! What `dropwire explain CODE` says about each complaint: what it means, why it is one, what to do.

/// The long form of a complaint; None if there is no such code.
pub fn explain(code: &str) -> Option<&'static str> {
    TEXTS.iter().find(|(known, _)| known.eq_ignore_ascii_case(code)).map(|(_, text)| text.trim_start())
}

/// Every code that [`explain`] knows, in order.
pub fn codes() -> &'static [&'static str] {
    &CODES
}

const CODES: [&str; TEXTS.len()] = {
    let mut codes = [""; TEXTS.len()];
    let mut place = 0;
    while place < TEXTS.len() {
        codes[place] = TEXTS[place].0;
        place += 1;
    }
    codes
};

const TEXTS: &[(&str, &str)] = &[
    (
        "W100",
        "
W100: the wiring file is not TOML.

Nothing of the file could be used, so only the first such place is shown. Often a quote is not closed, a key is
there twice, or two keys share a line.

    [function.hello]
    on = \"s3:inbox        # the closing quote is missing
",
    ),
    (
        "W101",
        "
W101: there is no setting of this name here.

A misspelt setting would otherwise be ignored without a word, and the default used. The message names the nearest
setting if there is one, else all that can stand here.
",
    ),
    (
        "W102",
        "
W102: a setting has a value of the wrong kind, or one that AWS would not take.

Times are written \"10s\", \"500ms\", \"5m\", \"6h\", or as whole seconds; memory as \"256MB\" or whole MB; an account as
\"123456789012\", in quotes, since a number would lose its leading zeros.
",
    ),
    (
        "W103",
        "
W103: a function says more than one way to start it.

A function is run in exactly one of six ways:

    handler   runtime and handler: the interpreter is started for you
    run       a program that speaks the Lambda Runtime API
    exec      a program for each event: event on standard input, result on standard output
    url       the event is posted to a service that already runs
    attach    the function is started by you, for example in a debugger
    builtin   echo, sink, fail, flaky or sleep, for demos and tests

Keep the one you mean. To have two ways side by side, declare two functions.
",
    ),
    (
        "W104",
        "
W104: something is missing that has no default.

A function needs a way to start it (see W103); `runtime` and `handler` need each other; a table needs its `key`
unless it is already in the SQLite file, whose primary key is then taken.
",
    ),
    (
        "W105",
        "
W105: AWS would not take this name.

    bucket     3 to 63: lowercase letters, digits, hyphens, single dots; a letter or digit first and last
    function   1 to 64: letters, digits, hyphens, underscores
    table      3 to 255: letters, digits, hyphens, underscores, dots
    topic      1 to 256: letters, digits, hyphens, underscores
    queue      1 to 80: letters, digits, hyphens, underscores

Names of wires are dropwire's own; they become part of ids such as `audit/orders`, and `on` is taken.
",
    ),
    (
        "W106",
        "
W106: AWS would refuse this environment.

A variable begins with a letter and goes on with letters, digits and underscores, two characters at the least. All
of them together, as JSON, take 4096 bytes at the most. Variables that the platform sets itself, such as AWS_REGION
or AWS_LAMBDA_FUNCTION_NAME, cannot be set.
",
    ),
    (
        "W107",
        "
W107: dropwire does not start this runtime.

It starts `python3.…`, `nodejs…` (old versions too, with the interpreter you have) and `provided…`, which means the
program `bootstrap` in the code folder. For every other language build the program and name it with `run`: any
program that speaks the Lambda Runtime API will do, and each language has a client for it. Or use `exec`, which asks
nothing of the program but to read standard input and write standard output.
",
    ),
    (
        "W108",
        "
W108: the wiring file cannot be read.

It is not there, may not be read, or is not UTF-8. Without `--file`, and without a `dropwire.toml`, no file is needed:
folders below `buckets/` and `functions/` are then wired by convention.
",
    ),
    (
        "W110",
        "
W110: the program of a function is not there, or cannot be executed.

A first word with a `/` is a path that starts at the folder of the wiring file; one without is looked up in PATH. A
program that still has to be built may be missing if `build` says how to build it:

    run   = \"target/debug/pay\"
    build = \"cargo build --bin pay\"
",
    ),
    (
        "W111",
        "
W111: the code of a handler is not there.

`code` is a folder (or one source file), `functions/NAME` by default. In `handler` the last dot (for Node.js the first
one after the last slash) parts file and function, as on AWS: `app.handler` is the function `handler` in app.py,
`src/index.handler` the export `handler` of src/index.js, .mjs or .cjs. Zip files are not unpacked.
",
    ),
    (
        "W112",
        "
W112: the code folder of a `provided` runtime has no program called `bootstrap`.

That is what AWS starts for these runtimes, so dropwire does the same. Build it into that folder and make it
executable, or name your program directly with `run`.
",
    ),
    (
        "W120",
        "
W120: the folder of a bucket is not there, or is not a folder.

Only the default folder, `buckets/NAME`, is made for you: a misspelt path would otherwise become an empty bucket in
which nothing ever happens.
",
    ),
    (
        "W121",
        "
W121: two buckets share files.

The folder of one is the folder of the other, or lies in it. Each file would be two objects and cause two events,
which cannot happen in S3. Symbolic links are followed before folders are compared.
",
    ),
    (
        "W122",
        "
W122: the folder of a bucket holds dropwire's own files, or lies among them.

dropwire keeps its state in `.dropwire` next to the wiring file, and writes to it for every event. A bucket around it
would see each of these writes as an object.
",
    ),
    (
        "W130",
        "
W130: the `key` of a table cannot be read.

It is a partition key, and perhaps a sort key behind a comma, each as NAME:TYPE with S (text), N (number) or B (bytes):

    key = \"orderId:S\"
    key = \"customer:S, ts:N\"
",
    ),
    (
        "W131",
        "
W131: a file that a table needs is not there.

The SQLite file may be new, but the folder it lies in has to exist; a `seed` has to exist, with one JSON object a line.
",
    ),
    (
        "W201",
        "
W201: a wire starts at something that is not declared.

Buckets and topics need no declaration: naming one in a wire makes it with defaults. Unless its name is nearly that of
a declared one; then it is taken for a typo. If it is meant, declare it: `[bucket.NAME]`. Tables always need a
declaration, because their key cannot be guessed.
",
    ),
    (
        "W202",
        "
W202: there is no such function.

Something is said about a function, such as a wire, but not how to start it, and another function has nearly the same
name. Correct the name, or say how to start this one (see W103).
",
    ),
    (
        "W204",
        "
W204: two wires of one bucket overlap.

Amazon S3 refuses two notifications of one bucket that share an event type, whose prefixes overlap (one begins with
the other) and whose suffixes overlap (one ends with the other). A missing prefix or suffix overlaps with all. So

    s3:uploads/in/*.jpg   and   s3:uploads/in/*.png      are fine: the suffixes differ
    s3:uploads/in/*.jpg   and   s3:uploads/in/           overlap
    s3:uploads            and   s3:uploads ObjectRemoved:*   are fine: no common event

To reach two functions with one event, let the bucket tell one function or topic which tells the others.
`overlap = \"allow\"` in the bucket's table tries it here only.
",
    ),
    (
        "W205",
        "
W205: a glob says more than S3 can match.

S3 filters keys by one prefix and one suffix, nothing else. So a glob may hold one `*`, and that matches slashes too:
`incoming/*.png` also lets `incoming/2026/a.png` pass. Without a `*` it is a prefix. Options `prefix` and `suffix` are
plain text; use `glob` or these, not both.
",
    ),
    (
        "W206",
        "
W206: a dead-letter queue is not declared.

What a function cannot handle must not vanish because of a typo, so `dlq` and `on_failure` name declared queues only.
One line does it: `[queue.NAME]`.
",
    ),
    (
        "W207",
        "
W207: a setting does not go with what it stands next to.

A wire's options belong to its kind of source: `events`, `prefix`, `suffix` and `glob` to buckets; `batch`, `window`,
`start`, `bisect` and `report_failures` to tables; `scope` to topics; `filter` to tables and topics. `retries`, `age`,
`dlq` and `on_failure` go with all, `backoff` and `on_success` with buckets and topics. A function's `runtime` and
`code` go with `handler`, `build` and `watch` with `run`, `storage` and `layers` with both, `args` with `builtin`.
",
    ),
    (
        "W208",
        "
W208: S3 has no such event.

Mostly it is `ObjectCreated:*` (the default) or `ObjectRemoved:*`, with or without `s3:` before it. The star stands for
the whole part after the colon only.
",
    ),
    (
        "W209",
        "
W209: a short wire cannot be read.

    s3:BUCKET
    s3:BUCKET/PREFIX*SUFFIX
    s3:BUCKET/PREFIX*SUFFIX EVENT
    table:NAME
    topic:NAME

Whatever needs options is a wire with a name, `[function.NAME.wire.NAME]`. So are keys with blanks in them.
",
    ),
    (
        "W210",
        "
W210: a wire starts at no source, or at more than one.

A wire with a name says exactly one of `bucket`, `table` and `topic`. A function may have any number of wires.
",
    ),
    (
        "W211",
        "
W211: a filter is not a pattern that AWS takes.

The filter of a table is a pattern over the stream's record, the filter of a topic is a filter policy over the message's
attributes, or over its body with `scope = \"body\"`. Both are JSON in which every leaf is an array of what may match:

    filter = '{ \"eventName\": [\"INSERT\", \"MODIFY\"] }'
",
    ),
    (
        "W212",
        "
W212: a function is wired twice to one table or topic.

AWS keeps one event source mapping for each pair of stream and function, and one subscription for each pair of topic
and function. Put both conditions into one filter, or use two functions.
",
    ),
    (
        "W213",
        "
W213: a destination that AWS would not take.

`dlq` (the event itself) is a queue or a topic. `on_failure` (the record of a failure) is a queue, a topic, a bucket, or
another function; a table's wire takes no function there. `on_success` (the record of a success) is a queue, a topic or
another function. A function is never its own destination.

    on_failure = \"topic:alarms\"        # or \"queue:NAME\", \"function:NAME\", \"s3:BUCKET\"; a bare name is a queue
",
    ),
    (
        "W902",
        "
W902: AWS has this, this version of dropwire not yet.

The setting is refused instead of ignored, so that nothing is tested that does not happen. This version has buckets,
tables, topics, queues for dead letters, and functions.
",
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_is_explained_under_its_own_name() {
        for code in codes() {
            let text = explain(code).unwrap_or_default();
            assert!(text.starts_with(&format!("{code}: ")), "{code}");
            assert!(text.lines().all(|line| line.len() <= 124), "{code}");
        }
        assert!(codes().is_sorted(), "in order and none twice: {:?}", codes());
        assert_eq!(explain("w101"), explain("W101"));
        assert_eq!(explain("W000"), None);
        assert_eq!(explain(""), None);
    }

    #[test]
    fn every_code_of_the_reader_is_explained() {
        let sources = [
            include_str!("check.rs"),
            include_str!("destination.rs"),
            include_str!("functions.rs"),
            include_str!("parse.rs"),
            include_str!("programs.rs"),
            include_str!("reader.rs"),
            include_str!("sources.rs"),
            include_str!("wire_tables.rs"),
            include_str!("wires.rs"),
        ];
        let raised = sources.iter().flat_map(|source| source.split("Complaint::new(").skip(1));
        let raised = raised.filter_map(|rest| rest.split('"').nth(1));
        let mut raised: Vec<&str> = raised.filter(|code| code.starts_with('W') && code.len() == 4).collect();
        raised.sort();
        raised.dedup();
        assert_eq!(raised, codes());
    }
}
