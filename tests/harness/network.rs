//! Several hosts on one machine: network namespaces (network_namespaces(7)) whose links meet in a bridge. What is started on a host
//! lives in its namespace; the namespaces and their links go with the test, however it ends.

use std::fs::File;
use std::io;
use std::net::Ipv4Addr;
use std::os::fd::AsRawFd;
use std::panic::resume_unwind;
use std::process::{Command, Stdio};
use std::thread;

use nix::sched::{CloneFlags, setns, unshare};

use super::systemd::skip;

/// A network of hosts, and the place from which tests look at it: a namespace with the bridge in it.
pub struct Network {
    lan: Host,
}

/// One host.
pub struct Host {
    namespace: File,
    pub address: Ipv4Addr,
}

impl Network {
    /// `None`, with a word about it, where this machine gives us no namespaces.
    pub fn new() -> Option<Network> {
        let made = Host::new(1).and_then(|lan| {
            lan.ip("link add lan type bridge")?;
            lan.ip("address add 10.77.0.1/24 dev lan")?;
            lan.ip("link set lan up")?;
            Ok(Network { lan })
        });
        match made {
            Ok(network) => Some(network),
            Err(fault) => {
                skip(&format!("no network namespaces can be made here: {fault}"));
                None
            }
        }
    }

    /// A new host, at 10.77.0.`number`.
    pub fn host(&self, number: u8) -> Host {
        let made = || {
            let host = Host::new(number)?;
            let namespace = format!(
                "/proc/{}/fd/{}",
                std::process::id(),
                host.namespace.as_raw_fd()
            );
            self.lan.ip(&format!(
                "link add host{number} type veth peer name eth0 netns {namespace}"
            ))?;
            self.lan
                .ip(&format!("link set host{number} master lan up"))?;
            host.ip(&format!("address add {}/24 dev eth0", host.address))?;
            host.ip("link set eth0 up")?;
            Ok(host)
        };
        made().unwrap_or_else(|fault: io::Error| panic!("host {number}: {fault}"))
    }

    /// Pulls the host's cable: nothing reaches it or leaves it, and nobody is told.
    pub fn cut(&self, host: &Host) {
        self.link(host, "down");
    }

    pub fn join(&self, host: &Host) {
        self.link(host, "up");
    }

    /// Runs `work` as a client in this network.
    pub fn run<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        self.lan.run(work)
    }

    fn link(&self, host: &Host, state: &str) {
        let number = host.address.octets()[3];
        self.lan
            .ip(&format!("link set host{number} {state}"))
            .expect("a link of ours");
    }
}

impl Host {
    fn new(number: u8) -> io::Result<Host> {
        let namespace = thread::spawn(|| {
            unshare(CloneFlags::CLONE_NEWNET)?;
            File::open("/proc/thread-self/ns/net")
        });
        let host = Host {
            namespace: namespace.join().expect("no panic")?,
            address: Ipv4Addr::new(10, 77, 0, number),
        };
        host.ip("link set lo up")?;
        Ok(host)
    }

    /// Runs `work` on this host: its sockets and its processes are the host's.
    pub fn run<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        thread::scope(|scope| {
            let on_host = scope.spawn(|| {
                setns(&self.namespace, CloneFlags::CLONE_NEWNET).expect("a namespace of ours");
                work()
            });
            on_host.join().unwrap_or_else(|panic| resume_unwind(panic))
        })
    }

    fn ip(&self, arguments: &str) -> io::Result<()> {
        let output = self.run(|| {
            Command::new("ip")
                .args(arguments.split(' '))
                .stdin(Stdio::null())
                .output()
        })?;
        if output.status.success() {
            return Ok(());
        }
        let told = String::from_utf8_lossy(&output.stderr);
        Err(io::Error::other(format!("ip {arguments}: {}", told.trim())))
    }
}
