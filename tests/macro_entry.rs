//! `#[raddle::test]`: options, other attributes, and what a test may return.
//! `#[raddle::main]` ends its process: `tests/ui/main_*.rs` check it.

use raddle::go;

#[raddle::test]
fn a_plain_test_runs_its_body() {
    assert_eq!(go!(u8::from(true)).join().unwrap(), 1);
}

#[raddle::test()]
fn empty_parentheses_change_nothing() {}

#[raddle::test(deadline = "1m30s")]
fn a_deadline_is_accepted() {}

#[raddle::test(procs = [1, 4], deadline = "30s")]
fn a_body_may_run_more_than_once() {
    let text = String::from("moved");
    assert_eq!(go!(text.len()).join().unwrap(), 5);
}

#[raddle::test]
#[should_panic(expected = "out of the test")]
fn a_panic_comes_out() {
    panic!("out of the test");
}

#[should_panic(expected = "out of a goroutine")]
#[raddle::test(procs = [1])]
fn attributes_may_stand_above_too() {
    let payload = go!(panic!("out of a goroutine")).join().unwrap_err();
    std::panic::resume_unwind(payload);
}

#[raddle::test]
#[ignore = "to be listed as ignored"]
fn a_test_may_be_ignored() {}

#[raddle::test]
#[cfg(any())]
fn a_test_compiled_out_is_not_looked_at() {
    does_not_exist();
}

#[raddle::test]
fn a_test_may_return_a_result() -> Result<(), std::num::ParseIntError> {
    let n: u32 = "12".parse()?;
    assert_eq!(n, 12);
    Ok(())
}

#[raddle::test(procs = [1, 2])]
fn a_test_may_return_an_error_that_is_not_send() -> Result<(), Box<dyn std::error::Error>> {
    let n: u32 = "12".parse()?;
    assert_eq!(n, 12);
    Ok(())
}

#[raddle::test]
#[should_panic(expected = "though it says what it returns")]
#[allow(clippy::unused_unit)]
fn a_test_that_returns_nothing_may_say_so() -> () {
    panic!("though it says what it returns");
}

#[raddle::test]
fn a_test_may_hide_what_it_returns() -> impl std::process::Termination {
    std::process::ExitCode::SUCCESS
}

#[raddle::test]
fn r#try() {}

/// Documentation, lints and visibility stay.
#[raddle::test]
#[allow(unused_variables, unreachable_code)]
pub fn lints_reach_the_body() {
    #![allow(unused_mut)]
    let mut unused = 1;
    return;
    unreachable!();
}

mod inner {
    use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

    static RUNS: AtomicUsize = AtomicUsize::new(0);

    /// A body finds its neighbours, and itself, by name.
    #[raddle::test]
    fn names_resolve_as_written() {
        fn again(left: usize) {
            if left > 0 {
                names_resolve_as_written();
            }
        }
        // ORDER: a lone count, no partner.
        let runs = RUNS.fetch_add(1, Relaxed);
        again(usize::from(runs == 0));
    }
}
