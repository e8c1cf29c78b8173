//! JSON, and what machine it was.

use crate::options::Options;
use crate::plan::Workload;
use crate::rounds::Run;
use crate::{go, root};
use serde::Serialize;
use serde_json::{Value, json};
use std::fs;
use std::path::Path;
use std::process::Command;

/// Every run, and where and how it was measured.
#[derive(Serialize)]
pub struct Record {
    machine: Machine,
    options: Value,
    rounds: usize,
    runs: Vec<Value>,
}

#[derive(Serialize)]
struct Machine {
    date: Option<String>,
    kernel: Option<String>,
    cpu: Option<String>,
    cores: Option<usize>,
    /// Of the last minute, before the first run: others' work, if any.
    load: Option<String>,
    rustc: Option<String>,
    go: Option<String>,
    commit: Option<String>,
}

impl Record {
    pub fn new(options: &Options) -> Self {
        Self {
            machine: Machine::here(),
            options: json!(options),
            rounds: options.rounds(),
            runs: Vec::new(),
        }
    }

    pub fn add(&mut self, workload: &Workload, procs: usize, runs: &[Run<'_>]) {
        self.runs.extend(runs.iter().map(|run| {
            json!({
                "workload": workload.name,
                "bench": run.bench,
                "side": run.entrant.name,
                "procs": procs,
                "round": run.round,
                "result": run.result.as_ref().ok(),
                "error": run.result.as_ref().err(),
            })
        }));
    }

    pub fn write(&self, path: &Path) -> Result<(), String> {
        let cannot = |error| format!("cannot write {}: {error}", path.display());
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).map_err(cannot)?;
        }
        let text = serde_json::to_string_pretty(self).expect("a record has no odd keys");
        fs::write(path, text + "\n").map_err(cannot)
    }
}

impl Machine {
    fn here() -> Self {
        Self {
            date: said("date", &["-u", "+%Y-%m-%dT%H:%M:%SZ"]),
            kernel: said("uname", &["-sr"]),
            cpu: cpu(),
            cores: std::thread::available_parallelism().ok().map(usize::from),
            load: fs::read_to_string("/proc/loadavg")
                .ok()
                .and_then(|load| Some(load.split(' ').next()?.to_owned())),
            rustc: said("rustc", &["--version"]),
            go: go::find(false).ok().and_then(|go| go::version(&go)),
            commit: said("git", &["describe", "--always", "--dirty", "--abbrev=12"]),
        }
    }
}

fn cpu() -> Option<String> {
    let all = fs::read_to_string("/proc/cpuinfo").ok()?;
    let line = all.lines().find(|line| line.starts_with("model name"))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

fn said(program: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program)
        .args(arguments)
        .current_dir(root())
        .output()
        .ok()?;
    output
        .status
        .success()
        .then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
