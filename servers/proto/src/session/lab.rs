//! Lab services in a session: messages in, answers out.

use std::sync::Arc;

use super::state::{LabState, State};
use super::transitions::{Event, Kind};
use super::{SKIPPED_BYTES, Session};
use crate::exchange::{Persist, Reply, Sink};
use crate::refusal::Refusal;
use crate::service::MESSAGE_BYTES;
use crate::wire::body::Part;
use crate::{Action, Completion, IoBuffers, LabAction, LabCompletion, Notice, Now, Service, Wire};

/// First state of a session of the given service.
pub(super) fn first_state(service: &Service) -> State {
    match service {
        Service::Hello | Service::GreetClose => {
            State::Lab(LabState::ShowingNotice(Notice::Connected))
        }
        Service::Chat => State::Lab(LabState::Joining),
        Service::Files
        | Service::Echo
        | Service::Message
        | Service::Ack
        | Service::Transform(_)
        | Service::Date
        | Service::DateLog => State::Awaiting { begun: false },
    }
}

impl Session {
    /// Returns true if [`handle_mail`](Self::handle_mail) may be called: the session waits for its
    /// peer, or is sending mail.
    pub fn takes_mail(&self) -> bool {
        matches!(self.state, State::Awaiting { .. } | State::Lab(LabState::Delivering))
    }

    /// Sends another member's message to the peer. May withdraw the outstanding action, and writes
    /// to `io.output`: must not be called while the driver is sending from that.
    pub fn handle_mail(&mut self, io: &mut IoBuffers, message: &[u8], now: Now) {
        // Http has no way to send what was not requested.
        if !self.takes_mail() || self.codec.wire() == Some(Wire::Http) {
            return;
        }
        self.codec.reply(&mut io.output, &Reply::Mail(message), true, now);
        let from = Kind::of(self.state);
        if self.state != State::Lab(LabState::Delivering) {
            self.state = State::Lab(LabState::Delivering);
            self.wait(self.settings.timeouts.stall, now);
        }
        self.check_transition(from, Event::Mail);
    }

    /// Reports to a member that its mailbox has overflowed, and ends the connection. The same rules
    /// apply as to [`handle_mail`](Self::handle_mail).
    pub fn handle_eviction(&mut self, io: &mut IoBuffers, now: Now) {
        if !self.takes_mail() || self.codec.wire() == Some(Wire::Http) {
            return;
        }
        let from = Kind::of(self.state);
        self.persist = Persist::Close;
        self.name.clear();
        let refusal = Refusal::ReadsTooSlowly;
        let reply = Reply::Refused { refusal, name: &self.name, stored: "" };
        self.codec.reply(&mut io.output, &reply, false, now);
        self.state = State::Replying;
        // The peer has had its time to read already.
        self.wait(self.settings.timeouts.linger, now);
        self.check_transition(from, Event::Evicted);
    }

