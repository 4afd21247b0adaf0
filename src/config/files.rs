//! Which files are the configuration, and what they may ask of the host. The only part that touches the world.

use super::problem::{Problem, Problems, Source};
use super::{Config, Outside};
use std::ffi::OsStr;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

/// Read unless `-c` says otherwise; `conf.d/*.toml` beside it, too.
pub const DEFAULT_FILE: &str = "/etc/gatewatch/gatewatch.toml";

/// More is no configuration.
const LARGEST: u64 = 4 << 20;

/// Reads and checks the configuration: the files named (of a directory, its `*.toml`), or else the default ones, which
/// need not be there.
///
/// # Errors
/// Every mistake of every file.
pub fn load(paths: &[PathBuf]) -> Result<Config, Problems> {
    let mut problems = Vec::new();
    let files =
        if paths.is_empty() { default_files(&mut problems) } else { named_files(paths, &mut problems) };
    let mut sources = Vec::with_capacity(files.len());
    for path in files {
        match read_text(&path) {
            Ok(text) => sources.push(Source { name: path.display().to_string(), text }),
            Err(e) => problems.push(unreadable(&path, &e)),
        }
    }
    let outside = Outside {
        file: &|path| read_text(Path::new(path)),
        countries: &super::countries::open,
        variable: &|name| env::var(name).ok(),
        exposed: &|path| fs::metadata(path).is_ok_and(|meta| meta.mode() & 0o044 != 0),
        node: host_name(),
        state_dir: state_dir(),
    };
    match super::parse(sources, &outside) {
        Ok(config) if problems.is_empty() => Ok(config),
        Ok(_) => Err(Problems(problems)),
        Err(mut found) => {
            found.0.splice(0..0, problems);
            Err(found)
        }
    }
}

fn unreadable(path: &Path, error: &io::Error) -> Problem {
    Problem::whole(format!("cannot read {}", path.display()), &error.to_string())
}

fn default_files(problems: &mut Vec<Problem>) -> Vec<PathBuf> {
    let main = Path::new(DEFAULT_FILE);
    let more = main.with_file_name("conf.d");
    let mut files = Vec::new();
    // `exists` would take a directory that may not be searched for an absent file.
    match fs::metadata(main) {
        Ok(_) => files.push(main.to_owned()),
        Err(e) if e.kind() == io::ErrorKind::NotFound => {}
        Err(e) => problems.push(unreadable(main, &e)),
    }
    match toml_files(&more) {
        Ok(found) => files.extend(found),
        Err(e) if e.kind() == io::ErrorKind::NotFound => {}
        Err(e) => problems.push(unreadable(&more, &e)),
    }
    files
}

fn named_files(paths: &[PathBuf], problems: &mut Vec<Problem>) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = Vec::new();
    for path in paths {
        if !path.is_dir() {
            files.push(path.clone());
            continue;
        }
        match toml_files(path) {
            Ok(found) if found.is_empty() => {
                problems.push(Problem::whole(format!("no *.toml in {}", path.display()), ""));
            }
            Ok(found) => files.extend(found),
            Err(e) => problems.push(unreadable(path, &e)),
        }
    }
    files
}

/// In the order of their names; hidden ones (editors' locks and backups) left out.
fn toml_files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let hidden = path.file_name().and_then(OsStr::to_str).is_some_and(|name| name.starts_with('.'));
        if path.extension() == Some(OsStr::new("toml")) && !hidden {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

fn read_text(path: &Path) -> io::Result<String> {
    use io::Read as _;
    let mut bytes = Vec::new();
    fs::File::open(path)?.take(LARGEST + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > LARGEST {
        return Err(io::Error::other("larger than 4 MiB"));
    }
    String::from_utf8(bytes).map_err(|e| {
        let good = e.utf8_error().valid_up_to();
        let line = 1 + e.as_bytes().iter().take(good).filter(|&&b| b == b'\n').count();
        io::Error::other(format!("no UTF-8 in line {line}"))
    })
}

/// The host's name as the kernel has it.
fn host_name() -> String {
    let files = ["/proc/sys/kernel/hostname", "/etc/hostname"];
    let names = files.iter().filter_map(|path| fs::read_to_string(path).ok());
    let mut names = names.map(|name| name.trim().to_owned()).filter(|name| !name.is_empty());
    names.next().unwrap_or_else(|| "localhost".to_owned())
}

/// systemd's, root's, or the user's own.
fn state_dir() -> PathBuf {
    let set = |name: &str| env::var_os(name).filter(|v| !v.is_empty()).map(PathBuf::from);
    if let Some(first) = env::var("STATE_DIRECTORY").ok().and_then(|v| v.split(':').next().map(PathBuf::from))
        && first.is_absolute()
    {
        return first;
    }
    let is_root = fs::metadata("/proc/self").is_ok_and(|m| m.uid() == 0);
    let own = set("XDG_STATE_HOME").or_else(|| set("HOME").map(|home| home.join(".local/state")));
    match own {
        Some(own) if !is_root => own.join("gatewatch"),
        _ => PathBuf::from("/var/lib/gatewatch"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_is_its_toml_files_in_order() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
        write("b.toml", "[rule.count.b]\nabove = 1\n[agent]\nnode = \"b\"\n");
        write("a.toml", "[rule.count.a]\nabove = 1\n[agent]\nnode = \"a\"\n");
        write(".hidden.toml", "nonsense");
        write("c.toml~", "nonsense");
        let problems = load(&[folder.path().to_owned()]).unwrap_err().to_string();
        assert!(problems.contains("[agent] stands twice"), "{problems}");
        assert!(problems.contains("b.toml:3:1") && problems.contains("a.toml:3:1"), "{problems}");
        assert!(!problems.contains("nonsense"), "{problems}");
    }

    #[test]
    fn what_cannot_be_read_is_named_beside_the_other_mistakes() {
        let folder = tempfile::tempdir().unwrap();
        let good = folder.path().join("x.toml");
        fs::write(&good, "nonsense = 1\n").unwrap();
        let bytes = folder.path().join("y.toml");
        fs::write(&bytes, b"[agent]\nnode = \"\xff\"\n").unwrap();
        let empty = folder.path().join("empty");
        fs::create_dir(&empty).unwrap();
        let paths = [good, folder.path().join("absent.toml"), bytes, empty];
        let problems = load(&paths).unwrap_err().to_string();
        for part in ["absent.toml", "No such file", "no UTF-8 in line 2", "no *.toml in", "`nonsense`"] {
            assert!(problems.contains(part), "{part}: {problems}");
        }
    }

    #[test]
    fn a_secret_file_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let secret = folder.path().join("hook");
        fs::write(&secret, "https://hooks.example.net/x\n").unwrap();
        let file = folder.path().join("x.toml");
        fs::write(&file, format!("[notify.slack.ops]\nurl_file = {:?}\n", secret.display().to_string()))
            .unwrap();
        let config = load(&[file]).unwrap();
        let crate::receiver::ReceiverKind::Slack { url } = &config.receivers[0].kind else { panic!() };
        assert_eq!(url.expose(), "https://hooks.example.net/x");
    }
}
