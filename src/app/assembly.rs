//! What the wiring file declares and what was made by calls, put together: functions, wires, and what they lead to.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;

use super::App;
use crate::arn::{Arn, Place};
use crate::clock::real;
use crate::config::{Config, FunctionSpec, LATEST, resolve};
use crate::delivery::{Outcome, Parcel, Target};
use crate::function::{Functions, Problem};
use crate::lambda::{self, Lambda, Neighbours};
use crate::source::s3;
use crate::store::StoreError;
use crate::wire::{Filter, Wire};

/// An alias of a function: which version an attempt goes to is decided when it is made.
struct Alias {
    lambda: Arc<Lambda>,
    functions: Functions,
    target: lambda::Target,
}

#[async_trait]
impl Target for Alias {
    async fn attempt(&self, parcel: &Parcel) -> Outcome {
        let resolved = self.lambda.resolve(&self.target).ok();
        let led = resolved.and_then(|to| Some((self.functions.get(&to.key)?, to.version)));
        match led {
            Some((function, version)) => function.attempt(parcel).await.by_version(&version),
            None => {
                let lambda::Target { name, qualifier } = &self.target;
                let alias = qualifier.as_deref().unwrap_or(LATEST);
                Outcome::Unavailable(format!("function {name} has no version behind its alias {alias}"))
            }
        }
    }

    fn concurrency(&self) -> usize {
        let version = self.lambda.resolve(&self.target).ok();
        version
            .and_then(|resolved| self.functions.get(&resolved.key))
            .map_or(1, |function| function.concurrency())
    }
}

impl App {
    /// From now on functions, wires and targets are those of this wiring and of the registry.
    pub(super) async fn connect(&self, config: &Config) -> Result<Vec<Problem>, StoreError> {
        self.lambda.surround(self.neighbours(config));
        let problems = self.functions.replace(self.specs(config)).await;
        self.functions.reserve(self.lambda.reserved());
        self.functions.provision(self.lambda.provisioned());
        self.queue.rewire(self.wires(config)).await?;
        self.serve(config);
        Ok(problems)
    }

    /// Applies what calls change in the registry, as they come, until everything ends.
    pub(super) async fn follow_registry(self: Arc<App>) {
        let mut changes = self.lambda.changes();
        loop {
            let generation = *changes.borrow_and_update();
            let applied = {
                let _alone = self.reconfiguring.lock().await;
                let config = self.config();
                self.connect(&config).await
            };
            match applied {
                Ok(_) => self.lambda.applied(generation),
                Err(error) => {
                    self.timeline.notice(self.clock.now(), "error", format!("{error}; trying again"));
                    if self.stop.run_until_cancelled(real::sleep(super::SOURCE_PAUSE)).await.is_none() {
                        return;
                    }
                    continue;
                }
            }
            let more = self.stop.run_until_cancelled(changes.changed()).await;
            if !matches!(more, Some(Ok(()))) {
                return;
            }
        }
    }

    /// What the registry may refer to.
    fn neighbours(&self, config: &Config) -> Neighbours {
        let parts = self.parts();
        Neighbours {
            declared: config.functions.clone(),
            buckets: config
                .buckets
                .iter()
                .map(|(name, bucket)| (name.clone(), bucket.folder.clone()))
                .collect(),
            tables: parts
                .tables
                .iter()
                .map(|(name, table)| (name.clone(), table.source.stream_arn().to_owned()))
                .collect(),
            topics: config.topics.keys().cloned().collect(),
            queues: config.queues.keys().cloned().collect(),
        }
    }

    /// All functions and published versions, by what the engine calls them.
    fn specs(&self, config: &Config) -> BTreeMap<String, FunctionSpec> {
        let mut specs = self.lambda.specs();
        // The file wins.
        specs.extend(config.functions.iter().map(|(name, spec)| (name.clone(), spec.clone())));
        specs
    }

