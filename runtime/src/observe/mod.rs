//! The program seen from outside: who is there, and what each is at.

mod leaks;

pub use leaks::{LeakReport, verify_no_leaks};
pub use raddle_scheduler::Dump;

pub(crate) use leaks::left_behind;

/// Every live goroutine of the process, of all its runtimes: number, name,
/// what it waits for and how long, where it was spawned, and its stack if it
/// is parked. Who runs is listed without a stack; those that have not begun
/// are counted.
///
/// Goroutines go on meanwhile, so the list is no single moment's.
///
/// # Blocking
/// Never for long: some microseconds a goroutine.
///
/// # Examples
/// ```
/// raddle::run(|| {
///     let text = raddle::observe::dump().to_string();
///     assert!(text.contains("\"main\" [running]"), "{text}");
/// });
/// ```
///
/// # Go
/// `runtime.Stack(buf, true)`.
#[must_use]
pub fn dump() -> Dump {
    raddle_scheduler::dump()
}
