//! Everything that the Lambda service knows, in memory, and how a change alters it. Pure.
//!
//! ```text
//!            create                    applied
//!   nothing ───────▶ Creating (Pending) ──────▶ settled (Active, Successful)
//!                     settled ──update──▶ Updating (InProgress) ──applied──▶ settled
//! ```
//! A mapping goes the same way through `Creating`, `Enabling`, `Disabling`, `Updating`; one that is `Deleting` is gone
//! from the database at once, and from here when that is applied.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::PathBuf;
use std::sync::{Arc, LazyLock};

use super::errors::{missing, no_function};
use super::names::{Target, is_version};
use super::things::{
    Alias, Head, InvokeConfig, Key, Kind, LayerHead, LayerVersion, Mapping, Policy, Provisioned, RuntimeRule,
    Thing, Url, Version,
};
use crate::arn::Place;
use crate::aws::AwsError;
use crate::config::{FunctionSpec, LATEST};
use crate::random;

/// What else there is in the simulated world, by name.
#[derive(Clone, Debug, Default)]
pub struct Neighbours {
    /// Functions of the wiring file.
    pub declared: BTreeMap<String, FunctionSpec>,
    /// Buckets and their folders: an object's key is the file's path below.
    pub buckets: BTreeMap<String, PathBuf>,
    /// Tables and the ARNs of their streams.
    pub tables: BTreeMap<String, String>,
    /// Topics.
    pub topics: BTreeSet<String>,
    /// Queues.
    pub queues: BTreeSet<String>,
}

/// A function and all that belongs to it.
#[derive(Default)]
pub struct Function {
    /// What belongs to it as a whole.
    pub head: Head,
    /// Its versions by number, 0 for `$LATEST`. A declared function's `$LATEST` is not among them.
    pub versions: BTreeMap<u32, Arc<Version>>,
    /// Its aliases by name.
    pub aliases: BTreeMap<String, Alias>,
    /// Policies by qualifier, empty for none.
    pub policies: BTreeMap<String, Policy>,
    /// Event-invoke configurations by qualifier, `$LATEST` for none.
    pub invoke_configs: BTreeMap<String, InvokeConfig>,
    /// URLs by alias, empty for none.
    pub urls: BTreeMap<String, Url>,
    /// Provisioned concurrency by version or alias.
    pub provisioned: BTreeMap<String, Provisioned>,
    /// Runtime management by version.
    pub runtime_rules: BTreeMap<String, RuntimeRule>,
}

/// A function of the wiring file.
pub struct Declared {
    /// As it is declared.
    pub spec: FunctionSpec,
    /// The same as the API shows it.
    pub view: Arc<Version>,
}

/// A layer with its versions.
#[derive(Default)]
pub struct Layer {
    /// What belongs to it as a whole.
    pub head: LayerHead,
    /// Its versions by number.
    pub versions: BTreeMap<u32, Arc<LayerVersion>>,
}

/// What happens to a thing until the change is applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// It is new.
    Creating,
    /// A version that is new, and shown as if it had always been there.
    Publishing,
    /// It has changed.
    Updating,
    /// A mapping that delivers again.
    Enabling,
    /// A mapping that delivers no more.
    Disabling,
    /// A mapping that is gone.
    Deleting,
}

/// One alteration of the world.
#[derive(Clone, Debug)]
pub enum Edit {
    /// This thing is now so.
    Put(Key, Box<Thing>),
    /// This thing is gone.
    Remove(Kind, Key),
    /// This function and everything of it is gone.
    RemoveFunction(String),
    /// This version (0 for `$LATEST`) is in this phase until the change is applied. Not kept.
    Unsettled(String, u32, Phase),
    /// This mapping is in this phase until the change is applied. Not kept.
    Moving(String, Phase),
}

impl Edit {
    /// This thing is now so.
    pub fn put(key: Key, thing: Thing) -> Edit {
        Edit::Put(key, Box::new(thing))
    }
}

/// Everything that the Lambda service knows.
#[derive(Default)]
pub struct World {
    /// Functions by name, with the records of declared ones.
    pub functions: BTreeMap<String, Function>,
    /// Mappings by id.
    pub mappings: BTreeMap<String, Arc<Mapping>>,
    /// Mappings that are being deleted, by id.
    pub leaving: BTreeMap<String, Arc<Mapping>>,
    /// Layers by name.
    pub layers: BTreeMap<String, Layer>,
    /// Functions of the wiring file.
    pub declared: BTreeMap<String, Declared>,
    /// Functions and qualifiers by the 32 characters of their URLs.
    pub addresses: HashMap<String, (String, String)>,
    /// What else there is.
    pub around: Neighbours,
    /// Grows with every change that the app must apply.
    pub generation: u64,
    unsettled: BTreeMap<(String, u32), (Phase, u64)>,
    moving: BTreeMap<String, (Phase, u64)>,
}

