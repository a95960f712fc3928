//! Lets `systemd-analyze verify` judge the new units before they replace the old ones: copies in a temporary folder that comes
//! first in the unit path, so that the operator's drop-ins are judged together with them.

use std::fs;
use std::os::unix::fs::{DirBuilderExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use super::error::InstallError;
use super::layout::{Item, Kind, Layout, NOTIFY_RELOAD_SINCE};
use super::programs;

/// Judges the units among `items`, as templates and for each of the instances.
///
/// # Errors
/// They are refused, or can't be judged.
pub fn units(layout: &Layout, items: &[Item], instances: &[String]) -> Result<(), InstallError> {
    let folder = Folder::new()?;
    // The program that the units name may not be there yet; this one is what they will find.
    let program = folder.0.join("tine");
    let running = Path::new("/proc/self/exe");
    let ours = fs::read_link(running).map_err(InstallError::io("read", running))?;
    symlink(ours, &program).map_err(InstallError::io("make", &program))?;
    let mut names = Vec::new();
    for item in items.iter().filter(|item| item.kind == Kind::Unit) {
        let name = item.path.strip_prefix(layout.units()).unwrap_or(&item.path);
        let text = String::from_utf8_lossy(item.content.as_deref().unwrap_or_default());
        let text = text.replace(
            &layout.program().display().to_string(),
            &program.display().to_string(),
        );
        let copy = folder.0.join(name);
        if item.path == layout.notify_reload() {
            // For a package on an older machine than the one it is for.
            if programs::version()? < NOTIFY_RELOAD_SINCE {
                continue;
            }
            let parent = copy.parent().unwrap_or(&folder.0);
            fs::create_dir_all(parent).map_err(InstallError::io("make", parent))?;
        } else {
            names.extend(name.to_str().map(str::to_owned));
        }
        fs::write(&copy, text).map_err(InstallError::io("write", &copy))?;
    }
    let instances = instances.iter().flat_map(|instance| {
        let names = names.iter();
        names.map(move |name| name.replacen('@', &format!("@{instance}"), 1))
    });
    let judged: Vec<PathBuf> = names
        .iter()
        .cloned()
        .chain(instances)
        .map(|name| folder.0.join(name))
        .collect();
    let output = programs::output(
        Command::new("systemd-analyze")
            .args(["verify", "--man=no", "--recursive-errors=no"])
            .args(judged)
            .env("SYSTEMD_UNIT_PATH", unit_path(layout, &folder)),
    )?;
    if output.status.success() {
        return Ok(());
    }
    // The copies' own place says nothing to anybody.
    let words = programs::printed(&output);
    let folder = format!("{}/", folder.0.display());
    Err(InstallError::Refused(words.replace(&folder, "")))
}

/// The new units, the operator's own, then wherever systemd looks by itself (an empty entry at the end, systemd.unit(5)).
fn unit_path(layout: &Layout, folder: &Folder) -> String {
    let own = layout.own_units();
    format!("{}:{}:", folder.0.display(), own.display())
}

/// A temporary folder for root alone; removed with everything in it.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Result<Folder, InstallError> {
        let path = std::env::temp_dir().join(format!("tine-install-{}", std::process::id()));
        fs::DirBuilder::new()
            .mode(0o700)
            .create(&path)
            .map_err(InstallError::io("make", &path))?;
        Ok(Folder(path))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
