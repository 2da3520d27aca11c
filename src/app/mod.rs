//! Everything put together: the only file that knows every part. It has no rules of its own.

mod assembly;
mod options;
mod sources;

pub use options::{Options, StartError};

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::aws::AwsService;
use crate::aws::sigv4::Keys;
use crate::clock::{Clock, real};
use crate::config::{ClockStart, Config};
use crate::control::server::listed_wires;
use crate::control::{Listed, Running, Status};
use crate::delivery::dispatcher::Dispatcher;
use crate::delivery::queue::Queue;
use crate::function::{Functions, Problem, Services};
use crate::housekeeping::Housekeeping;
use crate::lambda::invoke::{Invoker, Parts as InvokerParts};
use crate::lambda::journal::Journal;
use crate::lambda::service::LambdaService;
use crate::lambda::url_invoke::FunctionUrls;
use crate::lambda::{self, Lambda};
use crate::random::Random;
use crate::server::{self, Listening, Reach, Server};
use crate::source::dynamodb::Table;
use crate::source::s3::{self, Bucket};
use crate::source::sns::Topic;
use crate::source::{Outlet, SourceError};
use crate::state::StateFolder;
use crate::store::{Store, StoreError};
use crate::timeline::Timeline;
use crate::{history, state};

/// How long a source that could not go on waits before it begins anew; doubled each time, up to the second.
const SOURCE_PAUSE: Duration = Duration::from_secs(1);
const SOURCE_PAUSE_MAX: Duration = Duration::from_secs(30);
/// How long the start waits for a source; one that takes longer goes on beside everything else.
const READY_MAX: Duration = Duration::from_secs(20);

/// A running dropwire.
pub struct App {
    root: PathBuf,
    folder: StateFolder,
    clock: Clock,
    random: Random,
    timeline: Timeline,
    store: Store,
    queue: Arc<Queue>,
    dispatcher: Dispatcher,
    functions: Functions,
    lambda: Arc<Lambda>,
    invoker: Invoker,
    function_urls: FunctionUrls,
    /// The buckets, as the S3 API finds them.
    s3_buckets: Arc<s3::Buckets>,
    made_buckets: s3::Made,
    parts: Mutex<Parts>,
    /// One reconfiguration at a time.
    reconfiguring: tokio::sync::Mutex<()>,
    /// Who changes the clock is alone with it.
    changing_clock: tokio::sync::Mutex<()>,
    stop: CancellationToken,
    ended: CancellationToken,
    running: Running,
    reach: Reach,
    keys: Keys,
    ready_ms: Mutex<f64>,
    begun: Instant,
}

/// What an edit of the wiring changes.
struct Parts {
    config: Arc<Config>,
    buckets: BTreeMap<String, Sourced<Bucket>>,
    tables: BTreeMap<String, Sourced<Table>>,
    topics: BTreeMap<String, Arc<Topic>>,
    /// What is wrong at present, by what it is about.
    problems: BTreeMap<String, String>,
    tasks: JoinSet<()>,
    housekeeping: Option<Housekeeping>,
}

/// A source that runs until its token says otherwise.
struct Sourced<S> {
    source: Arc<S>,
    stop: CancellationToken,
}

