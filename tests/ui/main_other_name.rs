//! The function need not be called main, and may hide what it returns.
#![deny(warnings)]
#![forbid(unsafe_code)]

use std::process::{ExitCode, Termination};

#[raddle::main]
fn start() -> impl Termination + Send {
    ExitCode::SUCCESS
}

fn main() {
    start();
    panic!("start ends the process");
}
