//! CPU time, memory, threads and CPUs of this process and of others, as Linux
//! tells them.

use crate::measure::Outcome;
use std::fs;
use std::io;
use std::mem::MaybeUninit;
use std::os::linux::fs::MetadataExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;
use std::time::Duration;

/// User and system time of all threads so far.
pub fn cpu_time() -> Duration {
    let mut usage = MaybeUninit::<libc::rusage>::uninit();
    // SAFETY: `usage` is large enough, and nobody else has it.
    let status = unsafe { libc::getrusage(libc::RUSAGE_SELF, usage.as_mut_ptr()) };
    assert_eq!(
        status,
        0,
        "getrusage failed: {}",
        io::Error::last_os_error()
    );
    // SAFETY: getrusage said it filled it.
    let usage = unsafe { usage.assume_init() };
    duration(usage.ru_utime) + duration(usage.ru_stime)
}

fn duration(time: libc::timeval) -> Duration {
    Duration::from_secs(time.tv_sec as u64) + Duration::from_micros(time.tv_usec as u64)
}

/// User and system time of all threads of another process so far.
pub fn cpu_time_of(pid: u32) -> io::Result<Duration> {
    let pid = libc::pid_t::try_from(pid).expect("a process id is no larger");
    let mut clock = 0;
    // SAFETY: `clock` is one, and nobody else has it.
    let status = unsafe { libc::clock_getcpuclockid(pid, &raw mut clock) };
    if status != 0 {
        return Err(io::Error::from_raw_os_error(status));
    }
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: `time` is one, and nobody else has it.
    let status = unsafe { libc::clock_gettime(clock, &raw mut time) };
    if status != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(Duration::new(time.tv_sec as u64, time.tv_nsec as u32))
}

/// How often threads of another process have left their CPU, willing or not.
pub fn context_switches_of(pid: u32) -> io::Result<u64> {
    let mut sum = 0;
    for thread in fs::read_dir(format!("/proc/{pid}/task"))? {
        let status = fs::read_to_string(thread?.path().join("status"))?;
        let lines = status.lines().filter_map(|line| {
            let (name, count) = line.split_once(':')?;
            name.ends_with("ctxt_switches")
                .then(|| count.trim().parse::<u64>().expect("a count"))
        });
        sum += lines.sum::<u64>();
    }
    Ok(sum)
}

/// Lets this process and those it starts have as many open files as the
/// system allows them.
pub fn raise_descriptor_limit() {
    let mut limit = MaybeUninit::<libc::rlimit>::uninit();
    // SAFETY: `limit` is large enough, and nobody else has it.
    let status = unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, limit.as_mut_ptr()) };
    assert_eq!(status, 0, "getrlimit: {}", io::Error::last_os_error());
    // SAFETY: getrlimit said it filled it.
    let mut limit = unsafe { limit.assume_init() };
    limit.rlim_cur = limit.rlim_max;
    // SAFETY: this only reads `limit`.
    let status = unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) };
    assert_eq!(status, 0, "setrlimit: {}", io::Error::last_os_error());
}

/// Confines the calling thread, and those it starts, to CPU 0.
pub fn confine_to_one_cpu() {
    confine_to_cpu(0);
}

/// Confines the calling thread, and those it starts, to one of the first 64
/// CPUs.
pub fn confine_to_cpu(cpu: u8) {
    assert!(cpu < 64, "one of the first 64 CPUs");
    // SAFETY: a set of CPUs is an array of integers; zeros are the empty set.
    let mut cpus: libc::cpu_set_t = unsafe { MaybeUninit::zeroed().assume_init() };
    // SAFETY: `cpu` is less than CPU_SETSIZE.
    unsafe { libc::CPU_SET(cpu.into(), &mut cpus) };
    // SAFETY: `cpus` is as large as said; 0 is the calling thread.
    let status = unsafe { libc::sched_setaffinity(0, size_of_val(&cpus), &raw const cpus) };
    assert_eq!(
        status,
        0,
        "sched_setaffinity failed: {}",
        io::Error::last_os_error()
    );
}

/// Lets timers of the calling thread be late by a nanosecond on purpose, where
/// Linux's default is 50 microseconds.
pub fn expect_timers_on_time() {
    const SLACK_NS: libc::c_ulong = 1;
    // SAFETY: this option only reads the number behind it.
    let status = unsafe { libc::prctl(libc::PR_SET_TIMERSLACK, SLACK_NS) };
    assert_eq!(status, 0, "prctl failed: {}", io::Error::last_os_error());
}

/// Memory in use.
#[derive(Clone, Copy)]
pub struct Memory {
    resident: u64,
    page_tables: u64,
}

impl Memory {
    /// As of now.
    pub fn now() -> Self {
        Self {
            resident: resident(),
            page_tables: page_tables(),
        }
    }

    /// Adds to `outcome` by how much it is more than `before`, for each of `n`
    /// tasks: `bytes_per_task` resident, `page_table_bytes_per_task` besides.
    #[must_use]
    pub fn per_task(self, before: Self, n: u64, outcome: Outcome) -> Outcome {
        let each = |now: u64, then: u64| (now as f64 - then as f64) / n as f64;
        outcome
            .with("bytes_per_task", each(self.resident, before.resident))
            .with(
                "page_table_bytes_per_task",
                each(self.page_tables, before.page_tables),
            )
    }
}

fn resident() -> u64 {
    let statm = fs::read_to_string("/proc/self/statm").expect("statm is there");
    let pages = statm
        .split_ascii_whitespace()
        .nth(1)
        .expect("statm has seven fields");
    // SAFETY: sysconf only reads its argument.
    let page = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    pages.parse::<u64>().expect("a number of pages") * page as u64
}

fn page_tables() -> u64 {
    let status = fs::read_to_string("/proc/self/status").expect("status is there");
    let line = status.lines().find_map(|line| line.strip_prefix("VmPTE:"));
    let kib = line
        .and_then(|line| line.trim().strip_suffix(" kB"))
        .expect("a VmPTE line");
    kib.parse::<u64>().expect("a number of KiB") * 1024
}

/// How many threads this process has.
pub fn threads() -> u64 {
    // One link for each thread, besides the directory's own two: one system
    // call, where /proc/self/status is three and much formatting.
    fs::metadata("/proc/self/task")
        .expect("a directory of threads")
        .st_nlink()
        - 2
}

/// Watches how many threads there are, from a thread of its own.
pub struct ThreadWatch {
    stop: Arc<AtomicBool>,
    watcher: thread::JoinHandle<u64>,
}

impl ThreadWatch {
    /// Looks every `period`.
    pub fn every(period: Duration) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let watcher = thread::spawn(move || {
            let mut peak = 0;
            while !stopped.load(Relaxed) {
                peak = peak.max(threads());
                thread::sleep(period);
            }
            peak
        });
        Self { stop, watcher }
    }

    /// The most it saw, itself not counted.
    ///
    /// # Blocking
    /// The calling thread, for up to a period: not inside a timed region.
    pub fn peak(self) -> u64 {
        self.stop.store(true, Relaxed);
        self.watcher.join().expect("the watcher does not panic") - 1
    }
}
