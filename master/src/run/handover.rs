//! The way from one program to the one that is executed in its place: what is handed over, and how it is taken up.
//!
//! HAProxy's way: same process id, workers that stay children, listener and channels as open descriptors, the list of
//! workers in writing. So the service manager needs to know nothing, no signal is lost (they stay blocked across the
//! execution), and no request is: the socket never closes, and old workers drain under their new master.

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use tine_scoreboard::Scoreboard;
use tine_scoreboard::control::Channel;

use super::Master;
use super::execute::{HANDOVER, descriptor, execute, own};
use super::memory::{memory_of, read_all};
use crate::control::{self, ClientId, ControlSocket};
use crate::exit;
use crate::listen::SocketFile;
use crate::pool::{Event, Kept};
use crate::service::{Program, Service};

/// The number of this way to write it, to be raised with every change of [`Written`], of what is in it, or of the messages of
/// `tine_scoreboard::control`, in which a new master speaks to old workers.
pub(crate) const FORMAT: u32 = 2;

/// What is written, as JSON. Descriptors by their numbers.
#[derive(Debug, Serialize, Deserialize)]
struct Written {
    format: u32,
    pool: Kept,
    /// Why the program that is executed is the one before: the upgrade to the one that writes this failed.
    refused: Option<String>,
    program: Program,
    listener: RawFd,
    socket_file: Option<SocketFile>,
    board: RawFd,
    /// The master's ends, by slot.
    channels: Vec<(usize, RawFd)>,
    /// What new workers are to be forked with, and what they were forked with before.
    proven: RawFd,
    previous: RawFd,
    /// The binary before, to go back to.
    binary: Option<RawFd>,
    control: Option<control::Kept>,
    /// Clients of the control socket, and the change that each waits for.
    waiting: Vec<(ClientId, u64)>,
}

/// What a program was given that is executed in place of a master.
pub struct Handover {
    pub(super) pool: Kept,
    pub(super) refused: Option<String>,
    pub(super) program: Program,
    pub(super) listener: OwnedFd,
    pub(super) socket_file: Option<SocketFile>,
    /// The board of the pool.
    pub board: &'static Scoreboard,
    pub(super) channels: Vec<(usize, Channel)>,
    /// The configuration for [`Service::adopt`].
    pub proven: Vec<u8>,
    pub(super) previous: Vec<u8>,
    pub(super) binary: Option<OwnedFd>,
    pub(super) control: Option<ControlSocket>,
    pub(super) waiting: Vec<(ClientId, u64)>,
}

impl Handover {
    /// Takes up what was handed over, if this process is executed in place of a master. To be called once, early in `main`:
    /// what is open under the numbers is believed to be the master's.
    ///
    /// # Errors
    /// What was handed over makes no sense; then nothing can be done but to end: the workers notice, and drain.
    pub fn received() -> Result<Option<Handover>, String> {
        let Some(fd) = descriptor(HANDOVER)? else {
            return Ok(None);
        };
        let failed =
            |error: &dyn std::fmt::Display| format!("the hand-over can't be read: {error}");
        let bytes = read_all(File::from(fd)).map_err(|error| failed(&error))?;
        let written: Written = serde_json::from_slice(&bytes).map_err(|error| failed(&error))?;
        if written.format != FORMAT {
            return Err(format!(
                "the hand-over has format {}, not {FORMAT}",
                written.format
            ));
        }
        let take = |number| own(number).map_err(|error| failed(&error));
        let contents = |number| {
            let memory = File::from(take(number)?);
            read_all(memory).map_err(|error| failed(&error))
        };
        let channels = written.channels.iter();
        let channels: Result<Vec<(usize, Channel)>, String> = channels
            .map(|(slot, number)| Ok((*slot, Channel::from(take(*number)?))))
            .collect();
        Ok(Some(Handover {
            board: Scoreboard::resume(take(written.board)?).map_err(|error| error.to_string())?,
            listener: take(written.listener)?,
            channels: channels?,
            proven: contents(written.proven)?,
            previous: contents(written.previous)?,
            binary: written.binary.map(take).transpose()?,
            control: written
                .control
                .map(|kept| ControlSocket::resume(kept, take))
                .transpose()?,
            waiting: written.waiting,
            pool: written.pool,
            refused: written.refused,
            program: written.program,
            socket_file: written.socket_file,
        }))
    }

    /// The configuration that was served before.
    pub fn previous(&self) -> &[u8] {
        &self.previous
    }

