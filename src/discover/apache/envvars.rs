//! `envvars`: the shell's variables that Debian's Apache begins with.

use std::collections::HashMap;

/// A shell's assignments, as far as `envvars` has them.
pub(super) fn variables(text: &str) -> HashMap<String, String> {
    let mut variables = HashMap::new();
    for line in text.lines().map(str::trim) {
        let line = line.strip_prefix("export ").unwrap_or(line);
        let line = line.strip_prefix(": ${").map_or(line, |rest| rest.trim_end_matches('}'));
        let Some((name, value)) = line.split_once(":=").or_else(|| line.split_once('=')) else { continue };
        let is_name =
            |name: &str| !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        if is_name(name) {
            let value = value.trim_matches(['"', '\'']);
            variables.insert(name.to_owned(), shell(value, &variables));
        }
    }
    variables
}

/// `$NAME`, `${NAME}`, `${NAME:-value}`; what is not set is empty.
fn shell(text: &str, variables: &HashMap<String, String>) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('$') {
        out.push_str(before);
        let (name, otherwise, behind) =
            match after.strip_prefix('{').and_then(|inside| inside.split_once('}')) {
                Some((inside, behind)) => {
                    let (name, otherwise) = inside.split_once(":-").unwrap_or((inside, ""));
                    (name, otherwise, behind)
                }
                None => {
                    let end =
                        after.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(after.len());
                    let (name, behind) = after.split_at(end);
                    (name, "", behind)
                }
            };
        out.push_str(variables.get(name).map_or(otherwise, String::as_str));
        rest = behind;
    }
    out + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn assignments() {
        let text = "# x\nexport A=/var\nB=\"$A/log\"\n: ${C:=d}\nexport A\nD=${NONE:-e}${B}$NONE\nif [ x = y ]; then\n  E=f\nfi\n";
        let variables = variables(text);
        let table = [("A", "/var"), ("B", "/var/log"), ("C", "d"), ("D", "e/var/log"), ("E", "f")];
        for (name, value) in table {
            assert_eq!(variables.get(name).map(String::as_str), Some(value), "{name}");
        }
        assert_eq!(variables.len(), table.len(), "{variables:?}");
    }
}
