//! HTTP/1.1 over TLS: rustls's `StreamOwned` around a goroutine's socket, in
//! plain blocking style.
//!
//! ```sh
//! cargo run --bin https_server -- --listen 127.0.0.1:8443 --certificate cert.pem
//! curl --cacert cert.pem https://localhost:8443/
//! ```
//!
//! The certificate is made at each start and signed by itself;
//! `--certificate` writes it to a file, for clients to trust.

use clap::Parser;
use raddle::context::Context;
use raddle::net::TcpStream;
use raddle_ecosystem::http::{Connection, Request, Response};
use raddle_ecosystem::server::{self, Options, serve};
use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::pki_types::PrivateKeyDer;
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A client may take so long to say goodbye.
const GOODBYE: Duration = Duration::from_secs(2);

/// HTTP/1.1 over TLS on goroutines
#[derive(Parser)]
struct Arguments {
    #[command(flatten)]
    server: Options,
    /// A name of this server, beside localhost and 127.0.0.1
    #[arg(long, value_name = "NAME")]
    name: Vec<String>,
    /// Where to write the certificate, for clients to trust
    #[arg(long, value_name = "FILE")]
    certificate: Option<PathBuf>,
}

#[raddle::main]
fn main() -> ExitCode {
    server::status(run(&Arguments::parse()))
}

fn run(arguments: &Arguments) -> io::Result<()> {
    let mut names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
    names.extend_from_slice(&arguments.name);
    let own = generate_simple_self_signed(names).map_err(io::Error::other)?;
    if let Some(file) = &arguments.certificate {
        raddle::fs::write(file, own.cert.pem()).map_err(|error| {
            io::Error::new(error.kind(), format!("{}: {error}", file.display()))
        })?;
    }
    let config = Arc::new(configuration(&own).map_err(io::Error::other)?);
    serve(&arguments.server, "https", move |stream, context| {
        serve_connection(stream, config.clone(), context)
    })
}

fn configuration(own: &CertifiedKey<rcgen::KeyPair>) -> Result<ServerConfig, rustls::Error> {
    let key = PrivateKeyDer::Pkcs8(own.signing_key.serialize_der().into());
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(vec![own.cert.der().clone()], key)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

/// The handshake is part of the first read: it is under its deadline.
fn serve_connection(
    socket: TcpStream,
    config: Arc<ServerConfig>,
    context: &Context,
) -> io::Result<()> {
    socket.set_nodelay(true)?;
    let session = ServerConnection::new(config).map_err(io::Error::other)?;
    let mut stream = StreamOwned::new(session, socket.try_clone()?);
    let served = Connection::new(&mut stream, &socket, context)?.serve(answer);
    // Tells the client that this is the end, and no cut.
    socket.set_deadline(Some(Instant::now() + GOODBYE));
    stream.conn.send_close_notify();
    stream.flush()?;
    served
}

fn answer(request: &Request) -> Response {
    match (&*request.method, &*request.path) {
        ("GET" | "HEAD", "/") => Response::text("200 OK", "hello, world, in private"),
        ("POST", "/echo") => Response {
            status: "200 OK",
            media_type: "application/octet-stream",
            body: request.body.clone(),
        },
        ("GET" | "HEAD", "/echo") => Response::text("405 Method Not Allowed", "post it"),
        _ => Response::text("404 Not Found", "no such page"),
    }
}
