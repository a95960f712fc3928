//! Memory that one process or program writes and another reads, by its descriptor (memfd_create(2)): it is nobody's file, and gone
//! with its last descriptor.

use std::fs::File;
use std::io::{Read, Result, Seek, SeekFrom, Write};

use nix::sys::memfd::{MFdFlags, memfd_create};

/// More than any configuration has; what is written beyond it is not read.
const LARGEST: u64 = 256 * 1024 * 1024;

/// Empty memory, closed on exec.
pub(super) fn memory(name: &str) -> Result<File> {
    Ok(File::from(memfd_create(name, MFdFlags::MFD_CLOEXEC)?))
}

/// All that was written into shared memory, by whatever process.
pub(super) fn read_all(mut memory: File) -> Result<Vec<u8>> {
    memory.seek(SeekFrom::Start(0))?;
    let mut bytes = Vec::new();
    memory.take(LARGEST).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Memory with these bytes, for a program to come.
pub(super) fn memory_of(name: &str, bytes: &[u8]) -> Result<File> {
    let mut memory = memory(name)?;
    memory.write_all(bytes)?;
    Ok(memory)
}
