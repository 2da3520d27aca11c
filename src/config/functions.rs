//! `[function.NAME]`: its settings, and which of the six ways to run it they mean.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use super::complaint::Complaint;
use super::parse::{Draft, DraftWire};
use super::reader::{Placed, Reader, Section, Setting};
use super::{
    Builtin, FunctionKind, FunctionSpec, RESERVED_VARIABLES, WireSpec, destination, is_variable, names,
    programs, units, wire_tables, wires,
};

/// The keys that each say how a function runs; `runtime` says the same as `handler`.
const WAYS: &[&str] = &["handler", "run", "exec", "url", "attach", "builtin"];
const KEYS: &[&str] = &[
    "runtime",
    "handler",
    "code",
    "run",
    "exec",
    "url",
    "attach",
    "builtin",
    "args",
    "timeout",
    "memory",
    "storage",
    "layers",
    "env",
    "concurrency",
    "on",
    "wire",
    "watch",
    "build",
    "retries",
    "age",
    "dlq",
    "on_failure",
    "on_success",
];
/// Keys that mean something for some ways only.
const BELONGS: &[(&str, &[&str])] = &[
    ("runtime", &["handler"]),
    ("code", &["handler"]),
    ("args", &["builtin"]),
    ("watch", &["run"]),
    ("build", &["run"]),
    ("storage", &["handler", "run"]),
    ("layers", &["handler", "run"]),
];
/// The longest a function may take on AWS.
const LONGEST: Duration = Duration::from_secs(900);
/// Reads `[function.NAME]` and its wires into the draft.
pub(super) fn function(reader: &mut Reader, draft: &mut Draft, setting: &Setting) {
    let name = setting.key.to_owned();
    let Some(section) = reader.section(setting, format!("function `{name}`")) else {
        return;
    };
    draft.declare(reader, "function", setting);
    reader.only(&section, KEYS);
    short_wires(reader, draft, &name, &section);
    if let Some(setting) = section.get("wire")
        && let Some(all) = reader.section(&setting, format!("`wire` of function `{name}`"))
    {
        for wire in all.settings() {
            draft.wires.extend(wire_tables::wire(reader, &name, &wire));
        }
    }
    let (asynchronous, destinations) = destination::asynchronous(reader, &section, &name);
    draft.destinations.extend(destinations);
    let way = only_way(reader, draft, &section);
    let Some((kind, folder)) = way.and_then(|way| kind(reader, &section, way)) else {
        common(reader, &section);
        return;
    };
    let common = common(reader, &section);
    let unlimited = kind == FunctionKind::Attach;
    let timeout = common.timeout.or_else(|| (!unlimited).then_some(Duration::from_secs(3)));
    let origin = reader.origin(&section.span);
    let spec = FunctionSpec {
        timeout,
        memory_mb: common.memory_mb,
        storage_mb: common.storage_mb,
        layers: common.layers,
        env: common.env,
        concurrency: common.concurrency,
        asynchronous,
        origin,
        ..FunctionSpec::new(&name, kind, folder)
    };
    draft.config.functions.insert(name, spec);
}

struct Common {
    timeout: Option<Duration>,
    memory_mb: u32,
    storage_mb: u32,
    layers: Vec<PathBuf>,
    env: BTreeMap<String, String>,
    concurrency: usize,
}

/// What every function has, however it runs.
fn common(reader: &mut Reader, section: &Section) -> Common {
    let timeout = section.get("timeout").and_then(|s| reader.duration(&s, Duration::from_secs(1)..=LONGEST));
    let memory_mb = megabytes(reader, section, "memory", 128);
    let storage_mb = megabytes(reader, section, "storage", 512);
    let layers = section.get("layers").map(|setting| layers(reader, &setting)).unwrap_or_default();
    let concurrency = section.get("concurrency").and_then(|setting| reader.integer(&setting, 1..=1_000));
    let env = section.get("env").map(|setting| environment(reader, &setting)).unwrap_or_default();
    Common {
        timeout,
        memory_mb: memory_mb.unwrap_or(128),
        storage_mb: storage_mb.unwrap_or(512),
        layers,
        env,
        concurrency: concurrency.and_then(|count| usize::try_from(count).ok()).unwrap_or(10),
    }
}

/// A size from `least` to 10,240 MB.
fn megabytes(reader: &mut Reader, section: &Section, key: &str, least: u32) -> Option<u32> {
    let setting = section.get(key)?;
    let megabytes = units::memory_mb(setting.item).filter(|size| (least..=10_240).contains(size));
    if megabytes.is_none() {
        reader.wrong(
            &setting,
            &format!("a size such as \"{}MB\" or whole MB, from {least} to 10240", least * 2),
        );
    }
    megabytes
}

/// The most layers that AWS takes.
const LAYERS_MAX: usize = 5;