impl App {
    /// Starts everything that the wiring declares; returns when all sources watch.
    pub async fn start(options: Options) -> Result<Arc<App>, StartError> {
        let Options { config, .. } = &options;
        let folder = StateFolder::hold_soon(&config.root).await?;
        let aside = if options.fresh { folder.set_aside()? } else { None };
        let sim = &config.sim;
        let clock = clock_of(options.clock.unwrap_or(sim.clock));
        let timeline = options.timeline.clone();
        let store = Store::open(&folder.database()).await?;
        let random = match options.seed.or(sim.seed) {
            // Each start has a stream of its own: ids of the last one must not come again.
            Some(seed) => Random::seeded(seed ^ state::count_start(&store).await?),
            None => Random::from_entropy(),
        };
        let queue = Queue::open(store.clone(), clock.clone(), timeline.clone()).await?;
        let keys = options.keys()?;
        let listening = server::listen(&options.place()).await?;
        let reach = listening.reach.clone();
        let running = Running {
            pid: std::process::id(),
            address: reach.local(),
            token: Random::from_entropy().uuid(4),
            access_key: keys.pair().map_or("dropwire", |pair| &pair.access_key).to_owned(),
            secret_key: keys.pair().map_or("dropwire", |pair| &pair.secret).to_owned(),
        };
        let functions = Functions::new(
            sim.place.clone(),
            clock.clone(),
            timeline.clone(),
            random.clone(),
            folder.path().to_owned(),
        );
        let lambda = Lambda::open(lambda::Ground {
            store: store.clone(),
            clock: clock.clone(),
            random: random.clone(),
            place: sim.place.clone(),
            timeline: timeline.clone(),
            folder: folder.path().join("functions"),
        })
        .await?;
        lambda.set_address(reach.port, reach.outside());
        functions.at(Services {
            endpoint: format!("http://{}", reach.local()),
            access_key: running.access_key.clone(),
            secret_key: running.secret_key.clone(),
        });
        if options.unhurried {
            functions.unhurried();
        }
        let engine = functions.clone();
        lambda.ask_readiness(Box::new(move |key| engine.provisioned(key).0));
        let invoker = Invoker::new(InvokerParts {
            lambda: lambda.clone(),
            functions: functions.clone(),
            queue: queue.clone(),
            clock: clock.clone(),
            timeline: timeline.clone(),
            journal: Journal::new(store.clone()),
            abandoned: TaskTracker::new(),
        });
        let parts = Parts {
            config: Arc::new(config.clone()),
            buckets: BTreeMap::new(),
            tables: BTreeMap::new(),
            topics: BTreeMap::new(),
            problems: BTreeMap::new(),
            tasks: JoinSet::new(),
            housekeeping: None,
        };
        let app = Arc::new(App {
            s3_buckets: Arc::default(),
            made_buckets: s3::Made(store.clone()),
            root: config.root.clone(),
            dispatcher: Dispatcher::new(queue.clone(), clock.clone(), timeline.clone()),
            folder,
            clock,
            random,
            timeline,
            store,
            queue,
            functions,
            lambda,
            function_urls: FunctionUrls::new(invoker.clone()),
            invoker,
            running,
            reach,
            keys,
            parts: Mutex::new(parts),
            reconfiguring: tokio::sync::Mutex::new(()),
            changing_clock: tokio::sync::Mutex::new(()),
            stop: CancellationToken::new(),
            ended: CancellationToken::new(),
            ready_ms: Mutex::new(0.0),
            begun: options.ready_since,
        });
        app.begin(listening, options.watch_wiring).await?;
        if let Some(aside) = aside {
            app.timeline.notice(app.clock.now(), "info", format!("the old state is in {}", aside.display()));
        }
        Ok(app)
    }

    async fn begin(self: &Arc<App>, listening: Listening, watch_wiring: bool) -> Result<(), StartError> {
        let config = self.config();
        self.reconfigure((*config).clone()).await?;
        let housekeeping = Housekeeping::start(self.store.clone(), self.clock.clone()).await;
        // From before the first call, so that none goes unheard.
        let (s3, changes) = (self.s3_api(), self.s3_buckets.changes());
        let mut parts = self.parts();
        match housekeeping {
            Ok(housekeeping) => parts.housekeeping = Some(housekeeping),
            Err(error) => {
                parts
                    .problems
                    .insert("housekeeping".into(), format!("cannot schedule the housekeeping: {error}"));
            }
        }
        let services: Vec<Arc<dyn AwsService>> = vec![Arc::new(LambdaService::new(self.invoker.clone()))];
        let server = Server::new(self.clone(), services, s3);
        parts.tasks.spawn(server.run(listening, self.stop.clone()));
        parts.tasks.spawn(self.invoker.parts().journal.clone().run(self.stop.clone()));
        parts.tasks.spawn(self.clone().follow_registry());
        parts.tasks.spawn(self.clone().follow_buckets(changes));
        if watch_wiring {
            parts.tasks.spawn(crate::edits::follow(self.clone(), self.stop.clone()));
        }
        drop(parts);
        // Last, and nothing is waited for after it: whoever gives up the start leaves no word of it behind.
        self.folder.announce(&self.running)?;
        *self.ready_ms.lock().unwrap_or_else(|p| p.into_inner()) =
            self.begun.elapsed().as_secs_f64() * 1000.0;
        Ok(())
    }

