//! One instance of Tine in a [`Machine`]: its configuration, its units, its processes. Every instance has a name and a port of
//! its own, so that tests share a machine without meeting.

use std::fs;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU16, Ordering};

use serde_json::Value;

use super::systemd::Machine;
use super::{http, wait};

/// `tine@NAME`. Dropping it stops it.
pub struct Instance<'m> {
    pub machine: &'m Machine,
    pub name: String,
    port: u16,
}

impl<'m> Instance<'m> {
    /// An instance with two workers and these lines of configuration; it doesn't run yet.
    pub fn new(machine: &'m Machine, name: &str, options: &str) -> Instance<'m> {
        static NEXT: AtomicU16 = AtomicU16::new(8100);
        let instance = Instance {
            machine,
            name: name.to_owned(),
            port: NEXT.fetch_add(1, Ordering::Relaxed),
        };
        instance.configure(options);
        instance
    }

    /// Writes its configuration anew.
    pub fn configure(&self, options: &str) {
        let text = format!("port = {}\nworkers = 2\n{options}\n", self.port);
        self.machine
            .write(&format!("/etc/tine/{}.toml", self.name), text);
    }

    /// Adds a drop-in to its unit of this kind (`service`, `socket`).
    pub fn drop_in(&self, kind: &str, text: &str) {
        let path = format!("/etc/systemd/system/{}.d/test.conf", self.unit(kind));
        self.machine.write(&path, text);
        self.machine.systemctl(&["daemon-reload"]);
    }

    /// Its unit of this kind.
    pub fn unit(&self, kind: &str) -> String {
        format!("tine@{}.{kind}", self.name)
    }

    pub fn service(&self) -> String {
        self.unit("service")
    }

    /// Where it listens, in the machine's network.
    pub fn address(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.port))
    }

    #[track_caller]
    pub fn start(&self) {
        self.machine.systemctl(&["start", &self.service()]);
    }

    /// A property of the service.
    pub fn property(&self, name: &str) -> String {
        self.machine.property(&self.service(), name)
    }

    pub fn is_active(&self) -> bool {
        self.property("ActiveState") == "active"
    }

    /// The master, by the number that it has in the machine.
    pub fn master(&self) -> String {
        self.property("MainPID")
    }

    /// The workers, by their numbers in the machine.
    pub fn workers(&self) -> Vec<String> {
        let master = self.master();
        let path = format!("/proc/{master}/task/{master}/children");
        let list = fs::read_to_string(self.machine.path(path)).unwrap_or_default();
        list.split_ascii_whitespace().map(str::to_owned).collect()
    }

    /// Every process of the service, as its control group has it.
    pub fn processes(&self) -> Vec<String> {
        let group = self.property("ControlGroup");
        let hierarchies = ["/sys/fs/cgroup", "/sys/fs/cgroup/systemd"];
        let lists = hierarchies
            .map(|top| fs::read_to_string(self.machine.path(format!("{top}{group}/cgroup.procs"))));
        let list = lists.into_iter().find_map(Result::ok).unwrap_or_default();
        list.split_ascii_whitespace().map(str::to_owned).collect()
    }

    pub fn signal(&self, signal: &str, process: &str) {
        let (code, text) = self.machine.run("kill", &["-s", signal, process]);
        assert_eq!(code, Some(0), "{text}");
    }

    /// Whether the process exists and is no zombie.
    pub fn lives(&self, process: &str) -> bool {
        let status = fs::read_to_string(self.machine.path(format!("/proc/{process}/status")));
        status.is_ok_and(|text| !text.contains("\nState:\tZ"))
    }

    /// `GET /health`, from any worker.
    pub fn health(&self) -> Value {
        let address = self.address();
        let response = self.machine.inside(|| http::get(address, "/health"));
        assert_eq!(response.status, 200, "{}", response.text());
        response.json()
    }

    /// The first line of the journal with this text, and its priority, once it is there: journald may lag behind.
    pub fn line(&self, text: &str) -> (u8, String) {
        wait::for_some(&format!("{text:?} in the journal"), || self.logged(text))
    }

    /// The same, if it is there by now.
    pub fn logged(&self, text: &str) -> Option<(u8, String)> {
        let entries = self.machine.journal(&self.service());
        let found = entries
            .into_iter()
            .find(|entry| entry.message.contains(text));
        found.map(|entry| (entry.priority, entry.message))
    }
}

impl Drop for Instance<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            for entry in self.machine.journal(&self.service()) {
                eprintln!("<{}> {}: {}", entry.priority, entry.speaker, entry.message);
            }
        }
        let units = [self.unit("socket"), self.service()];
        let _ = self
            .machine
            .run("systemctl", &["stop", &units[0], &units[1]]);
    }
}
