//! The few calls of the platform that Rust cannot check: what a child does between fork and exec.
//!
//! Only calls that are safe after a fork in a process with threads (async-signal-safe ones) are made there.
#![expect(
    unsafe_code,
    reason = "a child can be told to die with its parent, to lead a session, or to live in a room of its own, only \
              before exec"
)]

use std::os::unix::process::CommandExt;
use std::sync::Arc;

use super::room::Room;

/// The child is killed when the thread that starts it ends, and so when the process does (Linux; elsewhere
/// the guard does it). So start it from a thread that lives as long as the process. To be asked for last: a change
/// of credentials takes it back.
pub fn die_with_parent(command: &mut tokio::process::Command) {
    #[cfg(target_os = "linux")]
    {
        let parent = std::process::id();
        // SAFETY: prctl, getppid and kill are async-signal-safe, and the closure allocates nothing.
        unsafe {
            command.pre_exec(move || {
                if libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) != 0 {
                    return Err(std::io::Error::last_os_error());
                }
                // The parent may have died before the signal was asked for.
                if u32::try_from(libc::getppid()) != Ok(parent) {
                    libc::_exit(1);
                }
                Ok(())
            });
        }
    }
    #[cfg(not(target_os = "linux"))]
    let _ = command;
}

/// The child leads its own session: what is sent to our process group or terminal does not reach it.
pub fn own_session(command: &mut std::process::Command) {
    // SAFETY: setsid is async-signal-safe, and the closure allocates nothing.
    unsafe {
        command.pre_exec(|| if libc::setsid() == -1 { Err(std::io::Error::last_os_error()) } else { Ok(()) });
    }
}

/// The ids of the user and of the group that we are.
pub fn user_and_group() -> (u32, u32) {
    // SAFETY: neither call can fail or touches memory.
    unsafe { (libc::geteuid(), libc::getegid()) }
}

/// The size of a page of memory, in kB.
pub fn page_kb() -> u64 {
    // SAFETY: the call takes a number and gives one.
    let bytes = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    u64::try_from(bytes).map_or(4, |bytes| bytes / 1024)
}

/// The child may have so many files open, and no more.
pub fn limit_files(command: &mut tokio::process::Command, most: u64) {
    // SAFETY: getrlimit and setrlimit are async-signal-safe, and the closure allocates nothing.
    unsafe {
        command.pre_exec(move || {
            let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
            if libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit) == 0 {
                let most = most.min(limit.rlim_max);
                limit = libc::rlimit { rlim_cur: most, rlim_max: most };
                libc::setrlimit(libc::RLIMIT_NOFILE, &limit);
            }
            Ok(())
        });
    }
}

/// The child lives in this room, if the room is open (Linux).
pub fn live_in(command: &mut tokio::process::Command, room: Arc<Room>) {
    #[cfg(target_os = "linux")]
    // SAFETY: the closure makes system calls only, with arguments that were made before the fork; it allocates
    // nothing.
    unsafe {
        command.pre_exec(move || if room.is_open() { linux::enter(&room) } else { Ok(()) });
    }
    #[cfg(not(target_os = "linux"))]
    let _ = (command, room);
}

#[cfg(target_os = "linux")]
mod linux {
    use std::ffi::CStr;
    use std::io;
    use std::os::fd::AsRawFd;
    use std::ptr::null;

    use crate::function::room::Room;

    fn checked(result: libc::c_int) -> io::Result<()> {
        if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    }

    /// Joins the room if somebody lives in it, else makes it.
    pub unsafe fn enter(room: &Room) -> io::Result<()> {
        // SAFETY: all pointers are to strings that the room owns.
        unsafe {
            if let Some(doors) = room.doors() {
                if let Some(user) = &doors.user {
                    checked(libc::setns(user.as_raw_fd(), libc::CLONE_NEWUSER))?;
                }
                checked(libc::setns(doors.mounts.as_raw_fd(), libc::CLONE_NEWNS))?;
                // Joining has moved us to the room's root.
                return checked(libc::chdir(room.folder.as_ptr()));
            }
            match &room.user {
                None => checked(libc::unshare(libc::CLONE_NEWNS))?,
                Some((uid, gid)) => {
                    checked(libc::unshare(libc::CLONE_NEWUSER | libc::CLONE_NEWNS))?;
                    write(c"/proc/self/setgroups", b"deny")?;
                    write(c"/proc/self/uid_map", uid.as_bytes())?;
                    write(c"/proc/self/gid_map", gid.as_bytes())?;
                }
            }
            let mount = |source: Option<&CStr>,
                         target: &CStr,
                         kind: Option<&CStr>,
                         flags,
                         options: Option<&CStr>| {
                let text = |text: Option<&CStr>| text.map_or(null(), CStr::as_ptr);
                checked(libc::mount(text(source), target.as_ptr(), text(kind), flags, text(options).cast()))
            };
            mount(None, c"/", None, libc::MS_REC | libc::MS_PRIVATE, None)?;
            let flags = libc::MS_NOSUID | libc::MS_NODEV;
            mount(Some(c"dropwire"), &room.tmp, Some(c"tmpfs"), flags, Some(&room.options))?;
            if let Some(layers) = &room.opt {
                mount(Some(layers), c"/opt", None, libc::MS_BIND, None)?;
                // Where that cannot be, a room with layers that can be written is better than none.
                let read_only = libc::MS_BIND | libc::MS_REMOUNT | libc::MS_RDONLY | kept(c"/opt");
                mount(None, c"/opt", None, read_only, None).ok();
            }
            if room.over_tmp {
                mount(Some(&room.tmp), c"/tmp", None, libc::MS_BIND, None)?;
            }
            Ok(())
        }
    }

    /// The flags of a mount that one without privileges has to keep.
    unsafe fn kept(path: &CStr) -> libc::c_ulong {
        // SAFETY: a statvfs may be all zeros, and the pointers are valid for the call.
        let found = unsafe {
            let mut found: libc::statvfs = std::mem::zeroed();
            if libc::statvfs(path.as_ptr(), &mut found) == 0 { found.f_flag } else { 0 }
        };
        let flags = [
            (libc::ST_NOSUID, libc::MS_NOSUID),
            (libc::ST_NODEV, libc::MS_NODEV),
            (libc::ST_NOEXEC, libc::MS_NOEXEC),
            (libc::ST_NOATIME, libc::MS_NOATIME),
            (libc::ST_NODIRATIME, libc::MS_NODIRATIME),
            (libc::ST_RELATIME, libc::MS_RELATIME),
        ];
        flags.iter().filter(|(shown, _)| found & shown != 0).fold(0, |all, (_, flag)| all | flag)
    }

    unsafe fn write(path: &CStr, text: &[u8]) -> io::Result<()> {
        // SAFETY: the pointers are to text that outlives the calls.
        unsafe {
            let file = libc::open(path.as_ptr(), libc::O_WRONLY | libc::O_CLOEXEC);
            if file < 0 {
                return Err(io::Error::last_os_error());
            }
            let written = libc::write(file, text.as_ptr().cast(), text.len());
            let error = io::Error::last_os_error();
            libc::close(file);
            if usize::try_from(written) == Ok(text.len()) { Ok(()) } else { Err(error) }
        }
    }
}
