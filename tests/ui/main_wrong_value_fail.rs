//! The body is checked against the type written.

#[raddle::main]
fn main() -> Result<(), std::fmt::Error> {
    1
}
