//! STOMP frames as bytes (STOMP 1.2, "Augmented BNF" and "Value Encoding"; 1.1 differs in nothing that is used here). Pure.

/// The most bytes of a frame that a broker may send: it has receipts and error texts to say, no messages.
const MOST: usize = 64 * 1024;

/// A frame that came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    pub command: String,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Frame {
    /// A header's value; of a repeated one the first counts.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }
}

/// Bytes of a frame to send. Those of CONNECT are not escaped, lest a 1.0 broker take them wrong.
pub fn encode(command: &str, headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(body.len() + 200);
    bytes.extend_from_slice(command.as_bytes());
    bytes.push(b'\n');
    for (name, value) in headers {
        if command == "CONNECT" {
            bytes.extend_from_slice(name.as_bytes());
            bytes.push(b':');
            bytes.extend_from_slice(value.as_bytes());
        } else {
            escape(name, &mut bytes);
            bytes.push(b':');
            escape(value, &mut bytes);
        }
        bytes.push(b'\n');
    }
    bytes.push(b'\n');
    bytes.extend_from_slice(body);
    bytes.push(0);
    bytes
}

fn escape(text: &str, out: &mut Vec<u8>) {
    for byte in text.bytes() {
        match byte {
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b':' => out.extend_from_slice(b"\\c"),
            other => out.push(other),
        }
    }
}

fn unescape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(char) = chars.next() {
        match (char, char == '\\') {
            (_, true) => match chars.next() {
                Some('n') => out.push('\n'),
                Some('r') => out.push('\r'),
                Some('c') => out.push(':'),
                Some(other) => out.push(other),
                None => out.push('\\'),
            },
            (other, false) => out.push(other),
        }
    }
    out
}

/// Takes the first whole frame out of what has come; newlines before it are heart-beats. `Ok(None)`: it is not whole yet.
///
/// # Errors
/// No STOMP, or too much of it.
pub fn take(input: &mut Vec<u8>) -> Result<Option<Frame>, &'static str> {
    let beats = input
        .iter()
        .take_while(|b| matches!(b, b'\n' | b'\r'))
        .count();
    input.drain(..beats);
    let Some(head_end) = head_end(input) else {
        return if input.len() > MOST {
            Err("the broker's frame is too long")
        } else {
            Ok(None)
        };
    };
    let head = std::str::from_utf8(input.get(..head_end).unwrap_or_default())
        .map_err(|_| "the broker's frame is no text")?;
    let mut lines = head.lines().map(|line| line.trim_end_matches('\r'));
    let command = lines.next().unwrap_or_default().to_owned();
    if command.is_empty() || !command.bytes().all(|b| b.is_ascii_uppercase()) {
        return Err("this is no STOMP broker");
    }
    let headers: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (unescape(name), unescape(value)))
        .collect();
    let mut frame = Frame {
        command,
        headers,
        body: Vec::new(),
    };
    let rest = input.get(head_end..).unwrap_or_default();
    let length = match frame.header("content-length") {
        Some(text) => {
            let length: usize = text
                .parse()
                .map_err(|_| "the broker's content-length is no number")?;
            if length > MOST {
                return Err("the broker's frame is too long");
            }
            if rest.len() <= length {
                return Ok(None);
            }
            length
        }
        None => match rest.iter().position(|b| *b == 0) {
            Some(length) => length,
            None if rest.len() > MOST => return Err("the broker's frame is too long"),
            None => return Ok(None),
        },
    };
    if rest.get(length) != Some(&0) {
        return Err("the broker's frame does not end where it says");
    }
    frame.body = rest.get(..length).unwrap_or_default().to_vec();
    input.drain(..head_end + length + 1);
    Ok(Some(frame))
}

/// Behind the empty line.
fn head_end(input: &[u8]) -> Option<usize> {
    let mut start = 0;
    loop {
        let rest = input.get(start..)?;
        let end = rest.iter().position(|b| *b == b'\n')?;
        if start > 0 && matches!(rest.get(..end), Some(b"" | b"\r")) {
            return Some(start + end + 1);
        }
        start += end + 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_go_out_as_the_specification_says() {
        let bytes = encode("SEND", &[("destination", "/queue/a:b\\c\nd")], b"{}");
        assert_eq!(bytes, b"SEND\ndestination:/queue/a\\cb\\\\c\\nd\n\n{}\0");
        let bytes = encode("CONNECT", &[("passcode", "a:b\\")], b"");
        assert_eq!(bytes, b"CONNECT\npasscode:a:b\\\n\n\0");
    }

    #[test]
    fn frames_come_in_pieces() {
        let whole = b"\n\r\nERROR\r\nmessage:no\\cthing\nmessage:second\ncontent-length:3\n\na\0b\0\nRECEIPT\nreceipt-id:7\n\n\0";
        let mut input = Vec::new();
        let mut found = Vec::new();
        for byte in whole {
            input.push(*byte);
            found.extend(take(&mut input).unwrap());
        }
        assert!(input.is_empty());
        assert_eq!(found.len(), 2);
        assert_eq!(
            (found[0].command.as_str(), found[0].body.as_slice()),
            ("ERROR", &b"a\0b"[..])
        );
        assert_eq!(found[0].header("message"), Some("no:thing"));
        assert_eq!(found[1].header("receipt-id"), Some("7"));
    }

    #[test]
    fn what_is_no_stomp_is_an_error() {
        let error = |text: &[u8]| take(&mut text.to_vec()).unwrap_err();
        assert!(error(b"HTTP/1.1 400 Bad Request\r\n\r\n").contains("no STOMP"));
        assert!(error(b"ERROR\ncontent-length:2\n\nabc\0").contains("does not end"));
        assert!(error(b"ERROR\ncontent-length:x\n\n\0").contains("no number"));
        assert!(error(&vec![b'A'; MOST + 1]).contains("too long"));
        assert!(error(b"ERROR\ncontent-length:99999999\n\n\0").contains("too long"));
    }
}
