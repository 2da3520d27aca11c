//! A world to measure: a project folder, the real `dropwire` on it, and where its functions tell what they got.

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use dropwire::clock::real;
use tokio::sync::mpsc;

/// A project folder.
pub struct Folder {
    folder: tempfile::TempDir,
    tell: std::net::SocketAddr,
    told: tokio::sync::Mutex<mpsc::UnboundedReceiver<String>>,
}

/// A running dropwire, ended with the measurement.
pub struct Running {
    child: Child,
    pub address: String,
    pub token: String,
    /// From the start of the process to its first answer.
    pub answered: Duration,
}

impl Folder {
    pub async fn new() -> Folder {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let tell = listener.local_addr().expect("an address");
        let (sender, told) = mpsc::unbounded_channel();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let sender = sender.clone();
                std::thread::spawn(move || {
                    let lines = BufReader::new(stream).lines().map_while(Result::ok);
                    lines.take_while(|line| sender.send(line.clone()).is_ok()).count()
                });
            }
        });
        Folder { folder: tempfile::tempdir().expect("a folder"), tell, told: tokio::sync::Mutex::new(told) }
    }
    pub fn root(&self) -> &Path {
        self.folder.path()
    }
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
    /// A wiring whose function is this program.
    pub fn write(&self, concurrency: usize, wiring: &str) {
        let program = std::env::current_exe().expect("this program");
        let tell = self.tell;
        let text = format!(
            "[function.tell]\nrun = \"{} {}\"\nconcurrency = {concurrency}\nenv = {{ TELL = \"{tell}\" }}\n{wiring}",
            program.display(),
            super::client::WORD
        );
        std::fs::write(self.path("dropwire.toml"), text).expect("a wiring file");
    }

    /// Starts dropwire here and waits for its first answer.
    pub async fn start(&self) -> Running {
        let file = self.path(".dropwire/running.json");
        std::fs::remove_file(&file).ok();
        let begun = Instant::now();
        let child = Command::new(env!("CARGO_BIN_EXE_dropwire"))
            .args(["up", "-q", "--port", "0"])
            .arg(self.root())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("dropwire starts");
        let (address, token, answered) = Default::default();
        let mut started = Running { child, address, token, answered };
        loop {
            let running = std::fs::read_to_string(&file).ok();
            let running = running.and_then(|text| serde_json::from_str::<serde_json::Value>(&text).ok());
            if let Some(running) = running {
                let text = |name: &str| running[name].as_str().unwrap_or_default().to_owned();
                (started.address, started.token) = (text("address"), text("token"));
                std::net::TcpStream::connect(&started.address).expect("it listens");
                started.answered = begun.elapsed();
                return started;
            }
            real::sleep(Duration::from_micros(500)).await;
        }
    }

    /// What the function told next: when, of what, with how many records. None if nothing comes for ten seconds.
    pub async fn told(&self) -> Option<(u64, u64, usize)> {
        let mut told = self.told.lock().await;
        let text = real::within(Duration::from_secs(10), told.recv()).await??;
        let mut words = text.split(' ');
        Some((words.next()?.parse().ok()?, words.next()?.parse().ok()?, words.next()?.parse().ok()?))
    }
}

impl Running {
    /// Resident memory now and at its highest, in KiB.
    pub fn memory(&self) -> (u64, u64) {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap_or_default();
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
            line.trim().trim_end_matches(" kB").parse().unwrap_or_default()
        };
        (field("VmRSS:"), field("VmHWM:"))
    }
    /// Processor time used so far, in milliseconds (the kernel counts in hundredths of a second).
    pub fn processor_ms(&self) -> u64 {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap_or_default();
        let after_name: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
        let ticks = |i: usize| after_name.get(i).and_then(|t| t.parse::<u64>().ok()).unwrap_or_default();
        (ticks(11) + ticks(12)) * 10
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// The median of some figures.
pub fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied().unwrap_or(f64::NAN)
}
