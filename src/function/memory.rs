//! How much memory the processes of an environment use, as the kernel counts it (Linux), and their end when it is
//! more than they have.
//!
//! Two looks: one thread looks at all environments that have an event every few milliseconds, and sleeps while
//! there are none; and when an answer comes the kernel is asked for the most that there ever was, so that a short
//! spike counts as well. What counts against the limit is memory of their own, not the parts of files that are
//! mapped: those can be given back.
//!
//! A child that has not become another program yet shares its parent's memory, or shows it as its own for a moment.
//! So such a child counts with its share alone, and all children only if there is too much twice in a row.

use std::collections::HashMap;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::thread;
use std::time::{Duration, Instant};

use super::platform::page_kb;
use super::process::Process;

/// How often environments with an event are looked at.
const TICK: Duration = Duration::from_millis(10);
/// With which tick the children are looked for again.
const CHILDREN_TICKS: u32 = 4;
/// How old the last exact look may be: nobody takes megabytes in that time.
const FRESH: Duration = Duration::from_millis(2);
/// In how many looks in a row there is too much, children included, before it counts.
const LOOKS_OVER: u32 = 2;
/// How deep a tree of processes is followed.
const DEPTH_MAX: u32 = 8;

/// What looks at all environments that have an event.
#[derive(Default)]
pub struct Meter {
    shared: Arc<Shared>,
    begun: OnceLock<()>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    bell: Condvar,
}

