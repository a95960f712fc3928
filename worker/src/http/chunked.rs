//! The chunked transfer coding (RFC 9112 section 7.1), both ways. Knows nothing of heads.

use std::fmt;

use super::error::HttpError;
use super::reader::Limits;

/// The most bytes of chunk extensions behind one size. They are ignored, as RFC 9112 section 7.1.1 asks, so there is no
/// reason to read many (the lesson of CVE-2023-39326).
const EXTENSION_BYTES: u8 = 64;

/// The most hex digits of a chunk size: 4 GiB, beyond every body limit, and no overflow.
const SIZE_DIGITS: u8 = 8;

/// What ends a chunked body.
pub(super) const LAST_CHUNK: &[u8] = b"0\r\n\r\n";

/// What is wrong with a chunked body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChunkFault {
    /// A size line without digits, or with a byte that is neither digit nor extension.
    Size,
    /// A size of more than eight digits.
    SizeTooLong,
    /// An extension that is not `;name`, `;name=token` or `;name="text"`.
    Extension,
    /// More than 64 bytes of extensions.
    ExtensionTooLong,
    /// A line that does not end in CR LF.
    LineEnd,
    /// Data that CR LF does not follow.
    DataEnd,
    /// A trailer line that is not `Name: value`.
    Trailer,
}

impl fmt::Display for ChunkFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ChunkFault::Size => "a chunk size is not hexadecimal",
            ChunkFault::SizeTooLong => "a chunk size has more than 8 digits",
            ChunkFault::Extension => "a chunk extension is malformed",
            ChunkFault::ExtensionTooLong => "a chunk has more than 64 bytes of extensions",
            ChunkFault::LineEnd => "a line does not end in CR LF",
            ChunkFault::DataEnd => "a chunk's data is longer or shorter than its size says",
            ChunkFault::Trailer => "a trailer line is malformed",
        })
    }
}

/// Where in a chunked body the next byte lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    Size {
        size: u32,
        digits: u8,
    },
    Extension {
        size: u32,
        used: u8,
        part: Extension,
    },
    SizeLf {
        size: u32,
    },
    Data {
        left: u32,
    },
    DataCr,
    DataLf,
    Trailer {
        used: usize,
        part: Trailer,
    },
    Done,
}

/// Where in `;name=value` the next byte lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Extension {
    NameStart,
    Name,
    ValueStart,
    Token,
    Quoted,
    Escaped,
    QuotedEnd,
}

/// Where in the trailer section the next byte lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trailer {
    LineStart,
    Name,
    Value,
    Lf,
    LastLf,
}

const NEXT_SIZE: State = State::Size { size: 0, digits: 0 };

impl State {
    /// Takes one byte. Bytes taken in [`State::Data`] are the body's.
    pub(super) fn step(self, byte: u8) -> Result<State, ChunkFault> {
        match self {
            State::Size { size, digits } => match (char::from(byte).to_digit(16), byte) {
                (Some(_), _) if digits == SIZE_DIGITS => Err(ChunkFault::SizeTooLong),
                (Some(digit), _) => Ok(State::Size {
                    size: size << 4 | digit,
                    digits: digits + 1,
                }),
                (None, b'\r') if digits > 0 => Ok(State::SizeLf { size }),
                (None, b';') if digits > 0 => Ok(State::Extension {
                    size,
                    used: 1,
                    part: Extension::NameStart,
                }),
                _ => Err(ChunkFault::Size),
            },
            State::Extension { size, part, .. } if byte == b'\r' && part.may_end() => {
                Ok(State::SizeLf { size })
            }
            State::Extension { size, used, part } => {
                let part = part.step(byte).ok_or(ChunkFault::Extension)?;
                if used == EXTENSION_BYTES {
                    return Err(ChunkFault::ExtensionTooLong);
                }
                Ok(State::Extension {
                    size,
                    used: used + 1,
                    part,
                })
            }
            State::SizeLf { size } => match (byte, size) {
                (b'\n', 0) => Ok(State::Trailer {
                    used: 0,
                    part: Trailer::LineStart,
                }),
                (b'\n', left) => Ok(State::Data { left }),
                _ => Err(ChunkFault::LineEnd),
            },
            State::Data { left } => Ok(State::after_data(left.saturating_sub(1))),
            State::DataCr if byte == b'\r' => Ok(State::DataLf),
            State::DataLf if byte == b'\n' => Ok(NEXT_SIZE),
            State::DataCr | State::DataLf => Err(ChunkFault::DataEnd),
            State::Trailer {
                part: Trailer::LastLf,
                ..
            } if byte == b'\n' => Ok(State::Done),
            State::Trailer { used, part } => Ok(State::Trailer {
                used: used.saturating_add(1),
                part: part.step(byte)?,
            }),
            State::Done => Ok(State::Done),
        }
    }

