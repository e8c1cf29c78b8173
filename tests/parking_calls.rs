//! The contract of migrate mode lists the calls that can park: each public
//! item whose documentation says so under *Blocking* is on that list.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Whole modules stand on the list, by their names.
const MODULES: [&str; 4] = ["net", "io", "fs", "process"];

/// A public item, and what it says under *Blocking*.
struct Item {
    place: String,
    /// Of the `impl` around it, if it is a method.
    owner: Option<String>,
    name: String,
    blocking: String,
}

#[test]
fn each_call_that_can_park_is_on_the_list() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = fs::read_to_string(root.join("docs/soundness.md")).unwrap();
    let listed = listed(&page);
    for module in MODULES {
        assert!(listed.contains(module), "{module} is not on the list");
    }
    let mut parking = 0;
    let mut missing = Vec::new();
    for item in items(root) {
        // Locks of `lock_api` are used by their other names.
        if !can_park(&item.blocking, &listed) || item.name.starts_with("Raw") {
            continue;
        }
        parking += 1;
        let names = [item.owner.as_ref(), Some(&item.name)];
        if !names
            .into_iter()
            .flatten()
            .all(|name| listed.contains(name))
        {
            let owner = item.owner.unwrap_or_default();
            missing.push(format!("{}: {owner} {}", item.place, item.name));
        }
    }
    assert!(parking > 80, "only {parking} calls found that can park");
    assert!(missing.is_empty(), "not in docs/soundness.md: {missing:#?}");
}

/// Every word in code of the list.
fn listed(page: &str) -> BTreeSet<String> {
    let (_, list) = page.split_once("Today these are").unwrap();
    let (list, _) = list.split_once("Whatever calls one of them").unwrap();
    let code = list.split('`').skip(1).step_by(2);
    code.flat_map(words).map(str::to_owned).collect()
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    let is_part = |c: char| c.is_alphanumeric() || c == '_';
    text.split(move |c| !is_part(c))
        .filter(|word| !word.is_empty())
}

/// Whether the text says that the call parks or yields, or is as one that is
/// on the list.
fn can_park(blocking: &str, listed: &BTreeSet<String>) -> bool {
    let says = |verb: &&str| words(blocking).any(|word| word.eq_ignore_ascii_case(verb));
    if blocking.starts_with("Never") {
        return (says(&"yield") && !blocking.contains("not yield"))
            || blocking.contains("but as")
            || blocking.contains("but for a moment");
    }
    // Of [`Type::name`], the name.
    let is_listed = |link: &str| {
        let name = link.split('`').next().and_then(|link| words(link).last());
        name.is_some_and(|name| listed.contains(name))
    };
    let is_as_one_listed =
        blocking.starts_with("As [`") && blocking.split("[`").skip(1).any(is_listed);
    ["park", "parks", "parked", "until"].iter().any(says)
        || blocking.contains("end of its machine's queue")
        || is_as_one_listed
}

/// Those of the crates whose items users see; of the scheduler, functions.
fn items(root: &Path) -> Vec<Item> {
    let mut files = Vec::new();
    for of in ["runtime/src", "chan/src", "scheduler/src"] {
        find_files(&root.join(of), &mut files);
    }
    files.sort();
    let mut items = Vec::new();
    for file in files {
        let text = fs::read_to_string(&file).unwrap();
        let place = file.strip_prefix(root).unwrap().display().to_string();
        read(&place, &text, &mut items);
    }
    items
}

fn find_files(directory: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        if path.is_dir() {
            if !MODULES.contains(&name) {
                find_files(&path, files);
            }
        } else if name.ends_with(".rs") && !name.starts_with("raw_") {
            files.push(path);
        }
    }
}

fn read(place: &str, text: &str, items: &mut Vec<Item>) {
    let mut owner = None;
    let mut section = String::new();
    let mut blocking: Option<String> = None;
    // In place of a section.
    let mut twin: Option<String> = None;
    for line in text.lines() {
        let code = line.trim();
        if let Some(text) = code.strip_prefix("///") {
            if let Some(title) = text.trim().strip_prefix("# ") {
                section = title.to_owned();
            } else if section == "Blocking" {
                let blocking = blocking.get_or_insert_default();
                blocking.push_str(text.trim());
                blocking.push(' ');
            } else if section.is_empty() && text.trim().starts_with("As [`") {
                twin.get_or_insert_with(|| text.trim().to_owned());
            }
            continue;
        }
        if line.starts_with("impl") {
            owner = owner_of(line);
        } else if let Some(name) = declared(code) {
            let is_method = line.starts_with(' ');
            let is_inside = is_method && place.starts_with("scheduler");
            if let Some(blocking) = blocking.take().or(twin.take()).filter(|_| !is_inside) {
                items.push(Item {
                    place: place.to_owned(),
                    owner: owner.clone().filter(|_| is_method),
                    name,
                    blocking,
                });
            }
        } else if code.is_empty() || code.starts_with('#') || code.starts_with("//") {
            continue;
        }
        section.clear();
        (blocking, twin) = (None, None);
    }
}

/// `Name` of `impl<T> Name<T> {`.
fn owner_of(line: &str) -> Option<String> {
    let line = line.strip_prefix("impl")?.replace("->", "  ");
    let mut depth = 0;
    let after = line.char_indices().find(|&(_, c)| {
        depth += i32::from(c == '<') - i32::from(c == '>');
        depth == 0 && c != '>' && c != '<'
    });
    let (at, _) = after?;
    words(&line[at..]).next().map(str::to_owned)
}

/// `name` of a public declaration, or of a macro.
fn declared(code: &str) -> Option<String> {
    let code = match code.strip_prefix("pub ") {
        Some(code) => code,
        None => code.strip_prefix("macro_rules! ").map(|_| code)?,
    };
    let kinds = ["fn", "struct", "type", "macro_rules"];
    let mut all = words(code).skip_while(|word| !kinds.contains(word));
    let _kind = all.next()?;
    all.next().map(str::to_owned)
}
