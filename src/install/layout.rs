//! What belongs where: every file of an installation, with its text and its mode. Reads nothing but the program itself.

use std::fs;
use std::path::{Path, PathBuf};

use super::error::InstallError;

/// Where the embedded units expect what `--prefix` moves.
const PREFIX: &str = "/usr/local";

/// The user of every instance, and the name of its group, which may read configurations.
pub const USER: &str = "tine";

/// The first systemd that knows `Type=notify-reload`.
pub const NOTIFY_RELOAD_SINCE: u32 = 253;

const UNITS: &[(&str, &str)] = &[
    ("tine@.service", include_str!("../../systemd/tine@.service")),
    ("tine@.socket", include_str!("../../systemd/tine@.socket")),
    (
        "tine-watchdog@.service",
        include_str!("../../systemd/tine-watchdog@.service"),
    ),
    (
        "tine-watchdog@.timer",
        include_str!("../../systemd/tine-watchdog@.timer"),
    ),
];
const NOTIFY_RELOAD: (&str, &str) = (
    "tine@.service.d/notify-reload.conf",
    include_str!("../../systemd/tine@.service.d/notify-reload.conf"),
);
const SYSUSERS: &str = include_str!("../../systemd/sysusers.d/tine.conf");
const TMPFILES: &str = include_str!("../../systemd/tmpfiles.d/tine.conf");
const INSTANCE: &str = include_str!("../../systemd/instance.toml");

/// What an item is to the running system: what has to happen after it changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Running instances go on with the old one until they are upgraded.
    Program,
    /// systemd has to read it again.
    Unit,
    /// Read when the system boots.
    Boot,
    /// The operator's: made once, never changed.
    Configuration,
}

/// One file or folder.
#[derive(Debug, Clone)]
pub struct Item {
    /// Where it is, the root included.
    pub path: PathBuf,
    pub kind: Kind,
    /// None for a folder.
    pub content: Option<Vec<u8>>,
    /// Permission bits.
    pub mode: u32,
    /// Whether it belongs to [`USER`]'s group instead of root's.
    pub grouped: bool,
}

/// Where an installation goes.
#[derive(Debug, Clone)]
pub struct Layout {
    /// `/`, or the folder that stands for it.
    pub root: PathBuf,
    /// Absolute, within the root: `bin` and `lib/systemd` are below it.
    pub prefix: PathBuf,
}

impl Layout {
    /// An absolute path of the installed system as a path of this one.
    pub fn place(&self, path: impl AsRef<Path>) -> PathBuf {
        let path = path.as_ref();
        self.root.join(path.strip_prefix("/").unwrap_or(path))
    }

    fn below_prefix(&self, path: &str) -> PathBuf {
        self.place(self.prefix.join(path))
    }

    /// The program as units name it: without the root.
    pub fn program(&self) -> PathBuf {
        self.prefix.join("bin/tine")
    }

    /// The folder of units.
    pub fn units(&self) -> PathBuf {
        self.below_prefix("lib/systemd/system")
    }

    /// Where the operator's own units and drop-ins are.
    pub fn own_units(&self) -> PathBuf {
        self.place("/etc/systemd/system")
    }

    /// The folder of configurations.
    pub fn configuration(&self) -> PathBuf {
        self.place("/etc/tine")
    }

    /// The configuration of an instance.
    pub fn instance(&self, name: &str) -> PathBuf {
        self.configuration().join(format!("{name}.toml"))
    }

    /// The list of users for systemd-sysusers(8).
    pub fn sysusers(&self) -> PathBuf {
        self.below_prefix("lib/sysusers.d/tine.conf")
    }

    /// What systemd-tmpfiles(8) makes at every boot.
    pub fn tmpfiles(&self) -> PathBuf {
        self.below_prefix("lib/tmpfiles.d/tine.conf")
    }

    /// The drop-in for newer versions of systemd.
    pub fn notify_reload(&self) -> PathBuf {
        self.units().join(NOTIFY_RELOAD.0)
    }

    /// Everything to install, in the order in which it is put in place: a file before those that name it.
    ///
    /// # Errors
    /// The program can't be read.
    pub fn items(
        &self,
        instances: &[String],
        notify_reload: bool,
    ) -> Result<Vec<Item>, InstallError> {
        let running = Path::new("/proc/self/exe");
        let program = fs::read(running).map_err(InstallError::io("read", running))?;
        let file = |path: PathBuf, kind, text: &str| Item {
            path,
            kind,
            content: Some(text.as_bytes().to_vec()),
            mode: 0o644,
            grouped: false,
        };
        let mut items = vec![
            Item {
                mode: 0o755,
                content: Some(program),
                ..file(self.place(self.program()), Kind::Program, "")
            },
            file(self.sysusers(), Kind::Boot, SYSUSERS),
            file(self.tmpfiles(), Kind::Boot, TMPFILES),
        ];
        let units = UNITS.iter().chain(notify_reload.then_some(&NOTIFY_RELOAD));
        items.extend(
            units.map(|(name, text)| file(self.units().join(name), Kind::Unit, &self.moved(text))),
        );
        items.push(Item {
            path: self.configuration(),
            kind: Kind::Configuration,
            content: None,
            mode: 0o750,
            grouped: true,
        });
        items.extend(instances.iter().map(|name| Item {
            mode: 0o640,
            grouped: true,
            ..file(
                self.instance(name),
                Kind::Configuration,
                &INSTANCE.replace("INSTANCE", name),
            )
        }));
        Ok(items)
    }

    /// What is removed again, whatever its text: everything but the configuration.
    pub fn removable(&self) -> Vec<PathBuf> {
        let units = UNITS.iter().chain([&NOTIFY_RELOAD]);
        let units = units.map(|(name, _)| self.units().join(name));
        let others = [self.tmpfiles(), self.sysusers(), self.place(self.program())];
        units.chain(others).collect()
    }

    /// Files of the operator's that systemd reads instead of these units.
    pub fn hidden_by(&self, items: &[Item]) -> Vec<PathBuf> {
        let units = items.iter().filter(|item| item.kind == Kind::Unit);
        let names = units.filter_map(|item| item.path.strip_prefix(self.units()).ok());
        let own = names.map(|name| self.own_units().join(name));
        own.filter(|path| path.exists()).collect()
    }

    /// A unit's text for another prefix.
    fn moved(&self, text: &str) -> String {
        let program = self.program().display().to_string();
        text.replace(&format!("{PREFIX}/bin/tine"), &program)
    }
}

/// The user, as lines for `systemd-sysusers --inline`.
pub fn user() -> impl Iterator<Item = &'static str> {
    SYSUSERS.lines().filter(|line| !line.starts_with('#'))
}