/// `layers`: folders with the contents of layers.
fn layers(reader: &mut Reader, setting: &Setting) -> Vec<PathBuf> {
    let texts = reader.texts(setting, "folders such as [\"layers/shared\"]").unwrap_or_default();
    if texts.len() > LAYERS_MAX {
        reader.wrong(setting, "at most 5 folders");
    }
    let root = reader.root.clone();
    let mut folders = Vec::new();
    for text in texts {
        let folder = root.join(&text.value);
        if !folder.is_dir() {
            let title = format!("{} names a layer that is not there", setting.of);
            let label = format!("there is no folder {}", folder.display());
            reader.complain(Complaint::new("W102", title).at(&text.span, label));
        }
        folders.push(folder);
    }
    folders
}

/// `env`, by the rules of AWS: W106 for a key it would refuse, or more than 4 KB.
fn environment(reader: &mut Reader, setting: &Setting) -> BTreeMap<String, String> {
    let mut env = BTreeMap::new();
    let Some(section) = reader.section(setting, format!("`env` of {}", setting.of)) else {
        return env;
    };
    for variable in section.settings() {
        let key = variable.key;
        let shaped = is_variable(key);
        let is_ours = ["_HANDLER", "_X_AMZN_TRACE_ID"].contains(&key) || key.starts_with("AWS_LAMBDA_");
        let reserved = is_ours || RESERVED_VARIABLES.contains(&key);
        if reserved || !shaped {
            let title = format!("{} cannot set `{key}`", setting.of);
            let label = if reserved {
                "AWS sets it itself"
            } else {
                "AWS wants a letter, then letters, digits and `_`"
            };
            let complaint = Complaint::new("W106", title).at(&variable.key_span, label);
            reader.complain(complaint.note("AWS refuses it as well, so this would fail when deployed"));
        }
        if let Some(value) = reader.text_like(&variable, "a text in quotes: environment variables are texts")
        {
            env.insert(key.to_owned(), value.value);
        }
    }
    let size = serde_json::to_string(&env).map_or(0, |json| json.len());
    if size > 4096 {
        let title = format!("the environment of {} is too large", setting.of);
        let label = format!("{size} bytes as JSON; AWS takes 4096");
        reader.complain(Complaint::new("W106", title).at(&setting.span, label));
    }
    env
}

/// `on`: one short wire or an array of them.
fn short_wires(reader: &mut Reader, draft: &mut Draft, function: &str, section: &Section) {
    let Some(setting) = section.get("on") else {
        return;
    };
    let texts =
        reader.texts(&setting, "a wire such as \"s3:uploads\", or an array of them").unwrap_or_default();
    for (place, text) in texts.iter().enumerate() {
        let Some((from, source)) = wires::short(reader, text) else {
            continue;
        };
        let number = if place == 0 { String::new() } else { format!(".{}", place + 1) };
        let spec = WireSpec {
            id: format!("{function}/on{number}"),
            function: function.to_owned(),
            from,
            dlq: None,
            on_failure: None,
            on_success: None,
            retries: None,
            backoff: None,
            age_max: None,
            origin: reader.origin(&text.span),
        };
        draft.wires.push(DraftWire { spec, place: text.span.clone(), source, destinations: Vec::new() });
    }
}

/// The one key that says how the function runs: W103 if there are more, W104 if there is none.
fn only_way<'a>(reader: &mut Reader, draft: &mut Draft, section: &Section<'a>) -> Option<Setting<'a>> {
    let mut ways: Vec<Setting> = WAYS.iter().filter_map(|key| section.get(key)).collect();
    if !section.has("handler") {
        ways.extend(section.get("runtime"));
    }
    ways.sort_by_key(|way| way.key_span.start);
    match ways.as_slice() {
        [] => {
            draft.unstarted.push(Placed { value: section.name.to_owned(), span: section.span.clone() });
            None
        }
        [_] => {
            let way = ways.pop()?;
            fitting_keys(reader, section, way.key);
            Some(way)
        }
        [first, second, ..] => {
            let count = if ways.len() == 2 { "two" } else { "several" };
            let title = format!("{} says {count} ways to start it", section.what);
            let complaint = Complaint::new("W103", title)
                .at(&second.key_span, format!("and `{}` here", second.key))
                .beside(&first.key_span, format!("`{}` here", first.key))
                .help(format!("keep one of {}", names::listed(WAYS, "and")));
            let rest = &ways[2..];
            reader.complain(rest.iter().fold(complaint, |complaint, way| {
                complaint.beside(&way.key_span, format!("and `{}` here", way.key))
            }));
            None
        }
    }
}

/// W207 for keys that belong to another way of running.
fn fitting_keys(reader: &mut Reader, section: &Section, way: &str) {
    for (key, homes) in BELONGS {
        let belongs = homes.contains(&way) || (homes.contains(&"handler") && way == "runtime");
        if let Some(setting) = section.get(key).filter(|_| !belongs) {
            let homes = homes.join("` and `");
            let title = format!("`{key}` goes with `{homes}`; {} has `{way}`", section.what);
            reader.complain(Complaint::new("W207", title).at(&setting.key_span, "take it away"));
        }
    }
}