#[derive(Default)]
struct State {
    busy: Vec<Weak<Memory>>,
    ended: bool,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Meter {
    /// The memory of this process and its children, of which there is so much, MB.
    pub fn of(&self, process: &Process, limit_mb: u32) -> Arc<Memory> {
        if cfg!(target_os = "linux") {
            self.begun.get_or_init(|| {
                let shared = Arc::clone(&self.shared);
                let started =
                    thread::Builder::new().name("memory".into()).spawn(move || look_at_all(&shared));
                if let Err(error) = started {
                    tracing::warn!(
                        "cannot look at the memory of functions: {error}; is there a limit on threads?"
                    );
                }
            });
        }
        let open = |name: &str| File::open(format!("/proc/{}/{name}", process.id())).ok();
        Arc::new(Memory {
            id: process.id(),
            process: process.group().clone(),
            limit_kb: u64::from(limit_mb) * 1024,
            statm: open("statm"),
            status: open("status"),
            shared: Arc::clone(&self.shared),
            looks: Mutex::default(),
            busy: AtomicBool::new(false),
            listed: AtomicBool::new(false),
            begins: AtomicU64::new(0),
            exceeded: AtomicBool::new(false),
        })
    }
}

impl Drop for Meter {
    fn drop(&mut self) {
        self.shared.state().ended = true;
        self.shared.bell.notify_all();
    }
}

/// Until there is no more [`Meter`].
fn look_at_all(shared: &Shared) {
    let mut tick = 0;
    let mut begins: HashMap<u32, u64> = HashMap::new();
    loop {
        let busy: Vec<Arc<Memory>> = {
            let mut state = shared.state();
            while state.busy.is_empty() && !state.ended {
                begins.clear();
                state = shared.bell.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
            if state.ended {
                return;
            }
            state.busy.iter().filter_map(Weak::upgrade).collect()
        };
        tick += 1;
        for memory in &busy {
            memory.look(tick % CHILDREN_TICKS == 1);
        }
        shared.state().busy.retain(|weak| {
            let Some(memory) = weak.upgrade() else { return false };
            let now = memory.begins.load(Ordering::Relaxed);
            let stays = memory.busy.load(Ordering::Acquire) || begins.insert(memory.id, now) != Some(now);
            // An event may have begun since, and have found it on the list.
            stays || {
                memory.listed.swap(false, Ordering::SeqCst);
                memory.busy.load(Ordering::SeqCst) && !memory.listed.swap(true, Ordering::SeqCst)
            }
        });
        thread::park_timeout(TICK);
    }
}

/// The memory of one process and its children.
pub struct Memory {
    id: u32,
    process: super::process::Group,
    limit_kb: u64,
    statm: Option<File>,
    status: Option<File>,
    shared: Arc<Shared>,
    looks: Mutex<Looks>,
    /// Whether there is an event.
    busy: AtomicBool,
    /// Whether the meter has it on its list.
    listed: AtomicBool,
    /// How many events there were.
    begins: AtomicU64,
    exceeded: AtomicBool,
}

/// What was seen, in kB.
#[derive(Default)]
struct Looks {
    /// The most that the process has used in all, and of it the most in files.
    used: u64,
    files: u64,
    /// The most that its children have used in all.
    children: u64,
    /// What those of them that have not become another program had at the last look.
    forked: HashMap<u32, u64>,
    /// In how many looks in a row it had too much together with its children.
    over: u32,
    exact: Option<Instant>,
}

impl Memory {
    /// There is an event: it is looked at from now on.
    pub fn begin(self: &Arc<Memory>) {
        self.busy.store(true, Ordering::SeqCst);
        self.begins.fetch_add(1, Ordering::Relaxed);
        if !self.listed.swap(true, Ordering::SeqCst) {
            self.shared.state().busy.push(Arc::downgrade(self));
            self.shared.bell.notify_one();
        }
    }

    /// The event is over. The most that was used until now in MB, rounded up; no more than there is. 0 where the
    /// kernel does not tell.
    pub fn end(&self) -> u64 {
        let mut looks = self.looks();
        if looks.exact.is_none_or(|at| at.elapsed() >= FRESH) {
            looks.exact = Some(Instant::now());
            self.look_exactly(&mut looks);
        }
        let used = looks.used + looks.children;
        drop(looks);
        self.busy.store(false, Ordering::Release);
        used.div_ceil(1024).min(self.limit_kb / 1024)
    }

    /// Whether there was more than there may be: then the processes are killed.
    pub fn is_exceeded(&self) -> bool {
        self.exceeded.load(Ordering::Acquire)
    }

    /// The most there ever was, of a process that may end any moment.
    fn look_exactly(&self, looks: &mut Looks) {
        if let Some(status) = self.status.as_ref().and_then(read) {
            looks.used = looks.used.max(field(&status, "VmHWM:"));
            looks.files = looks.files.max(field(&status, "RssFile:"));
        }
        self.judge(looks);
    }

    /// What there is now.
    fn look(&self, children: bool) {
        let statm = self.statm.as_ref().and_then(read).unwrap_or_default();
        let mut pages = statm.split(' ').skip(1).filter_map(|number| number.parse::<u64>().ok());
        let mut kb = || pages.next().unwrap_or(0) * page_kb();
        let (resident, shared) = (kb(), kb());
        let mut looks = self.looks();
        looks.used = looks.used.max(resident);
        // Shared memory counts as a file here, which only the exact look tells apart.
        looks.files = looks.files.max(shared);
        if children {
            self.look_at_children(&mut looks);
        }
        self.judge(&mut looks);
    }

    fn look_at_children(&self, looks: &mut Looks) {
        let mut children = Vec::new();
        add_children(&mut children, self.id, 0);
        let before = std::mem::take(&mut looks.forked);
        for child in children.iter_mut().filter(|child| child.is_forked) {
            looks.forked.insert(child.id, child.own);
            // New ones count from the next look on.
            child.own = child.own.min(before.get(&child.id).copied().unwrap_or(0));
            child.most = child.most.min(child.own);
        }
        looks.children = looks.children.max(children.iter().map(|child| child.most).sum());
        let all = |own: &dyn Fn(u32) -> u64| -> u64 {
            own(self.id) + children.iter().map(|child| child.own.min(own(child.id))).sum::<u64>()
        };
        // The exact numbers take the kernel longer.
        let is_over = !children.is_empty() && all(&own) > self.limit_kb && all(&share) > self.limit_kb;
        looks.over = if is_over { looks.over + 1 } else { 0 };
    }

    fn judge(&self, looks: &mut Looks) {
        if looks.used.saturating_sub(looks.files) > self.limit_kb || looks.over >= LOOKS_OVER {
            self.exceeded.store(true, Ordering::Release);
            self.process.kill();
        }
    }

    fn looks(&self) -> MutexGuard<'_, Looks> {
        self.looks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The text of a file of the kernel's that is kept open. None when its process has ended.
fn read(file: &File) -> Option<String> {
    let mut text = [0; 4096];
    let count = file.read_at(&mut text, 0).ok()?;
    Some(String::from_utf8_lossy(&text[..count]).into_owned())
}

/// The kB of a line of a status text; 0 if there is none.
fn field(status: &str, name: &str) -> u64 {
    let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
    line.split_whitespace().next().and_then(|number| number.parse().ok()).unwrap_or(0)
}

/// A child at one look, in kB.
struct Child {
    id: u32,
    /// Whether it runs its parent's program still.
    is_forked: bool,
    /// What it adds to the most that was used, and what it has of its own now.
    most: u64,
    own: u64,
}

/// Adds the children of a process, and theirs.
fn add_children(found: &mut Vec<Child>, parent: u32, depth: u32) {
    let Ok(tasks) = std::fs::read_dir(format!("/proc/{parent}/task")) else { return };
    for task in tasks.flatten() {
        let children = std::fs::read_to_string(task.path().join("children")).unwrap_or_default();
        for id in children.split_whitespace().filter_map(|child| child.parse().ok()) {
            let is_forked = is_forked(&text_of(id, "stat"));
            let (most, own) = match is_forked {
                // All of it is its parent's, until it runs another program.
                true if text_of(id, "smaps_rollup") == text_of(parent, "smaps_rollup") => (0, 0),
                // The rest counts with its parent.
                true => (field(&text_of(id, "smaps_rollup"), "Private_Dirty:"), share(id)),
                false => (field(&text_of(id, "status"), "VmHWM:"), own(id)),
            };
            found.push(Child { id, is_forked, most, own });
            if depth < DEPTH_MAX {
                add_children(found, id, depth + 1);
            }
        }
    }
}

/// Whether a process has not become another program since it was forked, as its `stat` says.
fn is_forked(stat: &str) -> bool {
    const FORKED_NOT_EXECUTED: u64 = 0x40;
    // The name may hold anything; what follows it is the state, five numbers, and the flags.
    let flags = stat.rsplit_once(") ").and_then(|(_, rest)| rest.split(' ').nth(6));
    flags.and_then(|flags| flags.parse::<u64>().ok()).is_some_and(|flags| flags & FORKED_NOT_EXECUTED != 0)
}

/// What a process has of its own now, in kB, with what it shares with its parent.
fn own(id: u32) -> u64 {
    let status = text_of(id, "status");
    field(&status, "RssAnon:") + field(&status, "RssShmem:")
}

/// The same, with only its share of what is shared; with all of it where the kernel does not tell.
fn share(id: u32) -> u64 {
    let rollup = text_of(id, "smaps_rollup");
    if rollup.contains("Pss_Anon:") {
        field(&rollup, "Pss_Anon:") + field(&rollup, "Pss_Shmem:")
    } else {
        own(id)
    }
}

fn text_of(id: u32, name: &str) -> String {
    std::fs::read_to_string(format!("/proc/{id}/{name}")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_read() {
        let status = "Name:\tnode\nVmHWM:\t   40340 kB\nRssFile:\t   34016 kB\n";
        assert_eq!(
            (field(status, "VmHWM:"), field(status, "RssFile:"), field(status, "No:")),
            (40340, 34016, 0)
        );
    }

    #[test]
    fn who_has_become_another_program_is_told_from_its_state() {
        let stat = |flags: u64| format!("42 (a) b) S 1 42 42 0 -1 {flags} 100 0 0 0");
        assert!(is_forked(&stat(0x40_0040)) && !is_forked(&stat(0x40_0000)) && !is_forked(""));
    }
}
