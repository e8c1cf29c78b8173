#[raddle::test(timeout = "3s")]
fn unknown() {}

#[raddle::test(deadline = "30")]
fn no_unit() {}

#[raddle::test(deadline = 30)]
fn no_text() {}

#[raddle::test(deadline = "0s")]
fn no_time() {}

#[raddle::test(procs = 4)]
fn no_list() {}

#[raddle::test(procs = [0])]
fn no_processor() {}

#[raddle::test(migrate)]
fn no_unsafe() {}

#[raddle::test(unsafe(procs))]
fn no_reason_for_unsafe() {}

#[raddle::test(procs = [1], procs = [2])]
fn twice() {}

fn main() {}
