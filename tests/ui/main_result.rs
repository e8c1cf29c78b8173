//! Attributes and visibility stay, `?` works, and main may return a result.
#![deny(warnings)]
#![forbid(unsafe_code)]

/// Documented.
#[raddle::main]
#[allow(unused_variables)]
pub fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    #![allow(unused_mut)]
    let mut unused: u32 = "1".parse()?;
    Ok(())
}
