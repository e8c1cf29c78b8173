#[raddle::main]
fn main<T>()
where
    T: Default,
{
}
