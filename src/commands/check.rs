//! `gatewatch check`: what the configuration says, once defaults and presets are filled in, and what the host makes of it.

mod proxies;
pub(super) mod reader;
mod windows;

use crate::cli::Check;
use crate::clock;
use crate::config::{self, Config, Input, Problem, Problems};
use crate::discover::Rooted;
use crate::exit::Exit;
use crate::inputs::streams::Kind;
use crate::inputs::syslog::address::Listen;
use std::fs::File;
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

/// More files of an input are not listed.
const FILES_SHOWN: usize = 20;

/// Checks, prints what holds to `out` as TOML and what is wrong to `talk`; the exit code.
///
/// # Errors
/// If it cannot be printed.
pub fn run(args: &Check, out: &mut dyn Write, talk: &mut dyn Write) -> io::Result<Exit> {
    match config::load(&args.common.config) {
        Ok(config) => report(&config, args, out, talk),
        Err(problems) => {
            refuse(&problems, talk)?;
            Ok(Exit::Configuration)
        }
    }
}

/// Prints every mistake, and how many there were. `run` refuses in the same words.
///
/// # Errors
/// If it cannot be printed.
pub fn refuse(problems: &Problems, talk: &mut dyn Write) -> io::Result<()> {
    write!(talk, "{problems}")?;
    let count = problems.0.len();
    writeln!(talk, "\nconfiguration refused: {count} mistake{}", if count == 1 { "" } else { "s" })
}

fn report(config: &Config, args: &Check, out: &mut dyn Write, talk: &mut dyn Write) -> io::Result<Exit> {
    let inputs: Vec<_> = config.inputs.iter().map(|input| (input, looked_up(input))).collect();
    let mut warnings: Vec<String> = config.warnings.iter().map(Problem::to_string).collect();
    warnings.extend(inputs.iter().flat_map(|(input, seen)| seen.warnings(&input.name)));
    warnings.extend(config.maintenance.iter().filter_map(|window| windows::warning(window, clock::now())));
    warnings.extend(proxies::warnings(config, &Rooted::here()));
    if !args.common.quiet {
        write!(out, "{}", config::effective(config))?;
        writeln!(out, "\n# Memory at worst: {} MiB.", config::memory(config).div_ceil(1 << 20))?;
        if config.inputs.is_empty() {
            writeln!(out, "# No [input.…]: logs are looked for.")?;
        }
        if config.receivers.is_empty() {
            writeln!(out, "# No [notify.…]: alerts are lines on standard error.")?;
        }
        for (input, seen) in &inputs {
            seen.list(&input.name, out)?;
        }
        for window in &config.maintenance {
            writeln!(out, "# {}", windows::when(window, clock::now()))?;
        }
    }
    for (i, warning) in warnings.iter().enumerate() {
        let gap = if i > 0 { "\n" } else { "" };
        write!(talk, "{gap}{warning}")?;
    }
    Ok(if args.strict && !warnings.is_empty() { Exit::Warnings } else { Exit::Fine })
}

/// What an input's paths are at this moment.
#[derive(Debug, Default)]
struct Seen {
    readable: Vec<PathBuf>,
    /// The path, and why.
    unreadable: Vec<(PathBuf, io::Error)>,
    /// Globs that match nothing.
    unmatched: Vec<String>,
    /// It is no input of files.
    stream: Option<Kind>,
}

fn looked_up(input: &Input) -> Seen {
    let mut seen = Seen { stream: input.stream.clone(), ..Seen::default() };
    for written in &input.paths {
        let mut matched = false;
        // The pattern was checked when it was read.
        let Ok(paths) = glob::glob(&config::path_glob(written)) else { continue };
        for path in paths {
            matched = true;
            match path {
                Ok(path) => seen.take(path),
                Err(e) => seen.unreadable.push((e.path().to_owned(), e.into())),
            }
        }
        if !matched {
            seen.missing(written);
        }
    }
    seen
}

