//! A real ActiveMQ with a STOMP and a TLS listener, one for almost all tests, and what stands around it: a listener to its queues, and a forwarder
//! that stalls or cuts. It ends with the test binary at the latest.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::Duration;

use super::wait;

pub const LOGIN: &str = "tine";
pub const PASSCODE: &str = "se:cret\\";
/// Another login, whose passcode a file of variables can hold.
pub const OTHER: (&str, &str) = ("monitor", "pa$s #w");

/// A broker. Dropping it ends it.
pub struct Broker {
    pub plain: SocketAddr,
    pub tls: SocketAddr,
    /// The certificate that signs the TLS listener's, in PEM.
    pub certificate: PathBuf,
    /// The shell that ends the broker reads from it.
    _life: ChildStdin,
}

const CONFIGURATION: &str = r#"<beans xmlns="http://www.springframework.org/schema/beans"
  xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"
  xsi:schemaLocation="http://www.springframework.org/schema/beans http://www.springframework.org/schema/beans/spring-beans-2.0.xsd http://activemq.apache.org/schema/core http://activemq.apache.org/schema/core/activemq-core.xsd">
  <broker xmlns="http://activemq.apache.org/schema/core" useJmx="false" persistent="false" brokerName="test">
    <plugins><simpleAuthenticationPlugin><users>
      <authenticationUser username="tine" password="se:cret\" groups="users"/>
      <authenticationUser username="monitor" password="pa$s #w" groups="users"/>
    </users></simpleAuthenticationPlugin></plugins>
    <sslContext><sslContext keyStore="file:FOLDER/key.p12" keyStorePassword="password" keyStoreType="PKCS12"/></sslContext>
    <transportConnectors>
      <transportConnector name="plain" uri="stomp://127.0.0.1:0"/>
      <transportConnector name="tls" uri="stomp+ssl://127.0.0.1:0"/>
    </transportConnectors>
  </broker>
</beans>
"#;
const LOGGING: &str = "log4j.rootLogger=INFO, out\nlog4j.appender.out=org.apache.log4j.ConsoleAppender\n\
                       log4j.appender.out.layout=org.apache.log4j.PatternLayout\nlog4j.appender.out.layout.ConversionPattern=%m%n\n";

/// The broker that tests share, started on first use.
pub fn broker() -> &'static Broker {
    static BROKER: OnceLock<Broker> = OnceLock::new();
    BROKER.get_or_init(own)
}

/// A broker of one test's own, for one that uses the queues of others.
pub fn own() -> Broker {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let name = format!("tine-broker-{}-{number}", std::process::id());
    let folder = std::env::temp_dir().join(name);
    fs::create_dir(&folder).expect("a folder of our own");
    let place = folder.display().to_string();
    let file = |name: &str, text: &str| fs::write(folder.join(name), text).expect("a file");
    file("broker.xml", &CONFIGURATION.replace("FOLDER", &place));
    file("log4j.properties", LOGGING);
    let keytool = |words: &str| {
        let output = Command::new("keytool")
            .args(words.split(' '))
            .args([
                "-keystore",
                &format!("{place}/key.p12"),
                "-storepass",
                "password",
            ])
            .output()
            .expect("keytool; tests/install.sh installs it");
        assert!(output.status.success(), "{output:?}");
        output.stdout
    };
    keytool(
        "-genkeypair -keyalg EC -alias b -storetype PKCS12 -dname CN=localhost -ext san=dns:localhost,ip:127.0.0.1 -validity 30",
    );
    let certificate = folder.join("certificate.pem");
    fs::write(&certificate, keytool("-exportcert -rfc -alias b")).expect("a file");
    let log = folder.join("log");
    let output = File::create(&log).expect("a log");
    // Ends with whoever holds the other end of its input.
    let script = "java \"$@\" & broker=$!; read -r _; kill -9 $broker; wait; rm -rf \"$FOLDER\"";
    let mut child = Command::new("sh")
        .args([
            "-c",
            script,
            "sh",
            "-Xmx128m",
            "-XX:TieredStopAtLevel=1",
            "-XX:+UseSerialGC",
        ])
        .arg(format!(
            "-Dlog4j.configuration=file:{place}/log4j.properties"
        ))
        .arg("-Dactivemq.home=/usr/share/activemq")
        .arg(format!("-Dactivemq.base={place}"))
        .arg(format!("-Djava.io.tmpdir={place}"))
        .args(["-jar", "/usr/share/activemq/bin/activemq.jar", "start"])
        .arg(format!("xbean:file:{place}/broker.xml"))
        .env("FOLDER", &folder)
        .stdin(Stdio::piped())
        .stdout(output.try_clone().expect("a log"))
        .stderr(output)
        .spawn()
        .expect("sh");
    let listens = |scheme: &str| {
        // It names the port that it got, and the host as it calls it.
        let text = fs::read_to_string(&log).unwrap_or_default();
        let start = format!("Listening for connections at: {scheme}://");
        let line = text.split(&start).nth(1)?.split_once('\n')?.0;
        let port = line.rsplit(':').next()?;
        let port = port.split(|c: char| !c.is_ascii_digit()).next()?;
        Some(SocketAddr::from(([127, 0, 0, 1], port.parse().ok()?)))
    };
    let address = |scheme: &str| {
        wait::for_some_within(Duration::from_secs(120), "the broker listens", || {
            listens(scheme)
        })
    };
    let broker = Broker {
        plain: address("stomp"),
        tls: address("stomp+ssl"),
        certificate,
        _life: child.stdin.take().expect("an input"),
    };
    // Its end is waited for by the shell, and the shell's by nobody: it outlives this process by a moment.
    std::mem::forget(child);
    broker
}

