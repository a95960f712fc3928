//! The demo: a private PostgreSQL cluster with generated data in the shape of a real service, for a first look without
//! any set-up, for benchmarks and for tests. Everything that it makes is in one folder. It does not serve: it writes the
//! configuration of a server and leaves the rest to `serve`.

mod copy;
pub mod data;
pub mod guide;
pub mod load;
pub mod progress;
mod random;
mod toolset;

use std::fmt;
use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt, chown};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::cluster::{self, Cluster, ClusterError, SUPERUSER};
use data::Size;
use load::{LOGIN, Load, LoadError, Loaded, PANDA, SWF};
use progress::Progress;

/// What to prepare.
#[derive(Debug, Clone)]
pub struct Options {
    /// Keep the demo in this folder, and find it there again. Without it the demo lives in a temporary folder that
    /// goes away with it.
    pub state: Option<PathBuf>,
    pub size: Size,
    /// The same seed gives the same data, but for the times, which count back from now.
    pub seed: u64,
    /// Make the data anew even if a kept folder has it.
    pub fresh: bool,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            state: None,
            size: Size::Small,
            seed: 1,
            fresh: false,
        }
    }
}

/// A running cluster with data, and a configuration that serves it. Dropping it stops the cluster, and removes
/// everything unless the folder is to be kept.
#[derive(Debug)]
pub struct Demo {
    cluster: Cluster,
    config: PathBuf,
    loaded: Loaded,
}

/// Why there is no demo.
#[derive(Debug)]
pub enum DemoError {
    Cluster(ClusterError),
    Load(LoadError),
    /// The cluster's own address was not understood; it should never happen.
    Address(postgres::Error),
    /// A file of the demo could not be written.
    Write {
        path: PathBuf,
        source: io::Error,
    },
}

impl fmt::Display for DemoError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DemoError::Cluster(error) => error.fmt(f),
            DemoError::Load(error) => write!(
                f,
                "{error}; if the folder was kept from an older version, --fresh makes its data anew"
            ),
            DemoError::Address(error) => write!(f, "the cluster's address is not valid: {error}"),
            DemoError::Write { path, source } => {
                write!(f, "could not write {}: {source}", path.display())
            }
        }
    }
}

impl std::error::Error for DemoError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            DemoError::Cluster(error) => Some(error),
            DemoError::Load(error) => Some(error),
            DemoError::Address(error) => Some(error),
            DemoError::Write { source, .. } => Some(source),
        }
    }
}

/// Starts the cluster, loads the data if it is not there yet, and writes the tool files and the configuration.
pub fn prepare(options: &Options, progress: &mut dyn FnMut(Progress)) -> Result<Demo, DemoError> {
    let place = match &options.state {
        Some(folder) => cluster::Options::kept(folder),
        None => cluster::Options::temporary(),
    };
    // The cluster's folder holds our files too: whatever ends us, its removal takes them along.
    let folder = std::path::absolute(&place.folder).map_err(|source| DemoError::Write {
        path: place.folder.clone(),
        source,
    })?;
    let cluster = Cluster::start(place, &mut |step| progress(Progress::Step(step)))
        .map_err(DemoError::Cluster)?;
    let server = cluster
        .url("postgres", SUPERUSER)
        .parse()
        .map_err(DemoError::Address)?;
    let load = Load {
        server: &server,
        size: options.size,
        seed: options.seed,
        now: now(),
        fresh: options.fresh,
    };
    let loaded = load::load(&load, progress).map_err(DemoError::Load)?;
    let tools = folder.join("toolsets").join("swf");
    for made in [&folder.join("toolsets"), &tools] {
        make_folder(made, &folder)?;
    }
    for (name, text) in toolset::FILES {
        write(&tools.join(name), text)?;
    }
    let config = folder.join("tine.toml");
    write(&config, &configuration(&tools, &cluster))?;
    Ok(Demo {
        cluster,
        config,
        loaded,
    })
}

impl Demo {
    /// The configuration file to serve with.
    pub fn config(&self) -> &Path {
        &self.config
    }

    /// Whether data was loaded now or found.
    pub fn loaded(&self) -> Loaded {
        self.loaded
    }

    /// The cluster, for those who want to look behind the tools.
    pub fn cluster(&self) -> &Cluster {
        &self.cluster
    }

    /// Stops the cluster and removes what is not to be kept; says what dropping would hide.
    pub fn stop(self) -> Result<(), DemoError> {
        self.cluster.stop().map_err(DemoError::Cluster)
    }
}

/// Microseconds since 1970. A clock before that gives 0: the data is old, and nothing else breaks.
fn now() -> copy::Micros {
    SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .map_or(0, |age| age.as_micros() as copy::Micros)
}

/// Makes a folder that belongs to the owner of `whole`: started by root, the cluster runs under an account of its own,
/// which must be able to remove everything when we are killed.
fn make_folder(path: &Path, whole: &Path) -> Result<(), DemoError> {
    fs::create_dir_all(path)
        .and_then(|()| fs::metadata(whole))
        .and_then(|owner| chown(path, Some(owner.uid()), Some(owner.gid())))
        .map_err(|source| DemoError::Write {
            path: path.to_path_buf(),
            source,
        })
}

fn write(path: &Path, text: &str) -> Result<(), DemoError> {
    fs::write(path, text).map_err(|source| DemoError::Write {
        path: path.to_path_buf(),
        source,
    })
}

fn configuration(tools: &Path, cluster: &Cluster) -> String {
    let text = |value: &str| toml::Value::String(value.to_owned()).to_string();
    format!(
        "# Written by `tine demo` at each start: copy it elsewhere before you change it.\n\
         \n\
         control = \"control\"\n\
         server_name = \"swf-testbed\"\n\
         paths = [\"/mcp\", \"/swf-monitor/mcp\"]\n\
         health_path = \"/swf-monitor/api/mcp-health\"\n\
         health_service = \"swf-monitor-mcp-asgi\"\n\
         toolsets = [{}]\n\
         \n\
         [databases.{SWF}]\n\
         url = {}\n\
         \n\
         [databases.{PANDA}]\n\
         url = {}\n\
         \n\
         [programs.kill]\n\
         path = \"/bin/kill\"\n\
         \n\
         [brokers.activemq]\n\
         url = \"stomp://${{ACTIVEMQ_HOST:-localhost}}:${{ACTIVEMQ_PORT:-61612}}\"\n\
         login = \"${{ACTIVEMQ_USER:-admin}}\"\n\
         passcode = \"${{ACTIVEMQ_PASSWORD:-admin}}\"\n",
        text(&tools.to_string_lossy()),
        text(&cluster.url(SWF, LOGIN)),
        text(&cluster.url(PANDA, LOGIN)),
    )
}

#[cfg(test)]
mod tests;
