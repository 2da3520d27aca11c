//! Functions of the wiring file as the API shows them, and what calls may not do to them.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::Lambda;
use super::code::measure;
use super::errors::{broken, invalid};
use super::settings::{LoggingSettings, Settings};
use super::things::{CodeRef, Version};
use super::world::{Declared, Neighbours, World};
use crate::arn::Place;
use crate::aws::AwsError;
use crate::config::{FunctionKind, FunctionSpec};
use crate::random;

/// What a function's files were like when they were last measured.
pub struct Measure {
    fingerprint: u64,
    code: CodeRef,
}

impl Lambda {
    /// What else there is in the world now. Where the wiring file declares a function that was made by a call, the file
    /// wins; a notice says so.
    pub fn surround(&self, neighbours: Neighbours) {
        let now = self.now();
        let mut covered = Vec::new();
        self.registry.alter(|world| {
            let before = std::mem::take(&mut world.declared);
            let mut declared = BTreeMap::new();
            for (name, spec) in &neighbours.declared {
                let known = before.get(name).filter(|known| known.spec == *spec);
                let modified = known.map_or(now, |known| known.view.modified);
                declared.insert(name.clone(), Declared::of(spec, self.place(), modified));
                let made = world.functions.get(name).is_some_and(|made| made.versions.contains_key(&0));
                if made && !before.contains_key(name) {
                    covered.push((name.clone(), place_of(spec)));
                }
            }
            // Another code folder is another version's business; the app knows its own functions.
            let changed = declared.len() != before.len() || declared.keys().ne(before.keys());
            world.declared = declared;
            world.around = neighbours;
            // Tables, buckets and the like come and go with their own wires.
            world.generation += u64::from(changed);
            changed
        });
        for (name, place) in covered {
            let text = format!(
                "function {name} was made by a call and is now declared in {place}: the file wins; what the call made \
                 is kept and comes back when the file says nothing of it"
            );
            self.ground.timeline.notice(self.ground.clock.now(), "warning", text);
        }
    }

    /// A version with the checksum and size of its code, which those of declared functions lack until they are asked for.
    pub(super) async fn measured(&self, name: &str, version: Arc<Version>) -> Result<Arc<Version>, AwsError> {
        if !version.code.sha256.is_empty() {
            return Ok(version);
        }
        let spec = self.registry.world().declared.get(name).map(|declared| declared.spec.clone());
        let Some(spec) = spec else { return Ok(version) };
        let kind = format!("{:?}", spec.kind);
        let roots = roots(&spec);
        let known = self.measures().get(name).map(|known| (known.fingerprint, known.code.clone()));
        let look = move || {
            let fingerprint = fingerprint(&kind, &roots);
            match known {
                Some((before, code)) if before == fingerprint => (fingerprint, Ok(code)),
                _ => (fingerprint, code_of(&kind, &roots)),
            }
        };
        let (fingerprint, code) = tokio::task::spawn_blocking(look)
            .await
            .map_err(|_| broken("the code could not be read; dropwire is stopping"))?;
        let code = match code {
            Ok(code) => code,
            Err(error) => {
                let text = format!("cannot read the code of function {name}, so it has no checksum: {error}");
                self.ground.timeline.notice(self.ground.clock.now(), "warning", text);
                return Ok(version);
            }
        };
        self.measures().insert(name.to_owned(), Measure { fingerprint, code: code.clone() });
        Ok(Arc::new(Version { code, ..(*version).clone() }))
    }
}

impl Declared {
    fn of(spec: &FunctionSpec, place: &Place, modified: i64) -> Declared {
        let (runtime, handler) = match &spec.kind {
            FunctionKind::Handler { runtime, handler, .. } => (Some(runtime.clone()), Some(handler.clone())),
            _ => (None, None),
        };
        let settings = Settings {
            runtime,
            handler,
            role: format!("arn:aws:iam::{}:role/dropwire", place.account),
            timeout: spec.timeout.map(|limit| u32::try_from(limit.as_secs()).unwrap_or(u32::MAX).max(1)),
            memory: spec.memory_mb,
            storage: spec.storage_mb,
            env: (!spec.env.is_empty()).then(|| spec.env.clone()),
            logging: LoggingSettings::of(&spec.logging),
            ..Settings::default()
        };
        let view = Version {
            description: format!("declared in {}", place_of(spec)),
            revision: random::uuid_of(&[b"declared", format!("{spec:?}").as_bytes()], 4),
            settings,
            code: CodeRef::default(),
            layers: Vec::new(),
            modified,
        };
        Declared { spec: spec.clone(), view: Arc::new(view) }
    }
}

/// Where a function is declared: `dropwire.toml:12`.
fn place_of(spec: &FunctionSpec) -> String {
    match (spec.origin.file.as_str(), spec.origin.line) {
        ("", _) => "the wiring".into(),
        (file, 0) => file.to_owned(),
        (file, line) => format!("{file}:{line}"),
    }
}

/// A failure if this function is declared: its code and configuration are changed where it is declared.
pub fn must_not_be_declared(world: &World, name: &str) -> Result<(), AwsError> {
    match world.declared.get(name) {
        None => Ok(()),
        Some(declared) => Err(invalid(format!(
            "function {name} is declared in {}; change it there",
            place_of(&declared.spec)
        ))),
    }
}

/// The folder of a declared function's code, of which versions are copies.
pub fn code_to_copy(spec: &FunctionSpec) -> Result<PathBuf, AwsError> {
    match &spec.kind {
        FunctionKind::Handler { code, .. } => Ok(code.clone()),
        _ => Err(invalid(format!(
            "function {} in {} is no runtime and handler, so there is no code folder of which a version could be a copy; \
             versions are for functions with `runtime` and `handler`",
            spec.name,
            place_of(spec)
        ))),
    }
}

/// The files and folders that a function consists of.
pub fn roots(spec: &FunctionSpec) -> Vec<PathBuf> {
    match &spec.kind {
        FunctionKind::Handler { code, .. } => vec![code.clone()],
        FunctionKind::Run { command, .. } | FunctionKind::Exec { command } => {
            let files = command.iter().map(|word| spec.folder.join(word));
            files.filter(|path| path.is_file()).collect()
        }
        _ => Vec::new(),
    }
}

/// A number that is another one after nearly every change of the files, without reading them.
fn fingerprint(kind: &str, roots: &[PathBuf]) -> u64 {
    let mut hash = DefaultHasher::new();
    kind.hash(&mut hash);
    for root in roots {
        // What cannot be read has no files.
        for (path, name) in super::archive::files(root).unwrap_or_default() {
            name.hash(&mut hash);
            if let Ok(found) = path.symlink_metadata() {
                (found.len(), found.modified().ok()).hash(&mut hash);
            }
        }
    }
    hash.finish()
}

/// Checksum and size of a function's files; of what it is if it has none.
fn code_of(kind: &str, roots: &[PathBuf]) -> io::Result<CodeRef> {
    if let [root] = roots {
        return measure(root);
    }
    let mut parts = vec![kind.as_bytes().to_vec()];
    let mut size = 0;
    for root in roots {
        let code = measure(root)?;
        parts.push(code.sha256.into_bytes());
        size += code.size;
    }
    let parts: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
    Ok(CodeRef { sha256: STANDARD.encode(random::digest(&parts)), size, unzipped: size })
}
