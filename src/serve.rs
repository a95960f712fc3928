//! `tine serve`: from checked settings to a running pool. Everything that can be wrong with configuration, tools or address is
//! found here, before the first fork; the tools are loaded once, so that all workers of a generation share them and their memory.

mod generation;
mod tools;

use std::fmt::Display;
use std::path::{Path, PathBuf};

use tine_master::listen::{descriptor, inherited};
use tine_master::{
    Address, BindError, Check, ControlError, ControlSocket, Handover, Local, Program, Service,
    Start, bind, resume,
};
use tine_scoreboard::Scoreboard;
use tine_worker::files::Files;

use crate::config::{Inputs, Listen, Settings};
use crate::exit::Exit;
use crate::logging::{self, Role};
use crate::{control, terminal};
pub use generation::HEALTH;
use generation::{Generation, Refusal};
use tools::Tools;

/// Serves until told to stop. `announce` hears where, once nothing is left that could be wrong. `program` is how an upgrade
/// starts this again.
pub fn run(
    inputs: Inputs,
    settings: Settings,
    files: &Files,
    program: Option<Program>,
    announce: impl FnOnce(&Settings, &str),
) -> Exit {
    logging::start(&settings.log_level, &settings.log_format);
    let started = settings.clone();
    let generation = match Generation::of(settings, files) {
        Ok(generation) => generation,
        Err(refusal) => return refused(&refusal),
    };
    terminal::print_faults(&generation.warnings);
    let fail = |error: &dyn Display, exit| {
        terminal::print_error(error.to_string());
        exit
    };
    let slots = generation.master.max_workers * 2;
    let board = match Scoreboard::create(slots, started.limit_concurrency) {
        Ok(board) => board,
        Err(error) => return fail(&error, Exit::Internal),
    };
    let listener = match address(&started).and_then(|address| bind(address, started.backlog)) {
        Ok(listener) => listener,
        Err(error) => return fail(&error, Exit::CannotBind),
    };
    let control = match control_socket(&started) {
        Ok(control) => control,
        Err(error) => return fail(&error, Exit::CannotBind),
    };
    logging::set_role(Role::Master);
    let place = match listener.local() {
        Local::Tcp(address) => format!(
            "http://{address}{}",
            started.paths.first().map_or("", String::as_str)
        ),
        local => local.to_string(),
    };
    announce(&started, &place);
    let mut tools = Tools::new(inputs, started, generation);
    tools.place = place;
    let adopted = tools.adopted();
    board.header().set_catalog(adopted.catalog);
    let start = Start {
        settings: adopted.settings,
        board,
        listener,
        proven: files.snapshot(),
        program,
        control,
    };
    Exit::from_master(tine_master::run(start, tools))
}

fn refused(refusal: &Refusal) -> Exit {
    terminal::print_faults(&refusal.faults);
    if refusal.tools {
        terminal::print_error(
            "not serving: a tool file or the name of a toolset is wrong (`tine check` tells the same, and more)",
        );
    }
    refusal.exit
}

/// What this process is to do when a master has started it, and nobody else: check whether it could take over, or take over.
/// `None`: nothing of the kind.
pub fn ordered(inputs: &Inputs) -> Option<Exit> {
    let orders = Check::requested().and_then(|check| Ok((check, Handover::received()?)));
    match orders {
        Ok((None, None)) => None,
        Ok((Some(check), _)) => Some(answer(inputs, check)),
        Ok((None, Some(handover))) => Some(take_over(inputs.clone(), handover)),
        Err(text) => {
            logging::start("info", "text");
            log::error!("{text}");
            Some(Exit::Internal)
        }
    }
}

fn answer(inputs: &Inputs, check: Check) -> Exit {
    logging::start("info", &Settings::only("log_format", inputs).0.text());
    let files = Files::disk();
    let read = match Generation::load(inputs, &files) {
        Ok(generation) => {
            Tools::new(inputs.clone(), generation.settings.clone(), generation).read()
        }
        Err(refusal) => Err(refusal.line()),
    };
    Exit::from_master(check.answer(read))
}

/// Goes on where the program before this one left off.
fn take_over(inputs: Inputs, handover: Handover) -> Exit {
    logging::start("info", &Settings::only("log_format", &inputs).0.text());
    logging::set_role(Role::Master);
    match adopt(inputs, &handover) {
        Ok(tools) => {
            let adopted = tools.adopted();
            Exit::from_master(resume(handover, adopted, tools))
        }
        Err(text) => Exit::from_master(handover.give_back(&text)),
    }
}

/// What was handed over. The options that are fixed are those of the program before, which kept them since the start.
fn adopt(inputs: Inputs, handover: &Handover) -> Result<Tools, String> {
    let held = |bytes: &[u8]| Files::held(bytes).map_err(|error| error.to_string());
    let line = |refusal: Refusal| refusal.line();
    let generation = Generation::load(&inputs, &held(&handover.proven)?).map_err(line)?;
    let started = Settings::load(&inputs, &held(handover.previous())?);
    let started = started.map_err(|error| line(error.into()))?;
    let settings = &generation.settings;
    logging::set(&settings.log_level, &settings.log_format);
    let tools = Tools::new(inputs, started, generation);
    tools.check_kept().map_err(line)?;
    Ok(tools)
}

/// This program as it was started, for an upgrade. The path is where it was found, so that a link or a package that is replaced
/// leads to the new binary.
pub fn program() -> Option<Program> {
    let arguments: Vec<_> = std::env::args_os().collect();
    let name = PathBuf::from(arguments.first()?);
    let path = if name.components().count() > 1 {
        std::path::absolute(name).ok()?
    } else {
        let folders = std::env::var_os("PATH")?;
        let mut found = std::env::split_paths(&folders).map(|folder| folder.join(&name));
        found
            .find(|path| path.is_file())
            .or_else(|| std::env::current_exe().ok())?
    };
    Some(Program { path, arguments })
}

fn address(settings: &Settings) -> Result<Address, BindError> {
    // A socket from the service manager goes before any setting: it is already bound.
    if let Some(fd) = inherited()? {
        return Ok(Address::Inherited(fd));
    }
    Ok(match settings.listen() {
        Listen::Tcp { host, port } => Address::Tcp { host, port },
        Listen::Unix { path, mode } => Address::Unix { path, mode },
        Listen::Inherited(number) => Address::Inherited(descriptor(number)?),
    })
}

/// A server serves without the socket that nobody asked for.
fn control_socket(settings: &Settings) -> Result<Option<ControlSocket>, ControlError> {
    let file = settings.file.as_deref();
    let owner = control::place::owner(file);
    let bind = |path: &Path| Ok(ControlSocket::bind(path)?.belonging_to(owner));
    if let Some(path) = &settings.control {
        return bind(path).map(Some);
    }
    let path = control::place::default(file);
    Ok(bind(&path)
        .map_err(|error| log::warn!("{error} (--control PATH); signals work without it"))
        .ok())
}
