//! A loop that accepts connections until SIGINT or SIGTERM, and then lets
//! those end that are under way.

use raddle::context::Context;
use raddle::net::{TcpListener, TcpStream};
use raddle::signal::{SIGINT, SIGTERM, notify};
use raddle::sync::WaitGroup;
use raddle::{eprintln, go, println};
use std::io;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Where a server listens, and how it ends.
#[derive(Clone, Debug, clap::Args)]
pub struct Options {
    /// Where to listen; port 0 is any that is free
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:0")]
    pub listen: String,
    /// So many seconds connections have to end after SIGINT or SIGTERM
    #[arg(long, value_name = "SECONDS", default_value_t = 10)]
    pub grace: u64,
}

/// Says where it listens, as `scheme://address`, and runs `handle` for each
/// connection in a goroutine of its own, with a context that ends at the
/// first SIGINT or SIGTERM. Returns when all have ended, or after the grace.
///
/// # Errors
/// When it cannot listen.
pub fn serve<F>(options: &Options, scheme: &str, handle: F) -> io::Result<()>
where
    F: Fn(TcpStream, &Context) -> io::Result<()> + Send + Sync + 'static,
{
    let signals = notify(&[SIGINT, SIGTERM]);
    let listener = TcpListener::bind(&options.listen).map_err(|error| {
        io::Error::new(
            error.kind(),
            format!("cannot listen at {}: {error}", options.listen),
        )
    })?;
    println!("listening on {scheme}://{}", listener.local_addr()?);

    let listener = Arc::new(listener);
    let (context, cancel) = Context::background().with_cancel();
    let until_signal = listener.clone();
    go!(move || {
        let _signal = signals.recv();
        cancel.cancel();
        // Ends the `accept` that waits.
        until_signal.set_deadline(Some(Instant::now()));
    });

    let connections = WaitGroup::new();
    let handle = Arc::new(handle);
    while context.err().is_none() {
        let stream = match listener.accept() {
            Ok((stream, _from)) => stream,
            Err(error) if error.kind() == io::ErrorKind::TimedOut => continue,
            Err(error) => {
                // No descriptor is left, or the client is gone: others go on.
                eprintln!("cannot accept: {error}");
                raddle::time::sleep(Duration::from_millis(10));
                continue;
            }
        };
        let (handle, context) = (handle.clone(), context.clone());
        connections.go(move || {
            if let Err(error) = handle(stream, &context)
                && !is_of_the_client(&error)
            {
                eprintln!("connection: {error}");
            }
        });
    }
    // Those that wait to be accepted were promised nothing.
    drop(listener);
    if !connections.wait_timeout(Duration::from_secs(options.grace)) {
        eprintln!("connections were left after {} s", options.grace);
    }
    Ok(())
}

/// How the process ends, after it has said why.
pub fn status(served: io::Result<()>) -> ExitCode {
    match served {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// Clients go and come as they like: no error of ours.
fn is_of_the_client(error: &io::Error) -> bool {
    use io::ErrorKind::{
        BrokenPipe, ConnectionAborted, ConnectionReset, TimedOut, UnexpectedEof, WouldBlock,
    };
    matches!(
        error.kind(),
        BrokenPipe | ConnectionAborted | ConnectionReset | TimedOut | UnexpectedEof | WouldBlock
    )
}
