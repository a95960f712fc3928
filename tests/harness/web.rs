//! An HTTP server that does what HTTP servers should not: hang, err, answer rubbish or too much, redirect elsewhere.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;

/// Starts one; its threads end with the test binary.
pub fn start() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            thread::spawn(move || answer(stream));
        }
    });
    address
}

fn answer(mut stream: TcpStream) {
    let mut reader = BufReader::new(stream.try_clone().expect("a handle"));
    let (mut head, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).unwrap_or(0) == 0 {
            return;
        }
        if let Some(text) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = text.trim().parse().unwrap_or(0);
        }
        if line.trim().is_empty() {
            break;
        }
        head.push_str(&line);
    }
    let mut body = vec![0; length];
    if reader.read_exact(&mut body).is_err() {
        return;
    }
    let target = head.split(' ').nth(1).unwrap_or_default().to_owned();
    let path = target.split('?').next().unwrap_or_default();
    let reply = |status: &str, more: &str, body: &str| {
        format!(
            "HTTP/1.1 {status}\r\n{more}Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
            body.len()
        )
    };
    let json = "Content-Type: application/json\r\n";
    let text = match path {
        "/hang" => {
            // Until the client gives up.
            let _ = stream.read(&mut [0; 1]);
            return;
        }
        "/err" => reply("500 Oh", "", "secret trace"),
        "/rubbish" => "\u{1}\u{2}no http\r\n\r\n".to_owned(),
        "/half" => "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf".to_owned(),
        "/inside" => reply("302 Found", "Location: /echo?moved\r\n", ""),
        "/outside" => reply("302 Found", "Location: http://192.0.2.1/\r\n", ""),
        "/circle" => reply("302 Found", "Location: /circle\r\n", ""),
        "/words" => reply("200 OK", "", "no JSON\0here"),
        "/big" => {
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 104857600\r\n\r\n");
            let piece = vec![b'x'; 1 << 20];
            for _ in 0..100 {
                if stream.write_all(&piece).is_err() {
                    return;
                }
            }
            return;
        }
        _ => {
            let echo = serde_json::json!({
                "target": target,
                "method": head.split(' ').next(),
                "own": head.lines().find_map(|line| line.strip_prefix("x-own: ")),
                "body": String::from_utf8_lossy(&body),
            });
            reply("200 OK", json, &echo.to_string())
        }
    };
    let _ = stream.write_all(text.as_bytes());
}
