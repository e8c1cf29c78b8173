#[raddle::main(unsafe(speed))]
fn main() {}
