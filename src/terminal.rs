//! What is different when a person watches: colours. Everything else gets plain bytes, and the journal lines with priorities.

use std::env;
use std::io::{self, IsTerminal, Write};

use log::Level;

use crate::config::ConfigError;
use crate::fault::{Fault, Severity};
use crate::logging;

/// Whether text for this stream may be coloured: on a terminal that can, unless `NO_COLOR` is set (no-color.org).
pub fn colour(stream: &impl IsTerminal) -> bool {
    let refused = env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let dumb = env::var_os("TERM").is_some_and(|term| term == "dumb");
    stream.is_terminal() && !refused && !dumb
}

/// Prints faults to standard error: for people with the place and a blank line after each, for the journal a line each.
pub fn print_faults<'f>(faults: impl IntoIterator<Item = &'f Fault>) {
    let coloured = colour(&io::stderr());
    for fault in faults {
        let level = match fault.severity {
            Severity::Error => Level::Error,
            Severity::Warning => Level::Warn,
        };
        if !logging::to_journal(level, &fault.line()) {
            eprintln!("{}\n", fault.render(coloured));
        }
    }
}

/// Prints why the configuration can't be used.
pub fn print_config_error(error: &ConfigError) {
    print_faults(&error.0);
}

/// `error: ...` on standard error.
pub fn print_error(message: impl AsRef<str>) {
    if logging::to_journal(Level::Error, message.as_ref()) {
        return;
    }
    let (on, off) = if colour(&io::stderr()) {
        ("\u{1b}[1;91m", "\u{1b}[0m")
    } else {
        ("", "")
    };
    eprintln!("{on}error{off}: {}", message.as_ref());
}

/// `warning: ...` on standard error.
pub fn print_warning(message: impl AsRef<str>) {
    if logging::to_journal(Level::Warn, message.as_ref()) {
        return;
    }
    let (on, off) = if colour(&io::stderr()) {
        ("\u{1b}[1;33m", "\u{1b}[0m")
    } else {
        ("", "")
    };
    eprintln!("{on}warning{off}: {}", message.as_ref());
}

/// Standard output, all at once. A reader that has left (`| head`) is no error.
///
/// # Errors
/// Anything else that goes wrong while writing, such as a full disk.
pub fn print(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        result => result,
    }
}
