#[raddle::main]
async fn main() {}
