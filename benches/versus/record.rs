//! JSON: what every run said, and what machine it was.

use crate::options::Options;
use crate::plan::{self, Workload};
use crate::rounds::Run;
use crate::{go, root};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

/// Every run, and where and how it was measured.
#[derive(Serialize, Deserialize)]
pub struct Record {
    pub sessions: Vec<Session>,
    pub rows: Vec<Row>,
}

/// What was measured by one command.
#[derive(Clone, Default, Serialize, Deserialize)]
pub struct Session {
    pub date: Option<String>,
    pub kernel: Option<String>,
    pub cpu: Option<String>,
    pub cores: Option<usize>,
    /// Of the last minute, before the first run: others' work, if any.
    pub load: Option<String>,
    pub rustc: Option<String>,
    pub go: Option<String>,
    pub commit: Option<String>,
    pub rounds: usize,
    /// Whether at a tenth of the size.
    pub quick: bool,
}

/// All runs of one side at one workload.
#[derive(Clone, Default, Serialize, Deserialize)]
pub struct Row {
    pub workload: String,
    pub bench: String,
    pub side: String,
    pub procs: usize,
    /// Which of the sessions.
    pub session: usize,
    /// The numbers of its JSON lines: a value a run.
    pub values: BTreeMap<String, Vec<f64>>,
    /// Of the runs that failed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<String>,
}

impl Record {
    pub fn empty() -> Self {
        Self {
            sessions: Vec::new(),
            rows: Vec::new(),
        }
    }

    /// Of runs that begin now.
    pub fn new(options: &Options) -> Self {
        Self {
            sessions: vec![Session::here(options)],
            rows: Vec::new(),
        }
    }

    pub fn read(path: &Path) -> Result<Self, String> {
        let text = fs::read_to_string(path)
            .map_err(|error| format!("cannot read {}: {error}", path.display()))?;
        serde_json::from_str(&text)
            .map_err(|error| format!("{} is no record: {error}", path.display()))
    }

    pub fn add(&mut self, workload: &Workload, procs: usize, runs: &[Run<'_>]) {
        let session = self.sessions.len() - 1;
        let begin = self.rows.len();
        for run in runs {
            let (side, bench) = (&run.entrant.name, run.bench);
            let known = self.rows[begin..]
                .iter()
                .position(|row| row.side == *side && row.bench == bench);
            let at = known.map_or_else(
                || {
                    self.rows.push(Row {
                        workload: workload.name.into(),
                        bench: bench.into(),
                        side: side.clone(),
                        procs,
                        session,
                        ..Row::default()
                    });
                    self.rows.len() - 1
                },
                |at| begin + at,
            );
            self.rows[at].add(run);
        }
    }

    /// What one workload's runs said.
    pub fn of(&self, workload: &Workload, procs: usize) -> impl Iterator<Item = &Row> {
        self.rows
            .iter()
            .filter(move |row| row.workload == workload.name && row.procs == procs)
    }

    /// The workloads it has runs of, as the plan has them, with how many
    /// processors.
    pub fn stages(&self) -> Vec<(&'static Workload, usize)> {
        let of = |workload: &'static Workload| {
            let procs = workload.procs.iter().map(move |&procs| (workload, procs));
            procs.filter(|&(workload, procs)| self.of(workload, procs).next().is_some())
        };
        plan::all().flat_map(of).collect()
    }

    /// Takes over what `newer` says: of each workload that it knows, with as
    /// many processors, all of it, for only what ran by turns is compared.
    pub fn renew(&mut self, newer: Self) {
        let is_renewed = |old: &Row| {
            newer
                .rows
                .iter()
                .any(|row| row.workload == old.workload && row.procs == old.procs)
        };
        self.rows.retain(|row| !is_renewed(row));
        let before = self.sessions.len();
        self.sessions.extend(newer.sessions);
        self.rows.extend(newer.rows.into_iter().map(|row| Row {
            session: before + row.session,
            ..row
        }));
        self.forget_sessions();
        // As the plan has them, so that a new figure moves no other.
        let place = |row: &Row| plan::all().position(|workload| workload.name == row.workload);
        self.rows.sort_by_key(|row| (place(row), row.procs));
    }

    /// Drops those that no row is of.
    fn forget_sessions(&mut self) {
        let mut kept = Vec::new();
        for at in 0..self.sessions.len() {
            if self.rows.iter().any(|row| row.session == at) {
                for row in self.rows.iter_mut().filter(|row| row.session == at) {
                    row.session = kept.len();
                }
                kept.push(self.sessions[at].clone());
            }
        }
        self.sessions = kept;
    }

    /// The same without what no table shows, and with the digits that count.
    pub fn condensed(mut self) -> Self {
        for row in &mut self.rows {
            let workload = plan::all().find(|workload| workload.name == row.workload);
            row.values.retain(|field, _| {
                field == "ops" || workload.is_some_and(|workload| workload.has_field(field))
            });
            for value in row.values.values_mut().flatten() {
                *value = format!("{value:.3e}").parse().unwrap_or(*value);
            }
        }
        self
    }

    /// A line for each row: differences are readable.
    pub fn write(&self, path: &Path) -> Result<(), String> {
        let line = |row| serde_json::to_string(row).expect("a record has no odd keys");
        let rows: Vec<String> = self.rows.iter().map(line).collect();
        let sessions =
            serde_json::to_string_pretty(&self.sessions).expect("a record has no odd keys");
        let text = format!(
            "{{\n\"sessions\": {sessions},\n\"rows\": [\n{}\n]\n}}\n",
            rows.join(",\n")
        );
        write(path, &text)
    }
}

impl Row {
    fn add(&mut self, run: &Run<'_>) {
        match &run.result {
            Ok(line) => {
                for (field, value) in line {
                    if let Some(value) = value.as_f64()
                        && field != "procs"
                    {
                        self.values.entry(field.clone()).or_default().push(value);
                    }
                }
            }
            Err(why) => self.errors.push(why.clone()),
        }
    }
}

impl Session {
    fn here(options: &Options) -> Self {
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
            rounds: options.rounds(),
            quick: options.quick,
        }
    }
}

/// Writes a file, and the folder it lies in.
pub fn write(path: &Path, text: &str) -> Result<(), String> {
    let cannot = |error| format!("cannot write {}: {error}", path.display());
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(cannot)?;
    }
    fs::write(path, text).map_err(cannot)
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
