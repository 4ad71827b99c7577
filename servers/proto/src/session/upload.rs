//! The body of an upload, on its way from the peer to its destination.

use super::Session;
use super::state::{AfterAbort, State};
use crate::exchange::{Append, Persist, Reply, Sink};
use crate::refusal::Refusal;
use crate::wire;
use crate::wire::body::{Body, Part};
use crate::wire::form::Step;
use crate::{IoBuffers, Now, PartialInfo, StoreError, Stored};

impl Session {
    /// Asks a waiting peer for the body, then reads it.
    pub(super) fn ask_for_body(&mut self, io: &mut IoBuffers, expects_continue: bool, now: Now) {
        if expects_continue {
            io.output.push(wire::CONTINUE);
            self.state = State::SendingContinue;
            self.wait(self.settings.timeouts.stall, now);
        } else {
            self.read_body(io, now);
        }
    }

    /// Reads the next part of a body.
    pub(super) fn read_body(&mut self, io: &mut IoBuffers, now: Now) {
        match self.sink {
            Sink::Form(_) => return self.read_form(io, now),
            Sink::Message { .. } => return self.read_message(io, now),
            Sink::File | Sink::Partial(_) => {}
        }
        match self.body.next(&mut io.input, 0) {
            Part::Content(len) => self.proceed(State::Writing { len }),
            Part::End if self.is_incomplete_piece() => self.abort(io, AfterAbort::Report, now),
            Part::End => self.proceed(State::Committing),
            Part::Incomplete => self.receive_body(now),
            Part::Malformed(refusal) => self.abandon_body(io, refusal, now),
        }
    }

    /// Reads the next part of a multipart form.
    pub(super) fn read_form(&mut self, io: &mut IoBuffers, now: Now) {
        let Sink::Form(form) = &mut self.sink else { return };
        loop {
            match form.next(&mut io.input, &mut self.name) {
                Step::Begin => {
                    return self.proceed(State::Creating { expects_continue: false });
                }
                Step::Write(len) => return self.proceed(State::Writing { len }),
                Step::End => return self.proceed(State::Committing),
                // The parts behind an invalid name can still be found.
                Step::Refuse(refusal @ Refusal::Name(_)) => {
                    return self.abort(io, AfterAbort::Refuse(refusal), now);
                }
                Step::Refuse(refusal) => return self.abandon_body(io, refusal, now),
                Step::Incomplete => {}
            }
            match self.body.next(&mut io.input, form.held()) {
                Part::Content(len) => {
                    self.body.consumed(len);
                    form.hold(len);
                }
                Part::End => match form.end() {
                    Ok(()) => return self.form_stored(io, now),
                    Err(refusal) => return self.abandon_body(io, refusal, now),
                },
                Part::Incomplete => return self.receive_body(now),
                Part::Malformed(refusal) => return self.abandon_body(io, refusal, now),
            }
        }
    }

    /// Counts bytes of the body that went straight to the upload.
    pub(super) fn transferred(
        &mut self,
        io: &mut IoBuffers,
        bytes: u64,
        written: Result<(), StoreError>,
        now: Now,
    ) {
        self.body.transferred(bytes);
        if let Sink::Partial(append) = &mut self.sink {
            append.info.offset += bytes;
        }
        match written {
            Ok(()) => self.read_body(io, now),
            Err(error) => self.abort(io, AfterAbort::Refuse(Refusal::Store(error)), now),
        }
    }

    pub(super) fn receive_body(&mut self, now: Now) {
        self.state = State::ReceivingBody;
        self.wait_for_body(now);
    }

    /// Abandons a body whose end cannot be found any more.
    pub(super) fn abandon_body(&mut self, io: &mut IoBuffers, refusal: Refusal, now: Now) {
        self.persist = Persist::Close;
        self.abort(io, AfterAbort::Refuse(refusal), now);
    }

    /// Continues after the current upload was published.
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

    /// Returns true for a resumable upload that is incomplete.
    pub(super) fn is_incomplete_piece(&self) -> bool {
        matches!(&self.sink, Sink::Partial(append) if append.info.offset < append.info.len)
    }

    /// The request's resumable upload.
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

/// Names of a form's stored files, one in each line.
pub(super) fn stored_names(sink: &Sink) -> &str {
    match sink {
        Sink::Form(form) => form.names(),
        Sink::File | Sink::Partial(_) | Sink::Message { .. } => "",
    }
}

/// Reason why a piece does not fit the end of a resumable upload, if it does not.
pub(super) fn piece_refusal(
    declared: PartialInfo,
    info: PartialInfo,
    body: &Body,
) -> Option<Refusal> {
    let room = info.len.saturating_sub(info.offset);
    if declared.offset != info.offset {
        Some(Refusal::OffsetMismatch)
    } else if body.left().is_some_and(|left| left > room) {
        Some(Refusal::TooLarge)
    } else {
        None
    }
}
