#[raddle::test]
async fn asynchronous() {}

#[raddle::test]
fn arguments(n: u32) {}

#[raddle::test]
#[test]
fn doubled() {}

fn main() {}