static NOTHING: LazyLock<Function> = LazyLock::new(Function::default);

impl World {
    /// Whether there is such a function now.
    pub fn exists(&self, name: &str) -> bool {
        self.declared.contains_key(name)
            || self.functions.get(name).is_some_and(|function| function.versions.contains_key(&0))
    }
    /// The names of all functions, in order.
    pub fn names(&self) -> BTreeSet<&str> {
        let made = self.functions.iter().filter(|(_, function)| function.versions.contains_key(&0));
        made.map(|(name, _)| name.as_str()).chain(self.declared.keys().map(String::as_str)).collect()
    }
    /// What belongs to a function; nothing if nothing was ever made of it.
    pub fn function(&self, name: &str) -> &Function {
        self.functions.get(name).unwrap_or(&NOTHING)
    }
    /// A version of a function, 0 for `$LATEST`.
    pub fn version(&self, name: &str, number: u32) -> Option<Arc<Version>> {
        match self.declared.get(name).filter(|_| number == 0) {
            Some(declared) => Some(declared.view.clone()),
            None if self.exists(name) => self.function(name).versions.get(&number).cloned(),
            None => None,
        }
    }
    /// The number of a version by its text: `$LATEST` is 0. None if there is no such version.
    pub fn number(&self, name: &str, version: &str) -> Option<u32> {
        let number = if version == LATEST { Some(0) } else { version.parse().ok().filter(|n| *n > 0) };
        number.filter(|number| self.version(name, *number).is_some())
    }

    /// The version that a qualifier means; an alias means the version that it names first.
    pub fn find(&self, place: &Place, target: &Target) -> Result<(u32, Arc<Version>), AwsError> {
        let name = target.name.as_str();
        let qualifier = target.version();
        let alias = || self.function(name).aliases.get(qualifier).map(|alias| alias.version.as_str());
        let version = if qualifier == LATEST || is_version(qualifier) { Some(qualifier) } else { alias() };
        let number = version.and_then(|version| self.number(name, version));
        let found = number.and_then(|number| Some((number, self.version(name, number)?)));
        found.ok_or_else(|| no_function(place, name, target.qualifier.as_deref()))
    }
    /// A failure if there is no such function.
    pub fn must_exist(&self, place: &Place, name: &str) -> Result<&Function, AwsError> {
        if self.exists(name) { Ok(self.function(name)) } else { Err(no_function(place, name, None)) }
    }

    /// The phase of a version until its change is applied.
    pub fn phase(&self, name: &str, number: u32) -> Option<Phase> {
        self.unsettled.get(&(name.to_owned(), number)).map(|(phase, _)| *phase)
    }
    /// The phase of a mapping until its change is applied.
    pub fn mapping_phase(&self, id: &str) -> Option<Phase> {
        self.moving.get(id).map(|(phase, _)| *phase)
    }
    /// Whether something of this function waits to be applied.
    pub fn is_settled(&self, name: &str) -> bool {
        let of_it = |id: &String| self.mappings.get(id).is_some_and(|mapping| mapping.function == name);
        !self.unsettled.keys().any(|(of, _)| of == name) && !self.moving.keys().any(of_it)
    }
    /// The revision of a version as it is shown: another one once the change is applied.
    pub fn revision(&self, name: &str, number: u32, version: &Version) -> String {
        shown_revision(version, self.phase(name, number))
    }
    /// A mapping, one that is being deleted too.
    pub fn mapping(&self, id: &str) -> Result<&Arc<Mapping>, AwsError> {
        let found = self.mappings.get(id).or_else(|| self.leaving.get(id));
        found.ok_or_else(|| missing(super::errors::NOT_THERE))
    }
    /// The concurrency that is reserved by functions, all together, without this one.
    pub fn reserved_by_others(&self, name: &str) -> u32 {
        let others = self.functions.iter().filter(|(other, _)| *other != name && self.exists(other));
        others.filter_map(|(_, function)| function.head.reserved).sum()
    }

    /// All that changes up to this generation is applied.
    pub fn settle(&mut self, generation: u64) {
        self.unsettled.retain(|_, (_, since)| *since > generation);
        self.moving.retain(|_, (_, since)| *since > generation);
        let moving = &self.moving;
        self.leaving.retain(|id, _| moving.contains_key(id));
    }

    /// Alters the world. Says whether the app has to apply something.
    pub fn apply(&mut self, edits: Vec<Edit>) -> bool {
        let matters = edits.iter().any(|edit| self.matters(edit));
        self.generation += u64::from(matters);
        edits.into_iter().for_each(|edit| self.alter(edit));
        matters
    }

    fn matters(&self, edit: &Edit) -> bool {
        match edit {
            Edit::Put(key, thing) => match &**thing {
                Thing::Head(head) => self.function(&key.name).head.reserved != head.reserved,
                other => is_for_the_app(other.kind()),
            },
            Edit::Remove(kind, _) => is_for_the_app(*kind),
            _ => true,
        }
    }