    /// The wires of the file, those of mappings, and those of the asynchronous invocations of everything that can be
    /// invoked, with what calls have said of these.
    fn wires(&self, config: &Config) -> Vec<Wire> {
        let place = &config.sim.place;
        let mut config = config.clone();
        for (name, spec) in &mut config.functions {
            spec.asynchronous = self.lambda.asynchronous(name, None);
        }
        let mut wires = resolve::wires(&config);
        let invocations = |spec: &FunctionSpec, qualifier: Option<&str>| {
            let asynchronous = self.lambda.asynchronous(&spec.name, qualifier);
            let version = qualifier.unwrap_or(LATEST).to_owned();
            resolve::invocations(&FunctionSpec { asynchronous, version, ..spec.clone() }, place)
        };
        for (key, spec) in self.lambda.specs() {
            let qualifier = (spec.version != LATEST).then_some(spec.version.as_str());
            if !config.functions.contains_key(&key) {
                wires.push(invocations(&spec, qualifier));
            }
        }
        for (name, alias) in self.lambda.aliases() {
            if let Some(function) = self.functions.get(&name) {
                wires.push(invocations(function.spec(), Some(&alias)));
            }
        }
        wires.extend(self.lambda.mappings());
        for bucket in self.parts().buckets.values().map(|bucket| &bucket.source) {
            let notifications = s3::wires(bucket.arn(), &bucket.notification());
            wires.extend(notifications.into_iter().map(|wire| self.as_far_as_let(wire, place)));
        }
        wires
    }

    /// The notification, which carries nothing while the policy of its function does not let the bucket in.
    fn as_far_as_let(&self, wire: Wire, place: &Place) -> Wire {
        if wire.target.kind() != "function" || self.is_let(&wire.source, &wire.target, place) {
            return wire;
        }
        let (bucket, function) = (wire.source.name(), wire.target.name());
        let qualifier = wire.target.qualifier().map_or(String::new(), |it| format!(" --qualifier {it}"));
        let target = lambda::Target {
            name: function.to_owned(),
            qualifier: wire.target.qualifier().map(str::to_owned),
        };
        if !self.lambda.has(&target) {
            let named = wire.target.qualifier().map_or(String::new(), |it| format!(":{it}"));
            return Wire {
                filter: Filter::Nothing(format!("there is no function {function}{named}")),
                ..wire
            };
        }
        let why = format!(
            "the policy of function {function} does not let bucket {bucket} invoke it; it does after `aws lambda \
             add-permission --function-name {function}{qualifier} --statement-id {bucket} --action \
             lambda:InvokeFunction --principal s3.amazonaws.com --source-arn {}`",
            wire.source
        );
        Wire { filter: Filter::Nothing(why), ..wire }
    }

    /// What can be delivered to: functions, and what is somebody's destination.
    pub(super) fn serve(&self, config: &Config) {
        let place = &config.sim.place;
        let functions = self.functions.all().into_iter().map(|(key, function)| {
            let target: Arc<dyn Target> = function;
            (Arn::function(place, &key), target)
        });
        let mut targets: Vec<(Arn, Arc<dyn Target>)> = functions.collect();
        targets.extend(self.lambda.aliases().into_iter().map(|(name, alias)| {
            let arn = Arn::function(place, &name).qualified(&alias);
            let (lambda, functions) = (self.lambda.clone(), self.functions.clone());
            let target = lambda::Target { name, qualifier: Some(alias) };
            (arn, Arc::new(Alias { lambda, functions, target }) as _)
        }));
        let parts = self.parts();
        targets.extend(parts.topics.values().map(|topic| (topic.arn().clone(), topic.clone() as _)));
        let buckets = parts.buckets.values().map(|bucket| &bucket.source);
        targets
            .extend(buckets.map(|bucket| (bucket.arn().clone(), Arc::new(s3::Writer(bucket.clone())) as _)));
        drop(parts);
        self.dispatcher.serve(targets);
    }
}
