//! `dropwire show` of a function, and of one direct invocation.

use crate::control::functions::{EnvironmentShown, FunctionShown, InvocationShown, VersionShown};

use super::super::page::{Page, aligned, fact};
use super::super::words;

/// A function for people.
pub fn pretty(function: &FunctionShown, page: Page) -> String {
    let FunctionShown { name, kind, origin, .. } = function;
    let mut text = format!("{}   {kind}   {}\n", page.name(name), page.aside(&format!("origin: {origin}")));
    if let Some(address) = &function.runtime_api {
        text.push_str(&format!("start its process with AWS_LAMBDA_RUNTIME_API={address}\n"));
    }
    if let Some(reserved) = function.reserved {
        text.push_str(&format!("reserved concurrency {reserved}\n"));
    }
    for version in &function.versions {
        let counts = format!(
            "{} ok, {} failed   {} cold, {} warm",
            version.ok, version.failed, version.cold_starts, version.warm_starts
        );
        text.push_str(&format!("{:<8}  {counts}\n", version.version));
        let rows: Vec<Vec<String>> = version.environments.iter().map(|one| row(one, page)).collect();
        text.push_str(&aligned(&rows));
    }
    for alias in &function.aliases {
        text.push_str(&format!("alias     {alias}\n"));
    }
    for wire in &function.wires {
        text.push_str(&format!("wire      {wire}\n"));
    }
    text.push_str(&page.aside(&format!("Next:   dropwire logs {name}     dropwire why --missing {name}\n")));
    text
}

fn row(one: &EnvironmentShown, page: Page) -> Vec<String> {
    let provisioned = if one.provisioned { "provisioned" } else { "" };
    vec![
        format!("  {}", one.state),
        words::count(usize::try_from(one.invocations).unwrap_or(usize::MAX), "event"),
        format!("start {}", words::took(one.cold_start_ms)),
        format!("{} MB", one.memory_mb),
        if one.pid == 0 { String::new() } else { format!("pid {}", one.pid) },
        provisioned.into(),
        page.aside(&one.log_stream),
    ]
}

/// A function, one line a fact.
pub fn plain(function: &FunctionShown) -> String {
    let mut facts = vec!["function".to_owned(), fact("name", &function.name), fact("kind", &function.kind)];
    facts.push(fact("origin", &function.origin));
    facts.extend(function.runtime_api.as_deref().map(|address| fact("runtime_api", address)));
    facts.extend(function.reserved.map(|reserved| format!("reserved={reserved}")));
    let mut text = format!("{}\n", facts.join(" "));
    for VersionShown { version, ok, failed, cold_starts, warm_starts, environments } in &function.versions {
        text.push_str(&format!(
            "version {} ok={ok} failed={failed} cold_starts={cold_starts} warm_starts={warm_starts}\n",
            fact("version", version)
        ));
        for one in environments {
            text.push_str(&format!(
                "environment {} {} {} invocations={} cold_start_ms={} memory_mb={} pid={} provisioned={}\n",
                fact("version", version),
                fact("log_stream", &one.log_stream),
                fact("state", &one.state),
                one.invocations,
                one.cold_start_ms,
                one.memory_mb,
                one.pid,
                one.provisioned
            ));
        }
    }
    text.extend(function.aliases.iter().map(|alias| format!("alias {}\n", fact("alias", alias))));
    text.extend(function.wires.iter().map(|wire| format!("wire {}\n", fact("wire", wire))));
    text
}

/// A direct invocation.
pub fn invocation(shown: &InvocationShown, page: Page) -> String {
    let InvocationShown { function, attempt } = shown;
    let sign = if attempt.error.is_none() { page.good("✓") } else { page.bad("✗") };
    let error =
        attempt.error.as_deref().map_or(String::new(), |error| format!("   {}", words::harmless(error)));
    let init = attempt.init_ms.map_or(String::new(), |init| format!(" (start {})", words::took(init)));
    let mut text = format!(
        "call  {}  {sign} {}{init}{error}   {}   {}\n",
        page.name(function),
        words::took(attempt.duration_ms),
        words::time_of_day(&attempt.at),
        page.aside(&attempt.request_id)
    );
    if let Some(result) = &attempt.result {
        text.push_str(&format!(
            "answer  {}\n",
            words::cut(&words::harmless(result), page.columns.unwrap_or(100))
        ));
    }
    for line in attempt.log.lines() {
        text.push_str(&format!("log     {}\n", page.aside(&words::harmless(line))));
    }
    text
}
