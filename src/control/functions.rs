//! Functions and direct invocations, as the control API shows them.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::server::Refused;
use super::{AttemptShown, Listed};
use crate::app::App;
use crate::function::FunctionState;
use crate::history;
use crate::lambda::names::Target;

type Here = State<Arc<App>>;

/// `GET functions/{name}`
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct FunctionShown {
    /// Its name.
    pub name: String,
    /// How it runs: `python3.12`, `run`, `exec` …
    pub kind: String,
    /// `dropwire.toml:12`, `by convention`, or `api` for one that was made by a call.
    pub origin: String,
    /// The `AWS_LAMBDA_RUNTIME_API` of the process that it waits for, if that is somebody else's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub runtime_api: Option<String>,
    /// How many invocations may run at once, if some are reserved.
    pub reserved: Option<u32>,
    /// `$LATEST` and the published versions.
    pub versions: Vec<VersionShown>,
    /// `live → 1`
    pub aliases: Vec<String>,
    /// The wires that lead to it.
    pub wires: Vec<String>,
}

/// One version of a function.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct VersionShown {
    /// `$LATEST`, or its number.
    pub version: String,
    /// Invocations since the start that succeeded.
    pub ok: u64,
    /// Invocations since the start that failed.
    pub failed: u64,
    /// Environments that were started since the start.
    pub cold_starts: u64,
    /// Invocations since the start that found an environment ready.
    pub warm_starts: u64,
    /// Its environments.
    pub environments: Vec<EnvironmentShown>,
}

/// One execution environment.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct EnvironmentShown {
    /// Its log stream.
    pub log_stream: String,
    /// `starting`, `busy`, `idle`, `frozen`, `reset`
    pub state: String,
    /// How many invocations it has handled.
    pub invocations: u64,
    /// How long its last start took, in milliseconds.
    pub cold_start_ms: f64,
    /// The most memory it has used, MB.
    pub memory_mb: u64,
    /// Its process; 0 if there is none.
    pub pid: u32,
    /// Whether it belongs to the provisioned concurrency.
    pub provisioned: bool,
}

/// `GET invocations/{id}` (`id`: a request id, or its first eight digits): a direct invocation.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct InvocationShown {
    /// The function.
    pub function: String,
    /// What it did and wrote.
    pub attempt: AttemptShown,
}

/// What there is of functions, a line for each version.
pub(super) fn listed(app: &App) -> Vec<Listed> {
    let line = |f: FunctionState| Listed {
        kind: "function".into(),
        about: format!("{} · {} · {} ok, {} failed", f.kind, environments_in_words(&f), f.ok, f.failed),
        name: f.key(),
        facts: json!({
            "kind": f.kind, "version": f.version, "warm": f.warm, "busy": f.busy, "ok": f.ok, "failed": f.failed,
            "cold_starts": f.cold_starts, "warm_starts": f.warm_starts, "environments": f.environments,
            "declared_at": f.origin, "origin": origin(&f), "runtime_api": f.runtime_api,
        }),
    };
    app.functions().list().into_iter().map(line).collect()
}

/// `2 warm, 1 busy`, and what else there is of environments.
fn environments_in_words(state: &FunctionState) -> String {
    if let Some(address) = &state.runtime_api {
        return format!("AWS_LAMBDA_RUNTIME_API={address}, {} busy", state.busy);
    }
    let of = |wanted: &str| state.environments.iter().filter(|one| one.state == wanted).count();
    let mut words = vec![format!("{} warm", state.warm), format!("{} busy", state.busy)];
    for (name, count) in [("starting", of("starting")), ("reset", of("reset"))] {
        if count > 0 {
            words.push(format!("{count} {name}"));
        }
    }
    words.join(", ")
}

/// Where a function comes from.
fn origin(state: &FunctionState) -> String {
    if state.origin.is_empty() { "api".into() } else { state.origin.clone() }
}

pub(super) async fn function(
    State(app): Here,
    Path(name): Path<String>,
) -> Result<Json<FunctionShown>, Refused> {
    let (name, version) = name.split_once(':').map_or((name.as_str(), None), |(name, v)| (name, Some(v)));
    let states: Vec<FunctionState> = app.functions().list().into_iter().filter(|f| f.name == name).collect();
    let unknown = || Refused::unknown(format!("there is no function `{name}`"), "dropwire list functions");
    let latest = states.first().ok_or_else(unknown)?;
    let mut aliases = Vec::new();
    for (_, alias) in app.lambda().aliases().into_iter().filter(|(of, _)| of == name) {
        let target = Target { name: name.to_owned(), qualifier: Some(alias.clone()) };
        let leads_to = app.lambda().resolve(&target).map(|resolved| resolved.version);
        aliases.push(format!("{alias} → {}", leads_to.unwrap_or_else(|_| "?".into())));
    }
    let wires = app.queue().wires();
    let mut wires: Vec<String> = wires
        .all()
        .filter(|wire| wire.target.kind() == "function" && wire.target.name() == name && !wire.is_made())
        .map(|wire| wire.id.clone())
        .collect();
    wires.sort();
    Ok(Json(FunctionShown {
        name: name.to_owned(),
        kind: latest.kind.clone(),
        origin: origin(latest),
        runtime_api: latest.runtime_api.clone(),
        reserved: app.lambda().reserved().get(name).copied(),
        aliases,
        wires,
        versions: states
            .iter()
            .filter(|f| version.is_none_or(|v| f.version == v))
            .map(version_shown)
            .collect(),
    }))
}

fn version_shown(state: &FunctionState) -> VersionShown {
    let environments = state.environments.iter().map(|one| EnvironmentShown {
        log_stream: one.log_stream.clone(),
        state: one.state.to_owned(),
        invocations: one.invocations,
        cold_start_ms: one.cold_start_ms,
        memory_mb: one.memory_mb,
        pid: one.pid,
        provisioned: one.provisioned,
    });
    VersionShown {
        version: state.version.clone(),
        ok: state.ok,
        failed: state.failed,
        cold_starts: state.cold_starts,
        warm_starts: state.warm_starts,
        environments: environments.collect(),
    }
}

pub(super) async fn invocation(
    State(app): Here,
    Path(id): Path<String>,
) -> Result<Json<InvocationShown>, Refused> {
    // What has just ended may not be written down yet.
    app.invoker().parts().journal.write().await;
    let found = history::invocation(app.queue().store().read(), &id).await?;
    found
        .map(Json)
        .ok_or_else(|| Refused::unknown(format!("there is no invocation {id}"), "dropwire list functions"))
}
