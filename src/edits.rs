//! Edits of the wiring while dropwire runs: a good one is taken up, a broken one is shown and changes nothing.

use std::collections::HashMap;
use std::fs::Metadata;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::app::App;
use crate::clock::real;
use crate::config::Config;
use crate::identity::identity;

/// Editors write a file in several steps; this long after the last of them it is read.
const GRACE: Duration = Duration::from_millis(40);
/// And however long they go on, this long after the first of them.
const PATIENCE: Duration = Duration::from_secs(1);

/// Takes up edits until `stop`.
pub async fn follow(app: Arc<App>, stop: CancellationToken) {
    let (sender, mut hints) = mpsc::channel(1);
    let mut watch = match Watch::start(&app.config(), sender) {
        Ok(watch) => watch,
        Err(error) => {
            let text =
                format!("cannot watch the wiring for edits: {error}; restart dropwire after editing it");
            return app.timeline().notice(app.clock().now(), "warning", text);
        }
    };
    loop {
        take_up(&app).await;
        // What was edited between the reading and the beginning of a watch is read once more.
        if !watch.follow(&app.config()) {
            tokio::select! { hint = hints.recv() => if hint.is_none() { return }, () = stop.cancelled() => return }
            tokio::select! { () = until_settled(&mut hints) => {}, () = stop.cancelled() => return }
        }
    }
}

/// Whatever follows closely belongs to the same edit.
async fn until_settled(hints: &mut mpsc::Receiver<()>) {
    let begun = Instant::now();
    while begun.elapsed() < PATIENCE && matches!(real::within(GRACE, hints.recv()).await, Some(Some(()))) {}
}

async fn take_up(app: &Arc<App>) {
    let now = app.config();
    let was = now.clone();
    match tokio::task::spawn_blocking(move || was.reload()).await {
        Ok(Ok(config)) => {
            app.accept_edit();
            if config == *now {
                return;
            }
            let said = format!(
                "the wiring changed: {} functions, {} wires",
                config.functions.len(),
                config.wires.len()
            );
            match app.reconfigure(config).await {
                Ok(()) => app.timeline().notice(app.clock().now(), "info", said),
                Err(error) => app.refuse_edit(&error.to_string()),
            }
        }
        Ok(Err(complaints)) => app.refuse_edit(&complaints.render(false)),
        Err(_) => app.refuse_edit("the wiring file could not be read"),
    }
}

/// Watches the folder of the wiring file, and the folders that are wiring by convention where there is no file.
struct Watch {
    watcher: RecommendedWatcher,
    /// Those by convention, each with what tells it from another that gets its name.
    folders: HashMap<PathBuf, (u64, u64)>,
}

impl Watch {
    fn start(config: &Config, sender: mpsc::Sender<()>) -> notify::Result<Watch> {
        let file = config.file.clone();
        let root = config.root.clone();
        let watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            if event.is_ok_and(|event| concerns(&event, &root, file.as_deref())) {
                // A hint that waits is enough.
                sender.try_send(()).ok();
            }
        })?;
        let mut watch = Watch { watcher, folders: HashMap::new() };
        watch.watcher.watch(&config.root, RecursiveMode::NonRecursive)?;
        if let Some(folder) =
            config.file.as_deref().and_then(Path::parent).filter(|folder| *folder != config.root)
        {
            watch.watcher.watch(folder, RecursiveMode::NonRecursive)?;
        }
        watch.follow(config);
        Ok(watch)
    }

    /// Folders by convention come and go. True if one is watched from now on that was not before.
    fn follow(&mut self, config: &Config) -> bool {
        if config.file.is_some() {
            self.folders.clear();
            return false;
        }
        let functions = config.root.join("functions");
        // A folder is a function when there is something to run in it, which comes after the folder.
        let within = std::fs::read_dir(&functions).into_iter().flatten().flatten().map(|entry| entry.path());
        let wanted = [config.root.join("buckets"), functions.clone()].into_iter().chain(within);
        let wanted: HashMap<PathBuf, (u64, u64)> =
            wanted.filter_map(|folder| Some((folder.clone(), folder_identity(&folder)?))).collect();
        self.folders.retain(|folder, known| wanted.get(folder) == Some(known));
        let before = self.folders.len();
        for (folder, identity) in wanted {
            if !self.folders.contains_key(&folder)
                && self.watcher.watch(&folder, RecursiveMode::NonRecursive).is_ok()
            {
                self.folders.insert(folder, identity);
            }
        }
        self.folders.len() > before
    }
}

/// None if there is no such folder.
fn folder_identity(folder: &Path) -> Option<(u64, u64)> {
    std::fs::metadata(folder).ok().filter(Metadata::is_dir).map(|found| identity(&found))
}

/// Whether this may have changed the wiring: its file, or, where there is none, a folder next to where it would be.
fn concerns(event: &notify::Event, root: &Path, file: Option<&Path>) -> bool {
    let by_whom = |path: &Path| match file {
        Some(file) => path == file,
        None => {
            path.parent().is_some_and(|parent| parent == root) || !path.starts_with(root.join("buckets")) || {
                // In the bucket folders themselves things happen all the time; only a new bucket is wiring.
                path.parent().is_some_and(|parent| parent == root.join("buckets"))
            }
        }
    };
    let state = root.join(".dropwire");
    !matches!(event.kind, EventKind::Access(_))
        && event.paths.iter().any(|path| !path.starts_with(&state) && by_whom(path))
}
