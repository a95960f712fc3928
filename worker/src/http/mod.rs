//! HTTP/1.1 over bytes: a strict request reader and the replies, both without any I/O.
//!
//! The worker's loop appends what a socket gave to a [`Buffer`], lets the connection's [`Reader`] look at it, and writes
//! what [`Reply`] or [`EventStream`] rendered. Nothing here knows sockets, timers, MCP or tools.
//!
//! The reader refuses every message that two HTTP implementations could read differently (RFC 9112 section 11.2, request
//! smuggling): where the RFC lets a recipient repair or guess, it answers 400 and the connection closes. httparse does the
//! tokenizing; the rules around it follow what llhttp and hyper learnt in their advisories. That it needs no I/O, and that the caller
//! pulls progress from it, is the idea of Python's h11.

mod buffer;
mod chunked;
mod date;
mod error;
mod event_stream;
mod fields;
mod framing;
mod head;
mod media;
mod reader;
mod reply;
mod scan;
mod target;
mod text;

pub use buffer::Buffer;
pub use chunked::ChunkFault;
pub use date::Date;
pub use error::HttpError;
pub use event_stream::EventStream;
pub use framing::{Content, Version};
pub use head::{Head, Method};
pub use media::{accepts, is_media_type};
pub use reader::{Limits, Progress, Reader, Stage};
pub use reply::{CONTINUE, Framing, Reply, reason};
