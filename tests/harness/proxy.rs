//! Apache, nginx and HAProxy from Debian in front of a server under test, with the files that Tine ships in `systemd/proxies`: only
//! addresses and paths are put in their place. They run on ports of their own and touch no proxy of the machine.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

use nix::sys::signal::Signal;
use nix::unistd::geteuid;

use super::server::kill_pid;
use super::wait;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Apache,
    Nginx,
    Haproxy,
}

pub const KINDS: [Kind; 3] = [Kind::Apache, Kind::Nginx, Kind::Haproxy];

impl Kind {
    fn program(self) -> &'static str {
        match self {
            Kind::Apache => "/usr/sbin/apache2",
            Kind::Nginx => "/usr/sbin/nginx",
            Kind::Haproxy => "/usr/sbin/haproxy",
        }
    }

    /// The file as it is shipped.
    fn shipped(self) -> &'static str {
        match self {
            Kind::Apache => include_str!("../../systemd/proxies/apache.conf"),
            Kind::Nginx => include_str!("../../systemd/proxies/nginx.conf"),
            Kind::Haproxy => include_str!("../../systemd/proxies/haproxy.cfg"),
        }
    }
}

/// A proxy in the making.
pub struct Plan {
    kind: Kind,
    text: String,
    /// Where it listens, on a free port.
    here: Ipv4Addr,
    tls: Option<(PathBuf, PathBuf)>,
}

impl Plan {
    /// In front of the server at this TCP address.
    pub fn tcp(kind: Kind, server: SocketAddr) -> Plan {
        Plan {
            kind,
            text: replaced(kind.shipped(), "127.0.0.1:8000", &server.to_string()),
            here: Ipv4Addr::LOCALHOST,
            tls: None,
        }
    }

    /// HAProxy in front of the two hosts that `haproxy-hosts.cfg` names.
    pub fn hosts(here: Ipv4Addr) -> Plan {
        Plan {
            kind: Kind::Haproxy,
            text: include_str!("../../systemd/proxies/haproxy-hosts.cfg").to_owned(),
            here,
            tls: None,
        }
    }

    /// In front of the server at this unix socket: the line of the shipped file that is a comment takes the place of the one before it.
    pub fn unix(kind: Kind, socket: &Path) -> Plan {
        let text = switched(kind.shipped(), "127.0.0.1:8000", "/run/tine/swf/socket");
        let socket = socket.display().to_string();
        Plan {
            kind,
            text: replaced(&text, "/run/tine/swf/socket", &socket),
            here: Ipv4Addr::LOCALHOST,
            tls: None,
        }
    }

    /// Speaks TLS to its clients, with this certificate and key.
    pub fn tls(mut self, certificate: &Path, key: &Path) -> Plan {
        self.tls = Some((certificate.into(), key.into()));
        self
    }

    /// Starts it and waits until it takes connections.
    pub fn start(self) -> Proxy {
        let program = self.kind.program();
        assert!(
            Path::new(program).exists(),
            "{program} is missing: run tests/install.sh"
        );
        // Another process may take the port between our look and the proxy's bind.
        for _ in 0..5 {
            if let Some(proxy) = self.try_start() {
                return proxy;
            }
        }
        panic!("{program} does not start");
    }

    fn try_start(&self) -> Option<Proxy> {
        let folder = fresh_folder();
        let address = SocketAddr::from((self.here, free_port()));
        let file = folder.join("proxy.conf");
        fs::write(&file, self.complete(&folder, address)).expect("the proxy's configuration");
        let log = File::create(folder.join("output")).expect("a log file");
        let mut command = Command::new(self.kind.program());
        match self.kind {
            Kind::Apache => command.arg("-DFOREGROUND").arg("-f").arg(&file),
            Kind::Nginx => command.arg("-e").arg("stderr").arg("-c").arg(&file),
            Kind::Haproxy => command.arg("-f").arg(&file),
        };
        let child = command
            .current_dir(&folder)
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a log file"))
            .stderr(log)
            .spawn()
            .expect("the proxy starts");
        let mut proxy = Proxy {
            kind: self.kind,
            address,
            child,
            folder,
        };
        wait::for_some("a proxy that listens or has ended", || {
            if proxy.child.try_wait().expect("wait").is_some() {
                eprintln!("--- {:?}\n{}---", proxy.kind, proxy.log());
                return Some(false);
            }
            TcpStream::connect(proxy.address).is_ok().then_some(true)
        })
        .then_some(proxy)
    }