    fn alter(&mut self, edit: Edit) {
        match edit {
            Edit::Put(key, thing) => self.put(key, *thing),
            Edit::Remove(kind, key) => self.remove(kind, &key),
            Edit::RemoveFunction(name) => {
                self.functions.remove(&name);
                self.addresses.retain(|_, (of, _)| *of != name);
                self.unsettled.retain(|(of, _), _| *of != name);
            }
            Edit::Unsettled(name, number, phase) => {
                self.unsettled.insert((name, number), (phase, self.generation));
            }
            Edit::Moving(id, phase) => {
                self.moving.insert(id, (phase, self.generation));
            }
        }
    }

    fn put(&mut self, Key { name, part }: Key, thing: Thing) {
        match thing {
            Thing::Mapping(mapping) => drop(self.mappings.insert(name, Arc::new(mapping))),
            Thing::LayerHead(head) => self.layers.entry(name).or_default().head = head,
            Thing::LayerVersion(version) => {
                let number = part.parse().unwrap_or_default();
                self.layers.entry(name).or_default().versions.insert(number, Arc::new(version));
            }
            thing => {
                if let Thing::Url(url) = &thing {
                    self.addresses.insert(url.id.clone(), (name.clone(), part.clone()));
                }
                self.functions.entry(name).or_default().put(part, thing);
            }
        }
    }

    fn remove(&mut self, kind: Kind, key: &Key) {
        match kind {
            Kind::Mapping => {
                if let Some(mapping) = self.mappings.remove(&key.name) {
                    self.leaving.insert(key.name.clone(), mapping);
                }
            }
            Kind::LayerHead => drop(self.layers.remove(&key.name)),
            Kind::LayerVersion => {
                if let Some(layer) = self.layers.get_mut(&key.name) {
                    layer.versions.remove(&key.part.parse().unwrap_or_default());
                }
            }
            kind => {
                if let Some(function) = self.functions.get_mut(&key.name) {
                    function.remove(kind, &key.part);
                }
                if kind == Kind::Url {
                    self.addresses.retain(|_, (name, part)| (&*name, &*part) != (&key.name, &key.part));
                }
            }
        }
    }
}

impl Function {
    fn put(&mut self, part: String, thing: Thing) {
        match thing {
            Thing::Head(head) => self.head = head,
            Thing::Version(version) => drop(self.versions.insert(number_of(&part), version)),
            Thing::Alias(alias) => drop(self.aliases.insert(part, alias)),
            Thing::Policy(policy) => drop(self.policies.insert(part, policy)),
            Thing::InvokeConfig(config) => drop(self.invoke_configs.insert(part, config)),
            Thing::Url(url) => drop(self.urls.insert(part, url)),
            Thing::Provisioned(provisioned) => drop(self.provisioned.insert(part, provisioned)),
            Thing::RuntimeRule(rule) => drop(self.runtime_rules.insert(part, rule)),
            // Not of a function: put where they belong by the world.
            Thing::Mapping(_) | Thing::LayerHead(_) | Thing::LayerVersion(_) => {}
        }
    }

    fn remove(&mut self, kind: Kind, part: &str) {
        match kind {
            Kind::Head => self.head = Head::default(),
            Kind::Version => drop(self.versions.remove(&number_of(part))),
            Kind::Alias => drop(self.aliases.remove(part)),
            Kind::Policy => drop(self.policies.remove(part)),
            Kind::InvokeConfig => drop(self.invoke_configs.remove(part)),
            Kind::Url => drop(self.urls.remove(part)),
            Kind::Provisioned => drop(self.provisioned.remove(part)),
            Kind::RuntimeRule => drop(self.runtime_rules.remove(part)),
            Kind::Mapping | Kind::LayerHead | Kind::LayerVersion => {}
        }
    }
}

fn is_for_the_app(kind: Kind) -> bool {
    matches!(
        kind,
        Kind::Version
            | Kind::Alias
            | Kind::InvokeConfig
            | Kind::Provisioned
            | Kind::Mapping
            // Whether a bucket's notifications come in hangs on it.
            | Kind::Policy
    )
}

/// The number of a version by its text, 0 for `$LATEST`.
pub fn number_of(version: &str) -> u32 {
    version.parse().unwrap_or_default()
}

/// The text of a version's number: `$LATEST` for 0.
pub fn version_text(number: u32) -> String {
    if number == 0 { LATEST.to_owned() } else { number.to_string() }
}

/// The revision of a version in this phase: another one once the change is applied.
pub fn shown_revision(version: &Version, phase: Option<Phase>) -> String {
    match phase {
        None | Some(Phase::Publishing) => random::uuid_of(&[b"settled", version.revision.as_bytes()], 4),
        Some(_) => version.revision.clone(),
    }
}
