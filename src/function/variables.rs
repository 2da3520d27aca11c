//! The environment variables of a function's process. Pure but for reading our own few.
//!
//! Of our own environment a function gets `PATH`, `HOME`, `TMPDIR` and `LANG`, so that interpreters work, and
//! nothing else: what a function needs is declared, as it would have to be on AWS.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use crate::arn::Place;
use crate::clock::Timestamp;
use crate::config::{FunctionKind, FunctionSpec, LogFormat};

/// Where and as what a process runs.
pub struct Setting<'a> {
    /// The function.
    pub spec: &'a FunctionSpec,
    /// Region and account.
    pub place: &'a Place,
    /// The folder of our own runtimes.
    pub runtimes: &'a Path,
    /// `YYYY/MM/DD/[$LATEST]32hex`.
    pub log_stream: &'a str,
    /// The services of this dropwire, if it has any.
    pub services: Option<&'a Services>,
    /// Its own temporary folder; ours, if it has none.
    pub tmp: Option<&'a Path>,
    /// Whether the environment was started ahead of its first event.
    pub provisioned: bool,
}

/// Where functions find the services of this dropwire, and with what they sign.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Services {
    /// `http://127.0.0.1:4566`
    pub endpoint: String,
    /// The access key.
    pub access_key: String,
    /// Its secret.
    pub secret_key: String,
}

/// Everything that is set for a process of this function; later wins: ours of the platform, the function's own.
/// `AWS_LAMBDA_RUNTIME_API` and the like come last and cannot be overridden.
pub fn of(setting: &Setting, reserved: &[(&str, &str)]) -> BTreeMap<OsString, OsString> {
    let spec = setting.spec;
    let mut all = ours();
    if let Some(tmp) = setting.tmp {
        all.insert("TMPDIR".into(), tmp.into());
    }
    layered(spec, &mut all);
    let mut set = |name: &str, value: &str| drop(all.insert(name.into(), value.into()));
    set("TZ", ":UTC");
    set("AWS_XRAY_CONTEXT_MISSING", "LOG_ERROR");
    // No daemon listens there; without an address the tracing library refuses to start.
    set("AWS_XRAY_DAEMON_ADDRESS", "127.0.0.1:2000");
    set("_AWS_XRAY_DAEMON_ADDRESS", "127.0.0.1");
    set("_AWS_XRAY_DAEMON_PORT", "2000");
    // Credentials that nothing real accepts.
    set("AWS_ACCESS_KEY_ID", setting.services.map_or("test", |services| &services.access_key));
    set("AWS_SECRET_ACCESS_KEY", setting.services.map_or("test", |services| &services.secret_key));
    set("AWS_SESSION_TOKEN", "test");
    set("AWS_REGION", &setting.place.region);
    set("AWS_DEFAULT_REGION", &setting.place.region);
    if let Some(services) = setting.services {
        // Ours, not AWS's: the calls that a function makes come back to us.
        set("AWS_ENDPOINT_URL", &services.endpoint);
    }
    if let FunctionKind::Handler { runtime, .. } = &spec.kind
        && !runtime.starts_with("provided")
    {
        set("AWS_EXECUTION_ENV", &format!("AWS_Lambda_{runtime}"));
    }
    for (name, value) in &spec.env {
        set(name, value);
    }
    set("AWS_LAMBDA_FUNCTION_NAME", &spec.name);
    set("AWS_LAMBDA_FUNCTION_VERSION", &spec.version);
    set("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", &spec.memory_mb.to_string());
    let group = || format!("/aws/lambda/{}", spec.name);
    set("AWS_LAMBDA_LOG_GROUP_NAME", &spec.logging.group.clone().unwrap_or_else(group));
    set("AWS_LAMBDA_LOG_STREAM_NAME", setting.log_stream);
    set("AWS_LAMBDA_INITIALIZATION_TYPE", initialization(setting.provisioned));
    let (format, level) = match &spec.logging.format {
        LogFormat::Text => ("Text", None),
        LogFormat::Json { application, .. } => ("JSON", Some(application)),
    };
    set("AWS_LAMBDA_LOG_FORMAT", format);
    level.into_iter().for_each(|level| set("AWS_LAMBDA_LOG_LEVEL", level));
    set("_HANDLER", &handler(&spec.kind));
    for (name, value) in reserved {
        set(name, value);
    }
    all.insert("LAMBDA_TASK_ROOT".into(), task_root(spec).into());
    all.insert("LAMBDA_RUNTIME_DIR".into(), setting.runtimes.into());
    all
}