    /// This program can't go on with what it was given: the one before takes its place again, and says why. Returns only when that
    /// fails too, with the exit code; the workers notice, and drain.
    pub fn give_back(self, why: &str) -> u8 {
        let channels = self.channels.iter();
        let given = Given {
            pool: self.pool,
            refused: Some(why),
            program: &self.program,
            listener: self.listener.as_raw_fd(),
            socket_file: self.socket_file,
            board: self.board,
            channels: channels
                .map(|(slot, channel)| (*slot, channel.as_raw_fd()))
                .collect(),
            proven: &self.previous,
            previous: &self.previous,
            control: self.control.as_ref(),
            waiting: self.waiting,
        };
        let error = match &self.binary {
            Some(binary) => given.to(&before(&self.program, binary), Some(binary)),
            None => "the binary before this one is not at hand".to_owned(),
        };
        log::error!("this binary can't take over ({why}), and can't go back: {error}");
        exit::INTERNAL
    }
}

/// The program before, by the kernel's own name for what the descriptor holds, though the file may be gone.
fn before(program: &Program, binary: &OwnedFd) -> Program {
    Program {
        path: PathBuf::from(format!("/proc/self/fd/{}", binary.as_raw_fd())),
        ..program.clone()
    }
}

/// What is handed over, before it is written.
struct Given<'a> {
    pool: Kept,
    refused: Option<&'a str>,
    program: &'a Program,
    listener: RawFd,
    socket_file: Option<SocketFile>,
    board: &'a Scoreboard,
    channels: Vec<(usize, RawFd)>,
    proven: &'a [u8],
    previous: &'a [u8],
    control: Option<&'a ControlSocket>,
    waiting: Vec<(ClientId, u64)>,
}

impl Given<'_> {
    /// Executes the program in place of this one; returns only when that fails, with the reason.
    fn to(self, program: &Program, binary: Option<&OwnedFd>) -> String {
        let go = || -> io::Result<String> {
            let proven = memory_of("tine-proven", self.proven)?;
            let previous = memory_of("tine-previous", self.previous)?;
            let written = Written {
                format: FORMAT,
                pool: self.pool,
                refused: self.refused.map(str::to_owned),
                program: self.program.clone(),
                listener: self.listener,
                socket_file: self.socket_file,
                board: self.board.descriptor().as_raw_fd(),
                channels: self.channels,
                proven: proven.as_raw_fd(),
                previous: previous.as_raw_fd(),
                binary: binary.map(AsRawFd::as_raw_fd),
                control: self.control.map(ControlSocket::keep),
                waiting: self.waiting,
            };
            let memory = memory_of("tine-handover", &serde_json::to_vec(&written)?)?;
            let mut keep = vec![
                memory.as_raw_fd(),
                written.listener,
                written.board,
                written.proven,
                written.previous,
            ];
            keep.extend(written.channels.iter().map(|(_, number)| *number));
            keep.extend(written.binary);
            keep.extend(written.control.iter().flat_map(control::Kept::descriptors));
            log::logger().flush();
            Ok(execute(program, HANDOVER, memory.as_raw_fd(), &keep))
        };
        go().unwrap_or_else(|error| format!("nothing can be handed over: {error}"))
    }
}

impl<S: Service> Master<S> {
    /// Executes the program's binary in place of this one; returns only when that fails.
    pub(super) fn upgrade(&mut self) -> Event {
        let Some(proven) = self.candidate.take() else {
            return Event::Adopted(Err("nothing was checked".to_owned()));
        };
        // What runs now, whatever stands under its name by now.
        let binary = File::open("/proc/self/exe").map(OwnedFd::from).ok();
        let given = match (&self.program, &self.open.listener) {
            (Some(program), Some(listener)) => {
                self.given(program, listener, &proven, &self.proven, None)
            }
            _ => return Event::Adopted(Err("nothing to execute".to_owned())),
        };
        let program = given.program;
        Event::Adopted(Err(given.to(program, binary.as_ref())))
    }

    /// Executes the binary before this one, which is to say why; returns only when that fails.
    pub(super) fn downgrade(&mut self, refused: &str) {
        let binary = self.binary.take();
        let error = match (&self.program, &self.open.listener, &self.previous, &binary) {
            (Some(program), Some(listener), Some(previous), Some(binary)) => self
                .given(program, listener, previous, previous, Some(refused))
                .to(&before(program, binary), Some(binary)),
            _ => "it is not at hand".to_owned(),
        };
        log::error!("no way back to the binary before, this one goes on with its workers: {error}");
    }

    fn given<'a>(
        &'a self,
        program: &'a Program,
        listener: &OwnedFd,
        proven: &'a [u8],
        previous: &'a [u8],
        refused: Option<&'a str>,
    ) -> Given<'a> {
        let channels = self.channels.iter().enumerate();
        Given {
            pool: self.pool.keep(),
            refused,
            program,
            listener: listener.as_raw_fd(),
            socket_file: self.socket_file.clone(),
            board: self.board,
            channels: channels
                .filter_map(|(slot, channel)| Some((slot, channel.as_ref()?.as_raw_fd())))
                .collect(),
            proven,
            previous,
            control: self.open.control.as_ref(),
            waiting: self.waiting.clone(),
        }
    }
}
