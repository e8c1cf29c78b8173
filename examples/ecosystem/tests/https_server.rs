//! The HTTPS server, driven by rustls clients.

mod common;

use common::{Server, ask, receive, send, with_deadline};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;

fn start(name: &str) -> (Server, Arc<ClientConfig>) {
    let file = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}.pem"));
    let path = file.to_str().expect("it is text");
    let program = env!("CARGO_BIN_EXE_https_server");
    let server = Server::start(program, &["--certificate", path]);
    let mut roots = RootCertStore::empty();
    let certificate = CertificateDer::from_pem_file(&file).expect("it is written");
    roots.add(certificate).expect("it is a certificate");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("there are some")
        .with_root_certificates(roots)
        .with_no_client_auth();
    (server, Arc::new(config))
}

fn connect(
    server: &Server,
    config: &Arc<ClientConfig>,
) -> StreamOwned<ClientConnection, TcpStream> {
    let name = ServerName::try_from("localhost").expect("it is a name");
    let session = ClientConnection::new(config.clone(), name).expect("it is configured");
    StreamOwned::new(session, server.connect())
}

#[test]
fn requests_are_answered_in_private() {
    with_deadline(|| {
        let (server, config) = start("private");
        let mut stream = connect(&server, &config);
        let hello = ask(&mut stream, "GET", "/", "");
        assert_eq!(
            (hello.status, &*hello.body),
            (200, "hello, world, in private\n")
        );
        let long = "a long text ".repeat(20_000);
        let echo = ask(&mut stream, "POST", "/echo", &long);
        assert_eq!((echo.status, echo.body), (200, long));
        assert_eq!(ask(&mut stream, "GET", "/nothing", "").status, 404);
    });
}

#[test]
fn many_clients_at_once() {
    with_deadline(|| {
        let (server, config) = start("many");
        thread::scope(|scope| {
            for client in 0..30 {
                let (server, config) = (&server, &config);
                scope.spawn(move || {
                    let mut stream = connect(server, config);
                    for request in 0..5 {
                        let text = format!("{client} {request}");
                        assert_eq!(ask(&mut stream, "POST", "/echo", &text).body, text);
                    }
                });
            }
        });
    });
}

/// Somebody who does not speak TLS is one connection's trouble.
#[test]
fn a_stranger_is_turned_away() {
    with_deadline(|| {
        let (server, config) = start("stranger");
        let mut stranger = server.connect();
        send(&mut stranger, "GET", "/", "");
        let mut told = Vec::new();
        // A TLS alert, or a reset.
        let _end = stranger.read_to_end(&mut told);
        assert!(!told.starts_with(b"HTTP"));
        assert_eq!(
            ask(&mut connect(&server, &config), "GET", "/", "").status,
            200
        );
    });
}

/// A request that has begun is answered; a client that is idle is told that
/// it is the end, and no cut.
#[test]
fn it_ends_cleanly() {
    with_deadline(|| {
        let (mut server, config) = start("clean");
        let mut idle = connect(&server, &config);
        assert_eq!(ask(&mut idle, "GET", "/", "").status, 200);
        let mut begun = connect(&server, &config);
        assert_eq!(ask(&mut begun, "GET", "/", "").status, 200);
        begun
            .write_all(b"POST /echo HTTP/1.1\r\ncontent-length: 4\r\nexpect: 100-continue\r\n\r\n")
            .expect("it reads");
        begun.flush().expect("it reads");
        assert_eq!(receive(&mut begun).status, 100);
        server.signal("TERM");
        let mut rest = Vec::new();
        assert_eq!(idle.read_to_end(&mut rest).expect("no cut"), 0);
        begun.write_all(b"done").expect("it reads");
        begun.flush().expect("it reads");
        let answer = receive(&mut begun);
        assert_eq!((answer.status, &*answer.body), (200, "done"));
        assert!(answer.head.contains("connection: close"));
        assert_eq!(begun.read_to_end(&mut rest).expect("no cut"), 0);
        assert!(server.wait().success());
    });
}
