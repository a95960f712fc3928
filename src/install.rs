//! `tine install`: puts the program, its units, its user and a first configuration in place, and takes them away again. Compares,
//! shows, lets systemd judge the units, and only then changes anything; what can't be finished is taken back.

mod error;
mod layout;
mod plan;
mod programs;
mod running;
mod transaction;
mod verify;

use std::path::{Path, PathBuf};
use std::process::Command as Program;

use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};
use nix::unistd::geteuid;

use crate::exit::Exit;
use crate::terminal;
use error::InstallError;
use layout::{Item, Layout, NOTIFY_RELOAD_SINCE, USER};
use plan::{Change, Group};
use running::{Active, Changed};
use transaction::Transaction;

const EXAMPLES: &str = "\
Examples:
  tine install swf                               program, units, user, and /etc/tine/swf.toml if there is none
  tine install --dry-run                         what would change, and nothing changes
  tine install                                   a new version: running instances are brought to it
  tine install --uninstall                       stop and remove everything but configuration and user
  tine install --root /tmp/package --prefix /usr files alone, for a package

Then `systemctl enable --now tine@swf`, or with a socket that outlives restarts:
`systemctl enable --now tine@swf.socket tine@swf.service`.

Exit status:
  0 done, or nothing to change   1 it was refused and everything is as before; with --dry-run: there is something to change
  2 systemd can't be reached   64 wrong command line   70 internal fault";

pub fn command() -> Command {
    let switch = |name: &'static str, help: &'static str| {
        Arg::new(name)
            .long(name)
            .action(ArgAction::SetTrue)
            .help(help)
    };
    let folder = |name: &'static str| {
        Arg::new(name)
            .long(name)
            .value_name("FOLDER")
            .value_parser(value_parser!(PathBuf))
    };
    Command::new("install")
        .about("Put program, units and user in place for systemd, or remove them")
        .arg(
            Arg::new("instances")
                .value_name("INSTANCE")
                .action(ArgAction::Append)
                .value_parser(instance)
                .help("Make /etc/tine/INSTANCE.toml, if there is none"),
        )
        .arg(switch(
            "dry-run",
            "Show what would change, and change nothing",
        ))
        .arg(
            switch(
                "uninstall",
                "Stop and disable every instance, and remove what was installed",
            )
            .conflicts_with_all(["instances", "notify-reload"]),
        )
        .arg(switch("purge", "With --uninstall: remove /etc/tine as well").requires("uninstall"))
        .arg(switch(
            "notify-reload",
            "Add the drop-in for Type=notify-reload (systemd 253 and newer)",
        ))
        .arg(
            folder("prefix")
                .default_value("/usr/local")
                .help("Where bin and lib are"),
        )
        .arg(folder("root").help(
            "Write files below this folder as if it were /, and leave users and systemd alone",
        ))
        .after_help(EXAMPLES)
}

/// A name that needs no escaping in a unit's name (systemd.unit(5)) and is a file's name.
fn instance(text: &str) -> Result<String, String> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    match text.starts_with(|c: char| c.is_ascii_alphanumeric()) && text.chars().all(allowed) {
        true => Ok(text.to_owned()),
        false => Err("an instance has letters, digits, `_`, `-` and `.`".to_owned()),
    }
}

pub fn run(matches: &ArgMatches) -> Exit {
    let request = Request::new(matches);
    let done = match matches.get_flag("uninstall") {
        false => request.install(),
        true => request.uninstall(matches.get_flag("purge")),
    };
    done.unwrap_or_else(|error| {
        terminal::print_error(error.to_string());
        error.exit()
    })
}

struct Request {
    layout: Layout,
    instances: Vec<String>,
    notify_reload: bool,
    dry_run: bool,
    /// Files of this machine, not of a folder that stands for one.
    real: bool,
    /// And systemd runs here, so that it can follow.
    live: bool,
}

impl Request {
    fn new(matches: &ArgMatches) -> Request {
        let folder = |name: &str| {
            let folder = matches.get_one::<PathBuf>(name)?;
            Some(std::path::absolute(folder).unwrap_or_else(|_| folder.clone()))
        };
        let root = folder("root");
        let real = root.is_none();
        let instances = matches.get_many::<String>("instances");
        Request {
            layout: Layout {
                root: root.unwrap_or_else(|| PathBuf::from("/")),
                prefix: folder("prefix").unwrap_or_default(),
            },
            instances: instances.unwrap_or_default().cloned().collect(),
            notify_reload: matches.get_flag("notify-reload"),
            dry_run: matches.get_flag("dry-run"),
            real,
            live: real && programs::booted(),
        }
    }

    fn install(&self) -> Result<Exit, InstallError> {
        if self.notify_reload && self.real {
            let (found, needed) = (programs::version()?, NOTIFY_RELOAD_SINCE);
            if found < needed {
                return Err(InstallError::TooOld { found, needed });
            }
        }
        let notify_reload = self.notify_reload || self.layout.notify_reload().exists();
        let items = self.layout.items(&self.instances, notify_reload)?;
        let group = self.group();
        let changes = plan::to_install(&items, group)?;
        let no_user = group == Group::Missing;
        if changes.is_empty() && !no_user {
            say("nothing to change");
            return Ok(Exit::Clean);
        }
        if no_user {
            say(&format!("create   user {USER}"));
        }
        say(&plan::show(&changes));
        for path in self.layout.hidden_by(&items) {
            terminal::print_warning(format!(
                "{} hides the unit of the same name",
                path.display()
            ));
        }
        let running = self.running()?;
        self.verify(&items, &running)?;
        if self.dry_run {
            return Ok(Exit::Failed);
        }
        self.need_root()?;
        if no_user {
            // It stays when the rest fails: a user that owns nothing does no harm, and files of a removed one would.
            let words = ["--inline"].into_iter().chain(layout::user());
            programs::run(Program::new("systemd-sysusers").args(words))?;
        }
        self.carry_out(&changes, &running)?;
        self.hint(&running);
        Ok(Exit::Clean)
    }

