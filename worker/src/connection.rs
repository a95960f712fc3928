//! A client connection's life as one table: which input leads from which state to which, and what to do on the way.
//! Pure: no sockets, no clock. The loop feeds inputs in and carries effects out.
//!
//! The states and what drain does to each follow prefork practice: nginx's lingering close (a FIN, then reading on,
//! so that a reset cannot destroy the response) and puma's grace for connections that were accepted but have not spoken yet.

/// Where a connection stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// No byte of a request yet. `first`: none was ever answered here.
    Idle {
        first: bool,
    },
    /// Part of a head arrived.
    Head,
    /// The head is good, the body is arriving.
    Body,
    /// A call waits for admission.
    Queued,
    /// A call runs.
    Running,
    /// A call runs and its event stream is open.
    Streaming,
    /// A subscription: its stream is open until either side ends it. `unread`: the client has not taken yet what was sent last.
    Listening {
        unread: bool,
    },
    /// A complete answer is leaving.
    Writing {
        close: bool,
    },
    /// Our side is shut; what still arrives is read and dropped.
    Linger,
    Closed,
}

/// What can happen to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Input {
    /// First bytes of a request.
    Bytes,
    /// The head is complete and acceptable.
    HeadDone,
    /// The call waits for a free place.
    Hold,
    /// The call was handed to the database or the blocking pool.
    Run,
    /// The call's event stream opens.
    Stream,
    /// A subscription's stream opens.
    Listen,
    /// A whole answer was put into the output; `close`: the last on this connection.
    Answer { close: bool },
    /// The output is empty.
    Flushed,
    /// The peer closed its side, or reset.
    HangUp,
    /// The state's deadline passed.
    Expired,
    /// The pool stops: nothing new after what is under way.
    Drain,
    /// This worker drains while its siblings go on: the same, but nobody waits for its end.
    Retire,
    /// Reading or writing failed.
    Broken,
}

/// What the loop does about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    Nothing,
    /// Drop the connection and its buffers.
    Close,
    /// Send FIN and read on for a while.
    Shut,
    /// Abandon the call: cancel its query or leave the queue; then drop the connection.
    Abandon,
    /// Answer 408 and close.
    AnswerTimeout,
    /// Answer 503 and close: no place came free.
    AnswerBusy,
    /// Cancel the call and answer 504.
    AnswerLate,
    /// Wait for the next request: serve bytes that came meanwhile.
    Next,
    /// Close if no byte has arrived by a short deadline.
    Grace,
    /// The same by a shorter one.
    BriefGrace,
    /// Show a subscriber that its stream lives.
    KeepAlive,
    /// Tell a subscriber that its stream ends, and end it.
    EndStream,
}

