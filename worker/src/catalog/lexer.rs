//! Cuts SQL into tokens by PostgreSQL's lexical rules ("Lexical Structure" in its manual), as far as it takes to find
//! placeholders, fragment marks and statement ends and to never look into a string or a comment. Knows no grammar.
//!
//! Byte-wise: every byte that matters is ASCII, and UTF-8 keeps ASCII bytes out of longer characters.

use std::ops::Range;

/// What a token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A bare identifier or keyword.
    Word,
    /// A string, in any of its forms; also a quoted identifier.
    Quoted,
    Number,
    /// `:name` or `:cursor.column`; the span includes the colon.
    Placeholder,
    /// `$1`: not for authors, but it must be seen to be refused.
    Positional,
    /// `--? a b`: the span is the whole mark.
    Fragment,
    /// Any other comment.
    Comment,
    Open,
    Close,
    Semicolon,
    /// `::`
    Cast,
    /// Any other character or operator part.
    Other,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Token {
    pub kind: Kind,
    pub span: Range<usize>,
}

impl Token {
    pub fn text<'s>(&self, sql: &'s str) -> &'s str {
        sql.get(self.span.clone()).unwrap_or_default()
    }

    pub fn is_word(&self, sql: &str, word: &str) -> bool {
        self.kind == Kind::Word && self.text(sql).eq_ignore_ascii_case(word)
    }
}

/// Something that begins and never ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Unterminated {
    pub what: &'static str,
    pub span: Range<usize>,
}

/// The tokens of `sql`, without white space. After an unterminated token nothing follows.
pub(crate) fn tokens(sql: &str) -> Result<Vec<Token>, Unterminated> {
    let mut lexer = Lexer {
        bytes: sql.as_bytes(),
        at: 0,
    };
    let mut list = Vec::new();
    while let Some(token) = lexer.next()? {
        list.push(token);
    }
    Ok(list)
}

struct Lexer<'s> {
    bytes: &'s [u8],
    at: usize,
}

fn starts_name(byte: u8) -> bool {
    byte.is_ascii_alphabetic() || byte == b'_' || byte >= 0x80
}

fn continues_name(byte: u8) -> bool {
    starts_name(byte) || byte.is_ascii_digit()
}

