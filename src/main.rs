//! The `tine` program. Everything is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    tine::cli::main(std::env::args_os()).into()
}
