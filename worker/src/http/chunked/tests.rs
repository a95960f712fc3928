use proptest::prelude::*;

use super::*;

const fn size(size: u32, digits: u8) -> State {
    State::Size { size, digits }
}

const fn extension(used: u8, part: Extension) -> State {
    State::Extension {
        size: 5,
        used,
        part,
    }
}

const fn trailer(used: usize, part: Trailer) -> State {
    State::Trailer { used, part }
}

fn is_text(byte: u8) -> bool {
    byte == b'\t' || (b' '..=b'~').contains(&byte)
}

fn is_value(byte: u8) -> bool {
    is_text(byte) || byte >= 0x80
}

/// Of the bytes that a state accepts: which they are, and where they lead. The first row that fits counts.
type Moves<'a> = &'a [(&'a dyn Fn(u8) -> bool, State)];

#[test]
fn every_state_on_every_byte() {
    use Extension::{Escaped, Name, NameStart, Quoted, QuotedEnd, Token, ValueStart};
    let is = |wanted: u8| move |byte: u8| byte == wanted;
    let end = State::SizeLf { size: 5 };
    let after_name: Moves = &[
        (&is(b'\r'), end),
        (&is(b';'), extension(10, NameStart)),
        (&is(b'='), extension(10, ValueStart)),
        (&is_token_byte, extension(10, Name)),
    ];
    let in_token: Moves = &[
        (&is(b'\r'), end),
        (&is(b';'), extension(10, NameStart)),
        (&is_token_byte, extension(10, Token)),
    ];
    let in_quotes: Moves = &[
        (&is(b'"'), extension(10, QuotedEnd)),
        (&is(b'\\'), extension(10, Escaped)),
        (&is_text, extension(10, Quoted)),
    ];
    let table: &[(State, Moves, ChunkFault)] = &[
        (
            extension(9, NameStart),
            &[(&is_token_byte, extension(10, Name))],
            ChunkFault::Extension,
        ),
        (extension(9, Name), after_name, ChunkFault::Extension),
        (
            extension(9, ValueStart),
            &[
                (&is(b'"'), extension(10, Quoted)),
                (&is_token_byte, extension(10, Token)),
            ],
            ChunkFault::Extension,
        ),
        (extension(9, Token), in_token, ChunkFault::Extension),
        (extension(9, Quoted), in_quotes, ChunkFault::Extension),
        (
            extension(9, Escaped),
            &[(&is_text, extension(10, Quoted))],
            ChunkFault::Extension,
        ),
        (
            extension(9, QuotedEnd),
            &[(&is(b'\r'), end), (&is(b';'), extension(10, NameStart))],
            ChunkFault::Extension,
        ),
        (
            State::SizeLf { size: 5 },
            &[(&is(b'\n'), State::Data { left: 5 })],
            ChunkFault::LineEnd,
        ),
        (
            State::SizeLf { size: 0 },
            &[(&is(b'\n'), trailer(0, Trailer::LineStart))],
            ChunkFault::LineEnd,
        ),
        (
            State::Data { left: 2 },
            &[(&|_| true, State::Data { left: 1 })],
            ChunkFault::DataEnd,
        ),
        (
            State::Data { left: 1 },
            &[(&|_| true, State::DataCr)],
            ChunkFault::DataEnd,
        ),
        (
            State::DataCr,
            &[(&is(b'\r'), State::DataLf)],
            ChunkFault::DataEnd,
        ),
        (
            State::DataLf,
            &[(&is(b'\n'), size(0, 0))],
            ChunkFault::DataEnd,
        ),
        (
            trailer(3, Trailer::LineStart),
            &[
                (&is(b'\r'), trailer(4, Trailer::LastLf)),
                (&is_token_byte, trailer(4, Trailer::Name)),
            ],
            ChunkFault::Trailer,
        ),
        (
            trailer(3, Trailer::Name),
            &[
                (&is(b':'), trailer(4, Trailer::Value)),
                (&is_token_byte, trailer(4, Trailer::Name)),
            ],
            ChunkFault::Trailer,
        ),
        (
            trailer(3, Trailer::Lf),
            &[(&is(b'\n'), trailer(4, Trailer::LineStart))],
            ChunkFault::LineEnd,
        ),
        (
            trailer(3, Trailer::LastLf),
            &[(&is(b'\n'), State::Done)],
            ChunkFault::LineEnd,
        ),
        (State::Done, &[(&|_| true, State::Done)], ChunkFault::Size),
    ];
    for (state, moves, fault) in table {
        for byte in 0..=u8::MAX {
            let expected = moves
                .iter()
                .find(|(fits, _)| fits(byte))
                .map_or(Err(*fault), |(_, next)| Ok(*next));
            assert_eq!(state.step(byte), expected, "{state:?} on {byte:#04x}");
        }
    }
    for byte in 0..=u8::MAX {
        let expected = match byte {
            b'\r' => Ok(trailer(4, Trailer::Lf)),
            b'\n' => Err(ChunkFault::LineEnd),
            _ if is_value(byte) => Ok(trailer(4, Trailer::Value)),
            _ => Err(ChunkFault::Trailer),
        };
        assert_eq!(
            trailer(3, Trailer::Value).step(byte),
            expected,
            "{byte:#04x}"
        );
    }
}

#[test]
fn sizes_on_every_byte() {
    for byte in 0..=u8::MAX {
        let digit = char::from(byte).to_digit(16);
        let first = digit.map(|digit| size(digit, 1)).ok_or(ChunkFault::Size);
        assert_eq!(size(0, 0).step(byte), first, "{byte:#04x}");

        let later = match (digit, byte) {
            (Some(digit), _) => Ok(size(0x120 + digit, 3)),
            (None, b'\r') => Ok(State::SizeLf { size: 0x12 }),
            (None, b';') => Ok(State::Extension {
                size: 0x12,
                used: 1,
                part: Extension::NameStart,
            }),
            _ => Err(ChunkFault::Size),
        };
        assert_eq!(size(0x12, 2).step(byte), later, "{byte:#04x}");
    }
    assert_eq!(size(u32::MAX, 8).step(b'0'), Err(ChunkFault::SizeTooLong));
    assert_eq!(
        extension(EXTENSION_BYTES, Extension::Name).step(b'a'),
        Err(ChunkFault::ExtensionTooLong)
    );
    assert_eq!(
        extension(EXTENSION_BYTES, Extension::Name).step(b'\r'),
        Ok(State::SizeLf { size: 5 })
    );
}

/// The body, and how many bytes were taken.
fn decode(pieces: &[&[u8]]) -> Result<(Vec<u8>, usize), HttpError> {
    let mut decoder = Decoder::new();
    let mut body = Vec::new();
    let mut taken = 0;
    for piece in pieces {
        taken += decoder.decode(piece, &Limits::default(), &mut body)?;
    }
    assert!(decoder.is_done());
    Ok((body, taken))
}

#[test]
fn nothing_is_taken_behind_the_end() {
    assert_eq!(
        decode(&[b"1\r\nx\r\n0\r\n\r\nGET"]),
        Ok((b"x".to_vec(), 11))
    );
}

#[test]
fn an_empty_piece_makes_no_chunk() {
    let mut out = b"head".to_vec();
    enclose(&mut out, 4);
    assert_eq!(out, b"head");
}

proptest! {
    /// What we encode we decode, cut anywhere.
    #[test]
    fn chunks_come_back(
        parts in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..600), 0..8),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut wire = Vec::new();
        for part in &parts {
            let start = wire.len();
            wire.extend_from_slice(part);
            enclose(&mut wire, start);
        }
        wire.extend_from_slice(LAST_CHUNK);
        let (first, second) = wire.split_at(cut.index(wire.len() + 1));
        prop_assert_eq!(decode(&[first, second]), Ok((parts.concat(), wire.len())));
    }
}
