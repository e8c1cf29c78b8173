//! The notes, by plain HTTP, in both modes.

mod common;

use common::{Server, ask, receive, send, with_deadline};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

const MODES: [&[&str]; 2] = [&[], &["--migrate"]];

/// A file that is not there yet.
fn database(name: &str) -> PathBuf {
    let file = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}.db"));
    for end in ["db", "db-wal", "db-shm"] {
        let _gone = std::fs::remove_file(file.with_extension(end));
    }
    file
}

fn start(file: &Path, more: &[&str]) -> Server {
    let mut arguments = vec!["--file", file.to_str().expect("it is text")];
    arguments.extend(more);
    Server::start(env!("CARGO_BIN_EXE_sqlite_api"), &arguments)
}

/// Status and body of an answer.
fn json_of(server: &Server, method: &str, path: &str, body: &str) -> (u16, Value) {
    let answer = ask(&mut server.connect(), method, path, body);
    let value = serde_json::from_str(&answer.body).expect("it is JSON");
    (answer.status, value)
}

#[test]
fn notes_are_kept() {
    with_deadline(|| {
        for mode in MODES {
            let file = database("kept");
            let mut server = start(&file, mode);
            let wool = json!({ "id": 1, "text": "buy wool" });
            let made = json_of(&server, "POST", "/notes", r#"{"text": "buy wool"}"#);
            assert_eq!(made, (201, wool.clone()));
            assert_eq!(json_of(&server, "GET", "/notes/1", ""), (200, wool.clone()));
            server.signal("TERM");
            assert!(server.wait().success());

            let server = start(&file, mode);
            assert_eq!(json_of(&server, "GET", "/notes", ""), (200, json!([wool])));
            assert_eq!(json_of(&server, "DELETE", "/notes/1", ""), (200, wool));
            assert_eq!(json_of(&server, "GET", "/notes", ""), (200, json!([])));
        }
    });
}

#[test]
fn what_cannot_be_answered_is_refused() {
    with_deadline(|| {
        let server = start(&database("refused"), &[]);
        for (method, path, body, status) in [
            ("GET", "/notes/1", "", 404),
            ("DELETE", "/notes/1", "", 404),
            ("PATCH", "/notes/1", "", 400),
            ("POST", "/notes", "{", 400),
            ("GET", "/count?to=many", "", 400),
            ("GET", "/elsewhere", "", 404),
        ] {
            let (got, why) = json_of(&server, method, path, body);
            assert_eq!(got, status, "{method} {path}");
            assert!(why["error"].is_string());
        }
    });
}

/// Two queries that do not end hold up nobody, though there are as many of
/// them as of processors.
#[test]
fn requests_go_on_beside_slow_queries() {
    with_deadline(|| {
        for mode in MODES {
            let more = [mode, &["--grace", "1"]].concat();
            let mut server = start(&database("slow"), &more);
            assert_eq!(
                json_of(&server, "GET", "/count?to=1000", ""),
                (200, json!({ "count": 1000 }))
            );
            let mut slow = [server.connect(), server.connect()];
            for stream in &mut slow {
                send(stream, "GET", "/count?to=4000000000", "");
            }
            let running = || json_of(&server, "GET", "/status", "").1["running"].clone();
            while running() != 2 {}

            let mut quick = server.connect();
            for note in 0..50 {
                let body = json!({ "text": format!("note {note}") }).to_string();
                assert_eq!(ask(&mut quick, "POST", "/notes", &body).status, 201);
                assert_eq!(ask(&mut quick, "GET", "/notes", "").status, 200);
            }
            assert_eq!(running(), 2, "they have not ended");

            server.signal("INT");
            assert!(server.wait().success(), "{mode:?}");
        }
    });
}

/// More requests than connections to the database: all wait their turn.
#[test]
fn many_writers_lose_nothing() {
    with_deadline(|| {
        for mode in MODES {
            let server = start(&database("writers"), mode);
            let mut clients: Vec<_> = (0..20).map(|_| server.connect()).collect();
            for _ in 0..10 {
                for client in &mut clients {
                    send(client, "POST", "/notes", r#"{"text": "again"}"#);
                }
                for client in &mut clients {
                    assert_eq!(receive(client).status, 201);
                }
            }
            let (_, notes) = json_of(&server, "GET", "/notes", "");
            assert_eq!(notes.as_array().map(Vec::len), Some(200));
        }
    });
}

#[test]
fn a_file_that_is_none_is_an_error() {
    with_deadline(|| {
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_sqlite_api"))
            .args(["--file", "/no/such/folder/notes.db"])
            .output()
            .expect("it is built");
        assert!(!output.status.success());
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(told.contains("/no/such/folder/notes.db"), "{told}");
    });
}