/// The few variables of our own that processes have as well.
fn ours() -> BTreeMap<OsString, OsString> {
    let mut all = BTreeMap::new();
    for (name, unset) in
        [("PATH", "/usr/local/bin:/usr/bin:/bin"), ("HOME", ""), ("TMPDIR", ""), ("LANG", "en_US.UTF-8")]
    {
        let value = std::env::var_os(name).unwrap_or_else(|| unset.into());
        if !value.is_empty() {
            all.insert(name.into(), value);
        }
    }
    all
}

/// Where programs, libraries and modules of the layers are found; a later layer comes first. Libraries are found
/// below the code as well.
fn layered(spec: &FunctionSpec, all: &mut BTreeMap<OsString, OsString>) {
    let below = |places: &[&str]| -> Vec<PathBuf> {
        let layers = spec.layers.iter().rev();
        layers.flat_map(|layer| places.iter().map(|place| layer.join(place))).collect()
    };
    let mut append = |name: &str, more: Vec<PathBuf>| {
        let before = all.get(OsStr::new(name)).cloned().unwrap_or_default();
        let paths = std::env::split_paths(&before).filter(|path| !path.as_os_str().is_empty()).chain(more);
        // A folder with a colon in its name cannot be on a path.
        if let Ok(joined) = std::env::join_paths(paths)
            && !joined.is_empty()
        {
            all.insert(name.into(), joined);
        }
    };
    append("PATH", below(&["bin"]));
    let version = match &spec.kind {
        FunctionKind::Handler { runtime, .. } => runtime.trim_end_matches(".x").to_owned(),
        _ => String::new(),
    };
    let mut libraries = below(&["lib"]);
    libraries.extend(Some(task_root(spec).join("lib")).filter(|folder| folder.is_dir()));
    append("LD_LIBRARY_PATH", libraries);
    if version.starts_with("python") {
        append("PYTHONPATH", below(&["python", &format!("python/lib/{version}/site-packages")]));
    }
    if let Some(number) = version.strip_prefix("nodejs") {
        append("NODE_PATH", below(&["nodejs/node_modules", &format!("nodejs/node{number}/node_modules")]));
    }
}

/// The folder with the function's code.
pub fn task_root(spec: &FunctionSpec) -> PathBuf {
    match &spec.kind {
        FunctionKind::Handler { code, .. } if code.is_dir() => code.clone(),
        FunctionKind::Handler { code, .. } => code.parent().unwrap_or(&spec.folder).to_owned(),
        _ => spec.folder.clone(),
    }
}

/// How an environment was started, in AWS's word.
pub fn initialization(provisioned: bool) -> &'static str {
    if provisioned { "provisioned-concurrency" } else { "on-demand" }
}

/// Whether external extensions see this variable: what is about the runtime is hidden from them.
pub fn is_shown_to_extensions(name: &OsStr) -> bool {
    const HIDDEN: [&str; 5] = [
        "AWS_EXECUTION_ENV",
        "AWS_LAMBDA_LOG_GROUP_NAME",
        "AWS_LAMBDA_LOG_STREAM_NAME",
        "_X_AMZN_TRACE_ID",
        "_HANDLER",
    ];
    let name = name.to_string_lossy();
    let families = ["AWS_XRAY_", "LAMBDA_"];
    !HIDDEN.contains(&name.as_ref()) && !families.iter().any(|family| name.starts_with(family))
}

/// The name of the log stream of the environment with this id (32 hex digits). In a log group that may be shared
/// it names the function.
pub fn log_stream(now: Timestamp, spec: &FunctionSpec, id: &str) -> String {
    let date = now.iso_seconds();
    let day = date.get(..10).unwrap_or_default().replace('-', "/");
    let name = if spec.logging.group.is_some() { spec.name.as_str() } else { "" };
    format!("{day}/{name}[{}]{id}", spec.version)
}