/// One step. Inputs that make no sense in a state change nothing: events may arrive late.
pub fn step(state: State, input: Input) -> (State, Effect) {
    use Effect::*;
    use Input::*;
    use State::*;
    match (state, input) {
        (Closed, _) => (Closed, Nothing),
        (Queued | Running | Streaming, HangUp | Broken) => (Closed, Abandon),
        (_, Broken) => (Closed, Close),

        (Idle { .. }, Bytes) => (Head, Nothing),
        (Idle { first: true }, Drain) => (Idle { first: true }, Grace),
        // Everybody waits for the end of the pool, so a client that was served has less time to come out with what it is about to say.
        (Idle { first: false }, Drain) => (Idle { first: false }, BriefGrace),
        // A client that is at work here speaks again in a moment and learns from its answer to come anew; a FIN would cross its request,
        // and no client may repeat a POST by itself (RFC 9110 section 9.2.2).
        (Idle { first }, Retire) => (Idle { first }, Grace),
        // It may be about to speak: what crosses the FIN must not be answered by a reset.
        (Idle { .. }, Expired) => (Linger, Shut),
        (Idle { .. }, HangUp) => (Closed, Close),

        (Head, HeadDone) => (Body, Nothing),
        (Head | Body, Expired) => (Writing { close: true }, AnswerTimeout),
        (Head | Body, HangUp) => (Closed, Close),

        (Body, Hold) => (Queued, Nothing),
        (Body | Queued, Run) => (Running, Nothing),
        (Queued, Expired) => (Writing { close: true }, AnswerBusy),
        (Running, Stream) => (Streaming, Nothing),
        (Body, Listen) => (Listening { unread: true }, Nothing),
        (Running, Expired) => (Writing { close: true }, AnswerLate),
        // The stream has begun with status 200: a late call can only end it.
        (Streaming, Expired) => (Closed, Abandon),

        (Listening { .. }, Flushed) => (Listening { unread: false }, Nothing),
        (Listening { unread: false }, Expired) => (Listening { unread: true }, KeepAlive),
        // Nobody reads it: what is sent to it would pile up.
        (Listening { unread: true }, Expired) => (Closed, Close),
        (Listening { unread }, Drain | Retire) => (Listening { unread }, EndStream),
        (Listening { .. }, HangUp) => (Closed, Close),

        (
            Idle { .. } | Head | Body | Queued | Running | Streaming | Listening { .. },
            Answer { close },
        ) => (Writing { close }, Nothing),
        (Writing { close: false }, Drain | Retire) => (Writing { close: true }, Nothing),
        (Writing { close: false }, Flushed) => (Idle { first: false }, Next),
        (Writing { close: true }, Flushed) => (Linger, Shut),
        (Writing { .. }, Expired) => (Closed, Close),
        // A client may shut its side after the request and still read the answer.
        (Writing { .. }, HangUp) => (Writing { close: true }, Nothing),

        (Linger, HangUp | Expired) => (Closed, Close),

        (state, _) => (state, Nothing),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STATES: [State; 13] = [
        State::Idle { first: true },
        State::Idle { first: false },
        State::Head,
        State::Body,
        State::Queued,
        State::Running,
        State::Streaming,
        State::Listening { unread: false },
        State::Listening { unread: true },
        State::Writing { close: false },
        State::Writing { close: true },
        State::Linger,
        State::Closed,
    ];
    const INPUTS: [Input; 14] = [
        Input::Bytes,
        Input::HeadDone,
        Input::Hold,
        Input::Run,
        Input::Stream,
        Input::Listen,
        Input::Answer { close: false },
        Input::Answer { close: true },
        Input::Flushed,
        Input::HangUp,
        Input::Expired,
        Input::Drain,
        Input::Retire,
        Input::Broken,
    ];

    fn short(state: State) -> &'static str {
        match state {
            State::Idle { first: true } => "new",
            State::Idle { first: false } => "idle",
            State::Head => "head",
            State::Body => "body",
            State::Queued => "queued",
            State::Running => "running",
            State::Streaming => "streaming",
            State::Listening { unread: false } => "listening",
            State::Listening { unread: true } => "listening-unread",
            State::Writing { close: false } => "writing",
            State::Writing { close: true } => "writing-last",
            State::Linger => "linger",
            State::Closed => "closed",
        }
    }

    /// Every cell that changes anything, as `state input -> state effect`; all others must change nothing.
    const TABLE: &str = "\
new Bytes -> head Nothing
new Answer { close: false } -> writing Nothing
new Answer { close: true } -> writing-last Nothing
new HangUp -> closed Close
new Expired -> linger Shut
new Drain -> new Grace
new Retire -> new Grace
new Broken -> closed Close
idle Bytes -> head Nothing
idle Answer { close: false } -> writing Nothing
idle Answer { close: true } -> writing-last Nothing
idle HangUp -> closed Close
idle Expired -> linger Shut
idle Drain -> idle BriefGrace
idle Retire -> idle Grace
idle Broken -> closed Close
head HeadDone -> body Nothing
head Answer { close: false } -> writing Nothing
head Answer { close: true } -> writing-last Nothing
head HangUp -> closed Close
head Expired -> writing-last AnswerTimeout
head Broken -> closed Close
body Hold -> queued Nothing
body Run -> running Nothing
body Listen -> listening-unread Nothing
body Answer { close: false } -> writing Nothing
body Answer { close: true } -> writing-last Nothing
body HangUp -> closed Close
body Expired -> writing-last AnswerTimeout
body Broken -> closed Close
queued Run -> running Nothing
queued Answer { close: false } -> writing Nothing
queued Answer { close: true } -> writing-last Nothing
queued HangUp -> closed Abandon
queued Expired -> writing-last AnswerBusy
queued Broken -> closed Abandon
running Stream -> streaming Nothing
running Answer { close: false } -> writing Nothing
running Answer { close: true } -> writing-last Nothing
running HangUp -> closed Abandon
running Expired -> writing-last AnswerLate
running Broken -> closed Abandon
streaming Answer { close: false } -> writing Nothing
streaming Answer { close: true } -> writing-last Nothing
streaming HangUp -> closed Abandon
streaming Expired -> closed Abandon
streaming Broken -> closed Abandon
listening Answer { close: false } -> writing Nothing
listening Answer { close: true } -> writing-last Nothing
listening HangUp -> closed Close
listening Expired -> listening-unread KeepAlive
listening Drain -> listening EndStream
listening Retire -> listening EndStream
listening Broken -> closed Close
listening-unread Answer { close: false } -> writing Nothing
listening-unread Answer { close: true } -> writing-last Nothing
listening-unread Flushed -> listening Nothing
listening-unread HangUp -> closed Close
listening-unread Expired -> closed Close
listening-unread Drain -> listening-unread EndStream
listening-unread Retire -> listening-unread EndStream
listening-unread Broken -> closed Close
writing Flushed -> idle Next
writing HangUp -> writing-last Nothing
writing Expired -> closed Close
writing Drain -> writing-last Nothing
writing Retire -> writing-last Nothing
writing Broken -> closed Close
writing-last Flushed -> linger Shut
writing-last Expired -> closed Close
writing-last Broken -> closed Close
linger HangUp -> closed Close
linger Expired -> closed Close
linger Broken -> closed Close
";

    #[test]
    fn table() {
        let mut table = String::new();
        for state in STATES {
            for input in &INPUTS {
                let (next, effect) = step(state, *input);
                if (next, effect) != (state, Effect::Nothing) {
                    table.push_str(&format!(
                        "{} {input:?} -> {} {effect:?}\n",
                        short(state),
                        short(next)
                    ));
                }
            }
        }
        assert_eq!(table, TABLE);
    }

    #[test]
    fn every_state_ends() {
        for state in STATES {
            let mut now = state;
            for _ in 0..4 {
                now = step(now, Input::Expired).0;
                // A subscription lasts as long as somebody reads it.
                if !matches!(now, State::Listening { .. }) {
                    now = step(now, Input::Flushed).0;
                }
            }
            assert_eq!(
                now,
                State::Closed,
                "{state:?} must end by its deadlines alone"
            );
        }
    }
}
