//! The house keeps itself: the dependency directions, the sizes of files and functions, the registries' documentation.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::fs;
use std::path::{Path, PathBuf};

/// Lines of code in a file (blanks, comments, tests and generated tables apart).
const FILE_MAX: usize = 400;
/// Lines of a function.
const FUNCTION_MAX: usize = 60;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn rust_files() -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders =
        vec![root().join("src"), root().join("parsers"), root().join("rules"), root().join("tests")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap().map(Result::unwrap) {
            let path = entry.path();
            if path.is_dir() && path.file_name().unwrap() != "target" {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == "rs") {
                found.push(path);
            }
        }
    }
    found.sort();
    assert!(found.len() > 20, "found too few files: {found:?}");
    found
}

fn shown(path: &Path) -> String {
    path.strip_prefix(root()).unwrap().display().to_string()
}

/// The code lines before the tests.
fn code(text: &str) -> Vec<&str> {
    let end = text.find("#[cfg(test)]\nmod ").unwrap_or(text.len());
    text[..end].lines().filter(|l| !l.trim().is_empty() && !l.trim_start().starts_with("//")).collect()
}

#[test]
fn files_are_short() {
    let mut long = Vec::new();
    for path in rust_files() {
        let lines = code(&fs::read_to_string(&path).unwrap()).len();
        let is_test = shown(&path).contains("tests/") || shown(&path).ends_with("tests.rs");
        if lines > FILE_MAX && !is_test {
            long.push(format!("{}: {lines} lines of code", shown(&path)));
        }
    }
    assert!(long.is_empty(), "over {FILE_MAX} lines:\n{}", long.join("\n"));
}

#[test]
fn functions_are_short() {
    let mut long = Vec::new();
    for path in rust_files() {
        let text = fs::read_to_string(&path).unwrap();
        let mut start: Option<(usize, usize, String)> = None;
        for (number, line) in code(&text).iter().enumerate() {
            let indent = line.len() - line.trim_start().len();
            let head = line.trim_start().trim_start_matches("pub ").trim_start_matches("pub(crate) ");
            let head = head
                .trim_start_matches("pub(super) ")
                .trim_start_matches("const ")
                .trim_start_matches("async ");
            if start.is_none() && head.starts_with("fn ") && !line.trim_end().ends_with(';') {
                start = Some((number, indent, head.chars().take(60).collect()));
            }
            // rustfmt puts a function's closing brace at the column its head starts in.
            if let Some((first, column, name)) = &start
                && line.starts_with(&format!("{}}}", " ".repeat(*column)))
                && indent == *column
            {
                let length = number - first + 1;
                if length > FUNCTION_MAX {
                    long.push(format!("{}: {length} lines: {name}", shown(&path)));
                }
                start = None;
            } else if let Some((first, _, _)) = &start
                && *first == number
                && line.trim_end().ends_with('}')
            {
                start = None;
            }
        }
    }
    assert!(long.is_empty(), "over {FUNCTION_MAX} lines:\n{}", long.join("\n"));
}

/// Which modules of the shell a module may use, beside the two cores: `main → commands → {agent, batch} → wiring → …`.
const EDGES: &[(&str, &[&str])] = &[
    (
        "commands",
        &["agent", "batch", "cli", "clock", "config", "exit", "inputs", "reports", "settings", "wiring"],
    ),
    (
        "agent",
        &[
            "clock",
            "config",
            "delivery",
            "inputs",
            "message",
            "notifiers",
            "reports",
            "settings",
            "state",
            "tail",
            "wiring",
        ],
    ),
    ("batch", &["clock", "inputs", "tail"]),
    ("settings", &["cli", "config", "exit", "tail", "wiring"]),
    ("wiring", &[]),
    ("config", &["receiver"]),
    ("inputs", &["tail"]),
    ("tail", &[]),
    ("state", &["delivery", "tail"]),
    ("delivery", &["message", "notifiers", "receiver"]),
    ("notifiers", &["delivery", "message", "receiver"]),
    ("message", &["causes", "delivery", "figures"]),
    ("reports", &["causes", "figures"]),
    ("receiver", &[]),
    ("causes", &[]),
    ("figures", &[]),
    ("cli", &[]),
    ("clock", &[]),
    ("exit", &[]),
];

fn top_module(path: &Path) -> Option<String> {
    let inside = path.strip_prefix(root().join("src")).ok()?;
    let first = inside.components().next()?.as_os_str().to_str()?;
    Some(first.trim_end_matches(".rs").to_owned())
}

#[test]
fn dependencies_point_one_way() {
    let mut wrong = Vec::new();
    for path in rust_files() {
        let Some(module) = top_module(&path).filter(|m| m != "lib" && m != "main") else { continue };
        let text = fs::read_to_string(&path).unwrap();
        let allowed = EDGES.iter().find(|e| e.0 == module);
        if allowed.is_none() {
            wrong.push(format!("{}: module `{module}` is not in EDGES", shown(&path)));
        }
        for line in code(&text) {
            for used in line.match_indices("crate::").map(|(at, _)| &line[at + 7..]) {
                let name: String =
                    used.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
                if name != module
                    && !name.is_empty()
                    && allowed.is_some_and(|e| !e.1.contains(&name.as_str()))
                {
                    wrong.push(format!("{}: `{module}` uses `{name}`: {}", shown(&path), line.trim()));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "new edges (EDGES in tests/tidy.rs is the map):\n{}", wrong.join("\n"));
}

#[test]
fn cores_are_pure() {
    const BANNED: &[&str] = &[
        "std::fs",
        "std::net",
        "std::env",
        "std::thread",
        "std::process",
        "SystemTime",
        "Instant::now",
        "Utc::now",
        "Local::now",
        "Mutex",
        "RwLock",
        "tokio",
        "println!",
        "eprintln!",
    ];
    let mut wrong = Vec::new();
    for path in rust_files()
        .iter()
        .filter(|p| ["parsers/src", "rules/src"].iter().any(|c| p.starts_with(root().join(c))))
    {
        for line in code(&fs::read_to_string(path).unwrap()) {
            wrong.extend(
                BANNED.iter().filter(|b| line.contains(**b)).map(|b| format!("{}: {b}: {line}", shown(path))),
            );
        }
    }
    assert!(
        wrong.is_empty(),
        "the cores touch no clock, file, network, environment or lock:\n{}",
        wrong.join("\n")
    );
}

#[test]
fn registries_are_documented() {
    for kind in gatewatch_parsers::formats::FORMATS {
        assert!(!kind.summary.is_empty() && !kind.example.is_empty(), "format {}", kind.name);
    }
    for kind in gatewatch::reports::REPORTS {
        assert!(!kind.summary.is_empty(), "report {}", kind.name);
    }
}

#[test]
fn nothing_names_one_machine() {
    let mut wrong = Vec::new();
    for path in rust_files() {
        let text = fs::read_to_string(&path).unwrap();
        for word in ["/home/", "/root/"] {
            if text.contains(word) && !shown(&path).ends_with("tidy.rs") {
                wrong.push(format!("{}: {word}", shown(&path)));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