impl Seen {
    fn take(&mut self, path: PathBuf) {
        if self.readable.contains(&path) || self.unreadable.iter().any(|u| u.0 == path) {
            return;
        }
        match File::open(&path).and_then(|file| file.metadata()) {
            Ok(meta) if meta.is_dir() => {
                self.unreadable.push((path, io::Error::other("is a directory; name its files: …/*.log")));
            }
            Ok(_) => self.readable.push(path),
            Err(e) => self.unreadable.push((path, e)),
        }
    }

    /// A folder that may not be listed looks like one that has no match.
    fn missing(&mut self, written: &str) {
        let fixed = written.split(['*', '?', '[', '<']).next().unwrap_or("");
        let folder =
            fixed.rfind('/').map_or(Path::new("."), |end| Path::new(fixed.get(..=end).unwrap_or("/")));
        match folder.read_dir() {
            Err(e) if e.kind() == ErrorKind::PermissionDenied => self.unreadable.push((folder.to_owned(), e)),
            _ => self.unmatched.push(written.to_owned()),
        }
    }

    fn warnings(&self, input: &str) -> Vec<String> {
        let mut warnings = Vec::new();
        for (path, error) in &self.unreadable {
            let mut said =
                format!("warning: input `{input}` cannot read {}: {}\n", path.display(), reason(error));
            if error.kind() == ErrorKind::PermissionDenied {
                let (user, group) = (reader::user(), reader::group_of(path));
                said.push_str(&format!("  = {user} may not: add that user to group {group}\n"));
            }
            warnings.push(said);
        }
        if let Some((path, hidden)) = self.readable.iter().find_map(|p| Some((p, reader::hidden(p)?))) {
            let path = path.display();
            warnings.push(format!(
                "warning: input `{input}`: root may read {path}, the packaged unit may not: {}\n  = {}\n",
                hidden.why, hidden.help
            ));
        }
        for written in &self.unmatched {
            warnings.push(format!("warning: input `{input}`: nothing matches {written} now\n"));
        }
        let lacking = self.stream.as_ref().map(lacking).unwrap_or_default();
        warnings.extend(lacking.into_iter().map(|what| format!("warning: input `{input}`: {what}\n")));
        warnings
    }

    fn list(&self, input: &str, out: &mut dyn Write) -> io::Result<()> {
        match &self.stream {
            None => {}
            Some(Kind::Syslog(syslog)) => {
                let places: Vec<_> = syslog.listen.iter().map(ToString::to_string).collect();
                return writeln!(out, "# Input {input} listens at {}.", places.join(", "));
            }
            Some(Kind::Journald(_)) => return writeln!(out, "# Input {input} reads the journal."),
        }
        let count = self.readable.len();
        writeln!(out, "# Input {input} reads {count} file{} now.", if count == 1 { "" } else { "s" })?;
        for path in self.readable.iter().take(FILES_SHOWN) {
            // A name may hold a line end: it must not end the comment.
            writeln!(out, "#   {}", path.display().to_string().replace(char::is_control, "\u{fffd}"))?;
        }
        if count > FILES_SHOWN {
            writeln!(out, "#   and {} more", count - FILES_SHOWN)?;
        }
        Ok(())
    }
}

/// What an input that is no file needs of the host and does not find.
fn lacking(stream: &Kind) -> Vec<String> {
    let mut found = Vec::new();
    let Kind::Syslog(syslog) = stream else {
        let path = std::env::var_os("PATH").unwrap_or_default();
        if !std::env::split_paths(&path).any(|folder| folder.join("journalctl").is_file()) {
            found.push("journalctl is not in PATH".to_owned());
        }
        return found;
    };
    for listen in &syslog.listen {
        if let Listen::Unix(path) = listen
            && let Some(folder) = path.parent().filter(|folder| !folder.is_dir())
        {
            found.push(format!("{listen}: there is no folder {}", folder.display()));
        }
    }
    if let Some(tls) = &syslog.tls {
        for path in [Some(&tls.cert), Some(&tls.key), tls.client_ca.as_ref()].into_iter().flatten() {
            if let Err(e) = File::open(path) {
                found.push(format!("cannot read {}: {}", path.display(), reason(&e)));
            }
        }
    }
    found
}

