//! The sources that the wiring file declares: opened, run, begun anew when they cannot go on, ended when they are gone.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures_util::FutureExt;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::{App, READY_MAX, SOURCE_PAUSE, SOURCE_PAUSE_MAX, Sourced};
use crate::arn::{Arn, Place};
use crate::clock::real;
use crate::config::{Config, made_bucket};
use crate::lambda::{self, permits::Invoker};
use crate::source::dynamodb::{self, Table};
use crate::source::s3::{self, Bucket, Notified, S3Api};
use crate::source::sns::{Message, OF_BUCKETS};
use crate::source::{EventSource, Outlet};
use crate::store::StoreError;

/// Ends the sources that are declared otherwise, or not at all.
fn keep<S>(sources: &mut BTreeMap<String, Sourced<S>>, is_same: impl Fn(&str) -> bool) {
    sources.retain(|name, running| {
        let same = is_same(name);
        if !same {
            running.stop.cancel();
        }
        same
    });
}

impl App {
    pub(super) async fn exchange_buckets(self: &Arc<App>, config: &Config) -> Result<(), StoreError> {
        let old = self.config();
        let is_same = |name: &str| {
            let (now, was) = (config.buckets.get(name), old.buckets.get(name));
            now.zip(was).is_some_and(|(now, was)| now.is_like(was)) && config.sim == old.sim
        };
        keep(&mut self.parts().buckets, is_same);
        let mut opened = Vec::new();
        for (name, spec) in &config.buckets {
            if self.parts().buckets.contains_key(name) {
                continue;
            }
            let ground = s3::Ground {
                place: config.sim.place.clone(),
                clock: self.clock.clone(),
                random: self.random.clone(),
                timeline: self.timeline.clone(),
                outlet: Outlet::into(self.queue.clone()),
                store: self.store.clone(),
                event_version: config.sim.event_version.clone(),
            };
            let about = format!("bucket {name}");
            match Bucket::open(spec.clone(), ground) {
                Ok(bucket) => {
                    if let Err(error) = bucket.recall().await {
                        self.timeline.notice(
                            self.clock.now(),
                            "error",
                            format!("{about}: {}", error.message),
                        );
                    }
                    let (source, stop) = (bucket.clone(), self.stop.child_token());
                    self.parts().buckets.insert(name.clone(), Sourced { source, stop: stop.clone() });
                    opened.push((name, bucket, stop));
                }
                Err(error) => self.problem(&about, &error),
            }
        }
        // Whom they notify must be known before the first of them sees what happened while nobody watched.
        let connected = self.connect(config).await;
        for (name, bucket, stop) in opened {
            if connected.is_err() {
                // What it would see now would reach nobody: it is opened anew with the next wiring.
                self.parts().buckets.remove(name);
                continue;
            }
            self.watch(&format!("bucket {name}"), bucket.clone(), stop);
            real::within(READY_MAX, bucket.ready()).await;
        }
        let open =
            self.parts().buckets.iter().map(|(name, bucket)| (name.clone(), bucket.source.clone())).collect();
        self.s3_buckets.replace(open);
        connected.map(|_| ())
    }

    /// The wiring with the buckets that calls have made; the file wins.
    pub(super) async fn with_made_buckets(&self, mut config: Config) -> Result<Config, StoreError> {
        let made = self.made_buckets.all().await?;
        config.buckets.retain(|name, bucket| {
            *bucket != made_bucket(&config.root, name) || made.iter().any(|(known, _)| known == name)
        });
        for (name, _) in made {
            let bucket = made_bucket(&config.root, &name);
            let declared = config.buckets.get(&name).is_some_and(|declared| !declared.is_like(&bucket));
            if !declared {
                config.buckets.insert(name, bucket);
            }
        }
        Ok(config)
    }

    /// Opens and ends the buckets that calls make and remove, and rewires those whose notifications they set.
    pub(super) async fn follow_buckets(self: Arc<App>, mut changes: watch::Receiver<u64>) {
        while let Some(Ok(())) = self.stop.run_until_cancelled(changes.changed()).await {
            let number = *changes.borrow_and_update();
            if let Err(error) = self.renew().await {
                self.timeline.notice(self.clock.now(), "error", error.to_string());
            }
            self.s3_buckets.applied(number);
        }
    }

