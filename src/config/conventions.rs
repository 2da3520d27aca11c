//! What folders alone say: `buckets/NAME` is a bucket, `functions/NAME` a function, one of each is wired.

use std::path::{Path, PathBuf};

use super::{Config, From, FunctionKind, FunctionSpec, Origin, WireSpec, names, programs, sources};

/// What makes a folder a function, first found first: the file, and for handlers runtime and handler.
const MARKS: &[(&str, Mark)] = &[
    ("index.mjs", Mark::Handler("nodejs", "index.handler")),
    ("index.js", Mark::Handler("nodejs", "index.handler")),
    ("index.cjs", Mark::Handler("nodejs", "index.handler")),
    ("app.py", Mark::Handler("python3", "app.handler")),
    ("lambda_function.py", Mark::Handler("python3", "lambda_function.lambda_handler")),
    ("bootstrap", Mark::Bootstrap),
    ("main.sh", Mark::Script),
];

#[derive(Clone, Copy)]
enum Mark {
    Handler(&'static str, &'static str),
    Bootstrap,
    Script,
}

/// The config of a folder without a wiring file. Nothing in it is an error; what is left alone is remarked.
pub(super) fn config(root: &Path) -> Config {
    let mut config = Config::empty(root.to_owned());
    for name in folders_in(&root.join("buckets")) {
        match names::broken_rule("bucket", &name) {
            None => {
                config.buckets.insert(name.clone(), sources::default_bucket(root, &name, Origin::default()));
            }
            Some(rule) => {
                config.remarks.push(format!("buckets/{name} is left alone: a bucket is called by {rule}"))
            }
        }
    }
    for name in folders_in(&root.join("functions")) {
        match function(root, &name) {
            Ok(function) => {
                config.functions.insert(name, function);
            }
            Err(reason) => config.remarks.push(format!("functions/{name} is left alone: {reason}")),
        }
    }
    wire(&mut config);
    for template in ["template.yaml", "template.yml"] {
        if root.join(template).is_file() {
            config
                .remarks
                .push(format!("{template} is left alone: dropwire 0.1 does not read SAM templates yet"));
        }
    }
    config
}

fn function(root: &Path, name: &str) -> Result<FunctionSpec, String> {
    if let Some(rule) = names::broken_rule("function", name) {
        return Err(format!("a function is called by {rule}"));
    }
    let folder = root.join("functions").join(name);
    let found = MARKS.iter().find(|(file, _)| folder.join(file).is_file());
    let kind = match found {
        Some((_, Mark::Handler(runtime, handler))) => FunctionKind::Handler {
            runtime: (*runtime).to_owned(),
            handler: (*handler).to_owned(),
            code: folder.clone(),
        },
        Some((file, Mark::Bootstrap)) => {
            let program = folder.join(file);
            if !programs::executable(&program) {
                return Err(format!("its bootstrap is not executable (chmod +x functions/{name}/bootstrap)"));
            }
            let command = vec![program.to_string_lossy().into_owned()];
            FunctionKind::Run { command, build: None, watch: Vec::new() }
        }
        Some((file, Mark::Script)) => FunctionKind::Exec { command: vec!["sh".into(), (*file).to_owned()] },
        None => {
            let files: Vec<&str> = MARKS.iter().map(|(file, _)| *file).collect();
            return Err(format!(
                "it holds none of {} (or write [function.{name}] into dropwire.toml)",
                files.join(", ")
            ));
        }
    };
    Ok(FunctionSpec::new(name, kind, folder))
}

/// One bucket and one function are wired. More are not guessed: the lines to add are remarked.
fn wire(config: &mut Config) {
    let buckets: Vec<&str> = config.buckets.keys().map(String::as_str).collect();
    let functions: Vec<&str> = config.functions.keys().map(String::as_str).collect();
    match (buckets.as_slice(), functions.as_slice()) {
        ([bucket], [function]) => {
            let remark = format!(
                "wired by convention: s3 {bucket} → {function} (write it down: dropwire init --wiring)"
            );
            let wire = conventional_wire(bucket, function);
            config.wires.push(wire);
            config.remarks.push(remark);
        }
        ([], _) | (_, []) => {}
        (buckets, functions) => {
            let lines: Vec<String> = functions
                .iter()
                .map(|name| format!("  [function.{name}]\n  on = \"s3:{}\"", buckets[0]))
                .collect();
            let counts =
                format!("{} and {}", count(buckets.len(), "bucket"), count(functions.len(), "function"));
            let others =
                if buckets.len() > 1 { format!(" (buckets: {})", buckets.join(", ")) } else { String::new() };
            config.remarks.push(format!(
                "{counts}: which belongs to which is not guessed; say it in dropwire.toml{others}, for example\n{}",
                lines.join("\n")
            ));
        }
    }
}

fn conventional_wire(bucket: &str, function: &str) -> WireSpec {
    WireSpec {
        id: format!("{function}/on"),
        function: function.to_owned(),
        from: From::Bucket {
            bucket: bucket.to_owned(),
            events: vec!["ObjectCreated:*".into()],
            prefix: String::new(),
            suffix: String::new(),
        },
        dlq: None,
        on_failure: None,
        on_success: None,
        retries: None,
        backoff: None,
        age_max: None,
        origin: Origin::default(),
    }
}

fn count(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

/// The names of the folders in a folder, sorted, without hidden ones; none if it is not there.
fn folders_in(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let folders = entries.map(|entry| entry.path()).filter(|path: &PathBuf| path.is_dir());
    let mut names: Vec<String> =
        folders.filter_map(|path| path.file_name().map(|name| name.to_string_lossy().into_owned())).collect();
    names.retain(|name| !name.starts_with('.'));
    names.sort();
    names
}