/// The handler as processes see it in `_HANDLER`.
pub fn handler(kind: &FunctionKind) -> String {
    match kind {
        FunctionKind::Handler { handler, .. } => handler.clone(),
        FunctionKind::Run { command, .. } | FunctionKind::Exec { command } => {
            let program = command.first().map(Path::new).and_then(Path::file_name);
            program.map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
        }
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_functions_own_variables_win_over_ours_but_for_the_reserved_ones() {
        let kind = FunctionKind::Handler {
            runtime: "python3.12".into(),
            handler: "app.go".into(),
            code: "/x".into(),
        };
        let spec = FunctionSpec {
            timeout: None,
            memory_mb: 256,
            env: BTreeMap::from([("TZ".into(), "Europe/Berlin".into()), ("_HANDLER".into(), "no".into())]),
            ..FunctionSpec::new("f", kind, "/x".into())
        };
        let services = Services {
            endpoint: "http://127.0.0.1:4566".into(),
            access_key: "team".into(),
            secret_key: "of-ours".into(),
        };
        let setting = Setting {
            spec: &spec,
            place: &Place::default(),
            runtimes: Path::new("/r"),
            log_stream: "s",
            services: Some(&services),
            provisioned: false,
            tmp: None,
        };
        let all = of(&setting, &[("AWS_LAMBDA_RUNTIME_API", "127.0.0.1:1")]);
        let value =
            |name: &str| all.get(&OsString::from(name)).map(|value| value.to_string_lossy().into_owned());
        assert_eq!(value("TZ"), Some("Europe/Berlin".into()));
        assert_eq!(value("_HANDLER"), Some("app.go".into()));
        assert_eq!(value("AWS_EXECUTION_ENV"), Some("AWS_Lambda_python3.12".into()));
        assert_eq!(value("AWS_LAMBDA_FUNCTION_MEMORY_SIZE"), Some("256".into()));
        assert_eq!(value("AWS_ENDPOINT_URL"), Some("http://127.0.0.1:4566".into()));
        assert_eq!(value("AWS_ACCESS_KEY_ID"), Some("team".into()));
        assert_eq!(value("AWS_SECRET_ACCESS_KEY"), Some("of-ours".into()));
        assert_eq!(value("CARGO"), None);
        assert!(is_shown_to_extensions(OsStr::new("AWS_REGION")));
        assert!(!is_shown_to_extensions(OsStr::new("LAMBDA_TASK_ROOT")));
    }

    #[test]
    fn layers_are_on_every_path() {
        let kind = |runtime: &str| FunctionKind::Handler {
            runtime: runtime.into(),
            handler: "app.go".into(),
            code: "/nowhere/x".into(),
        };
        let check = |runtime: &str, name: &str, expected: &str| {
            let mut spec = FunctionSpec::new("f", kind(runtime), "/x".into());
            spec.layers = vec!["/a".into(), "/b".into()];
            let mut all = BTreeMap::from([(OsString::from("PATH"), OsString::from("/bin"))]);
            layered(&spec, &mut all);
            let value = all.get(OsStr::new(name)).map(|value| value.to_string_lossy().into_owned());
            assert_eq!(value.unwrap_or_default(), expected, "{runtime} {name}");
        };
        check("python3.12", "PATH", "/bin:/b/bin:/a/bin");
        check("python3.12", "LD_LIBRARY_PATH", "/b/lib:/a/lib");
        let python = "/b/python:/b/python/lib/python3.12/site-packages:/a/python:\
                      /a/python/lib/python3.12/site-packages";
        check("python3.12", "PYTHONPATH", python);
        let node = "/b/nodejs/node_modules:/b/nodejs/node20/node_modules:/a/nodejs/node_modules:\
                    /a/nodejs/node20/node_modules";
        check("nodejs20.x", "NODE_PATH", node);
        check("nodejs20.x", "PYTHONPATH", "");
    }

    #[test]
    fn log_streams_begin_with_the_day() {
        let mut spec = FunctionSpec::new("f", FunctionKind::Attach, "/x".into());
        let name = |spec: &FunctionSpec| log_stream(Timestamp::from_millis(0), spec, "0123");
        assert_eq!(name(&spec), "1970/01/01/[$LATEST]0123");
        spec.version = "3".into();
        assert_eq!(name(&spec), "1970/01/01/[3]0123");
        spec.logging.group = Some("shared".into());
        assert_eq!(name(&spec), "1970/01/01/f[3]0123");
    }
}
