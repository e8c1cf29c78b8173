//! Chromium without a window, told what to do through its DevTools.

use crate::common::receive;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use tungstenite::{Message, WebSocket};

const PROGRAMS: [&str; 3] = ["chromium", "chromium-browser", "google-chrome"];

/// A browser with one page, until it is dropped.
pub struct Browser {
    child: Child,
    tools: WebSocket<TcpStream>,
    last: u64,
    profile: PathBuf,
}

impl Browser {
    /// Opens `url`; none: no browser is installed.
    pub fn open(url: &str) -> Option<Self> {
        let profile = temporary(&format!("profile-{}", std::process::id()));
        let mut child = PROGRAMS.iter().find_map(|program| {
            Command::new(program)
                .args(["--headless", "--no-sandbox", "--disable-gpu"])
                .args(["--disable-dev-shm-usage", "--no-first-run"])
                .args(["--window-size=800,640", "--remote-debugging-port=0"])
                .arg(format!("--user-data-dir={}", profile.display()))
                .arg("about:blank")
                .stdout(Stdio::null())
                .stderr(Stdio::piped())
                .spawn()
                .ok()
        })?;
        let stderr = child.stderr.take().expect("it is piped");
        let mut lines = BufReader::new(stderr).lines();
        let address = loop {
            let line = lines.next().expect("it says where it listens");
            let line = line.expect("it is text");
            if let Some(url) = line.strip_prefix("DevTools listening on ws://") {
                break url.split('/').next().expect("an address").to_owned();
            }
        };
        // What it says else is not to fill the pipe.
        std::thread::spawn(move || lines.for_each(drop));

        let mut stream = TcpStream::connect(&address).expect("it listens");
        write!(stream, "GET /json/list HTTP/1.1\r\nhost: {address}\r\n\r\n").expect("it reads");
        let list: Value = serde_json::from_str(&receive(&mut stream).body).expect("it is JSON");
        let pages = list.as_array().expect("it is a list");
        let page = pages
            .iter()
            .find(|one| one["type"] == "page")
            .expect("there is a page");
        let tools = page["webSocketDebuggerUrl"].as_str().expect("it is text");
        let stream = TcpStream::connect(&address).expect("it listens");
        let (tools, _) = tungstenite::client(tools, stream).expect("it is a socket");
        let mut browser = Self {
            child,
            tools,
            last: 0,
            profile,
        };
        browser.call("Page.enable", json!({}));
        browser.call("Page.navigate", json!({ "url": url }));
        browser.hear("Page.loadEventFired");
        Some(browser)
    }

    /// Runs a statement in the page.
    pub fn run(&mut self, statement: &str) {
        self.evaluate(statement);
    }

    /// Waits until an expression is true, looking each time the page changes.
    pub fn wait_for(&mut self, expression: &str) {
        self.evaluate(&format!(
            "new Promise(done => {{
                const look = () => ({expression}) && done(true);
                new MutationObserver(look).observe(document, {{ subtree: true, childList: true }});
                look();
            }})"
        ));
    }

    /// A picture of the page, in the folder of temporary files.
    pub fn screenshot(&mut self, name: &str) {
        let picture = self.call("Page.captureScreenshot", json!({ "format": "png" }));
        let text = picture["data"].as_str().expect("it is text");
        let file = temporary(name);
        std::fs::write(&file, decode(text)).expect("it is written");
        println!("the page: {}", file.display());
    }

    fn evaluate(&mut self, expression: &str) {
        let result = self.call(
            "Runtime.evaluate",
            json!({ "expression": expression, "awaitPromise": true }),
        );
        assert!(result["exceptionDetails"].is_null(), "{result}");
    }

    fn call(&mut self, method: &str, parameters: Value) -> Value {
        self.last += 1;
        let id = self.last;
        let call = json!({ "id": id, "method": method, "params": parameters });
        self.tools
            .send(Message::text(call.to_string()))
            .expect("it listens");
        loop {
            let mut answer = self.next();
            if answer["id"] == id {
                return answer["result"].take();
            }
        }
    }

    fn hear(&mut self, event: &str) {
        while self.next()["method"] != event {}
    }

    fn next(&mut self) -> Value {
        loop {
            if let Message::Text(text) = self.tools.read().expect("it is there") {
                return serde_json::from_str(&text).expect("it is JSON");
            }
        }
    }
}

/// It has processes of its own, so it is asked to end.
impl Drop for Browser {
    fn drop(&mut self) {
        let close = json!({ "id": 0, "method": "Browser.close" });
        if self.tools.send(Message::text(close.to_string())).is_ok() {
            while self.tools.read().is_ok() {}
        } else {
            let _gone = self.child.kill();
        }
        let _reaped = self.child.wait();
        let _gone = std::fs::remove_dir_all(&self.profile);
    }
}

fn temporary(name: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(name)
}

/// base64.
fn decode(text: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3);
    let (mut bits, mut count) = (0_u32, 0);
    for letter in text.bytes() {
        let value = match letter {
            b'A'..=b'Z' => letter - b'A',
            b'a'..=b'z' => letter - b'a' + 26,
            b'0'..=b'9' => letter - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => break,
        };
        bits = bits << 6 | u32::from(value);
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push((bits >> count) as u8);
            bits &= (1 << count) - 1;
        }
    }
    bytes
}
