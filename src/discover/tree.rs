//! YAML, JSON and TOML as one kind of tree, with the lines where things stand.

use std::collections::HashMap;
use yaml_rust2::parser::{Event, Parser};

/// More is no configuration; aliases of aliases would make it grow without end.
const NODES_MAX: usize = 200_000;
const DEPTH_MAX: usize = 128;

/// What stands somewhere.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) enum Value {
    #[default]
    Nothing,
    Scalar(String),
    List(Vec<Node>),
    Map(Vec<(String, Node)>),
}

/// A value and its line.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Node {
    pub(super) value: Value,
    pub(super) line: usize,
}

impl Node {
    /// A member, whatever the case and the underscores of its name: `accessLog`, `accesslog`, `access_log`.
    pub(super) fn get(&self, name: &str) -> Option<&Node> {
        let Value::Map(members) = &self.value else { return None };
        let found = members.iter().find(|(key, _)| same(key, name)).map(|(_, node)| node);
        // `<<` takes over what another map has.
        found.or_else(|| members.iter().filter(|(key, _)| key == "<<").find_map(|(_, node)| node.get(name)))
    }

    /// A member of a member of …
    pub(super) fn path(&self, names: &[&str]) -> Option<&Node> {
        names.iter().try_fold(self, |node, name| node.get(name))
    }

    pub(super) fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Scalar(text) => Some(text),
            _ => None,
        }
    }

    /// The text of a member.
    pub(super) fn text_of(&self, name: &str) -> Option<&str> {
        self.get(name).and_then(Node::text)
    }

    pub(super) fn items(&self) -> &[Node] {
        match &self.value {
            Value::List(items) => items,
            _ => &[],
        }
    }

    pub(super) fn members(&self) -> &[(String, Node)] {
        match &self.value {
            Value::Map(members) => members,
            _ => &[],
        }
    }

    /// How many nodes it is.
    fn size(&self) -> usize {
        1 + match &self.value {
            Value::List(items) => items.iter().map(Node::size).sum::<usize>(),
            Value::Map(members) => members.iter().map(|m| m.1.size()).sum(),
            _ => 0,
        }
    }

    /// The node and all below it that answer.
    pub(super) fn walk<'n>(&'n self, visit: &mut dyn FnMut(&str, &'n Node) -> bool) {
        match &self.value {
            Value::List(items) => items.iter().for_each(|item| item.walk(visit)),
            Value::Map(members) => {
                for (key, node) in members {
                    if visit(key, node) {
                        node.walk(visit);
                    }
                }
            }
            _ => {}
        }
    }
}

/// Protobuf's JSON has the names of YAML in camelCase.
fn same(key: &str, name: &str) -> bool {
    let plain =
        |text: &str| text.chars().filter(|c| *c != '_').flat_map(char::to_lowercase).collect::<String>();
    key == name || plain(key) == plain(name)
}

/// A collection that is still open.
struct Open {
    node: Node,
    anchor: usize,
    /// The key whose value comes next.
    key: Option<String>,
}

/// Reads the first document of a YAML text, which JSON is, too.
///
/// # Errors
/// What is wrong, and in which line.
pub(super) fn yaml(text: &str) -> Result<Node, (usize, String)> {
    let mut parser = Parser::new_from_str(text);
    let mut open: Vec<Open> = Vec::new();
    let mut anchors: HashMap<usize, Node> = HashMap::new();
    let mut count = 0;
    loop {
        let (event, marker) = parser.next_token().map_err(|e| (e.marker().line(), e.info().to_owned()))?;
        let line = marker.line();
        let (node, anchor) = match event {
            Event::SequenceStart(anchor, _) => {
                open.push(Open { node: Node { value: Value::List(Vec::new()), line }, anchor, key: None });
                if open.len() > DEPTH_MAX {
                    return Err((line, "too deep".to_owned()));
                }
                continue;
            }
            Event::MappingStart(anchor, _) => {
                open.push(Open { node: Node { value: Value::Map(Vec::new()), line }, anchor, key: None });
                if open.len() > DEPTH_MAX {
                    return Err((line, "too deep".to_owned()));
                }
                continue;
            }
            Event::SequenceEnd | Event::MappingEnd => match open.pop() {
                Some(done) => (done.node, done.anchor),
                None => continue,
            },
            Event::Scalar(text, _, anchor, _) => (Node { value: Value::Scalar(text), line }, anchor),
            Event::Alias(anchor) => {
                let meant = anchors.get(&anchor);
                count += meant.map_or(0, Node::size);
                (meant.filter(|_| count <= NODES_MAX).cloned().unwrap_or_default(), 0)
            }
            Event::StreamEnd | Event::DocumentEnd => return Ok(Node::default()),
            Event::Nothing | Event::StreamStart | Event::DocumentStart => continue,
        };
        count += 1;
        if count > NODES_MAX {
            return Err((line, "too large".to_owned()));
        }
        if anchor > 0 {
            anchors.insert(anchor, node.clone());
        }
        match open.last_mut() {
            None => return Ok(node),
            Some(above) => put(above, node),
        }
    }
}

