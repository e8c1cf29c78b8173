#[raddle::main(migrate)]
fn main() {}