    /// From now on this wiring is in force. What is declared as before keeps running undisturbed.
    pub async fn reconfigure(self: &Arc<App>, config: Config) -> Result<(), StoreError> {
        let _alone = self.reconfiguring.lock().await;
        self.put_in_force(config).await
    }

    /// The wiring in force once more, since what calls have made has changed.
    async fn renew(self: &Arc<App>) -> Result<(), StoreError> {
        let _alone = self.reconfiguring.lock().await;
        // Not before it is our turn: the wiring may be edited until then.
        let config = self.config();
        self.put_in_force((*config).clone()).await
    }

    async fn put_in_force(self: &Arc<App>, config: Config) -> Result<(), StoreError> {
        let config = self.with_made_buckets(config).await?;
        let place = &config.sim.place;
        {
            let mut parts = self.parts();
            let outlet = Outlet::into(self.queue.clone());
            parts.topics = config
                .topics
                .keys()
                .map(|name| {
                    (
                        name.clone(),
                        Topic::new(name, place, self.clock.clone(), self.random.clone(), outlet.clone()),
                    )
                })
                .collect();
        }
        let problems = self.connect(&config).await?;
        // Interpreters take their time to answer; nobody waits for that.
        self.parts().tasks.spawn(self.clone().check_functions(problems));
        self.exchange_buckets(&config).await?;
        self.exchange_tables(&config).await;
        // What waits for a bucket can go on, and what is wired to a table's stream.
        self.connect(&config).await?;
        self.parts().config = Arc::new(config);
        Ok(())
    }

    /// Says what is wrong with the functions: those that cannot be, and those that cannot be started.
    async fn check_functions(self: Arc<App>, mut problems: Vec<Problem>) {
        problems.extend(self.functions.check().await);
        let mut parts = self.parts();
        parts.problems.retain(|about, _| !about.starts_with("function "));
        for problem in problems {
            self.timeline.notice(self.clock.now(), "warning", problem.text.clone());
            parts.problems.insert(format!("function {}", problem.function), problem.text);
        }
    }

    /// Something is wrong with a part; the rest goes on.
    fn problem(&self, about: &str, error: &SourceError) {
        let known = self.parts().problems.insert(about.to_owned(), error.to_string());
        if known.is_none_or(|known| known != error.to_string()) {
            self.timeline.notice(self.clock.now(), "error", error.to_string());
        }
    }

    /// The wiring file has been edited and is wrong: what was in force stays so.
    pub fn refuse_edit(&self, complaints: &str) {
        self.timeline.notice(
            self.clock.now(),
            "error",
            format!("{complaints}\nthe last good wiring stays in force"),
        );
        self.parts().problems.insert("wiring".into(), complaints.to_owned());
    }

    /// The wiring file is right again.
    pub fn accept_edit(&self) {
        self.parts().problems.remove("wiring");
    }

    /// Ends everything, in the order in which nothing is lost. No child process is left.
    pub async fn stop(&self) {
        self.stop.cancel();
        self.dispatcher.stop().await;
        self.functions.stop().await;
        let (mut tasks, housekeeping) = {
            let mut parts = self.parts();
            (std::mem::take(&mut parts.tasks), parts.housekeeping.take())
        };
        if let Some(mut housekeeping) = housekeeping {
            housekeeping.stop().await;
        }
        real::within(Duration::from_secs(5), async { while tasks.join_next().await.is_some() {} }).await;
        // What direct invocations did since it was told to stop.
        self.invoker.parts().journal.write().await;
        self.store.close().await;
        self.folder.retract();
        self.ended.cancel();
    }

    /// Resolves when somebody asked it to stop.
    pub async fn until_stopped(&self) {
        self.stop.cancelled().await;
    }
    /// Asks it to stop; whoever waits in [`App::until_stopped`] then calls [`App::stop`].
    pub fn ask_to_stop(&self) {
        self.stop.cancel();
    }
    /// Resolves when it has ended.
    pub async fn until_ended(&self) {
        self.ended.cancelled().await;
    }
    /// Waits until nothing runs and nothing is due.
    pub async fn quiet(&self) {
        self.queue.quiet().await;
    }