fn put(above: &mut Open, node: Node) {
    match (&mut above.node.value, above.key.take()) {
        (Value::List(items), _) => items.push(node),
        (Value::Map(members), Some(key)) => members.push((key, node)),
        (_, None) => above.key = Some(node.text().unwrap_or_default().to_owned()),
        _ => {}
    }
}

/// Reads TOML; lines are those of the tables.
///
/// # Errors
/// What is wrong, and in which line.
pub(super) fn toml(text: &str) -> Result<Node, (usize, String)> {
    let line = |at: usize| 1 + text.bytes().take(at).filter(|b| *b == b'\n').count();
    match toml::de::DeTable::parse(text) {
        Ok(table) => Ok(of_table(table.get_ref(), 1, &line)),
        Err(e) => Err((line(e.span().map_or(0, |span| span.start)), e.message().to_owned())),
    }
}

fn of_table(table: &toml::de::DeTable<'_>, at: usize, line: &dyn Fn(usize) -> usize) -> Node {
    let member =
        |(key, value): (&toml::Spanned<toml::de::DeString<'_>>, &toml::Spanned<toml::de::DeValue<'_>>)| {
            (key.get_ref().to_string(), of_value(value.get_ref(), line(key.span().start), line))
        };
    Node { value: Value::Map(table.iter().map(member).collect()), line: at }
}

fn of_value(value: &toml::de::DeValue<'_>, at: usize, line: &dyn Fn(usize) -> usize) -> Node {
    use toml::de::DeValue;
    let value = match value {
        DeValue::Table(table) => return of_table(table, at, line),
        DeValue::Array(items) => {
            Value::List(items.iter().map(|i| of_value(i.get_ref(), line(i.span().start), line)).collect())
        }
        DeValue::String(text) => Value::Scalar(text.to_string()),
        DeValue::Integer(number) => Value::Scalar(number.as_str().to_owned()),
        DeValue::Float(number) => Value::Scalar(number.as_str().to_owned()),
        DeValue::Boolean(yes) => Value::Scalar(yes.to_string()),
        DeValue::Datetime(time) => Value::Scalar(time.to_string()),
    };
    Node { value, line: at }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_tree() {
        let written = "a:\n  b_c: &x {d: 1, e: [f, 'g']}\n  h: *x\n  i:\n    <<: *x\n    e: 2\n";
        let json = r#"{"a": {"bC": {"d": 1, "e": ["f", "g"]}, "h": {"d": 1}, "i": {"d": 1, "e": "2"}}}"#;
        let toml = "[a]\ni = { d = 1, e = 2 }\n[a.b_c]\nd = 1\ne = [\"f\", \"g\"]\n[a.h]\nd = true\n";
        for node in [yaml(written).unwrap(), yaml(json).unwrap(), super::toml(toml).unwrap()] {
            assert_eq!(node.path(&["a", "b_c", "d"]).unwrap().text(), Some("1"));
            assert_eq!(node.path(&["A", "BC", "e"]).unwrap().items().len(), 2);
            assert!(node.path(&["a", "h", "d"]).is_some());
            assert_eq!(node.path(&["a", "i"]).unwrap().text_of("d"), Some("1"));
            assert_eq!(node.path(&["a", "i"]).unwrap().text_of("e"), Some("2"));
        }
        assert_eq!(yaml(written).unwrap().path(&["a", "h"]).unwrap().line, 2);
    }

    #[test]
    fn what_is_broken_or_grows_is_an_error() {
        assert_eq!(yaml("a: [1, 2\nb: 3\n").map_err(|e| e.0 > 0), Err(true));
        assert_eq!(super::toml("a = \n").map_err(|e| e.0), Err(1));
        assert_eq!(yaml(""), Ok(Node::default()));
        assert!(yaml(&"[".repeat(10_000)).is_err());
        let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
        for i in 1..12 {
            let before = format!("*a{}, ", i - 1).repeat(10);
            bomb.push_str(&format!("a{i}: &a{i} [{before}]\n"));
        }
        assert!(yaml(&bomb).is_err());
    }
}
