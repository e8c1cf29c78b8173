//! A server's process.

use raddle_peers::Outcome;
use raddle_peers::process::{context_switches_of, cpu_time_of};
use serde_json::Map;
use std::io::{self, BufRead, BufReader};
use std::net::{Ipv4Addr, SocketAddr};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A server that runs until this is dropped.
pub struct Server {
    child: Child,
    port: u16,
}

impl Server {
    /// Starts `command`, a program and what it takes beside the workload, and
    /// waits until it listens.
    pub fn start(command: &[String], workload: &str, procs: usize) -> io::Result<Self> {
        let (program, arguments) = command
            .split_first()
            .ok_or_else(|| io::Error::other("no program"))?;
        let mut child = Command::new(program)
            .arg(workload)
            .args(["--procs", &procs.to_string(), "--port", "0"])
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let said = child.stdout.take().expect("it was asked for");
        let mut line = String::new();
        BufReader::new(said).read_line(&mut line)?;
        let port = line
            .trim_end()
            .strip_prefix("LISTEN ")
            .and_then(|port| port.parse().ok());
        let mut server = Self { child, port: 0 };
        server.port = port.ok_or_else(|| io::Error::other(format!("does not listen: {line:?}")))?;
        Ok(server)
    }

    pub fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.port).into()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // That asks it to end; it may have ended already.
        drop(self.child.stdin.take());
        let _ended = self.child.wait();
    }
}

/// Measures a server, unseen by it.
pub struct Watch {
    pid: u32,
    period: Duration,
    begun: Option<(Instant, Duration)>,
}

impl Watch {
    /// Of a measurement that is to take `period`.
    pub fn of(server: &Server, period: Duration) -> Self {
        Self {
            pid: server.child.id(),
            period,
            begun: None,
        }
    }

    /// Starts the clocks; how long it is to be measured.
    pub fn begin(&mut self) -> Duration {
        self.begun = Some((Instant::now(), self.cpu_time()));
        self.period
    }

    /// Stops them: `ops` operations were done.
    pub fn end(self, ops: u64) -> Outcome {
        let (start, cpu) = self.begun.expect("it was begun");
        Outcome {
            ops,
            wall: start.elapsed(),
            cpu: self.cpu_time() - cpu,
            extras: Map::new(),
        }
    }

    pub fn context_switches(&self) -> u64 {
        context_switches_of(self.pid).expect("the server runs")
    }

    fn cpu_time(&self) -> Duration {
        cpu_time_of(self.pid).expect("the server runs")
    }
}
