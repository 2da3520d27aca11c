//! The guard: one small shell that outlives us by a moment, to kill the process groups that we leave behind.
//!
//! It reads `+GROUP` and `-GROUP` lines from a pipe. The pipe closes when we end, in whatever way, and then
//! it kills every group that is still on its list, and ends.

use std::collections::BTreeSet;
use std::io::Write;
use std::process::{Child, Command, Stdio};

use super::platform;

/// Deaf to the signals that a terminal or a service manager sends around; only the end of the pipe counts.
const SCRIPT: &str = r#"
trap '' HUP INT QUIT TERM
groups=' '
while read -r line; do
  group="${line#?}"
  case "$line" in
    +*) groups="$groups$group " ;;
    -*) case "$groups" in *" $group "*) groups="${groups%% $group *} ${groups#* $group }" ;; esac ;;
  esac
done
for group in $groups; do kill -9 -"$group" 2>/dev/null; done
"#;

/// The guard, started when there is something to guard, and again if it dies.
#[derive(Default)]
pub struct Guard {
    groups: BTreeSet<u32>,
    shell: Option<Child>,
}

impl Guard {
    /// Is there before the first group is: one that is born while the guard is would be missed if we ended then.
    pub fn begin(&mut self) {
        if self.shell.is_none() {
            self.restart();
        }
    }

    /// This group is killed when we end.
    pub fn watch(&mut self, group: u32) {
        self.groups.insert(group);
        self.tell(&format!("+{group}\n"));
    }

    /// This group has ended.
    pub fn forget(&mut self, group: u32) {
        if self.groups.remove(&group) {
            self.tell(&format!("-{group}\n"));
        }
    }

    fn tell(&mut self, line: &str) {
        let told = self
            .shell
            .as_mut()
            .and_then(|shell| shell.stdin.as_mut())
            .map(|pipe| pipe.write_all(line.as_bytes()));
        if !matches!(told, Some(Ok(()))) {
            self.restart();
        }
    }

    /// A new guard, which hears of every group that lives.
    fn restart(&mut self) {
        self.end();
        let mut command = Command::new("/bin/sh");
        command.args(["-c", SCRIPT]).current_dir("/").env_clear();
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        platform::own_session(&mut command);
        match command.spawn() {
            Ok(shell) => self.shell = Some(shell),
            Err(error) => {
                tracing::warn!("cannot start /bin/sh as guard of child processes: {error}");
                return;
            }
        }
        let list: String = self.groups.iter().map(|group| format!("+{group}\n")).collect();
        if let Some(pipe) = self.shell.as_mut().and_then(|shell| shell.stdin.as_mut()) {
            // If this guard is dead already, the next line starts another.
            pipe.write_all(list.as_bytes()).ok();
        }
    }

    fn end(&mut self) {
        if let Some(mut shell) = self.shell.take() {
            drop(shell.stdin.take());
            // It is dead, or ends now that its pipe is closed.
            shell.wait().ok();
        }
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.end();
    }
}
