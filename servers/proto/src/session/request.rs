//! One request, from its head to the end of its answer.

use super::state::{AfterAbort, LabState, State};
use super::transitions::{Event, Kind};
use super::upload::stored_names;
use super::{SKIPPED_BYTES, Session};
use crate::exchange::{Decoded, Persist, Reply, Request, Sink};
use crate::refusal::Refusal;
use crate::wire::body::{Body, Part};
use crate::{IoBuffers, Notice, Now, Service, Wire};

impl Session {
    /// Decodes requests as long as they are complete without any action. A loop, because a peer can
    /// send so many of them at once that recursion would overflow the stack.
    pub(super) fn decode_next(&mut self, io: &mut IoBuffers, now: Now) {
        while std::mem::take(&mut self.undecoded) {
            let from = Kind::of(self.state);
            self.decode(io, false, now);
            self.check_transition(from, Event::Done);
        }
    }

    /// Decodes the next request in the input.
    pub(super) fn decode(&mut self, io: &mut IoBuffers, was_begun: bool, now: Now) {
        self.decode_until(io, was_begun, self.peer_ended, now);
    }

    /// Decodes the next request; at the `end`, the input is taken for complete.
    pub(super) fn decode_until(
        &mut self,
        io: &mut IoBuffers,
        was_begun: bool,
        end: bool,
        now: Now,
    ) {
        let settings = &*self.settings;
        self.body_time = settings.timeouts.stall;
        if let Some(recorder) = &mut self.recorder {
            recorder.note_input(io.input.filled());
        }
        match self.codec.decode(&mut io.input, &mut self.name, settings, end) {
            Decoded::Incomplete => {
                let begun = !io.input.is_empty();
                self.state = State::Awaiting { begun };
                match (was_begun, begun) {
                    // Each piece of a line restarts the silence.
                    (_, true) if self.codec.may_end_by_silence(&self.settings.service) => {
                        self.wait(self.settings.timeouts.quiet, now);
                    }
                    (false, true) => {
                        let input = io.input.filled();
                        self.one_piece = input.len() > 1
                            && self.codec.may_be_name(input, &self.settings.service);
                        let timeouts = &self.settings.timeouts;
                        let timeout = match self.one_piece {
                            true => timeouts.head.min(timeouts.quiet_name),
                            false => timeouts.head,
                        };
                        self.wait(timeout, now);
                    }
                    // More of the name than the first piece has come.
                    (true, true) if std::mem::take(&mut self.one_piece) => {
                        self.wait(self.settings.timeouts.head, now);
                    }
                    // The bytes were no request: an empty line, or a telnet command.
                    (true, false) => self.wait_for_request(now),
                    (false, false) | (true, true) => {}
                }
            }
            Decoded::Request { request, persist } => {
                self.persist = persist;
                if let Some(recorder) = &mut self.recorder {
                    recorder.begin(Some(&request), self.codec.wire(), &self.name, now);
                }
                self.begin(io, request, now);
            }
            Decoded::Refused { refusal, body, persist } => {
                self.persist = persist;
                self.body = body;
                self.name.clear();
                if let Some(recorder) = &mut self.recorder {
                    recorder.begin(None, self.codec.wire(), &self.name, now);
                }
                self.refuse(io, refusal, now);
            }
        }
    }

    /// Starts to process a request.
    pub(super) fn begin(&mut self, io: &mut IoBuffers, request: Request, now: Now) {
        self.body = Body::EMPTY;
        match request {
            Request::NameUpload => self.reply(io, &Reply::NameAccepted, now),
            Request::Download => self.proceed(State::Opening),
            Request::List => {
                self.name.clear();
                self.proceed(State::Listing);
            }
            Request::Options => {
                let upload_bytes = self.settings.limits.upload_bytes;
                self.reply(io, &Reply::Options { upload_bytes }, now);
            }
            Request::Upload { sink, body, expects_continue, digest } => {
                (self.sink, self.body, self.digest) = (sink, body, digest);
                if let Sink::Message { .. } = self.sink {
                    return self.begin_message(io, expects_continue, now);
                }
                if body.left().is_some_and(|left| left > self.settings.limits.upload_bytes) {
                    self.close_if_body_held_back(expects_continue);
                    return self.refuse(io, Refusal::TooLarge, now);
                }
                match self.sink {
                    Sink::File => self.proceed(State::Creating { expects_continue }),
                    Sink::Form(_) | Sink::Message { .. } => {
                        self.ask_for_body(io, expects_continue, now);
                    }
                    Sink::Partial(_) => {
                        self.proceed(State::OpeningPartial { inspects: false, expects_continue });
                    }
                }
            }
            Request::CreatePartial { len } => self.proceed(State::CreatingPartial { len }),
            Request::InspectPartial { append } => {
                self.sink = Sink::Partial(append);
                self.proceed(State::OpeningPartial { inspects: true, expects_continue: false });
            }
            Request::Work(work) => self.proceed(State::Working { work }),
            Request::Status => self.proceed(State::ReportingStatus),
        }
    }

