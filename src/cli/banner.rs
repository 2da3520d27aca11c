//! What `up` says first: that it is ready, where, and what is wired.

use std::path::Path;

use crate::control::{Listed, Status};
use serde_json::json;

use super::client::STATE_FOLDER;
use super::page::{Look, Page, Tone, aligned, fact};
use super::voice::JSON_VERSION;
use super::words;

/// More wires are counted, not shown.
const WIRES_SHOWN: usize = 12;

/// The banner in each look. `keys` is whether keys work.
pub fn render(status: &Status, wires: &[Listed], page: Page, keys: bool) -> String {
    match page.look {
        Look::Json => json_line(status),
        Look::Plain => plain(status),
        Look::Pretty => pretty(status, wires, page, keys),
    }
}

/// `dropwire 0.1.0   ready in 84 ms        dropwire.toml · 4 functions · 7 wires · state .dropwire/`
pub fn headline(status: &Status, page: Page) -> String {
    let name = page.tone(Tone::Name, &format!("dropwire {}", status.version));
    let ready = format!("ready in {}", words::took(status.ready_ms));
    format!("  {name}   {}        {}\n", page.good(&ready), wired(status))
}

/// The keys that work.
pub fn keys_line(page: Page) -> String {
    page.aside("  h help   f fire   r replay last   q quit\n")
}

fn pretty(status: &Status, wires: &[Listed], page: Page, keys: bool) -> String {
    let arrow = page.good("➜");
    let mut text = format!("\n{}\n  {arrow} Control   http://{}\n", headline(status, page), status.address);
    let hint = page.aside("eval \"$(dropwire env)\"   then use aws or any SDK");
    text.push_str(&format!("  {arrow} AWS API   same address               {hint}\n"));
    if let Some(outside) = &status.outside {
        let note = page.aside("calls that the pair signed; plain HTTP");
        text.push_str(&format!("  {arrow} Network   {:<26} {note}\n", format!("http://{outside}")));
    }
    if !wires.is_empty() {
        let rows: Vec<Vec<String>> =
            wires.iter().take(WIRES_SHOWN).map(|wire| wire_row(wire, page)).collect();
        text.push_str(&format!("\n{}", aligned(&rows)));
        if wires.len() > WIRES_SHOWN {
            text.push_str(
                &page.aside(&format!("  …{} more: dropwire list wires\n", wires.len() - WIRES_SHOWN)),
            );
        }
    }
    if status.functions == 0 && wires.is_empty() {
        text.push_str(WAYS_ON);
    }
    if !status.remarks.is_empty() || !status.problems.is_empty() {
        text.push('\n');
    }
    for remark in &status.remarks {
        text.push_str(&page.aside(&format!("  {}\n", remark.replace('\n', "\n  "))));
    }
    for problem in &status.problems {
        text.push_str(&format!("  {} {}\n", page.bad("✗"), problem.replace('\n', "\n    ")));
    }
    text.push('\n');
    if keys {
        text.push_str(&keys_line(page));
        text.push('\n');
    }
    text
}

const WAYS_ON: &str = "
  Two ways on:
    1  dropwire init                                 a small working example in this folder
    2  mkdir -p buckets/inbox functions/hello        folders are buckets and functions
";

/// A wire's line with its arrow in a column of its own.
fn wire_row(wire: &Listed, page: Page) -> Vec<String> {
    let (from, to) = wire.about.split_once(" → ").unwrap_or((wire.about.as_str(), ""));
    let (source, place) = from.split_once(' ').unwrap_or((from, ""));
    let (function, rest) = to.split_once(' ').unwrap_or((to, ""));
    let mut row = vec![format!("  {source:<5}"), place.trim().to_owned()];
    if !function.is_empty() {
        row.push(format!("→ {}", page.name(function)));
    }
    if !rest.is_empty() {
        row.push(page.aside(rest.trim()));
    }
    row
}

