//! The command line so far, quoted for a shell: the report ends with a command that looks closer.

use crate::cli::Analyze;
use std::path::Path;

/// Files, and the flags that decide how their lines are read and which of them count.
pub fn words(args: &Analyze) -> String {
    let mut words: Vec<String> =
        args.files.iter().map(Path::new).map(|f| quoted(&f.to_string_lossy())).collect();
    let common = &args.common;
    let flags = [
        ("--log-format", &common.log_format),
        ("--timezone", &common.timezone),
        ("--node", &common.node),
        ("--region", &common.region),
        ("--where", &args.where_),
    ];
    for config in &common.config {
        words.push(format!("--config {}", quoted(&config.to_string_lossy())));
    }
    for (flag, value) in flags.iter().filter_map(|(flag, value)| value.as_ref().map(|value| (flag, value))) {
        words.push(format!("{flag} {}", quoted(value)));
    }
    words.join(" ")
}

/// As a POSIX shell takes it for one word.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "-_./:=+,@%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use super::quoted;

    #[test]
    fn words_are_quoted() {
        let table =
            [("a/b-1.log", "a/b-1.log"), ("", "''"), ("a b", "'a b'"), ("it's", "'it'\\''s'"), ("*", "'*'")];
        for (word, expected) in table {
            assert_eq!(quoted(word), expected);
        }
    }
}
