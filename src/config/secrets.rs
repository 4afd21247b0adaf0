//! Strings of `[notify]`: expanded, or read from a file. What is secret is read here and printed nowhere.

use super::Outside;
use super::problem::{Log, Spot};
use super::reader::Reader;
use super::values::{self, Read, Refusal};
use std::io;
use std::path::{Path, PathBuf};
use toml::de::DeValue;

/// A string of `[notify]`: `${env:NAME}` is expanded.
pub(super) fn expanded(value: &DeValue<'_>, outside: &Outside<'_>) -> Read<String> {
    let text = values::text(value)?;
    let mut out = String::with_capacity(text.len());
    let mut rest = text.as_str();
    while let Some((before, after)) = rest.split_once("${") {
        let at = text.len() - after.len() - 2;
        let refusal = |label: String| Refusal {
            wants: "a string that can be expanded".to_owned(),
            label,
            at: Some(at),
        };
        let Some((name, behind)) = after.split_once('}') else {
            return Err(refusal("`${` without `}`".to_owned()));
        };
        let Some(name) = name.strip_prefix("env:") else {
            return Err(refusal("write ${env:NAME}".to_owned()));
        };
        let Some(value) = (outside.variable)(name) else {
            return Err(refusal(format!("the environment has no `{name}`")));
        };
        if value.chars().any(char::is_control) {
            return Err(refusal(format!("`{name}` has a control character (a line end, a tab) in it")));
        }
        out.push_str(before);
        out.push_str(&value);
        rest = behind;
    }
    out.push_str(rest);
    if out.is_empty() { Err(Refusal::new("a string", "empty")) } else { Ok(out) }
}

/// `key`, or the content of the file that `key_file` names; and where it stands.
pub(super) fn secret(
    reader: &mut Reader<'_, '_, '_>,
    keys: (&'static str, &'static str),
    outside: &Outside<'_>,
) -> Option<(String, Spot)> {
    let both = (reader.get(keys.0), reader.get(keys.1));
    if let (Some(_), Some(file)) = both {
        let message = format!("`{}` and `{}` exclude each other", keys.1, keys.0);
        reader.log.error(file.key, message, "keep one");
    }
    let direct = reader.read(keys.0, |v| expanded(v, outside));
    let beside = folder(reader.log, reader.section.spot);
    let file = reader.read(keys.1, |v| from_file(v, &beside, outside));
    direct.or(file).map(|found| (found.value, found.written))
}

/// Where the configuration file is that `spot` is in.
pub(super) fn folder(log: &Log<'_>, spot: Spot) -> PathBuf {
    let source = log.sources.get(spot.file).map_or("", |source| source.name.as_str());
    Path::new(source).parent().map(Path::to_owned).unwrap_or_default()
}

/// The file named by `path`: a relative one is a credential of systemd's (`LoadCredential=`), or stands beside the
/// configuration file.
pub(super) fn find(path: &str, beside: &Path, outside: &Outside<'_>) -> io::Result<(PathBuf, String)> {
    let mut folders = vec![beside.to_owned()];
    if let Some(credentials) = (outside.variable)("CREDENTIALS_DIRECTORY").filter(|_| !path.starts_with('/'))
    {
        folders.insert(0, PathBuf::from(credentials));
    }
    let mut result = Err(io::ErrorKind::NotFound.into());
    for folder in folders {
        let path = folder.join(path);
        match (outside.file)(&path.to_string_lossy()) {
            Ok(text) => return Ok((path, text)),
            Err(error) => {
                let absent = error.kind() == io::ErrorKind::NotFound;
                result = Err(error);
                if !absent {
                    break;
                }
            }
        }
    }
    result
}

fn from_file(value: &DeValue<'_>, beside: &Path, outside: &Outside<'_>) -> Read<String> {
    const WANTS: &str = "a file that can be read";
    let path = expanded(value, outside)?;
    let (_, text) = find(&path, beside, outside).map_err(|e| Refusal::new(WANTS, e.to_string()))?;
    let text = text.strip_suffix('\n').unwrap_or(&text);
    let text = text.strip_suffix('\r').unwrap_or(text);
    if text.is_empty() {
        return Err(Refusal::new("a file with a secret in it", "it is empty"));
    }
    if text.chars().any(char::is_control) {
        return Err(Refusal::new("a file of one line", "it has more, or a control character"));
    }
    Ok(text.to_owned())
}

/// A file of certificates; it is read where a connection is made, and only looked at here.
pub(super) fn certificates(
    reader: &mut Reader<'_, '_, '_>,
    key: &'static str,
    outside: &Outside<'_>,
) -> Option<PathBuf> {
    let beside = folder(reader.log, reader.section.spot);
    reader.value(key, |value| {
        let path = expanded(value, outside)?;
        match find(&path, &beside, outside) {
            Ok((path, text)) if text.contains("-----BEGIN CERTIFICATE-----") => Ok(path),
            Ok(_) => Err(Refusal::new("a file of PEM certificates", "there is none in it")),
            Err(e) => Err(Refusal::new("a file that can be read", e.to_string())),
        }
    })
}

/// Warns of a secret that stands in a configuration which others may read. One from the environment does not stand there.
pub(super) fn exposed(reader: &mut Reader<'_, '_, '_>, key: &'static str, outside: &Outside<'_>) {
    let Some(written) = reader.get(key) else { return };
    let inline = written.value.as_str().is_some_and(|text| !text.contains("${env:"));
    let name = reader.log.sources.get(written.spot.file).map_or("", |source| source.name.as_str());
    if inline && (outside.exposed)(name) {
        let message = format!("`{key}` is a secret, and its group or everybody may read this file");
        reader.log.warn(written.key, message, &format!("chmod 600, or {key}_file = \"…\""));
    }
}

/// Whether a webhook's URL looks like a credential: a user, a query, or a part that nobody would type.
pub(super) fn is_credential(url: &str) -> bool {
    let after = url.split_once("://").map_or(url, |(_, rest)| rest);
    let random = |part: &str| {
        part.len() >= 16
            && part.bytes().any(|b| b.is_ascii_digit())
            && part.bytes().any(|b| b.is_ascii_alphabetic())
    };
    after.contains(['@', '?']) || after.split('/').skip(1).any(random)
}
