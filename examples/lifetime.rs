//! How long a goroutine lives: joined, detached, ended with its runtime, cut
//! off with main.
//!
//! ```sh
//! cargo run --example lifetime
//! ```

use raddle::runtime::Runtime;
use raddle::sync::WaitGroup;
use std::time::Duration;

/// Says when it is dropped.
struct Farewell(&'static str);

impl Drop for Farewell {
    fn drop(&mut self) {
        raddle::println!("   {} is dropped", self.0);
    }
}

#[raddle::main]
fn main() {
    joined();
    detached();
    ended_with_its_runtime();
    cut_off_with_main();
}

/// `join` waits for the end and gives the result. What the goroutine owned is
/// gone by then.
fn joined() {
    raddle::println!("1. joined");
    let handle = raddle::spawn(|| {
        let _owned = Farewell("what the goroutine owned");
        6 * 7
    });
    let answer = handle.join().expect("it does not panic");
    raddle::println!("   join gave {answer}");
}

/// Dropping the handle gives up the result, and nothing else: the goroutine
/// goes on.
fn detached() {
    raddle::println!("2. detached");
    let dropped = WaitGroup::new();
    dropped.add(1);
    let group = WaitGroup::new();
    let before = dropped.clone();
    let handle = group.go(move || {
        before.wait();
        raddle::println!("   the goroutine goes on");
    });
    drop(handle);
    raddle::println!("   the handle is dropped");
    dropped.done();
    group.wait();
}

/// Dropping a runtime of one's own wakes the goroutines that wait there and
/// unwinds them, so that their destructors run.
fn ended_with_its_runtime() {
    raddle::println!("3. ended with its runtime");
    let runtime = Runtime::new().expect("the system has a thread for it");
    let began = WaitGroup::new();
    began.add(1);
    let member = began.clone();
    let handle = runtime.spawn(move || {
        let _owned = Farewell("what the goroutine owned");
        member.done();
        raddle::time::sleep(Duration::from_secs(3600));
    });
    began.wait();
    drop(runtime);
    let payload = handle.join().expect_err("it had an hour to go");
    assert!(payload.is::<raddle::Shutdown>());
    raddle::println!("   join gave Err(Shutdown)");
}

/// When main returns the process exits. Nobody is waited for and nothing is
/// dropped, as in Go.
fn cut_off_with_main() {
    raddle::println!("4. cut off with main");
    let began = WaitGroup::new();
    began.add(1);
    let member = began.clone();
    drop(raddle::spawn(move || {
        let _owned = Farewell("this line is never printed: it");
        member.done();
        raddle::time::sleep(Duration::from_secs(3600));
    }));
    began.wait();
    raddle::println!("   main returns; the goroutine had an hour to go");
}