fn wired(status: &Status) -> String {
    if status.functions == 0 && status.wires == 0 && status.file.is_none() {
        return "nothing is wired yet".into();
    }
    let file = status.file.as_deref().and_then(|file| Path::new(file).file_name());
    let what = file.map_or("no wiring file: by convention".into(), |name| name.to_string_lossy());
    let (functions, wires) = (words::count(status.functions, "function"), words::count(status.wires, "wire"));
    format!("{what} · {functions} · {wires} · state {STATE_FOLDER}/")
}

fn plain(status: &Status) -> String {
    let address = fact("address", &format!("http://{}", status.address));
    let outside =
        status.outside.iter().map(|host| format!(" {}", fact("outside", &format!("http://{host}"))));
    let mut text = format!(
        "{} ready {address} pid={} functions={} wires={} ready_ms={}{}\n",
        status.time,
        status.pid,
        status.functions,
        status.wires,
        status.ready_ms,
        outside.collect::<String>()
    );
    for (kind, lines) in [("remark", &status.remarks), ("problem", &status.problems)] {
        for line in lines {
            text.push_str(&format!("{} {kind} {}\n", status.time, fact("text", line)));
        }
    }
    text
}

fn json_line(status: &Status) -> String {
    let line = json!({
        "v": JSON_VERSION, "seq": 0, "at": status.time, "kind": "ready", "id": null, "cause": null, "status": status,
    });
    format!("{line}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(functions: usize) -> Status {
        Status {
            version: "0.1.0".into(),
            pid: 42,
            address: "127.0.0.1:4566".into(),
            outside: None,
            root: "/shop".into(),
            file: (functions > 0).then(|| "/shop/dropwire.toml".into()),
            time: "2026-01-05T09:00:00.000Z".into(),
            clock: "real".into(),
            up_seconds: 0.0,
            ready_ms: 84.2,
            events: 0,
            waiting: 0,
            running: 0,
            given_up: 0,
            dead: 0,
            next_due: None,
            functions,
            wires: functions,
            remarks: Vec::new(),
            problems: vec!["notify: no program `sh2`".into()],
        }
    }

    fn wire(about: &str) -> Listed {
        let facts = serde_json::Value::Null;
        Listed { kind: "wire".into(), name: "w".into(), about: about.into(), facts }
    }

    #[test]
    fn the_banner_says_where_and_what() {
        let page = Page { look: Look::Pretty, columns: None };
        let wires = [wire("s3 uploads/incoming/*.png → thumbnail"), wire("table orders → audit  2 retries")];
        let text = render(&status(2), &wires, page, true);
        let expected = "
  dropwire 0.1.0   ready in 84 ms        dropwire.toml · 2 functions · 2 wires · state .dropwire/

  ➜ Control   http://127.0.0.1:4566
  ➜ AWS API   same address               eval \"$(dropwire env)\"   then use aws or any SDK

  s3     uploads/incoming/*.png  → thumbnail
  table  orders                  → audit      2 retries

  ✗ notify: no program `sh2`

  h help   f fire   r replay last   q quit

";
        assert_eq!(anstream::adapter::strip_str(&text).to_string(), expected);
    }

    #[test]
    fn an_empty_folder_is_told_the_ways_on() {
        let page = Page { look: Look::Pretty, columns: None };
        let text = render(&status(0), &[], page, false);
        assert!(text.contains("nothing is wired yet") && text.contains("dropwire init"), "{text}");
        assert!(!text.contains("q quit"), "keys that do not work are not shown");
    }

    #[test]
    fn scripts_get_one_line_to_wait_for() {
        let page = Page { look: Look::Plain, columns: None };
        let text = render(&status(2), &[], page, false);
        assert!(
            text.starts_with("2026-01-05T09:00:00.000Z ready address=http://127.0.0.1:4566 pid=42 "),
            "{text}"
        );
    }
}
