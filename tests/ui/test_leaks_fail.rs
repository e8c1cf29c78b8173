#[raddle::test(leaks)]
fn no_value() {}

#[raddle::test(leaks = 1)]
fn no_truth() {}

#[raddle::test(unsafe(leaks))]
fn no_reason_for_unsafe() {}

#[raddle::test(leaks = true, leaks = true)]
fn twice() {}

#[raddle::main(leaks = true)]
fn main() {}
