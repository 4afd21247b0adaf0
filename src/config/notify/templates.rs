//! `title_template` and `template`: words of one's own, read and tried here, so that no alert has to find out.

use crate::config::Outside;
use crate::config::problem::Source;
use crate::config::reader::{Reader, inside};
use crate::config::secrets::{find, folder};
use crate::config::values::{self, Refusal, type_of};
use crate::notifiers::template;
use crate::receiver::Templates;
use toml::de::DeValue;

/// More is no message.
const SOURCE_MAX: usize = 64 << 10;

pub(super) fn templates(reader: &mut Reader<'_, '_, '_>, outside: &Outside<'_>) -> Templates {
    let title = one(reader, ("title_template", "title_template_file"), outside);
    let text = one(reader, ("template", "template_file"), outside);
    Templates { title, text }
}

/// `key`, or the content of the file that `key_file` names. No variable of the environment is put in: `${` is the
/// template's own.
fn one(
    reader: &mut Reader<'_, '_, '_>,
    keys: (&'static str, &'static str),
    outside: &Outside<'_>,
) -> Option<String> {
    if let (Some(_), Some(file)) = (reader.get(keys.0), reader.get(keys.1)) {
        let message = format!("`{}` and `{}` exclude each other", keys.1, keys.0);
        reader.log.error(file.key, message, "keep one");
        return None;
    }
    // Of several lines, perhaps.
    let text = |value: &DeValue<'_>| {
        value.as_str().map(str::to_owned).ok_or_else(|| Refusal::new("a string", type_of(value)))
    };
    if let Some(found) = reader.read(keys.0, text) {
        if let Err(mistake) = checked(&found.value) {
            let spot = inside(reader.log, found.written, mistake.at.start);
            reader.log.error(spot, format!("`{}` must be a template", keys.0), &mistake.to_string());
        }
        return Some(found.value);
    }
    let beside = folder(reader.log, reader.section.spot);
    let found = reader.read(keys.1, |value| {
        let path = values::text(value)?;
        find(&path, &beside, outside).map_err(|e| Refusal::new("a file that can be read", e.to_string()))
    })?;
    let (path, text) = found.value;
    if let Err(mistake) = checked(&text) {
        let at = mistake.at.clone();
        let source = Source { name: path.display().to_string(), text: text.clone() };
        let message = format!("`{}` must name a template", keys.1);
        reader.log.error_in(found.written, &source, at, message, &mistake.to_string());
    }
    Some(text)
}

fn checked(source: &str) -> Result<(), template::Mistake> {
    if source.len() > SOURCE_MAX {
        let why = "it is longer than 64 KiB".to_owned();
        return Err(template::Mistake { why, line: 1, column: 1, at: 0..0 });
    }
    template::check(source)
}
