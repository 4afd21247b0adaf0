//! `init` on trees that hold the configurations as packages bring them along, and on some that people made of them. A tree
//! is a folder; beside it stands what `init` writes (`.toml`) and says (`.txt`).

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use gatewatch::cli::{Check, Common, Init};
use gatewatch::commands::{check, init};
use gatewatch::config;
use std::path::{Path, PathBuf};
use std::{env, fs};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/discover")
}

fn init(root: &Path, output: &Path, force: bool) -> (u8, String, String) {
    let (mut out, mut talk) = (Vec::new(), Vec::new());
    let args = Init { output: Some(output.to_owned()), force, root: Some(root.to_owned()), quiet: false };
    let exit = init::run(&args, &mut out, &mut talk).unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (exit.code(), text(out), text(talk).replace(root.to_str().unwrap(), "ROOT"))
}

/// `UPDATE_GOLDEN=1` writes what it gives now.
#[test]
fn trees() {
    let mut wrong = Vec::new();
    let mut trees: Vec<_> = fs::read_dir(folder()).unwrap().map(|e| e.unwrap().path()).collect();
    trees.retain(|path| path.is_dir());
    trees.sort();
    assert!(trees.len() >= 8);
    for tree in trees {
        let name = tree.file_name().unwrap().to_str().unwrap().to_owned();
        let (code, out, talk) = init(&tree, Path::new("-"), false);
        assert_eq!(code, 0, "{name}: {talk}");
        for (given, ending) in [(&out, "toml"), (&talk, "txt")] {
            let expected = folder().join(format!("{name}.{ending}"));
            if env::var_os("UPDATE_GOLDEN").is_some() {
                fs::write(&expected, given).unwrap();
            }
            if fs::read_to_string(&expected).unwrap_or_default() != *given {
                wrong.push(format!("---- {name}.{ending}\n{given}"));
            }
        }
        let config = config::parse_str(&name, &out).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert!(config.warnings.is_empty(), "{name}: {:?}", config.warnings);
        // No edit is needed: `check` takes it as it is.
        let file = env::temp_dir().join(format!("gatewatch-discover-{name}-{}.toml", std::process::id()));
        fs::write(&file, &out).unwrap();
        let common = Common { config: vec![file.clone()], quiet: true, ..Common::default() };
        let checked = check::run(&Check { common, strict: false }, &mut Vec::new(), &mut Vec::new()).unwrap();
        fs::remove_file(&file).unwrap();
        assert_eq!(checked.code(), 0, "{name}");
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_file_that_is_there_stays_as_it_is() {
    let place = tempfile::tempdir().unwrap();
    let tree = folder().join("nginx");
    // A directory is where the file goes; one that is not there is a file's name.
    let (code, out, talk) = init(&tree, place.path(), false);
    assert_eq!((code, out.as_str()), (0, ""), "{talk}");
    let file = place.path().join("gatewatch.toml");
    assert!(talk.contains("wrote ") && talk.contains("2 sources, nginx format `combined`"), "{talk}");
    fs::write(&file, "mine").unwrap();
    let (code, _, talk) = init(&tree, &file, false);
    assert_eq!(code, 1);
    assert!(talk.contains("is there already: --force"), "{talk}");
    assert_eq!(fs::read_to_string(&file).unwrap(), "mine");
    let (code, ..) = init(&tree, &file, true);
    assert_eq!(code, 0);
    assert!(fs::read_to_string(&file).unwrap().contains("[input.file.nginx]"));
    let names: Vec<_> = fs::read_dir(place.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(names, ["gatewatch.toml"]);
}

#[test]
fn nothing_found_is_said_and_nothing_written() {
    let root = tempfile::tempdir().unwrap();
    let file = root.path().join("x.toml");
    let (code, _, talk) = init(root.path(), &file, false);
    assert_eq!(code, 1);
    for part in
        ["no proxy's configuration was found below ROOT", "/etc/nginx/nginx.conf", "gatewatch run FILES"]
    {
        assert!(talk.contains(part), "{part}: {talk}");
    }
    assert!(!file.exists());
}