    /// The timeline.
    pub fn timeline(&self) -> &Timeline {
        &self.timeline
    }
    /// The simulated clock.
    pub fn clock(&self) -> &Clock {
        &self.clock
    }
    /// The turn of whoever changes the clock: one that is being moved stops and goes on, and takes its time.
    pub async fn clock_turn(&self) -> tokio::sync::MutexGuard<'_, ()> {
        self.changing_clock.lock().await
    }
    /// The queue.
    pub fn queue(&self) -> &Arc<Queue> {
        &self.queue
    }
    /// The functions.
    pub fn functions(&self) -> &Functions {
        &self.functions
    }
    /// The Lambda service's registry.
    pub fn lambda(&self) -> &Arc<Lambda> {
        &self.lambda
    }
    /// What invokes functions for callers outside.
    pub fn invoker(&self) -> &Invoker {
        &self.invoker
    }
    /// The function URLs.
    pub fn function_urls(&self) -> &FunctionUrls {
        &self.function_urls
    }
    /// The source of random ids.
    pub fn random(&self) -> &Random {
        &self.random
    }
    /// The wiring in force.
    pub fn config(&self) -> Arc<Config> {
        self.parts().config.clone()
    }
    /// How to reach this dropwire.
    pub fn running(&self) -> &Running {
        &self.running
    }
    /// From where it is reached.
    pub fn reach(&self) -> &Reach {
        &self.reach
    }
    /// Who may call the services of AWS.
    pub fn keys(&self) -> &Keys {
        &self.keys
    }
    /// The bucket of this name.
    pub fn bucket(&self, name: &str) -> Option<Arc<Bucket>> {
        self.parts().buckets.get(name).map(|running| running.source.clone())
    }
    /// The table of this name.
    pub fn table(&self, name: &str) -> Option<Arc<Table>> {
        self.parts().tables.get(name).map(|running| running.source.clone())
    }
    /// The topic of this name.
    pub fn topic(&self, name: &str) -> Option<Arc<Topic>> {
        self.parts().topics.get(name).cloned()
    }

    /// What `status` shows.
    pub async fn status(&self) -> Status {
        let [events, waiting, claimed, dead] = history::counts(self.store.read()).await.unwrap_or_default();
        // What is claimed and does not run yet, or is not settled yet, waits too.
        let (running, _) = self.queue.load();
        let (config, wires) = (self.config(), self.queue.wires());
        let given_up = history::given_up(self.store.read()).await.unwrap_or_default();
        Status {
            version: env!("CARGO_PKG_VERSION").into(),
            pid: self.running.pid,
            address: self.running.address.clone(),
            outside: self.reach.outside_address(),
            root: self.root.display().to_string(),
            file: config.file.as_ref().map(|file| file.display().to_string()),
            time: self.clock.now().iso_millis(),
            clock: self.clock.pace().in_words(),
            up_seconds: self.begun.elapsed().as_secs_f64(),
            ready_ms: *self.ready_ms.lock().unwrap_or_else(|p| p.into_inner()),
            events,
            waiting: (waiting + claimed - running as i64).max(0),
            running: running as i64,
            given_up,
            dead,
            next_due: self.clock.next_due().map(|due| due.iso_millis()),
            functions: config.functions.len(),
            wires: wires.all().filter(|wire| !wire.is_made()).count(),
            remarks: config.remarks.clone(),
            problems: self.parts().problems.values().cloned().collect(),
        }
    }

    /// The wires in words, in the order of the wiring file.
    pub async fn wires_shown(&self) -> Vec<Listed> {
        listed_wires(self)
    }

    fn parts(&self) -> MutexGuard<'_, Parts> {
        self.parts.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

fn clock_of(start: ClockStart) -> Clock {
    match start {
        ClockStart::Real => Clock::system(),
        ClockStart::Frozen => Clock::frozen_at(real::now()),
        ClockStart::At(at) => Clock::frozen_at(at),
        ClockStart::Scaled(rate) => Clock::scaled(rate),
    }
}
