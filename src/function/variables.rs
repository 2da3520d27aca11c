//! The environment variables of a function's process. Pure but for reading our own few.
//!
//! Of our own environment a function gets `PATH`, `HOME`, `TMPDIR` and `LANG`, so that interpreters work, and
//! nothing else: what a function needs is declared, as it would have to be on AWS.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use crate::arn::Place;
use crate::clock::Timestamp;
use crate::config::{FunctionKind, FunctionSpec};
use crate::random;

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
}

/// Everything that is set for a process of this function; later wins: ours of the platform, the function's own.
/// `AWS_LAMBDA_RUNTIME_API` and the like come last and cannot be overridden.
pub fn of(setting: &Setting, reserved: &[(&str, &str)]) -> BTreeMap<OsString, OsString> {
    let spec = setting.spec;
    let mut all: BTreeMap<OsString, OsString> = BTreeMap::new();
    for (name, unset) in
        [("PATH", "/usr/local/bin:/usr/bin:/bin"), ("HOME", ""), ("TMPDIR", ""), ("LANG", "en_US.UTF-8")]
    {
        let value = std::env::var_os(name).unwrap_or_else(|| unset.into());
        if !value.is_empty() {
            all.insert(name.into(), value);
        }
    }
    let mut set = |name: &str, value: &str| drop(all.insert(name.into(), value.into()));
    set("TZ", ":UTC");
    set("AWS_XRAY_CONTEXT_MISSING", "LOG_ERROR");
    // No daemon listens there; without an address the tracing library refuses to start.
    set("AWS_XRAY_DAEMON_ADDRESS", "127.0.0.1:2000");
    set("AWS_ACCESS_KEY_ID", "test");
    set("AWS_SECRET_ACCESS_KEY", "test");
    set("AWS_SESSION_TOKEN", "test");
    set("AWS_REGION", &setting.place.region);
    set("AWS_DEFAULT_REGION", &setting.place.region);
    if let FunctionKind::Handler { runtime, .. } = &spec.kind
        && !runtime.starts_with("provided")
    {
        set("AWS_EXECUTION_ENV", &format!("AWS_Lambda_{runtime}"));
    }
    for (name, value) in &spec.env {
        set(name, value);
    }
    set("AWS_LAMBDA_FUNCTION_NAME", &spec.name);
    set("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST");
    set("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", &spec.memory_mb.to_string());
    set("AWS_LAMBDA_LOG_GROUP_NAME", &format!("/aws/lambda/{}", spec.name));
    set("AWS_LAMBDA_LOG_STREAM_NAME", setting.log_stream);
    set("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand");
    set("_HANDLER", &handler(&spec.kind));
    for (name, value) in reserved {
        set(name, value);
    }
    all.insert("LAMBDA_TASK_ROOT".into(), task_root(spec).into());
    all.insert("LAMBDA_RUNTIME_DIR".into(), setting.runtimes.into());
    all
}

/// The folder with the function's code.
pub fn task_root(spec: &FunctionSpec) -> PathBuf {
    match &spec.kind {
        FunctionKind::Handler { code, .. } if code.is_dir() => code.clone(),
        FunctionKind::Handler { code, .. } => code.parent().unwrap_or(&spec.folder).to_owned(),
        _ => spec.folder.clone(),
    }
}

/// The name of an environment's log stream: it follows from `seed`.
pub fn log_stream(now: Timestamp, seed: &[&[u8]]) -> String {
    let date = now.iso_seconds();
    let day = date.get(..10).unwrap_or_default().replace('-', "/");
    format!("{day}/[$LATEST]{}", hex::encode(&random::digest(seed)[..16]))
}

fn handler(kind: &FunctionKind) -> String {
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
        let setting =
            Setting { spec: &spec, place: &Place::default(), runtimes: Path::new("/r"), log_stream: "s" };
        let all = of(&setting, &[("AWS_LAMBDA_RUNTIME_API", "127.0.0.1:1")]);
        let value =
            |name: &str| all.get(&OsString::from(name)).map(|value| value.to_string_lossy().into_owned());
        assert_eq!(value("TZ"), Some("Europe/Berlin".into()));
        assert_eq!(value("_HANDLER"), Some("app.go".into()));
        assert_eq!(value("AWS_EXECUTION_ENV"), Some("AWS_Lambda_python3.12".into()));
        assert_eq!(value("AWS_LAMBDA_FUNCTION_MEMORY_SIZE"), Some("256".into()));
        assert_eq!(value("CARGO"), None);
    }

    #[test]
    fn log_streams_begin_with_the_day() {
        let name = log_stream(Timestamp::from_millis(0), &[b"x"]);
        assert!(name.starts_with("1970/01/01/[$LATEST]") && name.len() == 52);
    }
}
