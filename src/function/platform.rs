//! The few calls of the platform that Rust cannot check: what a child does between fork and exec.
//!
//! Only calls that are safe after a fork in a process with threads (async-signal-safe ones) are made there.
#![expect(
    unsafe_code,
    reason = "a child can be told to die with its parent, or to lead a session, only before exec"
)]

use std::os::unix::process::CommandExt;

/// The child is killed when the thread that starts it ends, and so when the process does (Linux; elsewhere
/// the guard does it). So start it from a thread that lives as long as the process.
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
