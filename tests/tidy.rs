//! The house keeps itself: the dependency directions, the sizes of files and functions, the registries' documentation,
//! the map.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::fs;
use std::path::{Path, PathBuf};

/// Lines of code in a file (blanks, comments, tests and generated tables apart).
const FILE_MAX: usize = 400;
/// Lines of a function.
const FUNCTION_MAX: usize = 60;
/// Lines of ARCHITECTURE.md: a map that nobody reads is none.
const MAP_MAX: usize = 150;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every file below the given folders, what is built and what is logged apart.
fn files(folders: &[&str]) -> Vec<PathBuf> {
    const APART: [&str; 5] = ["target", ".git", "corpus", "artifacts", "bench-data"];
    let mut found = Vec::new();
    let mut folders: Vec<PathBuf> = folders.iter().map(|f| root().join(f)).collect();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap().map(Result::unwrap) {
            let path = entry.path();
            if APART.iter().any(|a| path.ends_with(a)) {
                continue;
            }
            if path.is_dir() { folders.push(path) } else { found.push(path) }
        }
    }
    found.sort();
    found
}

fn rust_files() -> Vec<PathBuf> {
    let mut found = files(&["src", "parsers", "rules", "tests", "fuzz", "packaging"]);
    found.retain(|path| path.extension().is_some_and(|e| e == "rs"));
    assert!(found.len() > 100, "found too few files: {found:?}");
    found
}

/// Tests may be long: they are tables.
fn is_test(path: &Path) -> bool {
    let name = path.file_name().unwrap().to_str().unwrap();
    path.strip_prefix(root()).unwrap().components().any(|c| c.as_os_str() == "tests")
        || name == "tests.rs"
        || name.ends_with("_tests.rs")
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
    for path in rust_files().into_iter().filter(|p| !is_test(p)) {
        let lines = code(&fs::read_to_string(&path).unwrap()).len();
        if lines > FILE_MAX {
            long.push(format!("{}: {lines} lines of code", shown(&path)));
        }
    }
    assert!(long.is_empty(), "over {FILE_MAX} lines:\n{}", long.join("\n"));
}

#[test]
fn functions_are_short() {
    let mut long = Vec::new();
    for path in rust_files().into_iter().filter(|p| !is_test(p)) {
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
        &[
            "agent",
            "batch",
            "cli",
            "clock",
            "config",
            "control",
            "delivery",
            "discover",
            "exit",
            "figures",
            "inputs",
            "message",
            "mute",
            "notification",
            "notifiers",
            "receiver",
            "reports",
            "settings",
            "state",
            "status",
            "wiring",
        ],
    ),
    (
        "agent",
        &[
            "clock",
            "config",
            "control",
            "delivery",
            "inputs",
            "message",
            "metrics",
            "mute",
            "notification",
            "notifiers",
            "receiver",
            "reports",
            "service",
            "settings",
            "state",
            "status",
            "tail",
            "wiring",
        ],
    ),
    ("control", &["clock", "metrics", "mute", "status"]),
    ("metrics", &["status"]),
    ("status", &["delivery", "figures", "mute", "state"]),
    ("batch", &["clock", "inputs", "tail"]),
    ("discover", &["clock", "wiring"]),
    ("settings", &["cli", "config", "discover", "exit", "inputs", "tail", "wiring"]),
    ("wiring", &[]),
    ("config", &["figures", "inputs", "mute", "notifiers", "receiver"]),
    ("inputs", &["tail"]),
    ("tail", &[]),
    ("state", &["delivery", "mute", "tail"]),
    ("delivery", &["message", "notification", "notifiers", "receiver"]),
    ("notifiers", &["message", "notification", "receiver"]),
    ("message", &["causes", "figures", "findings", "notification"]),
    ("mute", &[]),
    ("notification", &[]),
    ("reports", &["causes", "figures", "findings"]),
    ("receiver", &[]),
    ("service", &[]),
    ("causes", &[]),
    ("figures", &[]),
    ("findings", &["figures"]),
    ("cli", &[]),
    ("clock", &[]),
    ("exit", &[]),
];

fn top_module(path: &Path) -> Option<String> {
    let inside = path.strip_prefix(root().join("src")).ok()?;
    let first = inside.components().next()?.as_os_str().to_str()?;
    Some(first.trim_end_matches(".rs").to_owned())
}

/// What stands behind `crate::` or as many `super::` as lead out of the top module: other top modules, one word each.
fn others_used(path: &Path, line: &str) -> Vec<String> {
    let inside = path.strip_prefix(root().join("src")).unwrap();
    let is_folder = path.ends_with("mod.rs");
    let depth = inside.components().count() - usize::from(is_folder);
    // `super::super::` of src/a/b.rs is the crate; a `mod tests` within the file is one deeper, and its own affair.
    let out = "super::".repeat(depth);
    let starts = ["crate::", out.as_str()];
    let mut used = Vec::new();
    for start in starts.into_iter().filter(|s| !s.is_empty()) {
        for (at, _) in line.match_indices(start) {
            if start == out && line[..at].ends_with("super::") {
                continue;
            }
            let name =
                line[at + start.len()..].chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_');
            used.push(name.collect());
        }
    }
    used
}

