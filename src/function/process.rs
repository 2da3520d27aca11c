//! Child processes that never outlive dropwire, however it dies.
//!
//! Each child leads its own process group, and three things end it: dropping its [`Process`] kills the group;
//! on Linux the kernel kills the child when the thread that started it ends, so one long-lived thread starts
//! them all; and the [guard](super::guard) kills the groups, grandchildren included, when we are gone.

use std::fmt;
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread;

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::runtime::Handle;
use tokio::sync::{oneshot, watch};
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;

use super::guard::Guard;
use super::platform;
use super::room::Room;

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// By itself, with this code.
    Code(i32),
    /// By a signal; whether it left a core dump.
    Signal(i32, bool),
}

impl Exit {
    /// In short, for people: `exit 1`, `killed`.
    pub fn summary(self) -> String {
        match self {
            Exit::Code(code) => format!("exit {code}"),
            Exit::Signal(signal, _) => signal_name(signal),
        }
    }
}

impl fmt::Display for Exit {
    /// As the Lambda service words it: `exit status 1`, `signal: killed`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Exit::Code(code) => write!(f, "exit status {code}"),
            Exit::Signal(signal, core) => {
                write!(f, "signal: {}{}", signal_name(signal), if core { " (core dumped)" } else { "" })
            }
        }
    }
}

impl From<ExitStatus> for Exit {
    fn from(status: ExitStatus) -> Exit {
        match status.signal() {
            Some(signal) => Exit::Signal(signal, status.core_dumped()),
            None => Exit::Code(status.code().unwrap_or(-1)),
        }
    }
}

fn signal_name(signal: i32) -> String {
    let name = match signal {
        libc::SIGHUP => "hangup",
        libc::SIGINT => "interrupt",
        libc::SIGQUIT => "quit",
        libc::SIGILL => "illegal instruction",
        libc::SIGTRAP => "trace/breakpoint trap",
        libc::SIGABRT => "aborted",
        libc::SIGBUS => "bus error",
        libc::SIGFPE => "floating point exception",
        libc::SIGKILL => "killed",
        libc::SIGUSR1 => "user defined signal 1",
        libc::SIGSEGV => "segmentation fault",
        libc::SIGUSR2 => "user defined signal 2",
        libc::SIGPIPE => "broken pipe",
        libc::SIGALRM => "alarm clock",
        libc::SIGTERM => "terminated",
        other => return format!("signal {other}"),
    };
    name.to_owned()
}

/// Starts processes. Clones share the thread that does.
#[derive(Clone)]
pub struct Spawner {
    orders: mpsc::Sender<Order>,
    reapers: TaskTracker,
}

enum Order {
    Start(Box<Start>),
    Forget(u32),
}

struct Start {
    command: Command,
    room: Option<Arc<Room>>,
    runtime: Handle,
    spawner: Spawner,
    reply: oneshot::Sender<io::Result<Process>>,
    /// A start that is under way counts as a process.
    _counted: TaskTrackerToken,
}

impl Spawner {
    /// A spawner with its thread, which begins at once and ends with the last clone.
    pub fn begin() -> io::Result<Spawner> {
        let (orders, inbox) = mpsc::channel();
        thread::Builder::new().name("spawner".into()).spawn(move || work(&inbox))?;
        Ok(Spawner { orders, reapers: TaskTracker::new() })
    }

    /// Starts `command` as the leader of its own process group. Pipes that it asks for are in the [`Process`].
    pub async fn start(&self, command: Command) -> io::Result<Process> {
        self.start_in(command, None).await
    }

    /// The same, in this room if it can be made; else without, as the room then says.
    pub async fn start_in(&self, mut command: Command, room: Option<&Arc<Room>>) -> io::Result<Process> {
        command.process_group(0);
        if let Some(room) = room {
            platform::live_in(&mut command, Arc::clone(room));
        }
        let room = room.cloned();
        platform::die_with_parent(&mut command);
        let (reply, started) = oneshot::channel();
        let ended = || io::Error::other("the thread that starts processes has ended");
        let (runtime, spawner, _counted) = (Handle::current(), self.clone(), self.reapers.token());
        let start = Start { command, room, runtime, spawner, reply, _counted };
        self.orders.send(Order::Start(Box::new(start))).map_err(|_| ended())?;
        started.await.map_err(|_| ended())?
    }

    /// Takes charge of a child from its first moment: whoever drops the [`Process`], wherever, ends it.
    fn adopt(self, mut child: Child, runtime: &Handle) -> io::Result<Process> {
        let Some(group) = child.id() else {
            return Err(io::Error::other("the process ended while it was started"));
        };
        let alive = Arc::new(Mutex::new(true));
        let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
        let (sender, exit) = watch::channel(None);
        let (orders, still) = (self.orders, Arc::clone(&alive));
        let reaper = async move {
            let status = child.wait().await;
            {
                let mut alive = still.lock().unwrap_or_else(PoisonError::into_inner);
                // Its children go with it: nothing that an environment started outlives it.
                signal_group(group, Signal::SIGKILL);
                *alive = false;
            }
            orders.send(Order::Forget(group)).ok();
            sender.send_replace(Some(status.map_or(Exit::Code(-1), Exit::from)));
        };
        self.reapers.spawn_on(reaper, runtime);
        Ok(Process { group: Group { id: group, alive }, exit, stdin, stdout })
    }