    /// The shipped file, and around it what it expects to be there already.
    fn complete(&self, folder: &Path, address: SocketAddr) -> String {
        let folder = folder.display();
        let root = geteuid().is_root();
        let mut shipped = self.text.clone();
        match self.kind {
            Kind::Apache => {
                let mut modules = vec!["mpm_event", "authz_core", "proxy", "proxy_http", "headers"];
                modules.extend(self.tls.is_some().then_some("ssl"));
                let load: String = modules
                    .iter()
                    .map(|name| {
                        format!("LoadModule {name}_module /usr/lib/apache2/modules/mod_{name}.so\n")
                    })
                    .collect();
                let account = if root {
                    "User www-data\nGroup www-data\n"
                } else {
                    ""
                };
                let tls = self
                    .tls
                    .as_ref()
                    .map_or(String::new(), |(certificate, key)| {
                        format!(
                            "SSLEngine on\nSSLCertificateFile {}\nSSLCertificateKeyFile {}\n",
                            certificate.display(),
                            key.display()
                        )
                    });
                format!(
                    "{load}{account}{tls}ServerName localhost\nServerRoot {folder}\nPidFile {folder}/pid\nDefaultRuntimeDir {folder}\n\
                     Listen {address}\nErrorLog {folder}/errors\nLogLevel warn proxy:info\n{shipped}"
                )
            }
            Kind::Nginx => {
                if let Some((certificate, key)) = &self.tls {
                    shipped = switched(&shipped, "listen 80;", "listen 443 ssl;");
                    for line in ["ssl_certificate ", "ssl_certificate_key "] {
                        shipped = replaced(&shipped, &format!("# {line}"), line);
                    }
                    for (from, to) in [
                        ("/etc/ssl/certs/monitor.example.pem", certificate),
                        ("/etc/ssl/private/monitor.example.key", key),
                    ] {
                        shipped = replaced(&shipped, from, &to.display().to_string());
                    }
                    shipped = replaced(
                        &shipped,
                        "listen 443 ssl;",
                        &format!("listen {address} ssl;"),
                    );
                } else {
                    shipped = replaced(&shipped, "listen 80;", &format!("listen {address};"));
                }
                let account = if root { "user www-data;\n" } else { "" };
                format!(
                    "{account}daemon off;\npid {folder}/pid;\nworker_processes 2;\nevents {{}}\n\
                     http {{\naccess_log off;\nclient_body_temp_path {folder}/body;\nproxy_temp_path {folder}/proxy;\n\
                     fastcgi_temp_path {folder}/fastcgi;\nuwsgi_temp_path {folder}/uwsgi;\nscgi_temp_path {folder}/scgi;\n{shipped}\n}}\n"
                )
            }
            Kind::Haproxy => {
                if let Some((certificate, key)) = &self.tls {
                    // It wants both in one file.
                    let both = PathBuf::from(format!("{folder}/both.pem"));
                    let text = [certificate, key]
                        .map(|file| fs::read_to_string(file).expect("PEM"))
                        .concat();
                    fs::write(&both, text).expect("PEM");
                    shipped = switched(&shipped, "bind :80", "bind :443 ssl");
                    shipped = replaced(
                        &shipped,
                        "/etc/haproxy/monitor.example.pem",
                        &both.display().to_string(),
                    );
                    shipped = replaced(&shipped, "bind :443", &format!("bind {address}"));
                } else {
                    shipped = replaced(&shipped, "bind :80", &format!("bind {address}"));
                }
                if !root {
                    for line in ["user haproxy", "group haproxy"] {
                        shipped = replaced(&shipped, line, "");
                    }
                }
                replaced(
                    &shipped,
                    "/run/haproxy/admin.sock",
                    &format!("{folder}/admin.sock"),
                )
            }
        }
    }
}

/// A running proxy. Dropping it ends it.
pub struct Proxy {
    pub kind: Kind,
    pub address: SocketAddr,
    child: Child,
    folder: PathBuf,
}

impl Proxy {
    /// One of each kind in front of the server.
    pub fn all(server: SocketAddr) -> Vec<Proxy> {
        KINDS
            .into_iter()
            .map(|kind| Plan::tcp(kind, server).start())
            .collect()
    }

    /// Asks or tells HAProxy something at its admin socket (its management guide, 9.3 "Unix Socket commands").
    pub fn admin(&self, command: &str) -> String {
        let mut socket = UnixStream::connect(self.folder.join("admin.sock")).expect("the socket");
        socket
            .write_all(format!("{command}\n").as_bytes())
            .expect("an order");
        let mut answer = String::new();
        socket.read_to_string(&mut answer).expect("an answer");
        answer
    }

    /// What it wrote.
    pub fn log(&self) -> String {
        ["output", "errors"]
            .map(|name| fs::read(self.folder.join(name)).unwrap_or_default())
            .map(|text| String::from_utf8_lossy(&text).into_owned())
            .concat()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("--- {:?} at {}\n{}---", self.kind, self.address, self.log());
        }
        // Each ends its own children and what they carry on the first TERM.
        if let Ok(None) = self.child.try_wait() {
            kill_pid(
                i32::try_from(self.child.id()).expect("a pid"),
                Signal::SIGTERM,
            );
        }
        let child = &mut self.child;
        wait::for_some("the proxy's end", || child.try_wait().expect("wait"));
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn fresh_folder() -> PathBuf {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let name = format!(
        "tine-proxy-{}-{}",
        std::process::id(),
        NEXT.fetch_add(1, Ordering::Relaxed)
    );
    let folder = std::env::temp_dir().join(name);
    fs::create_dir(&folder).expect("a folder of our own");
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o755)).expect("its mode");
    folder
}

pub fn free_port() -> u16 {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .and_then(|listener| listener.local_addr())
        .expect("a free port")
        .port()
}

/// `text` with every line's `from` replaced; comments stay as they are. Panics when there is none: the shipped file has changed.
fn replaced(text: &str, from: &str, to: &str) -> String {
    let mut count = 0;
    let lines: Vec<String> = text
        .lines()
        .map(|line| {
            let comment = line.trim_start().starts_with('#') && !from.starts_with('#');
            if comment || !line.contains(from) {
                return line.to_owned();
            }
            count += 1;
            line.replace(from, to)
        })
        .collect();
    assert!(count > 0, "no {from:?} in\n{text}");
    lines.join("\n") + "\n"
}

/// `text` with the line that has `on` turned into a comment, and the comment that has `off` into a line.
fn switched(text: &str, on: &str, off: &str) -> String {
    let (mut gone, mut come) = (0, 0);
    let lines: Vec<String> = text
        .lines()
        .map(|line| match line.trim_start().strip_prefix("# ") {
            Some(rest) if rest.contains(off) => {
                come += 1;
                rest.to_owned()
            }
            None if line.contains(on) => {
                gone += 1;
                format!("# {line}")
            }
            _ => line.to_owned(),
        })
        .collect();
    assert_eq!((gone, come), (1, 1), "{on:?} and {off:?} in\n{text}");
    lines.join("\n") + "\n"
}
