//! The state folder `.dropwire/`: its lock, its database, and how a running dropwire is found.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::clock::real;
use crate::control::{RUNNING_FILE, Running};
use crate::store::{Store, StoreError};
use sqlx::Row;

/// The state folder of one project, held by this process until it is dropped.
pub struct StateFolder {
    path: PathBuf,
    /// The operating system lets go of it when the process ends, however it ends.
    _lock: File,
}

/// Why the state folder cannot be held.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// Another dropwire holds it.
    #[error(
        "cannot use the state in {0}: another dropwire holds it{1}; `dropwire down` ends it, `dropwire status` shows it"
    )]
    Locked(String, String),
    /// A file operation failed.
    #[error("cannot {0} {1}: {2}; is the folder writable by you, and is there space on the disk?")]
    Files(&'static str, String, std::io::Error),
}

/// How long a lock may outlive its dropwire.
const LOCK_PATIENCE: Duration = Duration::from_millis(500);
const LOOK_AGAIN: Duration = Duration::from_millis(10);

impl StateFolder {
    /// The same as [`StateFolder::hold`], with patience: a child that a dropwire was just starting when it was
    /// killed has its lock as well, until it becomes another program.
    pub async fn hold_soon(root: &Path) -> Result<StateFolder, StateError> {
        let begun = Instant::now();
        loop {
            match StateFolder::hold(root) {
                Err(StateError::Locked(..)) if begun.elapsed() < LOCK_PATIENCE => {
                    real::sleep(LOOK_AGAIN).await
                }
                held => return held,
            }
        }
    }

    /// The state folder below `root`, made if it is missing, locked for this process.
    pub fn hold(root: &Path) -> Result<StateFolder, StateError> {
        let path = root.join(".dropwire");
        let failed = |what, at: &Path| {
            let at = at.display().to_string();
            move |e| StateError::Files(what, at, e)
        };
        fs::create_dir_all(&path).map_err(failed("make the state folder", &path))?;
        // What functions were given and wrote is for their owner's eyes.
        #[cfg(unix)]
        fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o700))
            .map_err(failed("restrict", &path))?;
        let ignore = path.join(".gitignore");
        if !ignore.exists() {
            fs::write(&ignore, "*\n").map_err(failed("write", &ignore))?;
        }
        let lock_path = path.join("lock");
        let lock = OpenOptions::new().create(true).truncate(false).write(true).open(&lock_path);
        let lock = lock.map_err(failed("open", &lock_path))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let by = running(&path)
                    .map(|r| format!(" (process {}, {})", r.pid, r.address))
                    .unwrap_or_default();
                return Err(StateError::Locked(path.display().to_string(), by));
            }
            Err(TryLockError::Error(error)) => return Err(failed("lock", &lock_path)(error)),
        }
        // What a dropwire that was killed left behind.
        fs::remove_file(path.join(RUNNING_FILE)).ok();
        Ok(StateFolder { path, _lock: lock })
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }
    /// The state database's file.
    pub fn database(&self) -> PathBuf {
        self.path.join("state.db")
    }

    /// Moves the database aside, so that a new one begins; says where it went, if there was one.
    pub fn set_aside(&self) -> Result<Option<PathBuf>, StateError> {
        if !self.database().exists() {
            return Ok(None);
        }
        let aside = self.path.join(format!("old-{}", real::now().as_millis()));
        let failed = |error| StateError::Files("move the old state to", aside.display().to_string(), error);
        fs::create_dir_all(&aside).map_err(failed)?;
        for name in ["state.db-shm", "state.db-wal", "state.db"] {
            let from = self.path.join(name);
            if from.exists() {
                fs::rename(&from, aside.join(name)).map_err(failed)?;
            }
        }
        Ok(Some(aside))
    }

    /// Writes down how this process is reached, for its owner's eyes only.
    pub fn announce(&self, running: &Running) -> Result<(), StateError> {
        let (path, draft) = (self.path.join(RUNNING_FILE), self.path.join("running.draft"));
        let failed = |error| StateError::Files("write", path.display().to_string(), error);
        fs::remove_file(&draft).ok();
        let mut options = OpenOptions::new();
        options.create_new(true).write(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.open(&draft).map_err(failed)?;
        let text = serde_json::to_string(running).unwrap_or_default();
        file.write_all(text.as_bytes()).map_err(failed)?;
        fs::rename(&draft, &path).map_err(failed)
    }

    /// This process is not to be reached any more.
    pub fn retract(&self) {
        fs::remove_file(self.path.join(RUNNING_FILE)).ok();
    }
}

/// How the dropwire that serves this state folder is reached, if one said so. It may have died since.
pub fn running(state_folder: &Path) -> Option<Running> {
    serde_json::from_str(&fs::read_to_string(state_folder.join(RUNNING_FILE)).ok()?).ok()
}

const COUNT_START: &str = "INSERT INTO fact (name, value) VALUES ('starts', '1')
     ON CONFLICT (name) DO UPDATE SET value = CAST(value AS INTEGER) + 1 RETURNING CAST(value AS INTEGER)";

/// Counts this start of the state, and says how many there have been before.
pub async fn count_start(store: &Store) -> Result<u64, StoreError> {
    let rows = store.query(COUNT_START, Vec::new()).await?;
    let starts: i64 = rows.first().map(|row| row.get(0)).unwrap_or(1);
    Ok(starts.unsigned_abs().saturating_sub(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_process_holds_the_state() {
        let root = tempfile::tempdir().expect("a folder");
        let held = StateFolder::hold(root.path()).expect("the folder is free");
        let running = Running {
            pid: 7,
            address: "127.0.0.1:1".into(),
            token: "t".into(),
            access_key: "k".into(),
            secret_key: "s".into(),
        };
        held.announce(&running).expect("announced");
        let refusal = StateFolder::hold(root.path()).map(|_| ()).expect_err("it is held");
        assert!(refusal.to_string().contains("process 7, 127.0.0.1:1"), "{refusal}");
        drop(held);
        StateFolder::hold(root.path()).expect("it is free again");
        assert!(super::running(&root.path().join(".dropwire")).is_none());
    }

    #[tokio::test]
    async fn a_lock_that_is_about_to_go_is_waited_for() {
        let root = tempfile::tempdir().expect("a folder");
        let held = StateFolder::hold(root.path()).expect("the folder is free");
        let mut second = std::pin::pin!(StateFolder::hold_soon(root.path()));
        assert!(futures_util::poll!(&mut second).is_pending());
        drop(held);
        second.await.expect("it is free by now");
    }

    #[test]
    fn a_fresh_start_keeps_the_old_state() {
        let root = tempfile::tempdir().expect("a folder");
        let held = StateFolder::hold(root.path()).expect("held");
        assert_eq!(held.set_aside().expect("nothing there").map(|_| ()), None);
        fs::write(held.database(), "old").expect("written");
        let aside = held.set_aside().expect("moved").expect("there was one");
        assert_eq!(fs::read_to_string(aside.join("state.db")).expect("kept"), "old");
    }
}
