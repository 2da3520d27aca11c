//! What a function writes: read as it comes, told live, kept for the log of its invocation.
//!
//! Stdout and stderr share one pipe, so that the log has their lines in the order in which they were written.
//! What is written between two invocations is in the log of the next one.

use std::collections::VecDeque;
use std::io;
use std::os::fd::OwnedFd;
use std::process::Stdio;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::net::unix::pipe;

use super::telemetry::Telemetry;
use crate::clock::Clock;
use crate::timeline::{Moment, Timeline};

/// The longest line in bytes: CloudWatch's limit for one log event.
const LINE_MAX: usize = 256 << 10;
/// The most that the log of one invocation keeps, in bytes: half of it from the beginning, half from the end.
const LOG_MAX: usize = 1 << 20;
/// How much is read at once.
const PIECE: usize = 64 << 10;

/// Where the lines of a function go while they are written.
#[derive(Clone)]
pub struct Live {
    /// Simulated time.
    pub clock: Clock,
    /// Told only when somebody follows.
    pub timeline: Timeline,
    /// The function's name.
    pub function: String,
    /// Those who have subscribed to them, if there can be any, and as what they get them: `function` or `extension`.
    pub telemetry: Option<(Arc<Telemetry>, &'static str)>,
}

/// The output of the processes of one environment.
pub struct Output {
    pipe: pipe::Receiver,
    /// The end that processes write to, while they are being started.
    theirs: Mutex<Option<io::PipeWriter>>,
    lines: Mutex<Lines>,
}

impl Output {
    /// A pipe, whose ends for processes are [`Output::ends`]. Reading is to be run beside the processes until
    /// nobody can write any more, so that they never have to wait.
    pub fn pipe(live: Live) -> io::Result<(Arc<Output>, impl Future<Output = ()> + Send + 'static)> {
        let (ours, theirs) = io::pipe()?;
        let pipe = pipe::Receiver::from_owned_fd(OwnedFd::from(ours))?;
        let (theirs, lines) = (Mutex::new(Some(theirs)), Mutex::new(Lines::new(live)));
        let output = Arc::new(Output { pipe, theirs, lines });
        Ok((Arc::clone(&output), output.read_to_end()))
    }

    /// Stdout and stderr for one process.
    pub fn ends(&self) -> io::Result<(Stdio, Stdio)> {
        let theirs = self.theirs.lock().unwrap_or_else(PoisonError::into_inner);
        let end = theirs.as_ref().ok_or_else(|| io::Error::other("all processes have been started"))?;
        Ok((Stdio::from(end.try_clone()?), Stdio::from(end.try_clone()?)))
    }

    /// All processes have been started: when they have ended there is no more to read.
    pub fn close_ends(&self) {
        self.theirs.lock().unwrap_or_else(PoisonError::into_inner).take();
    }

    async fn read_to_end(self: Arc<Output>) {
        let mut piece = vec![0; PIECE];
        while self.pipe.readable().await.is_ok() {
            let mut lines = self.lines();
            match self.pipe.try_read(&mut piece) {
                Ok(0) => return lines.end_line(),
                Ok(count) => lines.feed(&piece[..count]),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(_) => return,
            }
        }
    }

    /// From now on lines belong to this attempt.
    pub fn label(&self, shown_id: &str) {
        let label = &mut self.lines().label;
        label.clear();
        label.push_str(shown_id);
    }

    /// Everything that was written until now and not yet taken.
    pub fn take(&self) -> String {
        let mut lines = self.lines();
        // The kernel is asked, not the reactor, which may not have heard of the last bytes yet. What is in the
        // pipe now is bounded by its capacity, but a writer may go on: so is the number of pieces.
        let mut piece = [0; 4 << 10];
        for _ in 0..256 {
            match nix::unistd::read(&self.pipe, &mut piece) {
                Ok(count) if count > 0 => lines.feed(&piece[..count]),
                _ => break,
            }
        }
        lines.end_line();
        lines.kept.take()
    }

    /// A line of ours among those of the processes.
    pub fn note(&self, text: &str) {
        self.lines().keep(text);
    }

    fn lines(&self) -> MutexGuard<'_, Lines> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Bytes made into lines.
struct Lines {
    live: Live,
    label: String,
    begun: Vec<u8>,
    /// How many bytes of the line that is begun were too many.
    cut: usize,
    kept: Kept,
}

impl Lines {
    fn new(live: Live) -> Lines {
        Lines { live, label: String::new(), begun: Vec::new(), cut: 0, kept: Kept::default() }
    }

