//! Chat room and the mailboxes of its members.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::time::{Duration, Instant};

use slab::Slab;

/// Most messages that wait for one member,
const MAILBOX_MESSAGES: usize = 1024;
/// and most bytes of them. A member that reads more slowly is removed, so that no client can make
/// the server keep messages without limit.
const MAILBOX_BYTES: usize = 256 << 10;

/// Pause of a member after a message that leaves a mailbox more than half full. The owner of the
/// mailbox has a second to read the second half, and if it does not, others are slowed for a second.
const CROWDED_PAUSE: Duration = Duration::from_millis(2);

/// Members and their mailboxes. All members get all messages in the same order.
#[derive(Debug, Default)]
pub(crate) struct Room(Arc<Mutex<Slab<Arc<Mailbox>>>>);

/// Messages that wait for one member.
#[derive(Debug)]
struct Mailbox {
    /// Set while there may be messages.
    rings: AtomicBool,
    mail: Mutex<Mail>,
    waker: Waker,
}

#[derive(Debug, Default)]
struct Mail {
    messages: VecDeque<Arc<[u8]>>,
    bytes: usize,
    has_overflowed: bool,
}

/// Membership of the room, until it is dropped.
#[derive(Debug)]
pub(crate) struct Membership {
    members: Arc<Mutex<Slab<Arc<Mailbox>>>>,
    mailbox: Arc<Mailbox>,
    key: usize,
    /// End of the pause after its last message.
    paused_until: Option<Instant>,
}

/// Content of a mailbox.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Delivery {
    Nothing,
    Message(Arc<[u8]>),
    /// The mailbox was full: no message follows.
    Overflow,
}

impl Room {
    /// Adds a member, woken when a message arrives.
    pub(crate) fn join(&self, waker: Waker) -> Membership {
        let mail = Mutex::new(Mail::default());
        let mailbox = Arc::new(Mailbox { rings: AtomicBool::new(false), mail, waker });
        let key = lock(&self.0).insert(Arc::clone(&mailbox));
        Membership { members: Arc::clone(&self.0), mailbox, key, paused_until: None }
    }
}

impl Membership {
    /// Puts a message into every other member's mailbox.
    pub(crate) fn post(&mut self, message: &[u8], now: Instant) {
        let message: Arc<[u8]> = message.into();
        let mut is_crowded = false;
        for (key, member) in lock(&self.members).iter() {
            if key != self.key {
                is_crowded |= member.put(&message);
            }
        }
        self.paused_until = is_crowded.then(|| now + CROWDED_PAUSE);
    }

    /// Time before which this member may post no further message, since a mailbox is more than half
    /// full.
    pub(crate) fn paused_until(&self) -> Option<Instant> {
        self.paused_until
    }

    /// Takes the oldest message, if there is `room` for one. Reads only a flag if there is none. An
    /// overflow is returned in any case.
    pub(crate) fn take(&self, room: bool) -> Delivery {
        if !self.mailbox.rings.load(Ordering::Acquire) {
            return Delivery::Nothing;
        }
        let mut mail = lock(&self.mailbox.mail);
        if mail.has_overflowed {
            return Delivery::Overflow;
        }
        if !room {
            return Delivery::Nothing;
        }
        match mail.messages.pop_front() {
            Some(message) => {
                mail.bytes -= message.len();
                Delivery::Message(message)
            }
            None => {
                // Under the lock, so that no concurrent message is missed.
                self.mailbox.rings.store(false, Ordering::Release);
                Delivery::Nothing
            }
        }
    }
}

impl Drop for Membership {
    fn drop(&mut self) {
        lock(&self.members).remove(self.key);
    }
}

