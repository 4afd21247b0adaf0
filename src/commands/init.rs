//! `gatewatch init`: the proxies of this host, found by their own configurations → a configuration of ours.

use crate::cli::Init;
use crate::config::{self, Problems};
use crate::discover::probe::{self, Source};
use crate::discover::{Installed, PRODUCTS, Place, Remark, Rooted, discover, written};
use crate::exit::Exit;
use crate::reports::text::{printable, printable_lines};
use std::fs::{self, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

/// Runs it: what was found to `talk`, the configuration to its file, or to `out`.
///
/// # Errors
/// If it cannot be printed.
pub fn run(args: &Init, out: &mut dyn Write, talk: &mut dyn Write) -> io::Result<Exit> {
    let file = target(args.output.as_deref());
    // Said first: nobody wants to read what was found and then learn that it was for nothing.
    if let Some(file) = file.as_deref().filter(|file| !args.force && file.symlink_metadata().is_ok()) {
        complain(
            talk,
            &format!("{} is there already: --force replaces it, -o - prints to stdout", file.display()),
        )?;
        return Ok(Exit::Error);
    }
    if let Some(root) = args.root.as_deref().filter(|root| !root.is_dir()) {
        complain(talk, &format!("--root {}: there is no such directory", root.display()))?;
        return Ok(Exit::Usage);
    }
    let host = args.root.as_deref().map_or_else(Rooted::here, Rooted::below);
    let installed = discover(&host);
    if installed.is_empty() {
        nothing(args.root.as_deref(), talk)?;
        return Ok(Exit::Error);
    }
    let sources = probe::sources(&host, &installed);
    let text = written::configuration(&installed, &sources);
    if let Err(problems) = config::parse_str("what was found", &text) {
        return refused(&problems, talk);
    }
    if !args.quiet {
        for one in &installed {
            said(one, &sources, talk)?;
        }
    }
    let Some(file) = file else {
        writeln!(talk, "{}", printable(&written::summary(&installed, &sources)))?;
        out.write_all(text.as_bytes())?;
        out.flush()?;
        return Ok(Exit::Fine);
    };
    if let Err(e) = write(&file, &text, args.force) {
        complain(talk, &unwritten(&file, &e))?;
        return Ok(Exit::Error);
    }
    writeln!(
        talk,
        "wrote {}: {}",
        printable(&file.display().to_string()),
        printable(&written::summary(&installed, &sources))
    )?;
    let named = if file == Path::new(config::DEFAULT_FILE) {
        String::new()
    } else {
        format!(" -c {}", printable(&file.display().to_string()))
    };
    writeln!(talk, "next: gatewatch check{named}, then gatewatch run{named}")?;
    Ok(Exit::Fine)
}

/// A program that writes what it cannot read is wrong: that must not become somebody's file.
fn refused(problems: &Problems, talk: &mut dyn Write) -> io::Result<Exit> {
    complain(talk, &format!("what was found makes no configuration, please report this:\n{problems}"))?;
    Ok(Exit::Error)
}

fn complain(talk: &mut dyn Write, message: &str) -> io::Result<()> {
    writeln!(talk, "gatewatch: {}", printable_lines(message))
}

/// The file; `None`: standard output.
fn target(output: Option<&Path>) -> Option<PathBuf> {
    match output {
        None => Some(PathBuf::from(config::DEFAULT_FILE)),
        Some(path) if path == Path::new("-") => None,
        Some(path) if path.is_dir() => Some(path.join("gatewatch.toml")),
        Some(path) => Some(path.to_owned()),
    }
}

fn nothing(root: Option<&Path>, talk: &mut dyn Write) -> io::Result<()> {
    let at = root.map_or(String::new(), |root| format!(" below {}", root.display()));
    writeln!(talk, "gatewatch: no proxy's configuration was found{at}; looked for:")?;
    for product in PRODUCTS {
        writeln!(talk, "  {:<8} {}", product.title, product.configurations.join(", "))?;
    }
    writeln!(
        talk,
        "if the logs are elsewhere: gatewatch run FILES, or [input.file.NAME] in {}",
        config::DEFAULT_FILE
    )
}

/// What was found of one product.
fn said(one: &Installed, sources: &[Source], talk: &mut dyn Write) -> io::Result<()> {
    let Installed { product, found } = one;
    let pools = written::counted(&found.pools).map_or(String::new(), |words| format!(", {words}"));
    writeln!(talk, "{}: {}{pools}", product.title, printable(&found.config))?;
    let own: Vec<&Source> = sources.iter().filter(|s| s.product.name == product.name).collect();
    for source in &own {
        let words =
            written::understood(source).unwrap_or_else(|| "format unknown: to be detected".to_owned());
        let places: Vec<_> = source.places.iter().take(3).map(Place::to_string).collect();
        let more = source.places.len().saturating_sub(3);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        writeln!(talk, "  {}{more}: {}", printable(&places.join(", ")), printable(&words))?;
        for (shape, why) in &source.looked.refused {
            writeln!(talk, "  `{}` cannot be read: {}", printable(&shape.called), printable(why))?;
        }
        for (path, why) in &source.looked.unreadable {
            writeln!(talk, "  cannot read {}: {}", printable(path), printable(why))?;
        }
    }
    for log in &found.logs {
        if let (None, Place::Elsewhere(place)) = (&log.left_out, &log.place) {
            writeln!(talk, "  not followed: {} ({})", printable(place), log.at)?;
        }
    }
    if own.is_empty()
        && found.logs.iter().any(|log| log.left_out.is_none() && !matches!(log.place, Place::Elsewhere(_)))
    {
        writeln!(talk, "  its log is where another proxy's is: read once, as that one's")?;
    }
    for Remark { at, text, .. } in &found.remarks {
        writeln!(talk, "  {}: {}", printable(&at.to_string()), printable(text))?;
    }
    let warnings = found.logs.iter().filter(|log| log.left_out.is_none()).flat_map(|log| &log.warnings);
    for Remark { at, text, help } in warnings {
        writeln!(talk, "  {}: {}\n    = {}", printable(&at.to_string()), printable(text), printable(help))?;
    }
    let is_blind = |s: &&&Source| s.looked.shape.is_some() && !s.looked.knows_upstream && !s.is_errors;
    if let (Some(advice), Some(blind)) = (product.advice, own.iter().find(is_blind)) {
        let called = blind.looked.shape.as_ref().map_or("", |shape| shape.called.as_str());
        writeln!(
            talk,
            "  `{}` does not name upstreams: failures are counted by site and node only",
            printable(called)
        )?;
        for line in printable_lines(advice).lines() {
            writeln!(talk, "    {line}")?;
        }
    }
    Ok(())
}

/// Whole or not at all: beside its place first.
fn write(file: &Path, text: &str, force: bool) -> io::Result<()> {
    if let Some(folder) = file.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        fs::create_dir_all(folder)?;
    }
    if !force {
        // Whoever was faster is not overwritten.
        let mut new = OpenOptions::new().write(true).create_new(true).open(file)?;
        return new.write_all(text.as_bytes()).and_then(|()| new.sync_all());
    }
    let mut name = file.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let beside = file.with_file_name(name);
    let mut new = fs::File::create(&beside)?;
    new.write_all(text.as_bytes()).and_then(|()| new.sync_all())?;
    fs::rename(&beside, file)
}

fn unwritten(file: &Path, error: &io::Error) -> String {
    let hint = match error.kind() {
        ErrorKind::PermissionDenied => ": run it as root, or name a file of your own: -o gatewatch.toml",
        _ => "",
    };
    format!("cannot write {}: {error}{hint}", file.display())
}
