//! The `unsafe` of the attribute is the user's own.
#![forbid(unsafe_code)]

#[raddle::main(unsafe(migrate))]
fn main() {}
