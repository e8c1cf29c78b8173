//! The chat room, by tungstenite's client and, where there is one, by
//! Chromium.

#[path = "chat/browser.rs"]
mod browser;
mod common;

use browser::Browser;
use common::{Server, ask, with_deadline};
use serde_json::{Value, json};
use std::io::{Write, stderr};
use std::net::TcpStream;
use tungstenite::protocol::frame::coding::CloseCode;
use tungstenite::{Error, Message, WebSocket};

fn start() -> Server {
    Server::start(env!("CARGO_BIN_EXE_chat"), &["--grace", "20"])
}

struct Member(WebSocket<TcpStream>);

impl Member {
    fn enter(server: &Server, name: &str) -> Self {
        let url = format!("ws://{}/room?name={name}", server.address);
        let (socket, _) = tungstenite::client(url, server.connect()).expect("it is a room");
        let mut member = Self(socket);
        assert_eq!(member.hear(), json!({ "from": name, "does": "enters" }));
        member
    }

    fn say(&mut self, text: &str) {
        self.0.send(Message::text(text)).expect("it listens");
    }

    fn hear(&mut self) -> Value {
        loop {
            if let Message::Text(text) = self.0.read().expect("somebody speaks") {
                return serde_json::from_str(&text).expect("it is JSON");
            }
        }
    }
}

fn said(from: &str, text: &str) -> Value {
    json!({ "from": from, "says": text })
}

#[test]
fn all_hear_the_same_in_the_same_order() {
    with_deadline(|| {
        let server = start();
        let mut members = ["Ada", "Bo", "Cy"].map(|name| Member::enter(&server, name));
        let [ada, bo, cy] = &mut members;
        assert_eq!(ada.hear(), json!({ "from": "Bo", "does": "enters" }));
        assert_eq!(ada.hear(), json!({ "from": "Cy", "does": "enters" }));
        assert_eq!(bo.hear(), json!({ "from": "Cy", "does": "enters" }));
        for round in 0..50 {
            ada.say(&format!("a{round}"));
            bo.say(&format!("b{round}"));
        }
        let heard: Vec<_> = (0..100).map(|_| ada.hear()).collect();
        for round in 0..50 {
            assert!(heard.contains(&said("Ada", &format!("a{round}"))));
            assert!(heard.contains(&said("Bo", &format!("b{round}"))));
        }
        assert_eq!((0..100).map(|_| bo.hear()).collect::<Vec<_>>(), heard);
        assert_eq!((0..100).map(|_| cy.hear()).collect::<Vec<_>>(), heard);

        bo.0.close(None).expect("it listens");
        assert_eq!(ada.hear(), json!({ "from": "Bo", "does": "leaves" }));
        while let Ok(_rest) = bo.0.read() {}
    });
}

#[test]
fn pings_are_answered_beside_what_is_said() {
    with_deadline(|| {
        let server = start();
        let mut ada = Member::enter(&server, "Ada");
        for round in 0..20_u8 {
            ada.0
                .send(Message::Ping(vec![round].into()))
                .expect("it listens");
            ada.say("so");
            let two = [ada.0.read(), ada.0.read()].map(|one| one.expect("two answers"));
            assert!(two.contains(&Message::Pong(vec![round].into())), "{two:?}");
        }
    });
}

#[test]
fn a_message_that_is_too_long_ends_its_member_alone() {
    with_deadline(|| {
        let server = start();
        let mut ada = Member::enter(&server, "Ada");
        let mut bo = Member::enter(&server, "Bo");
        bo.say(&"long ".repeat(2000));
        ada.hear();
        assert_eq!(ada.hear(), json!({ "from": "Bo", "does": "leaves" }));
        ada.say("still here");
        assert_eq!(ada.hear(), said("Ada", "still here"));
    });
}

/// Who does not read is thrown out once too much waits for him, and holds up
/// nobody before that.
#[test]
fn a_member_that_never_reads_has_to_go() {
    with_deadline(|| {
        let server = start();
        let mut ada = Member::enter(&server, "Ada");
        let _sleeper = Member::enter(&server, "Sleeper");
        ada.hear();
        let long = "x".repeat(4000);
        for _ in 0..50_000 {
            ada.say(&long);
            if ada.hear() == json!({ "from": "Sleeper", "does": "leaves" }) {
                return;
            }
        }
        panic!("the sleeper is still there");
    });
}

#[test]
fn the_end_is_announced() {
    with_deadline(|| {
        for signal in ["INT", "TERM"] {
            let mut server = start();
            let mut ada = Member::enter(&server, "Ada");
            server.signal(signal);
            loop {
                match ada.0.read() {
                    Ok(Message::Close(Some(close))) => {
                        assert_eq!(close.code, CloseCode::Away);
                    }
                    Ok(_) => {}
                    Err(Error::ConnectionClosed) => break,
                    Err(error) => panic!("{error}"),
                }
            }
            assert!(server.wait().success());
        }
    });
}

#[test]
fn what_is_no_member_gets_pages() {
    with_deadline(|| {
        let server = start();
        let mut stream = server.connect();
        let page = ask(&mut stream, "GET", "/", "");
        assert_eq!(page.status, 200);
        assert!(page.body.contains("WebSocket"));
        assert_eq!(ask(&mut stream, "GET", "/room", "").status, 404);
    });
}

/// Somebody at a browser and somebody at a terminal talk to each other.
#[test]
fn the_page_works_in_a_browser() {
    with_deadline(|| {
        let server = start();
        let Some(mut page) = Browser::open(&format!("http://{}/", server.address)) else {
            // Not by `println!`, which is kept back in tests that pass.
            let _told = writeln!(stderr(), "skipped: no Chromium is installed");
            return;
        };
        let mut bo = Member::enter(&server, "Bo");
        page.run("enter.elements.name.value = 'Ada'; enter.requestSubmit()");
        assert_eq!(bo.hear(), json!({ "from": "Ada", "does": "enters" }));
        bo.say("well met <b>Ada</b>");
        page.wait_for("log.innerText.includes('Bo well met <b>Ada</b>')");
        page.run("say.elements.text.value = 'greetings'; say.requestSubmit()");
        assert_eq!(bo.hear(), said("Bo", "well met <b>Ada</b>"));
        assert_eq!(bo.hear(), said("Ada", "greetings"));
        page.wait_for("log.lastChild.innerText == 'Ada greetings'");
        page.screenshot("chat.png");
        server.signal("TERM");
        page.wait_for("log.lastChild.innerText == 'The room the server ends'");
    });
}
