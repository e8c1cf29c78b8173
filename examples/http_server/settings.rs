//! Limits and timeouts, from the command line.

use std::time::Duration;

#[derive(Clone, clap::Args)]
pub struct Settings {
    /// How many connections may be open; more wait until some are closed
    #[arg(long, value_name = "N", default_value_t = 10_000)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..))]
    pub connections: u32,
    /// How large the head of a request may be (431 above)
    #[arg(long, value_name = "SIZE", default_value = "16k", value_parser = size)]
    pub max_head: usize,
    /// How large the body of a request may be (413 above)
    #[arg(long, value_name = "SIZE", default_value = "1m", value_parser = size)]
    pub max_body: usize,
    /// How long a request's head may take from its first byte (408 after)
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = time)]
    pub head_timeout: Duration,
    /// How long a request's body may take (408 after)
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = time)]
    pub body_timeout: Duration,
    /// How long a client may take to receive what is written
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = time)]
    pub write_timeout: Duration,
    /// How long a connection may wait for its next request
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = time)]
    pub idle_timeout: Duration,
    /// How long requests may go on once the end is asked for
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = time)]
    pub grace: Duration,
}

fn time(text: &str) -> Result<Duration, String> {
    let end_of_number = text.find(|c: char| !c.is_ascii_digit());
    let (number, unit) = text.split_at(end_of_number.unwrap_or(text.len()));
    let number: u64 = number.parse().unwrap_or(0);
    let millis = match unit {
        "ms" => Some(number),
        "s" => number.checked_mul(1000),
        "m" => number.checked_mul(60_000),
        _ => None,
    };
    match millis {
        // Deadlines are to be moments that there are.
        Some(millis @ 1..=31_536_000_000) => Ok(Duration::from_millis(millis)),
        _ => Err("a time is such as 200ms, 10s or 2m".to_owned()),
    }
}

fn size(text: &str) -> Result<usize, String> {
    let (number, unit) = match text.as_bytes().last() {
        Some(b'k') => (&text[..text.len() - 1], 1 << 10),
        Some(b'm') => (&text[..text.len() - 1], 1 << 20),
        _ => (text, 1),
    };
    let number = number.parse::<usize>().ok().filter(|number| *number > 0);
    number
        .and_then(|number| number.checked_mul(unit))
        .ok_or_else(|| "a size is such as 8000, 16k or 1m".to_owned())
}