/// Without the number that the system adds.
fn reason(error: &io::Error) -> String {
    let said = error.to_string();
    said.split(" (os error").next().unwrap_or("").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::Common;
    use std::fs;

    fn checked(text: &str, strict: bool, quiet: bool) -> (u8, String, String) {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("b.log"), "").unwrap();
        fs::write(folder.path().join("a.log"), "").unwrap();
        fs::create_dir(folder.path().join("d.log")).unwrap();
        let file = folder.path().join("gatewatch.toml");
        fs::write(&file, text.replace("HERE", folder.path().to_str().unwrap())).unwrap();
        let (mut out, mut talk) = (Vec::new(), Vec::new());
        let common = Common { config: vec![file], quiet, ..Common::default() };
        let code = run(&Check { common, strict }, &mut out, &mut talk).unwrap();
        let plain =
            |bytes| String::from_utf8(bytes).unwrap().replace(folder.path().to_str().unwrap(), "HERE");
        (code.code(), plain(out), plain(talk))
    }

    const GOOD: &str = "[input.file.edge]\npaths = [\"HERE/<pool>.log\", \"HERE/*.txt\"]\n";

    #[test]
    fn prints_what_holds_and_which_files_match() {
        let (code, out, talk) = checked(GOOD, false, false);
        assert_eq!(code, 0);
        for part in [
            "[rule.ratio.errors]\n",
            "# Memory at worst: ",
            "# No [notify.…]",
            "# Input edge reads 2 files now.\n#   HERE/a.log\n#   HERE/b.log\n",
        ] {
            assert!(out.contains(part), "{part}: {out}");
        }
        assert!(talk.contains("cannot read HERE/d.log: is a directory"), "{talk}");
        assert!(talk.contains("nothing matches HERE/*.txt now"), "{talk}");
        config::parse_str("printed", &out).unwrap();
    }

    #[test]
    fn sockets_are_named_and_what_they_lack() {
        let text = "[input.syslog.edge]\nlisten = [\"udp://127.0.0.1:5140\", \"unix://HERE/none/x.sock\", \"tls://[::1]:6514\"]\n\
                    cert_file = \"HERE/a.log\"\nkey_file = \"HERE/absent\"\n\
                    [input.journald.j]\nidentifiers = [\"nginx\"]\n";
        let (code, out, talk) = checked(text, true, false);
        assert_eq!(code, 3);
        assert!(
            out.contains("# Input edge listens at udp://127.0.0.1:5140, unix://HERE/none/x.sock"),
            "{out}"
        );
        assert!(out.contains("# Input j reads the journal.\n") && !out.contains("files now"), "{out}");
        assert!(talk.contains("there is no folder HERE/none\n"), "{talk}");
        assert!(talk.contains("cannot read HERE/absent: No such file") && !talk.contains("a.log"), "{talk}");
    }

    #[test]
    fn strict_counts_warnings_and_quiet_prints_nothing_else() {
        let (code, out, talk) = checked(GOOD, true, true);
        assert_eq!((code, out.as_str()), (3, ""));
        assert!(!talk.is_empty());
    }

    #[test]
    fn every_mistake_is_printed_and_counted() {
        let (code, out, talk) = checked("[agent]\nnod = 1\nstep = \"x\"\n", false, false);
        assert_eq!((code, out.as_str()), (78, ""));
        assert!(
            talk.contains("gatewatch.toml:2:1") && talk.ends_with("\nconfiguration refused: 2 mistakes\n"),
            "{talk}"
        );
    }

    /// Root may read everything, so the refusal is made up.
    #[test]
    fn a_file_that_may_not_be_read_names_the_group_that_may() {
        let path = PathBuf::from("/absent/access.log");
        let seen = Seen { unreadable: vec![(path, ErrorKind::PermissionDenied.into())], ..Seen::default() };
        let said = seen.warnings("edge").concat();
        let user = reader::user();
        assert_eq!(
            said,
            format!(
                "warning: input `edge` cannot read /absent/access.log: permission denied\n  = {user} may not: add that user to group adm\n"
            )
        );
    }
}