fn kind(reader: &mut Reader, section: &Section, way: Setting) -> Option<(FunctionKind, PathBuf)> {
    let root = reader.root.clone();
    match way.key {
        "handler" | "runtime" => return programs::handler(reader, section),
        "run" => run(reader, section, &way),
        "exec" => {
            let command = reader.words(&way)?;
            let command = programs::checked(reader, &command, way.key)?;
            Some(FunctionKind::Exec { command })
        }
        "url" => url(reader, &way),
        "attach" => {
            if way.item.as_bool() != Some(true) {
                reader.wrong(&way, "true, or nothing at all");
            }
            Some(FunctionKind::Attach)
        }
        _ => builtin(reader, section, &way).map(FunctionKind::Builtin),
    }
    .map(|kind| (kind, root))
}

fn run(reader: &mut Reader, section: &Section, way: &Setting) -> Option<FunctionKind> {
    let command = reader.words(way);
    let build = section.get("build").and_then(|setting| reader.words(&setting));
    let watch = section.get("watch");
    let watch = watch.and_then(|setting| reader.texts(&setting, "globs such as [\"src/**/*.rs\"]"));
    let command = match &build {
        // The build makes the program before the first start, so it may be missing now.
        Some(_) => programs::placed(reader, &command?),
        None => programs::checked(reader, &command?, way.key)?,
    };
    Some(FunctionKind::Run {
        command,
        build: build.map(|words| words.value),
        watch: watch.unwrap_or_default().into_iter().map(|glob| glob.value).collect(),
    })
}

fn url(reader: &mut Reader, way: &Setting) -> Option<FunctionKind> {
    let url = reader.text(way)?;
    let parsed: Option<http::Uri> = url.value.parse().ok();
    let scheme = parsed.as_ref().and_then(|url| url.scheme_str());
    let host = parsed.as_ref().and_then(|url| url.host()).unwrap_or_default();
    match scheme {
        Some("http") if !host.is_empty() => return Some(FunctionKind::Url { url: url.value }),
        Some("https") => {
            reader.not_yet(&url.span, "TLS", Some("`url` is for services on this machine: `http://…`"))
        }
        _ => reader.wrong(way, "an address such as \"http://127.0.0.1:9000/\""),
    }
    None
}

fn builtin(reader: &mut Reader, section: &Section, way: &Setting) -> Option<Builtin> {
    let words = ["echo", "sink", "fail", "flaky", "sleep"];
    let chosen = words[reader.choice(way, &words)?];
    let args = section.get("args").and_then(|s| reader.section(&s, format!("`args` of builtin `{chosen}`")));
    let known: &[&str] = match chosen {
        "fail" => &["error"],
        "flaky" => &["fail_first", "error"],
        "sleep" => &["for"],
        _ => &[],
    };
    if let Some(args) = &args {
        reader.only(args, known);
    }
    let get = |key: &str| args.as_ref().filter(|_| known.contains(&key)).and_then(|args| args.get(key));
    let error: Option<Placed<String>> = get("error").and_then(|setting| reader.text(&setting));
    let error = error.map_or_else(|| "Error".to_owned(), |text| text.value);
    let fail_first = get("fail_first").and_then(|setting| reader.integer(&setting, 0..=1_000_000));
    let duration = get("for").and_then(|setting| reader.duration(&setting, Duration::ZERO..=LONGEST));
    Some(match chosen {
        "echo" => Builtin::Echo,
        "sink" => Builtin::Sink,
        "fail" => Builtin::Fail { error },
        "flaky" => Builtin::Flaky {
            fail_first: fail_first.and_then(|count| u32::try_from(count).ok()).unwrap_or(1),
            error,
        },
        _ => Builtin::Sleep { duration: duration.unwrap_or(Duration::from_secs(1)) },
    })
}

/// A function of which nothing says how it runs: W202 if another one was meant, else W104.
pub(super) fn complain_of_unstarted(reader: &mut Reader, draft: &Draft, function: &Placed<String>) {
    let name = function.value.as_str();
    let started: Vec<&str> = draft.config.functions.keys().map(String::as_str).collect();
    reader.complain(match names::nearest(name, &started) {
        Some(near) => {
            let complaint = Complaint::new("W202", format!("no function called `{name}`"));
            let complaint = complaint.at(&function.span, format!("did you mean `{near}`?"));
            let help =
                format!("if it is another one, say how it starts: one of {}", names::listed(WAYS, "and"));
            draft.beside_declaration(complaint, "function", near).help(help)
        }
        None => Complaint::new("W104", format!("function `{name}` does not say how to start it"))
            .at(&function.span, "no way to start")
            .help(format!("add one of {}", names::listed(WAYS, "and"))),
    });
}
