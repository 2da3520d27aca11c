//! Edits of the wiring while dropwire runs: a good one is taken up, a broken one is shown and changes nothing.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::app::App;
use crate::clock::real;
use crate::config::Config;

/// Editors write a file in several steps; this long after the last of them it is read.
const GRACE: Duration = Duration::from_millis(40);

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
    // What was edited between the reading at the start and the beginning of the watch.
    take_up(&app).await;
    watch.follow(&app.config());
    loop {
        tokio::select! { hint = hints.recv() => if hint.is_none() { return }, () = stop.cancelled() => return }
        // Whatever follows closely belongs to the same edit.
        while real::within(GRACE, hints.recv()).await.is_some() {}
        take_up(&app).await;
        watch.follow(&app.config());
    }
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
    folders: Vec<PathBuf>,
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
        let mut watch = Watch { watcher, folders: Vec::new() };
        watch.watcher.watch(&config.root, RecursiveMode::NonRecursive)?;
        if let Some(folder) =
            config.file.as_deref().and_then(Path::parent).filter(|folder| *folder != config.root)
        {
            watch.watcher.watch(folder, RecursiveMode::NonRecursive)?;
        }
        watch.follow(config);
        Ok(watch)
    }

    /// Folders by convention come and go.
    fn follow(&mut self, config: &Config) {
        self.folders.retain(|folder| folder.exists());
        if config.file.is_some() {
            return;
        }
        let mut wanted = vec![config.root.join("buckets"), config.root.join("functions")];
        wanted.extend(config.functions.values().map(|function| function.folder.clone()));
        for folder in wanted.into_iter().filter(|folder| folder.is_dir()) {
            if !self.folders.contains(&folder)
                && self.watcher.watch(&folder, RecursiveMode::NonRecursive).is_ok()
            {
                self.folders.push(folder);
            }
        }
    }
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
