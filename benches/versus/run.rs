//! One run of one program.

use serde_json::{Map, Value};
use std::ffi::OsStr;
use std::io::Read;
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

/// The fields of a program's JSON line.
pub type Line = Map<String, Value>;

/// Runs `program` to its end, or until `timeout`.
pub fn run(
    program: &Path,
    arguments: impl IntoIterator<Item = impl AsRef<OsStr>>,
    timeout: Duration,
) -> Result<Line, String> {
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| format!("does not start: {error}"))?;

    let (over, ended) = channel();
    let said = listen(child.stdout.take(), over.clone());
    let complained = listen(child.stderr.take(), over);
    // Both senders are gone once both pipes are closed: then it has ended, and
    // no time went into asking whether it had.
    let timed_out = ended.recv_timeout(timeout) == Err(RecvTimeoutError::Timeout);
    if timed_out {
        // Gone already: the next line tells.
        let _ = child.kill();
    }
    let status = child
        .wait()
        .map_err(|error| format!("cannot be waited for: {error}"))?;
    let text = |thread: thread::JoinHandle<String>| thread.join().unwrap_or_default();
    let (said, complained) = (text(said), text(complained));
    if timed_out {
        return Err(format!("timed out after {} s", timeout.as_secs()));
    }
    outcome(status, &said, &complained)
}

/// Reads all; drops `over` at the end.
fn listen<R: Read + Send + 'static>(
    pipe: Option<R>,
    over: std::sync::mpsc::Sender<()>,
) -> thread::JoinHandle<String> {
    thread::spawn(move || {
        let mut text = Vec::new();
        if let Some(mut pipe) = pipe {
            // What was read before an error is still worth showing.
            let _ = pipe.read_to_end(&mut text);
        }
        drop(over);
        String::from_utf8_lossy(&text).into_owned()
    })
}

fn outcome(status: ExitStatus, said: &str, complained: &str) -> Result<Line, String> {
    if !status.success() {
        // A runtime's report ends in a trace: its head says what it is about.
        let why = complained
            .lines()
            .find(|line| !line.trim().is_empty())
            .unwrap_or("no word");
        return Err(format!("failed ({status}): {}", why.trim()));
    }
    let line = said.lines().last().unwrap_or_default();
    serde_json::from_str(line).map_err(|error| format!("said no JSON line: {error}"))
}