impl Broker {
    pub fn listen(&self, destination: &str) -> Listener {
        Listener::at(self.plain, destination)
    }
}

/// Somebody who listens to a queue or topic.
pub struct Listener {
    stream: TcpStream,
    input: Vec<u8>,
}

impl Listener {
    pub fn to(destination: &str) -> Listener {
        broker().listen(destination)
    }

    fn at(broker: SocketAddr, destination: &str) -> Listener {
        let stream = TcpStream::connect(broker).expect("the broker");
        stream
            .set_read_timeout(Some(wait::LIMIT))
            .expect("a timeout");
        let mut listener = Listener {
            stream,
            input: Vec::new(),
        };
        listener.send(&format!(
            "CONNECT\naccept-version:1.2\nhost:test\nlogin:{LOGIN}\npasscode:{PASSCODE}\n\n\0"
        ));
        assert!(listener.frame().starts_with("CONNECTED"));
        listener.send(&format!(
            "SUBSCRIBE\nid:0\nreceipt:here\ndestination:{destination}\n\n\0"
        ));
        assert!(listener.frame().starts_with("RECEIPT"));
        listener
    }

    fn send(&mut self, frame: &str) {
        self.stream.write_all(frame.as_bytes()).expect("the broker");
    }

    /// The next frame as text.
    fn frame(&mut self) -> String {
        loop {
            if let Some(end) = self.input.iter().position(|byte| *byte == 0) {
                let frame: Vec<u8> = self.input.drain(..=end).collect();
                let text = String::from_utf8(frame).expect("text");
                return text.trim_start().trim_end_matches('\0').to_owned();
            }
            let mut chunk = [0; 4096];
            let count = self.stream.read(&mut chunk).expect("a frame in time");
            assert!(count > 0, "the broker hung up");
            self.input.extend_from_slice(&chunk[..count]);
        }
    }

    /// Headers and body of the next message.
    pub fn message(&mut self) -> (String, String) {
        let frame = self.frame();
        assert!(frame.starts_with("MESSAGE"), "{frame}");
        let (head, body) = frame.split_once("\n\n").expect("a body");
        (head.to_owned(), body.to_owned())
    }
}

/// Stands before the broker.
pub struct Forwarder {
    pub address: SocketAddr,
    /// So many more connections get no byte of the broker's after its first frame.
    pub stall: Arc<AtomicUsize>,
    /// Connections so far.
    pub count: Arc<AtomicUsize>,
    open: Arc<std::sync::Mutex<Vec<TcpStream>>>,
}

impl Forwarder {
    pub fn new() -> Forwarder {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let forwarder = Forwarder {
            address: listener.local_addr().expect("an address"),
            stall: Arc::default(),
            count: Arc::default(),
            open: Arc::default(),
        };
        let (stall, count) = (Arc::clone(&forwarder.stall), Arc::clone(&forwarder.count));
        let open = Arc::clone(&forwarder.open);
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                count.fetch_add(1, Ordering::SeqCst);
                let server = TcpStream::connect(broker().plain).expect("the broker");
                let both = [
                    client.try_clone().expect("a handle"),
                    server.try_clone().expect("a handle"),
                ];
                open.lock().expect("no panic").extend(both);
                let stalls = stall.load(Ordering::SeqCst) > 0;
                let pair = (
                    client.try_clone().expect("a handle"),
                    server.try_clone().expect("a handle"),
                );
                thread::spawn(move || pass(client, server, usize::MAX));
                thread::spawn(move || pass(pair.1, pair.0, if stalls { 1 } else { usize::MAX }));
            }
        });
        forwarder
    }

    /// Cuts all connections.
    pub fn cut(&self) {
        for stream in self.open.lock().expect("no panic").drain(..) {
            let _ = stream.shutdown(std::net::Shutdown::Both);
        }
    }
}

/// At most so many pieces; what follows is read and dropped.
fn pass(mut from: TcpStream, mut to: TcpStream, pieces: usize) {
    let mut chunk = [0; 4096];
    let mut passed = 0;
    while let Ok(count) = from.read(&mut chunk) {
        if count == 0 || (passed < pieces && to.write_all(&chunk[..count]).is_err()) {
            break;
        }
        passed += 1;
    }
    if passed < pieces {
        let _ = to.shutdown(std::net::Shutdown::Both);
    }
}
