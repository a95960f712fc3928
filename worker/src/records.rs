//! Records in the loop: who asks, and one record for each way in which a call can end. What stands in it is `record`'s.

use crate::client::Asker;
use crate::event_loop::Worker;
use crate::mcp::{self, Asked, Call, Refused, Why};
use crate::record::{End, Record};

impl Worker {
    /// Answers a call that is not made.
    pub fn refuse_call(
        &mut self,
        key: usize,
        refused: &Refused,
        asker: Asker,
    ) -> Option<mcp::Reply> {
        let request = self.request_ids.next();
        let mut asked = refused.asked.clone();
        self.learn_client(key, &mut asked);
        let reply = refused.reply(&self.served.get(asker.served)?.prepared, &request);
        let record = Record {
            bytes: Some(reply.body.len()),
            error: match &refused.why {
                Why::Fault(fault) => Some(&fault.message),
                Why::Arguments(..) => Some("faulty arguments"),
            },
            ..Record::new(&request, &refused.tool, End::Refused)
        };
        self.write_record(asker, &asked, record);
        Some(reply)
    }

    /// Legacy clients tell who they are in `initialize` alone, which no other request can be told to belong to, so what counts is
    /// their `User-Agent`.
    pub fn learn_client(&mut self, key: usize, asked: &mut Asked) {
        if asked.client.is_none() {
            let head = self.client(key).and_then(|client| client.reader.head());
            let agent = head.and_then(|head| head.user_agent());
            asked.client = agent.map(|agent| mcp::bounded(agent).to_owned());
        }
    }

    /// Writes the record of a call that has ended.
    pub fn write_record(&self, asker: Asker, asked: &Asked, record: Record) {
        let token = asker
            .token
            .and_then(|index| self.settings.tokens.0.get(index));
        Record {
            duration: asker.began.elapsed(),
            token: token.map(|token| token.name.as_str()),
            client: asked.client.as_deref(),
            trace: asked.trace.as_deref(),
            ..record
        }
        .write(self.settings.log_calls);
    }

    /// Forgets the client's work, cancels what runs for it, and records how that ended; its call.
    pub fn give_up(&mut self, key: usize, end: End) -> Option<Box<Call>> {
        let work = self.client(key)?.work.take()?;
        let asker = work.asker;
        let call = self.cancel(work)?;
        let record = Record {
            effects: call.effects.as_deref(),
            ..Record::new(&call.request, &call.tool.name, end)
        };
        self.write_record(asker, &call.asked, record);
        Some(call)
    }
}