    /// Action of a lab service's state.
    pub(super) fn lab_action(&self, state: LabState) -> Action<'static> {
        let len = self.held();
        Action::Lab(match state {
            LabState::ShowingNotice(notice) => LabAction::ShowNotice { notice, len },
            LabState::Logging => LabAction::LogMessage { len },
            LabState::Joining => LabAction::JoinRoom,
            LabState::Posting => LabAction::PostMessage { len },
            LabState::Delivering => return Action::Send { more: false },
        })
    }

    /// Handles the completion of a lab service's action.
    pub(super) fn handle_lab_completion(
        &mut self,
        io: &mut IoBuffers,
        state: LabState,
        done: Completion,
        now: Now,
    ) {
        match (state, done) {
            (LabState::Delivering, Completion::Sent) => self.await_request(io, now),
            (LabState::ShowingNotice(notice), Completion::Lab(LabCompletion::NoticeShown)) => {
                self.notice_shown(io, notice, now);
            }
            (LabState::Logging, Completion::Lab(LabCompletion::Logged(logged))) => match logged {
                Ok(()) => self.answer(io, now),
                Err(error) => self.refuse(io, Refusal::Store(error), now),
            },
            (LabState::Joining, Completion::Lab(LabCompletion::Joined)) => {
                self.proceed(State::Lab(LabState::ShowingNotice(Notice::Connected)));
            }
            (LabState::Posting, Completion::Lab(LabCompletion::Posted)) => {
                self.drop_message(io);
                self.reply(io, &Reply::Posted, now);
            }
            (state, done) => panic!("{done:?} is no completion of {state:?}"),
        }
    }

    fn notice_shown(&mut self, io: &mut IoBuffers, notice: Notice, now: Now) {
        match notice {
            Notice::Connected if self.settings.service == Service::GreetClose => {
                self.proceed(State::FinishingSending);
            }
            Notice::Connected => self.await_request(io, now),
            Notice::Received => self.answer(io, now),
            Notice::SentBack => {
                self.drop_message(io);
                self.finish_request(io, now);
            }
        }
    }

    /// Length in bytes of the part of the message at the start of the input.
    pub(super) fn held(&self) -> usize {
        match self.sink {
            Sink::Message { held } => usize::from(held),
            Sink::File | Sink::Form(_) | Sink::Partial(_) => 0,
        }
    }

    /// Waits for a request, or for the rest of one that has begun.
    fn await_request(&mut self, io: &mut IoBuffers, now: Now) {
        let begun = !io.input.is_empty();
        self.state = State::Awaiting { begun };
        if !begun {
            self.wait_for_request(now);
        } else if self.codec.may_end_by_silence(&self.settings.service) {
            self.wait(self.settings.timeouts.quiet, now);
        } else {
            self.wait(self.settings.timeouts.head, now);
        }
    }

    /// Handles a silence after an incomplete line: it ends the message.
    pub(super) fn end_by_silence(&mut self, io: &mut IoBuffers, now: Now) {
        if self.codec.begins_http(io.input.filled()) {
            self.codec.guess(io.input.filled(), &self.settings.service);
            self.wait(self.settings.timeouts.head, now);
        } else {
            self.decode_until(io, true, true, now);
        }
    }

    /// Starts receiving a message.
    pub(super) fn begin_message(&mut self, io: &mut IoBuffers, expects_continue: bool, now: Now) {
        if self.body.left().is_some_and(|left| left > SKIPPED_BYTES) {
            self.close_if_body_held_back(expects_continue);
            return self.refuse(io, Refusal::TooLarge, now);
        }
        self.body.limit(SKIPPED_BYTES);
        self.ask_for_body(io, expects_continue, now);
    }

    /// Receives the next part of a message; bytes beyond the longest message are dropped.
    pub(super) fn read_message(&mut self, io: &mut IoBuffers, now: Now) {
        loop {
            let held = self.held();
            match self.body.next(&mut io.input, held) {
                Part::Content(len) => {
                    self.body.consumed(len);
                    let kept = len.min(MESSAGE_BYTES - held);
                    if kept < len {
                        io.input.remove(held + kept, len - kept);
                    }
                    self.sink = Sink::Message { held: (held + kept) as u16 };
                }
                Part::End => return self.take_message(io, now),
                Part::Incomplete => return self.receive_body(now),
                Part::Malformed(refusal) => return self.abandon_body(io, refusal, now),
            }
        }
    }

    /// Performs the service's operation on a complete message, before the answer.
    fn take_message(&mut self, io: &mut IoBuffers, now: Now) {
        let len = self.held();
        let is_framed = self.codec.wire() == Some(Wire::Framed);
        if is_framed && std::str::from_utf8(&io.input.filled()[..len]).is_err() {
            return self.refuse(io, Refusal::TextNotUtf8, now);
        }
        if self.settings.service == Service::Ack {
            self.persist = Persist::Close;
        }
        match self.settings.service {
            Service::Message | Service::Ack => {
                self.proceed(State::Lab(LabState::ShowingNotice(Notice::Received)));
            }
            Service::DateLog => self.proceed(State::Lab(LabState::Logging)),
            Service::Chat if len > 0 => self.proceed(State::Lab(LabState::Posting)),
            Service::Chat => self.reply(io, &Reply::Posted, now),
            Service::Files
            | Service::Echo
            | Service::Hello
            | Service::GreetClose
            | Service::Transform(_)
            | Service::Date => self.answer(io, now),
        }
    }

    /// Answers the message.
    fn answer(&mut self, io: &mut IoBuffers, now: Now) {
        let len = self.held();
        let settings = Arc::clone(&self.settings);
        let answer = settings.service.answer(&io.input.filled()[..len], now);
        let keeps = self.keeps();
        self.codec.reply(&mut io.output, &Reply::Answer(&answer), keeps, now);
        // The notice about the answer needs the message.
        if settings.service != Service::Hello {
            self.drop_message(io);
        }
        self.send_reply(io, now);
    }

    /// Removes the received part of the message.
    pub(super) fn drop_message(&mut self, io: &mut IoBuffers) {
        io.input.consume(self.held());
        self.sink = Sink::File;
    }
}