    /// Skips the received part of a refused body, and sends the refusal once all of it is skipped.
    pub(super) fn discard(&mut self, io: &mut IoBuffers, refusal: Refusal, now: Now) {
        if let Part::Content(len) = self.body.next(&mut io.input, 0) {
            io.input.consume(len);
            self.body.consumed(len);
        }
        if self.body == Body::EMPTY {
            let stored = stored_names(&self.sink);
            let reply = Reply::Refused { refusal, name: &self.name, stored };
            self.codec.reply(&mut io.output, &reply, self.keeps(), now);
            if let Some(recorder) = &mut self.recorder {
                recorder.refused(refusal);
            }
            self.send_reply(io, now);
        } else {
            self.state = State::Discarding { refusal };
            self.wait_for_body(now);
        }
    }

    /// Sends a refusal, after skipping the rest of the request if that keeps the connection usable
    /// at a bounded cost.
    pub(super) fn refuse(&mut self, io: &mut IoBuffers, refusal: Refusal, now: Now) {
        match &mut self.sink {
            Sink::Form(form) => self.body.put_back(form.release()),
            Sink::Message { .. } => self.drop_message(io),
            Sink::File | Sink::Partial(_) => {}
        }
        // Over http the peer learns at once that its body is too large, and can stop.
        let is_at_once = refusal == Refusal::TooLarge && self.codec.wire() == Some(Wire::Http);
        if is_at_once || self.body.left().is_none_or(|left| left > SKIPPED_BYTES) {
            self.persist = Persist::Close;
        }
        if self.persist == Persist::Close {
            self.body = Body::EMPTY;
        }
        self.discard(io, refusal, now);
    }

    /// Closes the connection after a refusal whose peer may send its body or not: its next bytes
    /// could not be interpreted.
    pub(super) fn close_if_body_held_back(&mut self, expects_continue: bool) {
        if expects_continue && self.body != Body::EMPTY {
            self.persist = Persist::Close;
        }
    }

    /// Releases the current upload, if there is one, and continues with `then`.
    pub(super) fn abort(&mut self, io: &mut IoBuffers, then: AfterAbort, now: Now) {
        if self.uploading {
            return self.proceed(State::Aborting { then });
        }
        match then {
            AfterAbort::Close => self.close(),
            AfterAbort::Refuse(refusal) => self.refuse(io, refusal, now),
            AfterAbort::Report => {
                let info = self.append().info;
                self.reply(io, &Reply::Partial(info), now);
            }
        }
    }

    pub(super) fn reply(&mut self, io: &mut IoBuffers, reply: &Reply<'_>, now: Now) {
        self.codec.reply(&mut io.output, reply, self.keeps(), now);
        self.send_reply(io, now);
    }

    /// Sends the rest of the reply.
    pub(super) fn send_reply(&mut self, io: &mut IoBuffers, now: Now) {
        self.note_reply(io);
        if io.output.is_empty() {
            self.replied(io, now);
        } else {
            self.state = State::Replying;
            self.wait(self.settings.timeouts.stall, now);
        }
    }

    /// Continues after a reply was sent.
    pub(super) fn replied(&mut self, io: &mut IoBuffers, now: Now) {
        if self.settings.service == Service::Hello
            && let Sink::Message { .. } = self.sink
        {
            return self.proceed(State::Lab(LabState::ShowingNotice(Notice::SentBack)));
        }
        self.finish_request(io, now);
    }

    /// Finishes the current request, and continues with the next one or the end.
    pub(super) fn finish_request(&mut self, io: &mut IoBuffers, now: Now) {
        self.requests += 1;
        if let Some(recorder) = &mut self.recorder {
            recorder.finish(Some(now));
        }
        (self.sink, self.digest) = (Sink::File, None);
        if self.keeps() {
            self.state = State::Awaiting { begun: false };
            self.wait_for_request(now);
            self.undecoded = true;
        } else if self.peer_ended || (self.persist == Persist::PeerCloses && io.input.is_empty()) {
            self.close();
        } else {
            io.input.clear();
            self.proceed(State::FinishingSending);
        }
    }

    /// Returns true if another request may follow the current one.
    pub(super) fn keeps(&self) -> bool {
        self.persist == Persist::Keep && !self.draining
    }
}
