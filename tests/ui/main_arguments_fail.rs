#[raddle::main]
fn main(arguments: Vec<String>) {}