    fn uninstall(&self, purge: bool) -> Result<Exit, InstallError> {
        let changes = plan::to_remove(self.layout.removable());
        let configuration = self.layout.configuration();
        let purge = purge && configuration.exists();
        if changes.is_empty() && !purge {
            say("nothing to remove");
            return Ok(Exit::Clean);
        }
        say(&plan::show(&changes));
        if purge {
            say(&format!(
                "remove   {} and everything in it",
                configuration.display()
            ));
        }
        if self.dry_run {
            return Ok(Exit::Failed);
        }
        self.need_root()?;
        let running = self.running()?;
        let enabled = running::enabled(&self.layout.own_units());
        if self.live {
            running::stop(&running, &enabled, &mut say)?;
        }
        if let Err(error) = self.carry_out(&changes, &Active::default()) {
            if self.live
                && let Err(error) = running::start(&running, &enabled)
            {
                terminal::print_error(format!("while everything was put back: {error}"));
            }
            return Err(error);
        }
        if purge {
            let removed = std::fs::remove_dir_all(&configuration);
            removed.map_err(InstallError::io("remove", &configuration))?;
        }
        Ok(Exit::Clean)
    }

    /// Changes the files, and lets systemd and what runs follow. When one of them can't, everything is put back, and those that have
    /// followed follow that.
    fn carry_out(&self, changes: &[Change], running: &Active) -> Result<(), InstallError> {
        let changed = self.changed(changes);
        let mut transaction = Transaction::new(self.group());
        let mut touched = None;
        let applied = changes
            .iter()
            .try_for_each(|change| transaction.apply(change));
        let Err(error) =
            applied.and_then(|()| self.follow(changed, running, touched.insert(Vec::new())))
        else {
            transaction.commit();
            return Ok(());
        };
        for error in transaction.roll_back() {
            terminal::print_error(error.to_string());
        }
        if let Some(touched) = touched {
            say("everything is put back");
            let running = running.only(&touched);
            if let Err(error) = self.follow(changed, &running, &mut Vec::new()) {
                terminal::print_error(format!("while everything was put back: {error}"));
            }
        }
        Err(error)
    }

    fn follow(
        &self,
        changed: Changed,
        running: &Active,
        touched: &mut Vec<String>,
    ) -> Result<(), InstallError> {
        if !self.live {
            return Ok(());
        }
        if changed.units {
            programs::systemctl(&["daemon-reload"])?;
            say("reloaded systemd");
        }
        running::follow(&self.layout, changed, running, touched, &mut say)
    }

    fn changed(&self, changes: &[Change]) -> Changed {
        let units = self.layout.units();
        let program = self.layout.place(self.layout.program());
        let mut changed = Changed::default();
        for change in changes {
            let path = change.path();
            let unit = path.strip_prefix(&units).ok().and_then(Path::to_str);
            changed.units |= unit.is_some();
            changed.program |= path == program;
            changed.service |= unit.is_some_and(|name| name.starts_with("tine@.service"));
            changed.socket |= unit == Some("tine@.socket");
            changed.timer |= unit == Some("tine-watchdog@.timer");
        }
        changed
    }

    fn running(&self) -> Result<Active, InstallError> {
        match self.live {
            true => Active::now(),
            false => Ok(Active::default()),
        }
    }

    fn verify(&self, items: &[Item], running: &Active) -> Result<(), InstallError> {
        let mut instances = self.instances.clone();
        instances.extend(running.instances());
        instances.sort();
        instances.dedup();
        match verify::units(&self.layout, items, &instances) {
            // A package may be built where systemd isn't.
            Err(InstallError::Program { program, what }) if !self.real => {
                terminal::print_warning(format!("the units are not verified: {program} {what}"));
                Ok(())
            }
            judged => judged,
        }
    }

    fn need_root(&self) -> Result<(), InstallError> {
        match self.real && !geteuid().is_root() {
            true => Err(InstallError::NotRoot),
            false => Ok(()),
        }
    }

    fn group(&self) -> Group {
        if !self.real {
            return Group::Ignored;
        }
        match nix::unistd::Group::from_name(USER) {
            Ok(Some(group)) => Group::Known(group.gid.as_raw()),
            _ => Group::Missing,
        }
    }

    /// What to do next with an instance that doesn't run.
    fn hint(&self, running: &Active) {
        for name in &self.instances {
            if self.live && !running.instances().any(|instance| instance == *name) {
                let file = self.layout.instance(name);
                say(&format!(
                    "next: edit {}, then systemctl enable --now tine@{name}",
                    file.display()
                ));
            }
        }
    }
}

/// A reader that has left changes nothing about the installation.
fn say(text: &str) {
    let text = text.trim_end();
    if !text.is_empty() {
        let _ = terminal::print(&format!("{text}\n"));
    }
}
