//! How a session gets the body of an upload to where it belongs.

use super::Session;
use super::state::{State, Then};
use crate::exchange::{Append, Persist, Reply, Sink};
use crate::refusal::Refusal;
use crate::wire;
use crate::wire::body::{Body, Part};
use crate::wire::form::Step;
use crate::{IoBuffers, Now, PartialInfo, Stored};

impl Session {
    /// Tells a peer that waits for it to send its body, and goes on with that.
    pub(super) fn ask_for_body(&mut self, io: &mut IoBuffers, expects_continue: bool, now: Now) {
        if expects_continue {
            io.output.push(wire::CONTINUE);
            self.state = State::SendingContinue;
            self.wait(self.settings.timeouts.stall, now);
        } else {
            self.read_body(io, now);
        }
    }

    /// Goes on with an upload's body.
    pub(super) fn read_body(&mut self, io: &mut IoBuffers, now: Now) {
        match self.sink {
            Sink::Form(_) => return self.read_form(io, now),
            Sink::Message { .. } => return self.read_message(io, now),
            Sink::File | Sink::Partial(_) => {}
        }
        match self.body.next(&mut io.input, 0) {
            Part::Content(len) => self.proceed(State::Writing { len }),
            Part::End if self.is_but_a_piece() => self.abort(io, Then::Report, now),
            Part::End => self.proceed(State::Committing),
            Part::Incomplete => self.receive_body(now),
            Part::Malformed(refusal) => self.distrust(io, refusal, now),
        }
    }

    /// Goes on with a body that is a form.
    pub(super) fn read_form(&mut self, io: &mut IoBuffers, now: Now) {
        let Sink::Form(form) = &mut self.sink else { return };
        loop {
            match form.next(&mut io.input, &mut self.name) {
                Step::Begin => {
                    return self.proceed(State::Creating { expects_continue: false });
                }
                Step::Write(len) => return self.proceed(State::Writing { len }),
                Step::End => return self.proceed(State::Committing),
                // What follows a name that breaks the rules can still be told apart.
                Step::Refuse(refusal @ Refusal::Name(_)) => {
                    return self.abort(io, Then::Refuse(refusal), now);
                }
                Step::Refuse(refusal) => return self.distrust(io, refusal, now),
                Step::Incomplete => {}
            }
            match self.body.next(&mut io.input, form.held()) {
                Part::Content(len) => {
                    self.body.consumed(len);
                    form.hold(len);
                }
                Part::End => match form.end() {
                    Ok(()) => return self.form_stored(io, now),
                    Err(refusal) => return self.distrust(io, refusal, now),
                },
                Part::Incomplete => return self.receive_body(now),
                Part::Malformed(refusal) => return self.distrust(io, refusal, now),
            }
        }
    }

    pub(super) fn receive_body(&mut self, now: Now) {
        self.state = State::ReceivingBody;
        self.wait(self.settings.timeouts.stall, now);
    }

    /// Gives up a body whose rest can't be told apart.
    pub(super) fn distrust(&mut self, io: &mut IoBuffers, refusal: Refusal, now: Now) {
        self.persist = Persist::Close;
        self.abort(io, Then::Refuse(refusal), now);
    }

    /// Goes on after the current upload was published.
    pub(super) fn stored(&mut self, io: &mut IoBuffers, stored: &Stored, now: Now) {
        match &mut self.sink {
            Sink::File => self.reply(io, &Reply::Stored(stored), now),
            Sink::Form(form) => {
                form.stored(&stored.name);
                self.read_form(io, now);
            }
            Sink::Partial(append) => {
                let len = append.info.len;
                self.reply(io, &Reply::PartialStored { stored, len }, now);
            }
            Sink::Message { .. } => unreachable!("a message is not stored"),
        }
    }

    pub(super) fn form_stored(&mut self, io: &mut IoBuffers, now: Now) {
        let reply = Reply::FormStored { names: stored_names(&self.sink) };
        self.codec.reply(&mut io.output, &reply, self.keeps(), now);
        self.send_reply(io, now);
    }

    /// Whether the upload is a resumable one that is not whole yet.
    pub(super) fn is_but_a_piece(&self) -> bool {
        matches!(&self.sink, Sink::Partial(append) if append.info.offset < append.info.len)
    }

    /// The resumable upload that the request is about.
    pub(super) fn append(&self) -> &Append {
        match &self.sink {
            Sink::Partial(append) => append,
            Sink::File | Sink::Form(_) | Sink::Message { .. } => {
                unreachable!("the request is about a resumable upload")
            }
        }
    }

    pub(super) fn append_mut(&mut self) -> &mut Append {
        match &mut self.sink {
            Sink::Partial(append) => append,
            Sink::File | Sink::Form(_) | Sink::Message { .. } => {
                unreachable!("the request is about a resumable upload")
            }
        }
    }
}

/// The names under which a form's files were stored, a line each.
pub(super) fn stored_names(sink: &Sink) -> &str {
    match sink {
        Sink::Form(form) => form.names(),
        Sink::File | Sink::Partial(_) | Sink::Message { .. } => "",
    }
}

/// Why a piece does not belong where a resumable upload ends.
pub(super) fn misfit(asked: PartialInfo, info: PartialInfo, body: &Body) -> Option<Refusal> {
    let room = info.len.saturating_sub(info.offset);
    if asked.offset != info.offset {
        Some(Refusal::OffsetMismatch)
    } else if body.left().is_some_and(|left| left > room) {
        Some(Refusal::TooLarge)
    } else {
        None
    }
}