    fn after_data(left: u32) -> State {
        if left == 0 {
            State::DataCr
        } else {
            State::Data { left }
        }
    }
}

impl Extension {
    fn may_end(self) -> bool {
        matches!(
            self,
            Extension::Name | Extension::Token | Extension::QuotedEnd
        )
    }

    fn step(self, byte: u8) -> Option<Extension> {
        let text = byte == b'\t' || matches!(byte, b' '..=b'~');
        match self {
            _ if byte == b';' && self.may_end() => Some(Extension::NameStart),
            Extension::NameStart | Extension::Name if is_token_byte(byte) => Some(Extension::Name),
            Extension::Name if byte == b'=' => Some(Extension::ValueStart),
            Extension::ValueStart if byte == b'"' => Some(Extension::Quoted),
            Extension::ValueStart | Extension::Token if is_token_byte(byte) => {
                Some(Extension::Token)
            }
            Extension::Quoted if byte == b'"' => Some(Extension::QuotedEnd),
            Extension::Quoted if byte == b'\\' => Some(Extension::Escaped),
            Extension::Quoted | Extension::Escaped if text => Some(Extension::Quoted),
            _ => None,
        }
    }
}

impl Trailer {
    fn step(self, byte: u8) -> Result<Trailer, ChunkFault> {
        match self {
            Trailer::LineStart if byte == b'\r' => Ok(Trailer::LastLf),
            Trailer::LineStart | Trailer::Name if is_token_byte(byte) => Ok(Trailer::Name),
            Trailer::Name if byte == b':' => Ok(Trailer::Value),
            Trailer::Value if byte == b'\r' => Ok(Trailer::Lf),
            Trailer::Value if byte == b'\n' => Err(ChunkFault::LineEnd),
            Trailer::Value if byte == b'\t' || !byte.is_ascii_control() => Ok(Trailer::Value),
            Trailer::Lf if byte == b'\n' => Ok(Trailer::LineStart),
            Trailer::Lf | Trailer::LastLf => Err(ChunkFault::LineEnd),
            _ => Err(ChunkFault::Trailer),
        }
    }
}

/// RFC 9110 section 5.6.2: `tchar`.
pub(super) fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// Decodes one chunked body. Trailers are checked, counted and dropped, never merged into the head (RFC 9112 section 7.1.2).
#[derive(Debug)]
pub(super) struct Decoder {
    state: State,
}

impl Decoder {
    pub(super) fn new() -> Decoder {
        Decoder { state: NEXT_SIZE }
    }

    pub(super) fn is_done(&self) -> bool {
        self.state == State::Done
    }

    /// Takes bytes from `input` until it is used up or the body ends, and adds the data to `body`. Returns how many bytes it
    /// took. A size that would pass [`Limits::body_bytes`] fails before its data arrives.
    pub(super) fn decode(
        &mut self,
        input: &[u8],
        limits: &Limits,
        body: &mut Vec<u8>,
    ) -> Result<usize, HttpError> {
        let mut rest = input;
        while self.state != State::Done {
            if let State::Data { left } = self.state {
                let here = rest.len().min(usize::try_from(left).unwrap_or(usize::MAX));
                let (data, after) = rest.split_at(here);
                super::reader::keep(body, data, limits.body_bytes);
                let taken = u32::try_from(here).unwrap_or(left);
                self.state = State::after_data(left - taken);
                rest = after;
                if self.state != State::DataCr {
                    break;
                }
            }
            let Some((&byte, after)) = rest.split_first() else {
                break;
            };
            rest = after;
            self.state = self.state.step(byte).map_err(HttpError::Chunk)?;
            match self.state {
                State::Data { left }
                    if u64::from(left) > (limits.body_bytes.saturating_sub(body.len())) as u64 =>
                {
                    return Err(HttpError::BodyTooLarge {
                        limit: limits.body_bytes,
                    });
                }
                State::Trailer { used, .. } if used > limits.trailer_bytes => {
                    return Err(HttpError::TrailerTooLarge {
                        limit: limits.trailer_bytes,
                    });
                }
                _ => {}
            }
        }
        Ok(input.len() - rest.len())
    }
}

/// Makes what `out` holds from `start` on one chunk. Nothing there makes no chunk: an empty one would end the body.
pub(super) fn enclose(out: &mut Vec<u8>, start: usize) {
    let length = out.len().saturating_sub(start);
    if length == 0 {
        return;
    }
    out.splice(start..start, format!("{length:x}\r\n").into_bytes());
    out.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests;