    /// Waits until every process that was started has ended and been reaped. Dropping them is the caller's.
    pub async fn until_all_ended(&self) {
        self.reapers.close();
        self.reapers.wait().await;
        self.reapers.reopen();
    }
}

fn work(inbox: &mpsc::Receiver<Order>) {
    let mut guard = Guard::default();
    while let Ok(order) = inbox.recv() {
        match order {
            Order::Start(start) => start.run(&mut guard),
            Order::Forget(group) => guard.forget(group),
        }
    }
}

impl Start {
    fn run(self, guard: &mut Guard) {
        let Start { mut command, room, runtime, spawner, reply, _counted } = self;
        guard.begin();
        let child = {
            let _inside = runtime.enter();
            match (command.spawn(), room.filter(|room| room.is_open())) {
                (Err(error), Some(room)) => {
                    // It is the room's fault if it works without.
                    room.give_up(error);
                    command.spawn().inspect_err(|_| room.is_blameless())
                }
                (child, _) => child,
            }
        };
        if let Some(group) = child.as_ref().ok().and_then(Child::id) {
            guard.watch(group);
        }
        // Who asked may be gone, now or before it looks: the process ends with the reply that nobody takes.
        drop(reply.send(child.and_then(|child| spawner.adopt(child, &runtime))));
    }
}

fn signal_group(group: u32, signal: Signal) {
    if let Ok(group) = i32::try_from(group) {
        // No such group means that all of it has ended already.
        killpg(Pid::from_raw(group), signal).ok();
    }
}

/// A process group, to be signalled as long as it is ours.
#[derive(Clone)]
pub struct Group {
    id: u32,
    /// Until it is reaped its number is nobody else's.
    alive: Arc<Mutex<bool>>,
}

impl Group {
    /// Stops all of it, until [`Group::go_on`].
    pub fn stop(&self) {
        self.signal(Signal::SIGSTOP);
    }
    /// Lets all of it go on.
    pub fn go_on(&self) {
        self.signal(Signal::SIGCONT);
    }
    /// Kills all of it.
    pub fn kill(&self) {
        self.signal(Signal::SIGKILL);
    }

    fn signal(&self, signal: Signal) {
        let alive = self.alive.lock().unwrap_or_else(PoisonError::into_inner);
        if *alive {
            signal_group(self.id, signal);
        }
    }
}

/// A running process and its group. Dropping it kills both.
pub struct Process {
    group: Group,
    exit: watch::Receiver<Option<Exit>>,
    stdin: Option<ChildStdin>,
    stdout: Option<ChildStdout>,
}

impl Process {
    /// Its id, which is its group's as well.
    pub fn id(&self) -> u32 {
        self.group.id
    }
    /// Its group.
    pub fn group(&self) -> &Group {
        &self.group
    }
    /// The pipes that the command asked for: stdin and stdout.
    pub fn take_pipes(&mut self) -> (Option<ChildStdin>, Option<ChildStdout>) {
        (self.stdin.take(), self.stdout.take())
    }
    /// How it ended, if it has.
    pub fn exited(&self) -> Option<Exit> {
        *self.exit.borrow()
    }
    /// Waits until it has ended and its group was killed.
    pub async fn until_exit(&self) -> Exit {
        let mut exit = self.exit.clone();
        let status = exit.wait_for(Option::is_some).await.ok().and_then(|status| *status);
        // No word from the reaper means that the async runtime is ending.
        status.unwrap_or(Exit::Signal(libc::SIGKILL, false))
    }
    /// Waits until it has ended, without holding it.
    pub fn exit_watch(&self) -> impl Future<Output = ()> + Send + 'static {
        let mut exit = self.exit.clone();
        async move { drop(exit.wait_for(Option::is_some).await) }
    }
    /// Kills it and its group.
    pub fn kill(&self) {
        self.group.kill();
    }
    /// Asks it and its group to end.
    pub fn terminate(&self) {
        self.group.signal(Signal::SIGTERM);
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exits_are_worded_as_the_service_words_them() {
        assert_eq!(Exit::Code(127).to_string(), "exit status 127");
        assert_eq!(Exit::Signal(9, false).to_string(), "signal: killed");
        assert_eq!(Exit::Signal(11, true).to_string(), "signal: segmentation fault (core dumped)");
        assert_eq!(
            (Exit::Code(1).summary(), Exit::Signal(9, false).summary()),
            ("exit 1".into(), "killed".into())
        );
    }
}