    /// The S3 API on these buckets.
    pub(super) fn s3_api(self: &Arc<App>) -> S3Api {
        let app = Arc::downgrade(self);
        let publisher = app.clone();
        S3Api {
            buckets: self.s3_buckets.clone(),
            made: self.made_buckets.clone(),
            reachable: Box::new(move |one| app.upgrade().map_or(Ok(()), |app| app.is_reachable(&one))),
            publish: Box::new(move |arn, body| {
                let topic = publisher.upgrade().and_then(|app| app.topic(arn.name()));
                let message = Message { body, subject: Some(OF_BUCKETS.to_owned()), attributes: Vec::new() };
                async move {
                    match topic {
                        Some(topic) => topic.publish(&message).await.map(|_| ()),
                        // It is taken out of the wiring at this moment.
                        None => Ok(()),
                    }
                }
                .boxed()
            }),
            keys: self.keys.clone(),
            hosts: self.reach.names.clone(),
            place: self.config().sim.place.clone(),
            clock: self.clock.clone(),
            random: self.random.clone(),
            alone: tokio::sync::Mutex::default(),
        }
    }

    /// Why a bucket cannot notify this, if it cannot.
    fn is_reachable(&self, notified: &Notified<'_>) -> Result<(), String> {
        let arn = notified.target;
        let config = self.config();
        let place = &config.sim.place;
        let known = match arn.kind() {
            "function" => self.is_let(notified.bucket, arn, place),
            "topic" => *arn == Arn::topic(place, arn.name()) && self.topic(arn.name()).is_some(),
            _ => false,
        };
        match arn.kind() {
            _ if known => Ok(()),
            "function" => Err(format!("Not authorized to invoke function [{arn}]")),
            "topic" => Err("The destination topic does not exist".to_owned()),
            _ => Err("The destination does not exist".to_owned()),
        }
    }

    /// Whether this is a function of ours that lets the bucket invoke it.
    pub(super) fn is_let(&self, bucket: &Arn, function: &Arn, place: &Place) -> bool {
        let (name, qualifier) = (function.name().to_owned(), function.qualifier().map(str::to_owned));
        let invoker = Invoker { service: "s3.amazonaws.com", source: bucket, account: &place.account };
        function.unqualified() == Arn::function(place, &name)
            && self.lambda.lets(&lambda::Target { name, qualifier }, invoker)
    }

    pub(super) async fn exchange_tables(self: &Arc<App>, config: &Config) {
        let old = self.config();
        let is_same = |name: &str| {
            let (now, was) = (config.tables.get(name), old.tables.get(name));
            now.zip(was).is_some_and(|(now, was)| now.is_like(was)) && config.sim == old.sim
        };
        keep(&mut self.parts().tables, is_same);
        for (name, spec) in &config.tables {
            if self.parts().tables.contains_key(name) {
                continue;
            }
            let ground = dynamodb::Ground {
                place: config.sim.place.clone(),
                clock: self.clock.clone(),
                random: self.random.clone(),
                timeline: self.timeline.clone(),
                outlet: Outlet::into(self.queue.clone()),
                store: self.store.clone(),
            };
            let about = format!("table {name}");
            match Table::open(spec.clone(), ground).await {
                Ok(table) => {
                    let stop = self.stop.child_token();
                    self.watch(&about, table.clone(), stop.clone());
                    real::within(READY_MAX, table.ready()).await;
                    self.parts().tables.insert(name.clone(), Sourced { source: table, stop });
                }
                Err(error) => self.problem(&about, &error),
            }
        }
    }

    /// Runs a source until its token is cancelled. If it cannot go on (a full disk), that is shown, and it begins
    /// anew after a while: what happened meanwhile is in the folder or the table, and is found there.
    fn watch<S: EventSource + 'static>(
        self: &Arc<App>,
        about: &str,
        source: Arc<S>,
        token: CancellationToken,
    ) {
        let (app, about) = (self.clone(), about.to_owned());
        let mut parts = self.parts();
        parts.problems.remove(&about);
        parts.tasks.spawn(async move {
            let mut pause = SOURCE_PAUSE;
            loop {
                let run = source.clone().run(token.clone());
                tokio::pin!(run);
                let early = real::within(SOURCE_PAUSE, &mut run).await;
                if early.is_none() {
                    // It has run for a while: whatever was wrong before is not wrong now.
                    app.parts().problems.remove(&about);
                    pause = SOURCE_PAUSE;
                }
                let ended = match early {
                    Some(ended) => ended,
                    None => run.await,
                };
                let Err(error) = ended else { break };
                app.problem(&about, &error);
                tokio::select! { () = real::sleep(pause) => {}, () = token.cancelled() => break }
                pause = (pause * 2).min(SOURCE_PAUSE_MAX);
            }
            source.end().await;
        });
    }
}
