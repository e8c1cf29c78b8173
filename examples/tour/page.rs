//! How the tour looks.

use std::fmt;
use std::io::{self, IsTerminal};
use std::panic;
use std::time::Duration;

pub struct Page {
    colour: bool,
    /// To read what came before.
    pause: Duration,
}

const PART: &str = "1;35";
const TITLE: &str = "1;36";
const CODE: &str = "33";
const RESULT: &str = "32";

impl Page {
    pub fn new(fast: bool) -> Self {
        let terminal = io::stdout().is_terminal();
        let wanted = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        Self {
            colour: wanted && terminal,
            pause: Duration::from_millis(if terminal && !fast { 1_000 } else { 0 }),
        }
    }

    fn paint(&self, colour: &str, text: impl fmt::Display) -> String {
        if self.colour {
            format!("\x1b[{colour}m{text}\x1b[0m")
        } else {
            text.to_string()
        }
    }

    pub fn part(&self, name: &str) {
        let rule = "─".repeat(66 - name.chars().count());
        raddle::println!("\n{}", self.paint(PART, format_args!("── {name} {rule}")));
    }

    pub fn title(&self, text: &str) {
        raddle::time::sleep(self.pause);
        raddle::println!("\n{}", self.paint(TITLE, text));
    }

    pub fn say(&self, text: &str) {
        raddle::println!("{text}");
    }

    pub fn code(&self, text: &str) {
        for line in text.lines() {
            raddle::println!("    {}", self.paint(CODE, line));
        }
    }

    /// Further lines of `text` stand below its first.
    pub fn result_line(&self, text: impl fmt::Display) -> String {
        let text = text.to_string().replace('\n', "\n      ");
        format!("    {}", self.paint(RESULT, format_args!("→ {text}")))
    }

    pub fn result(&self, text: impl fmt::Display) {
        raddle::println!("{}", self.result_line(text));
    }
}

/// While it lives, panics are not printed: the tour speaks of them itself.
pub struct Hush;

impl Hush {
    pub fn new() -> Self {
        panic::set_hook(Box::new(|_| {}));
        Self
    }
}

impl Drop for Hush {
    fn drop(&mut self) {
        drop(panic::take_hook());
    }
}
