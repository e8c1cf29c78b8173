//! Pages of the guide that are tables: each row has its line in the program
//! beneath, which is compiled and run as documentation.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

const PAGES: [&str; 4] = ["from-go", "from-std-thread", "from-tokio", "from-may"];

/// A section's rows, and the numbers beside the lines of its programs.
#[derive(Default)]
struct Section {
    title: String,
    rows: Vec<u32>,
    shown: BTreeSet<u32>,
}

#[test]
fn each_row_is_a_line_of_a_program() {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs");
    for page in PAGES {
        let text = fs::read_to_string(docs.join(page).with_extension("md")).unwrap();
        let sections = sections(&text);
        let rows: usize = sections.iter().map(|section| section.rows.len()).sum();
        assert!(rows > 20, "{page}: {rows} rows");
        for Section { title, rows, shown } in sections {
            let counted: Vec<u32> = (1..).take(rows.len()).collect();
            assert_eq!(rows, counted, "{page}: {title}");
            let rows = rows.into_iter().collect();
            assert_eq!(shown, rows, "{page}: {title}: shown, rows");
        }
    }
}

fn sections(text: &str) -> Vec<Section> {
    let mut sections = Vec::new();
    let mut current = Section::default();
    let mut in_code = false;
    for line in text.lines() {
        if line.starts_with("```") {
            // What is marked otherwise is not compiled and run.
            assert!(in_code || line == "```rust", "{line}");
            in_code = !in_code;
        } else if in_code {
            current.shown.extend(numbers(line));
        } else if let Some(title) = line.strip_prefix("## ") {
            sections.push(std::mem::take(&mut current));
            current.title = title.into();
        } else if let Some(row) = line.strip_prefix("| ") {
            let number: Option<u32> = row.split(' ').next().and_then(|word| word.parse().ok());
            current.rows.extend(number);
        }
    }
    sections.push(current);
    sections
}

/// Of a comment that begins with some: `// 3, 4: why`.
fn numbers(line: &str) -> Vec<u32> {
    let Some((_, comment)) = line.split_once("// ") else {
        return Vec::new();
    };
    let words = comment.split([' ', ':']).filter(|word| !word.is_empty());
    words
        .map_while(|word| word.trim_end_matches(',').parse::<u32>().ok())
        .collect()
}