impl Lexer<'_> {
    fn byte(&self, ahead: usize) -> Option<u8> {
        self.bytes.get(self.at + ahead).copied()
    }

    fn skip_while(&mut self, mut keep: impl FnMut(u8) -> bool) {
        while self.byte(0).is_some_and(&mut keep) {
            self.at += 1;
        }
    }

    fn next(&mut self) -> Result<Option<Token>, Unterminated> {
        self.skip_while(|b| b.is_ascii_whitespace() || b == 0x0b);
        let start = self.at;
        let Some(first) = self.byte(0) else {
            return Ok(None);
        };
        let kind = match (first, self.byte(1)) {
            (b'-', Some(b'-')) => self.line_comment(),
            (b'/', Some(b'*')) => self.block_comment()?,
            (b'\'', _) => self.string(false)?,
            (b'e' | b'E', Some(b'\'')) => {
                self.at += 1;
                self.string(true)?
            }
            (b'"', _) => self.quoted_identifier()?,
            (b'$', _) => self.dollar()?,
            (b':', Some(b':')) => self.fixed(2, Kind::Cast),
            (b':', Some(b'=')) => self.fixed(2, Kind::Other),
            (b':', Some(next)) if next.is_ascii_alphabetic() || next == b'_' => self.placeholder(),
            (b'(', _) => self.fixed(1, Kind::Open),
            (b')', _) => self.fixed(1, Kind::Close),
            (b';', _) => self.fixed(1, Kind::Semicolon),
            (byte, _) if starts_name(byte) => {
                // `$` continues an identifier, so that a$b$c holds no dollar quote.
                self.skip_while(|b| continues_name(b) || b == b'$');
                Kind::Word
            }
            (byte, next)
                if byte.is_ascii_digit()
                    || (byte == b'.' && next.is_some_and(|b| b.is_ascii_digit())) =>
            {
                self.skip_while(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'.');
                Kind::Number
            }
            _ => self.fixed(1, Kind::Other),
        };
        let span = start..self.at.min(self.bytes.len());
        Ok(Some(Token { kind, span }))
    }

    fn fixed(&mut self, length: usize, kind: Kind) -> Kind {
        self.at += length;
        kind
    }

    fn line_comment(&mut self) -> Kind {
        let mark = self.byte(2) == Some(b'?');
        self.skip_while(|b| b != b'\n' && b != b'\r');
        if mark { Kind::Fragment } else { Kind::Comment }
    }

    /// `/* ... */`, which nests in PostgreSQL (and in the SQL standard, but in few other databases).
    fn block_comment(&mut self) -> Result<Kind, Unterminated> {
        let start = self.at;
        let mut depth = 0usize;
        loop {
            match (self.byte(0), self.byte(1)) {
                (Some(b'/'), Some(b'*')) => {
                    depth += 1;
                    self.at += 2;
                }
                (Some(b'*'), Some(b'/')) => {
                    depth -= 1;
                    self.at += 2;
                    if depth == 0 {
                        return Ok(Kind::Comment);
                    }
                }
                (Some(_), _) => self.at += 1,
                (None, _) => return Err(self.unterminated("comment", start, 2)),
            }
        }
    }

    /// A string from its opening quote on. Only an E-string has backslash escapes, as `standard_conforming_strings`
    /// is on in every supported PostgreSQL. An E-string goes on in a further part on a later line.
    fn string(&mut self, escapes: bool) -> Result<Kind, Unterminated> {
        let start = self.at;
        self.at += 1;
        loop {
            match (self.byte(0), self.byte(1)) {
                (Some(b'\\'), Some(_)) if escapes => self.at += 2,
                (Some(b'\''), Some(b'\'')) => self.at += 2,
                (Some(b'\''), _) => {
                    self.at += 1;
                    match self.continuation() {
                        Some(next) if escapes => self.at = next,
                        _ => return Ok(Kind::Quoted),
                    }
                }
                (Some(_), _) => self.at += 1,
                (None, _) => return Err(self.unterminated("string", start, 1)),
            }
        }
    }

    /// After a string's closing quote: where its next part's content begins, if only white space (and line comments)
    /// with at least one newline stand between.
    fn continuation(&self) -> Option<usize> {
        let mut at = self.at;
        let mut newline = false;
        loop {
            match self.bytes.get(at)? {
                b'\n' | b'\r' => {
                    newline = true;
                    at += 1;
                }
                byte if byte.is_ascii_whitespace() || *byte == 0x0b => at += 1,
                b'-' if newline && self.bytes.get(at + 1) == Some(&b'-') => {
                    // A fragment mark here would be lost in the string: it ends the string instead.
                    if self.bytes.get(at + 2) == Some(&b'?') {
                        return None;
                    }
                    while self
                        .bytes
                        .get(at)
                        .is_some_and(|b| *b != b'\n' && *b != b'\r')
                    {
                        at += 1;
                    }
                }
                b'\'' if newline => return Some(at + 1),
                _ => return None,
            }
        }
    }

    fn quoted_identifier(&mut self) -> Result<Kind, Unterminated> {
        let start = self.at;
        self.at += 1;
        loop {
            match (self.byte(0), self.byte(1)) {
                (Some(b'"'), Some(b'"')) => self.at += 2,
                (Some(b'"'), _) => {
                    self.at += 1;
                    return Ok(Kind::Quoted);
                }
                (Some(_), _) => self.at += 1,
                (None, _) => return Err(self.unterminated("quoted identifier", start, 1)),
            }
        }
    }

    /// `$1`, or `$tag$ ... $tag$`, or a lone dollar sign.
    fn dollar(&mut self) -> Result<Kind, Unterminated> {
        let start = self.at;
        self.at += 1;
        if self.byte(0).is_some_and(|b| b.is_ascii_digit()) {
            self.skip_while(|b| b.is_ascii_digit());
            return Ok(Kind::Positional);
        }
        let mut end = self.at;
        if self.bytes.get(end).copied().is_some_and(starts_name) {
            while self.bytes.get(end).copied().is_some_and(continues_name) {
                end += 1;
            }
        }
        if self.bytes.get(end) != Some(&b'$') {
            return Ok(Kind::Other);
        }
        let tag = self.bytes.get(start..=end).unwrap_or_default();
        self.at = end + 1;
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        match memchr::memmem::find(rest, tag) {
            Some(offset) => {
                self.at += offset + tag.len();
                Ok(Kind::Quoted)
            }
            None => Err(self.unterminated("dollar-quoted string", start, tag.len())),
        }
    }

    fn placeholder(&mut self) -> Kind {
        self.at += 1;
        let name = self.at;
        self.skip_while(|b| b.is_ascii_alphanumeric() || b == b'_');
        let is_cursor = self.bytes.get(name..self.at) == Some(b"cursor");
        if is_cursor
            && self.byte(0) == Some(b'.')
            && self
                .byte(1)
                .is_some_and(|b| b.is_ascii_alphabetic() || b == b'_')
        {
            self.at += 1;
            self.skip_while(|b| b.is_ascii_alphanumeric() || b == b'_');
        }
        Kind::Placeholder
    }

    fn unterminated(&mut self, what: &'static str, start: usize, length: usize) -> Unterminated {
        self.at = self.bytes.len();
        Unterminated {
            what,
            span: start..start + length,
        }
    }
}

#[cfg(test)]
mod tests;