impl Mailbox {
    /// Adds a message. Returns true if more than half the mailbox is in use.
    fn put(&self, message: &Arc<[u8]>) -> bool {
        let mut mail = lock(&self.mail);
        if mail.has_overflowed {
            return false;
        }
        if mail.messages.len() == MAILBOX_MESSAGES || mail.bytes + message.len() > MAILBOX_BYTES {
            *mail = Mail { has_overflowed: true, ..Mail::default() };
        } else {
            mail.bytes += message.len();
            mail.messages.push_back(Arc::clone(message));
        }
        let has_rung = self.rings.swap(true, Ordering::AcqRel);
        let must_wake = !has_rung || mail.has_overflowed;
        let is_crowded =
            mail.messages.len() > MAILBOX_MESSAGES / 2 || mail.bytes > MAILBOX_BYTES / 2;
        drop(mail);
        if must_wake {
            self.waker.wake_by_ref();
        }
        is_crowded
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;
    use std::task::Wake;

    use super::*;

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    fn member(room: &Room) -> (Membership, Arc<Count>) {
        let count = Arc::new(Count::default());
        (room.join(Waker::from(Arc::clone(&count))), count)
    }

    /// Has a member post a message; true if it is to pause then.
    fn post(member: &mut Membership, message: &[u8]) -> bool {
        let now = Instant::now();
        member.post(message, now);
        member.paused_until().is_some_and(|until| now < until)
    }

    fn message(text: &str) -> Delivery {
        Delivery::Message(text.as_bytes().into())
    }

    #[test]
    fn a_message_goes_to_every_other_member_in_order() {
        let room = Room::default();
        let [(mut a, _), (b, woken), (mut c, _)] = [(); 3].map(|()| member(&room));
        post(&mut a, b"one");
        post(&mut c, b"two");
        assert_eq!(
            [b.take(true), b.take(true), b.take(true)],
            [message("one"), message("two"), Delivery::Nothing]
        );
        assert_eq!([a.take(true), a.take(true)], [message("two"), Delivery::Nothing]);
        assert_eq!(woken.0.load(Ordering::SeqCst), 1, "woken once for what it has not looked at");
        post(&mut a, b"three");
        assert_eq!(woken.0.load(Ordering::SeqCst), 2);
    }

    #[test]
    fn a_sender_learns_that_a_mailbox_is_more_than_half_full() {
        let room = Room::default();
        let [(mut a, _), (b, _)] = [(); 2].map(|()| member(&room));
        for _ in 0..MAILBOX_MESSAGES / 2 {
            assert!(!post(&mut a, b"x"));
        }
        assert!(post(&mut a, b"x"));
        assert_eq!([b.take(true), b.take(true)], [message("x"), message("x")]);
        assert!(!post(&mut a, b"x"));
        assert!(post(&mut a, &[b'x'; MAILBOX_BYTES / 2]));
    }

    #[test]
    fn whoever_has_left_gets_nothing() {
        let room = Room::default();
        let (mut a, _) = member(&room);
        let (b, woken) = member(&room);
        drop(b);
        post(&mut a, b"one");
        assert_eq!(woken.0.load(Ordering::SeqCst), 0);
        let (c, _) = member(&room);
        assert_eq!(c.take(true), Delivery::Nothing);
    }

    #[test]
    fn a_mailbox_that_nobody_empties_overflows_and_frees_its_memory() {
        let room = Room::default();
        let ((mut a, _), (slow, woken), (fast, _)) = (member(&room), member(&room), member(&room));
        for _ in 0..=MAILBOX_MESSAGES {
            post(&mut a, b"x");
            assert_eq!(fast.take(true), message("x"));
        }
        assert_eq!([fast.take(false), slow.take(false)], [Delivery::Nothing, Delivery::Overflow]);
        assert_eq!(lock(&slow.mailbox.mail).messages.capacity(), 0);
        assert_eq!(woken.0.load(Ordering::SeqCst), 2);

        let (large, _) = member(&room);
        for _ in 0..=MAILBOX_BYTES / 4096 {
            post(&mut a, &[b'x'; 4096]);
        }
        assert_eq!(large.take(true), Delivery::Overflow);
    }
}