#[test]
fn dependencies_point_one_way() {
    let mut wrong = Vec::new();
    for path in rust_files().into_iter().filter(|path| !is_test(path)) {
        let Some(module) = top_module(&path).filter(|m| m != "lib" && m != "main") else { continue };
        let text = fs::read_to_string(&path).unwrap();
        let Some((_, allowed)) = EDGES.iter().find(|e| e.0 == module) else {
            wrong.push(format!("{}: module `{module}` is not in EDGES", shown(&path)));
            continue;
        };
        for line in code(&text) {
            for name in others_used(&path, line) {
                // `crate::{a, b}` hides what it names; what is no module is checked by the compiler.
                let known = EDGES.iter().any(|e| e.0 == name);
                if (name.is_empty() || known) && name != module && !allowed.contains(&name.as_str()) {
                    wrong.push(format!("{}: `{module}` uses `{name}`: {}", shown(&path), line.trim()));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "new edges (EDGES in tests/tidy.rs is the map):\n{}", wrong.join("\n"));
}

#[test]
fn the_map_of_edges_has_no_circle() {
    // A module may stand once all that it uses stands; what never may is part of a circle.
    let mut standing: Vec<&str> = Vec::new();
    loop {
        let next = EDGES
            .iter()
            .find(|(module, uses)| !standing.contains(module) && uses.iter().all(|u| standing.contains(u)));
        let Some((module, _)) = next else { break };
        standing.push(module);
    }
    let circle: Vec<_> = EDGES.iter().map(|e| e.0).filter(|m| !standing.contains(m)).collect();
    assert!(circle.is_empty(), "modules that need each other, and those above them: {circle:?}");
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

/// Names are unique words, each with one line about it.
fn documented(registry: &str, entries: &[(&str, &str)]) -> Vec<String> {
    let mut wrong = Vec::new();
    for (i, (name, summary)) in entries.iter().enumerate() {
        // As products are called: `3proxy`, `nginx-error`; and as keys are: `burn_rate`.
        let is_part = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_';
        let is_word = name.chars().all(is_part) && !name.is_empty();
        if !is_word || entries[..i].iter().any(|e| e.0 == *name) {
            wrong.push(format!("{registry}: {name:?} is no word, or is there twice"));
        }
        if summary.len() < 10 || summary.contains('\n') {
            wrong.push(format!("{registry}: {name}: {summary:?} is no line about it"));
        }
    }
    assert!(!entries.is_empty(), "{registry} is empty");
    wrong
}

#[test]
fn registries_are_documented() {
    use gatewatch::{discover::PRODUCTS, inputs::INPUTS, notifiers::NOTIFIERS, reports::REPORTS};
    use gatewatch_parsers::formats::FORMATS;
    use gatewatch_rules::detectors::DETECTORS;
    let registries: [(&str, Vec<(&str, &str)>); 6] = [
        ("FORMATS", FORMATS.iter().map(|k| (k.name, k.summary)).collect()),
        ("DETECTORS", DETECTORS.iter().map(|k| (k.name, k.summary)).collect()),
        ("INPUTS", INPUTS.iter().map(|k| (k.name, k.summary)).collect()),
        ("NOTIFIERS", NOTIFIERS.iter().map(|k| (k.name, k.summary)).collect()),
        ("PRODUCTS", PRODUCTS.iter().map(|k| (k.name, k.summary)).collect()),
        ("REPORTS", REPORTS.iter().map(|k| (k.name, k.summary)).collect()),
    ];
    let mut wrong: Vec<String> =
        registries.iter().flat_map(|(name, kinds)| documented(name, kinds)).collect();
    for kind in FORMATS {
        if gatewatch_parsers::formats::compile(kind.example).is_err() {
            wrong.push(format!("FORMATS: the example of {} does not compile: {}", kind.name, kind.example));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The modules at the top of a crate, as their files are called: `engine.rs`, `tail/`.
fn top_files(folder: &str) -> Vec<String> {
    let mut names = Vec::new();
    for entry in fs::read_dir(root().join(folder)).unwrap().map(Result::unwrap) {
        let name = entry.file_name().into_string().unwrap();
        let is_folder = entry.path().is_dir();
        // The folder of `config.rs` is `config.rs`, and tests are found beside what they test.
        let is_part = is_folder && root().join(folder).join(format!("{name}.rs")).exists();
        if !(is_part || name.ends_with("_tests.rs") || name == "lib.rs") {
            names.push(if is_folder { format!("{name}/") } else { name });
        }
    }
    names.sort();
    names
}

#[test]
fn the_map_names_every_module() {
    let map = fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    let lines = map.lines().count();
    assert!(lines <= MAP_MAX, "ARCHITECTURE.md has {lines} lines");
    let mut wrong = Vec::new();
    for folder in ["src", "parsers/src", "rules/src"] {
        // The part of the map that is about this crate: from its own line on, up to the next one that is not indented.
        let start = map.find(&format!("\n{folder}/")).unwrap_or_else(|| panic!("the map has no {folder}/"));
        let part: Vec<&str> = map[start + 1..]
            .lines()
            .enumerate()
            .take_while(|(i, l)| *i == 0 || l.starts_with(' '))
            .map(|(_, l)| l)
            .collect();
        let words: Vec<&str> = part.iter().flat_map(|l| l.split_whitespace()).collect();
        for name in top_files(folder) {
            if !words.contains(&name.as_str()) {
                wrong.push(format!("{folder}/{name} is not on the map"));
            }
        }
        for word in words.iter().filter(|w| w.ends_with(".rs")) {
            if !root().join(folder).join(word).exists() {
                wrong.push(format!("{folder}/{word} is on the map only"));
            }
        }
    }
    assert!(wrong.is_empty(), "ARCHITECTURE.md:\n{}", wrong.join("\n"));
}

#[test]
fn every_file_says_what_it_is() {
    let silent: Vec<String> = rust_files()
        .iter()
        .filter(|p| !is_test(p) && !fs::read_to_string(p).unwrap().starts_with("//! "))
        .map(|p| shown(p))
        .collect();
    assert!(silent.is_empty(), "without a first line `//! …`:\n{}", silent.join("\n"));
}

#[test]
fn nothing_is_left_open() {
    // In pieces, so that this file does not find itself.
    let open = [
        concat!("todo", "!("),
        concat!("unimplemented", "!("),
        concat!("#[", "ignore"),
        concat!("dbg", "!("),
    ];
    let exceptions = [
        concat!("#[", "allow("),
        concat!("#![", "allow("),
        concat!("#[", "expect("),
        concat!("#![", "expect("),
    ];
    let mut wrong = Vec::new();
    for path in rust_files() {
        let text = fs::read_to_string(&path).unwrap();
        // What takes minutes has a `make` of its own.
        let own_make = |o: &str| o.contains("ignore") && text.contains("make chaos");
        let found = open.iter().filter(|o| text.contains(**o) && !own_make(o));
        wrong.extend(found.map(|o| format!("{}: {o}", shown(&path))));
        for exception in exceptions {
            for (at, _) in text.match_indices(exception) {
                let attribute = &text[at..at + text[at..].find(")]").unwrap_or(0)];
                if !attribute.contains("reason = \"") {
                    wrong.push(format!("{}: without a reason: {attribute}", shown(&path)));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn nothing_names_one_machine() {
    // Homes, and the place of this very checkout, unless it is one that everybody has.
    let mut words = vec!["/home/".to_owned(), "/root/".to_owned()];
    let place = root().components().nth(1).unwrap().as_os_str().to_str().unwrap();
    if !["tmp", "var", "usr", "opt", "srv", "etc", "mnt", "dev", "run"].contains(&place) {
        words.push(format!("/{place}/"));
    }
    let mut wrong = Vec::new();
    for path in files(&["."]).iter().filter(|p| !p.ends_with("tidy.rs")) {
        let Ok(text) = fs::read_to_string(path) else { continue };
        wrong.extend(words.iter().filter(|w| text.contains(*w)).map(|w| format!("{}: {w}", shown(path))));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What is said to be proved is proved by a test that there is.
#[test]
fn every_test_of_the_faults_exists() {
    let text = fs::read_to_string(root().join("tests/FAULTS.md")).unwrap();
    let named: Vec<(&str, &str)> = text.split('`').filter_map(|word| word.split_once(".rs::")).collect();
    assert!(named.len() > 100, "only {} tests", named.len());
    let lacks = named.iter().filter(|(file, test)| {
        let source = fs::read_to_string(root().join(format!("{file}.rs"))).unwrap_or_default();
        let name = test.rsplit("::").next().unwrap_or(test);
        // A test has its attribute above, perhaps with words between.
        !source.split("#[test]").skip(1).any(|after| {
            let named = after.lines().find(|line| line.trim_start().starts_with("fn "));
            named.is_some_and(|line| line.contains(&format!("fn {name}(")))
        })
    });
    let lacks: Vec<String> = lacks.map(|(file, test)| format!("{file}.rs::{test}")).collect();
    assert!(lacks.is_empty(), "tests/FAULTS.md names what is not there:\n{}", lacks.join("\n"));
}
