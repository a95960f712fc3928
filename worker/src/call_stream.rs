//! The stream that a call's POST becomes when its tool reports progress: opened by the first notice, ended by the result. Knows nothing
//! of where notices come from.

use crate::catalog::Outcome;
use crate::client::{Asker, Stage, Takes};
use crate::connection::Input;
use crate::db;
use crate::event_loop::Worker;
use crate::http::EventStream;
use crate::mcp::{self, Call};
use crate::record::Ending;
use crate::token;

/// Progress goes into a stream only while less than this waits for its client: it is advice, so whoever reads too slowly misses
/// some of it, and a chatty statement cannot fill the worker's memory. In bytes.
const UNREAD_PROGRESS: usize = 64 * 1024;

impl Worker {
    /// A notice of a tool that reports progress, to a caller who asked for it, opens the stream.
    pub fn notice(&mut self, key: usize, notice: &db::Notice) {
        let Some(client) = token::find(&mut self.clients, &self.generations, key) else {
            return;
        };
        let Some(work) = &mut client.work else { return };
        let Stage::Database { call, progress, .. } = &mut work.stage else {
            return;
        };
        let Some(token) = call.progress.as_deref() else {
            return;
        };
        if work.asker.takes == Takes::Json || work.batch.is_some() {
            return;
        }
        if client.output.len() > UNREAD_PROGRESS {
            return;
        }
        let Some((now, total)) = progress.next(notice) else {
            return;
        };
        let event = mcp::progress(token, now, total, &notice.message);
        let opened = work.stream.is_none();
        let stream = *work.stream.get_or_insert_with(|| {
            let framing = client
                .reader
                .head()
                .map_or(crate::http::Framing::UNREADABLE, |head| head.framing());
            EventStream::open(
                framing,
                &[],
                self.date.at(self.unix_seconds),
                &mut client.output,
            )
        });
        stream.event(&[&event], &mut client.output);
        if opened {
            self.input(key, Input::Stream);
        }
        self.advance(key);
    }

    pub fn end_stream(
        &mut self,
        key: usize,
        call: &Call,
        outcome: &Outcome,
        asker: Asker,
        stream: EventStream,
        ending: &Ending,
    ) {
        let Some(reply) = self.render(call, outcome, asker, ending) else {
            return;
        };
        let Some(framing) = self.next_framing(key, !stream.keep_alive()) else {
            return;
        };
        let Some(client) = self.client(key) else {
            return;
        };
        stream.event(&[&reply.body], &mut client.output);
        stream.finish(&mut client.output);
        self.answered(key, framing.keep_alive);
    }
}
