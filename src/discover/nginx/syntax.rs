//! nginx's configuration language: words, blocks, files within files.

use crate::discover::host::Host;
use crate::discover::lines::{Opened, absolute, included};
use crate::discover::{Found, Spot};

/// Blocks within blocks: deeper ones are left out.
const DEPTH_MAX: usize = 64;

/// `name args…;` or `name args… { … }`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Directive {
    pub(super) name: String,
    pub(super) args: Vec<String>,
    pub(super) block: Option<Vec<Directive>>,
    pub(super) at: Spot,
}

impl Directive {
    pub(super) fn arg(&self, i: usize) -> &str {
        self.args.get(i).map_or("", String::as_str)
    }

    pub(super) fn inside(&self) -> &[Directive] {
        self.block.as_deref().unwrap_or_default()
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Token {
    Word(String),
    Open,
    Close,
    End,
}

struct Lexer<'a> {
    text: &'a str,
    at: usize,
    line: usize,
}

impl Lexer<'_> {
    fn peek(&self) -> Option<char> {
        self.text.get(self.at..)?.chars().next()
    }

    fn bump(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.at += c.len_utf8();
        self.line += usize::from(c == '\n');
        Some(c)
    }

    /// The next token, and the line it begins in; `Err`: a quote is never closed.
    fn next(&mut self) -> Result<Option<(Token, usize)>, usize> {
        loop {
            let Some(c) = self.peek() else { return Ok(None) };
            let line = self.line;
            match c {
                '#' => {
                    while self.peek().is_some_and(|c| c != '\n') {
                        self.bump();
                    }
                }
                c if c.is_whitespace() => drop(self.bump()),
                '{' | '}' | ';' => {
                    self.bump();
                    let token = match c {
                        '{' => Token::Open,
                        '}' => Token::Close,
                        _ => Token::End,
                    };
                    return Ok(Some((token, line)));
                }
                '"' | '\'' => return self.quoted(c).map(|word| Some((Token::Word(word), line))).ok_or(line),
                _ => return Ok(Some((Token::Word(self.word()), line))),
            }
        }
    }

    fn escaped(&mut self, word: &mut String) {
        match self.bump() {
            Some(c @ ('"' | '\'' | '\\')) => word.push(c),
            Some('t') => word.push('\t'),
            Some('r') => word.push('\r'),
            Some('n') => word.push('\n'),
            Some(c) => word.extend(['\\', c]),
            None => {}
        }
    }

    fn quoted(&mut self, quote: char) -> Option<String> {
        self.bump();
        let mut word = String::new();
        loop {
            match self.bump()? {
                '\\' => self.escaped(&mut word),
                c if c == quote => return Some(word),
                c => word.push(c),
            }
        }
    }

    fn word(&mut self) -> String {
        let mut word = String::new();
        while let Some(c) = self.peek() {
            // `${name}` is one word.
            let is_end = c.is_whitespace() || c == ';' || (c == '{' && !word.ends_with('$'));
            if is_end {
                break;
            }
            self.bump();
            if c == '\\' { self.escaped(&mut word) } else { word.push(c) }
        }
        word
    }

    /// Another language within braces (Lua), up to the brace that closes it.
    fn skip_block(&mut self) {
        let mut depth = 1;
        while depth > 0 {
            match self.bump() {
                Some('{') => depth += 1,
                Some('}') => depth -= 1,
                Some(_) => {}
                None => break,
            }
        }
    }
}

/// Reads files into one tree.
pub(super) struct Reader<'a> {
    host: &'a dyn Host,
    /// Relative names of files begin here.
    folder: &'a str,
    opened: Opened,
}

impl<'a> Reader<'a> {
    pub(super) fn new(host: &'a dyn Host, folder: &'a str) -> Reader<'a> {
        Reader { host, folder, opened: Opened::default() }
    }

    /// A file's directives; those of included files stand in place of the `include`.
    pub(super) fn file(&mut self, path: &str, from: &Spot, found: &mut Found) -> Vec<Directive> {
        let Some(text) = self.opened.text(self.host, path, from, found) else { return Vec::new() };
        let mut lexer = Lexer { text: &text, at: 0, line: 1 };
        let mut directives = Vec::new();
        // A brace too many closes nothing: what follows is read all the same.
        while self.block(&mut lexer, path, 0, &mut directives, found) {
            let at = Spot { file: path.to_owned(), line: lexer.line };
            found.remark(&at, "`}` closes no block");
        }
        self.opened.done();
        directives
    }

    /// Up to the end of a block (true) or of the file (false).
    fn block(
        &mut self,
        lexer: &mut Lexer<'_>,
        path: &str,
        depth: usize,
        into: &mut Vec<Directive>,
        found: &mut Found,
    ) -> bool {
        let mut words: Vec<String> = Vec::new();
        let mut first = 0;
        loop {
            let (token, line) = match lexer.next() {
                Ok(Some(token)) => token,
                Ok(None) => {
                    if depth > 0 {
                        let at = Spot { file: path.to_owned(), line: lexer.line };
                        found.remark(&at, "the file ends within a block");
                    }
                    return false;
                }
                Err(line) => {
                    found.remark(&Spot { file: path.to_owned(), line }, "a quote is never closed");
                    return false;
                }
            };
            match token {
                Token::Word(word) => {
                    if words.is_empty() {
                        first = line;
                    }
                    words.push(word);
                    continue;
                }
                Token::Close => return true,
                Token::End | Token::Open => {}
            }
            let mut words = std::mem::take(&mut words).into_iter();
            let name = words.next().unwrap_or_default();
            let at = Spot { file: path.to_owned(), line: first };
            let mut directive = Directive { name, args: words.collect(), block: None, at };
            if token == Token::Open {
                let ends = self.inside(lexer, path, depth, &mut directive, found);
                into.push(directive);
                if !ends {
                    return false;
                }
            } else if directive.name == "include" {
                self.include(&directive, into, found);
            } else {
                into.push(directive);
            }
        }
    }

    /// A directive's block; whether it ends before the file does.
    fn inside(
        &mut self,
        lexer: &mut Lexer<'_>,
        path: &str,
        depth: usize,
        directive: &mut Directive,
        found: &mut Found,
    ) -> bool {
        if depth >= DEPTH_MAX || directive.name.ends_with("_lua_block") {
            lexer.skip_block();
            return true;
        }
        let mut block = Vec::new();
        let ends = self.block(lexer, path, depth + 1, &mut block, found);
        directive.block = Some(block);
        ends
    }

    fn include(&mut self, directive: &Directive, into: &mut Vec<Directive>, found: &mut Found) {
        let pattern = absolute(directive.arg(0), self.folder);
        for path in included(self.host, &pattern, &directive.at, found) {
            into.extend(self.file(&path, &directive.at, found));
        }
    }
}
