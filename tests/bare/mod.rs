//! Test files without std's harness. Under that the main thread waits outside
//! raddle, so no child process of such a test is ever found asleep. Here a
//! child's main thread is the test's own.

use crate::common::is_child;
use std::panic::catch_unwind;
use std::process::ExitCode;

/// Declares `main` and the tests it runs, one after the other.
macro_rules! tests {
    ($($name:ident,)*) => {
        fn main() -> std::process::ExitCode {
            crate::bare::run(&[$((stringify!($name), $name as fn()),)*])
        }
    };
}
pub(crate) use tests;

/// Understands what cargo and `common::child` say: a part of the names, or
/// with `--exact` a name. In a child the test is all there is.
pub fn run(tests: &[(&str, fn())]) -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.iter().any(|argument| argument == "--list") {
        for (name, _) in tests {
            println!("{name}: test");
        }
        return ExitCode::SUCCESS;
    }
    let is_exact = arguments.iter().any(|argument| argument == "--exact");
    let filter = arguments.iter().find(|argument| !argument.starts_with('-'));
    let chosen = tests.iter().filter(|(name, _)| match filter {
        None => true,
        Some(filter) if is_exact => name == filter,
        Some(filter) => name.contains(&**filter),
    });
    if is_child() {
        for (_, test) in chosen {
            test();
        }
        return ExitCode::SUCCESS;
    }
    let (mut passed, mut failed) = (0, 0);
    for (name, test) in chosen {
        let is_ok = catch_unwind(test).is_ok();
        println!("test {name} ... {}", if is_ok { "ok" } else { "FAILED" });
        *(if is_ok { &mut passed } else { &mut failed }) += 1;
    }
    let word = if failed == 0 { "ok" } else { "FAILED" };
    println!("\ntest result: {word}. {passed} passed; {failed} failed; 0 ignored");
    ExitCode::from(u8::from(failed > 0))
}