    fn feed(&mut self, bytes: &[u8]) {
        for part in bytes.split_inclusive(|byte| *byte == b'\n') {
            let (text, ends) = part.strip_suffix(b"\n").map_or((part, false), |text| (text, true));
            if ends && self.begun.is_empty() && self.cut == 0 && text.len() <= LINE_MAX {
                self.line(&String::from_utf8_lossy(text));
                continue;
            }
            let room = LINE_MAX.saturating_sub(self.begun.len()).min(text.len());
            self.begun.extend_from_slice(&text[..room]);
            self.cut += text.len() - room;
            if ends {
                self.complete();
            }
        }
    }

    /// A line without its end counts as one.
    fn end_line(&mut self) {
        if !self.begun.is_empty() {
            self.complete();
        }
    }

    fn complete(&mut self) {
        let bytes = std::mem::take(&mut self.begun);
        let mut line = String::from_utf8_lossy(&bytes).into_owned();
        let cut = std::mem::take(&mut self.cut);
        if cut > 0 {
            line.push_str(&format!(" [cut here: the line has {cut} more bytes]"));
        }
        self.line(&line);
    }

    fn line(&mut self, line: &str) {
        let line = line.strip_suffix('\r').unwrap_or(line);
        if let Some((telemetry, kind)) = &self.live.telemetry {
            telemetry.tell_line(kind, line);
        }
        self.keep(line);
    }

    fn keep(&mut self, line: &str) {
        self.kept.push(line);
        if self.live.timeline.is_followed() {
            let id = (!self.label.is_empty()).then(|| self.label.clone());
            let moment = Moment::Line { id, function: self.live.function.clone(), text: line.to_owned() };
            self.live.timeline.note(self.live.clock.now(), moment);
        }
    }
}

/// The beginning and the end of a log, whatever its length.
#[derive(Default)]
struct Kept {
    first: String,
    last: VecDeque<String>,
    last_bytes: usize,
    dropped_lines: usize,
    dropped_bytes: usize,
}

impl Kept {
    fn push(&mut self, line: &str) {
        if self.last.is_empty() && self.first.len() + line.len() < LOG_MAX / 2 {
            self.first.push_str(line);
            self.first.push('\n');
            return;
        }
        self.last_bytes += line.len() + 1;
        self.last.push_back(line.to_owned());
        while self.last_bytes > LOG_MAX / 2 && self.last.len() > 1 {
            let Some(oldest) = self.last.pop_front() else {
                break;
            };
            self.last_bytes -= oldest.len() + 1;
            self.dropped_bytes += oldest.len() + 1;
            self.dropped_lines += 1;
        }
    }

    fn take(&mut self) -> String {
        let Kept { mut first, last, dropped_lines, dropped_bytes, .. } = std::mem::take(self);
        if dropped_lines > 0 {
            first.push_str(&format!("[left out here: {dropped_lines} lines, {dropped_bytes} bytes]\n"));
        }
        for line in last {
            first.push_str(&line);
            first.push('\n');
        }
        first
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines() -> Lines {
        let (clock, timeline) = (Clock::system(), Timeline::default());
        Lines::new(Live { clock, timeline, function: "f".into(), telemetry: None })
    }

    #[test]
    fn lines_come_out_as_they_went_in() {
        let mut lines = lines();
        lines.feed(b"one\ntw");
        lines.feed(b"o\r\n\nna\xffme");
        lines.end_line();
        assert_eq!(lines.kept.take(), "one\ntwo\n\nna\u{fffd}me\n");
        assert_eq!(lines.kept.take(), "");
    }

    #[test]
    fn a_long_line_is_cut() {
        let mut lines = lines();
        lines.feed(&vec![b'x'; LINE_MAX]);
        lines.feed(b"yz\nnext\n");
        let text = lines.kept.take();
        assert!(text.ends_with("x [cut here: the line has 2 more bytes]\nnext\n"));
    }

    #[test]
    fn a_long_log_keeps_its_ends() {
        let mut lines = lines();
        for number in 0..300_000 {
            lines.feed(format!("line {number}\n").as_bytes());
        }
        let text = lines.kept.take();
        assert!(text.len() < LOG_MAX + 200);
        assert!(text.starts_with("line 0\nline 1\n") && text.ends_with("line 299998\nline 299999\n"));
        assert!(text.contains("[left out here: "));
    }
}
