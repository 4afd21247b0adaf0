//! A test is a folder in tests/cases: `cmd` (the arguments, in the folder), the files that it reads, and what it must
//! print: `stdout`, `stderr` (each line of it must occur) and `exit` (0 if there is none). `UPDATE_GOLDEN=1` writes
//! stdout and exit anew; read them before you commit them. `files` holds what several cases read.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

/// Arguments as a shell would split them: spaces apart, 'quotes' kept together.
fn words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    for (i, part) in text.trim_end().split('\'').enumerate() {
        if i % 2 == 1 {
            words.push(part.to_owned());
        } else {
            words.extend(part.split_whitespace().map(str::to_owned));
        }
    }
    words
}

/// Runs one case; what is wrong with it.
fn run(folder: &Path) -> Result<(), String> {
    let read = |name: &str| fs::read_to_string(folder.join(name));
    let cmd = read("cmd").map_err(|e| format!("cmd: {e}"))?;
    let mut command = Command::new(env!("CARGO_BIN_EXE_gatewatch"));
    command.args(words(&cmd)).current_dir(folder).env("TZ", "UTC").env_remove("COLUMNS").env("TERM", "dumb");
    for line in read("env").unwrap_or_default().lines() {
        let (name, value) = line.split_once('=').ok_or("env: NAME=value")?;
        command.env(name, value);
    }
    if folder.join("stdin").exists() {
        command.stdin(fs::File::open(folder.join("stdin")).map_err(|e| e.to_string())?);
    } else {
        command.stdin(Stdio::null());
    }
    let output = command.output().map_err(|e| e.to_string())?;
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    let exit = output.status.code().map_or("signal".to_owned(), |c| c.to_string());

    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(folder.join("stdout"), &stdout).map_err(|e| e.to_string())?;
        let _ = fs::remove_file(folder.join("exit"));
        if exit != "0" {
            fs::write(folder.join("exit"), format!("{exit}\n")).map_err(|e| e.to_string())?;
        }
        return Ok(());
    }
    let wanted = read("exit").unwrap_or_else(|_| "0".to_owned());
    if wanted.trim() != exit {
        return Err(format!("exit {exit}, not {}; stderr:\n{stderr}", wanted.trim()));
    }
    let expected = read("stdout").map_err(|e| format!("stdout: {e}"))?;
    if expected != stdout {
        return Err(format!("stdout differs; expected:\n{expected}\ngot:\n{stderr}{stdout}"));
    }
    match read("stderr").unwrap_or_default().lines().find(|l| !stderr.contains(*l)) {
        Some(line) => Err(format!("stderr lacks `{line}`; it is:\n{stderr}")),
        None => Ok(()),
    }
}

#[test]
fn cases() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
    let mut folders: Vec<_> = fs::read_dir(&folder)
        .unwrap()
        .map(|e| e.unwrap().path())
        .filter(|p| p.join("cmd").exists())
        .collect();
    folders.sort();
    assert!(!folders.is_empty());
    let failed: Vec<String> = folders
        .iter()
        .filter_map(|f| run(f).err().map(|e| format!("== {}\n{e}", f.file_name().unwrap().to_string_lossy())))
        .collect();
    assert!(failed.is_empty(), "{} of {} cases failed:\n{}", failed.len(), folders.len(), failed.join("\n"));
}
