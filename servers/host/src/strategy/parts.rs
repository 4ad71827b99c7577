//! Parts that several strategies are built from.
//!
//! Knows connections and the server's state; a strategy knows parts, a part knows no strategy.

pub(crate) mod accept_policy;
pub(crate) mod acceptor;
pub(crate) mod blocking;
pub(crate) mod deadlines;
pub(crate) mod lifecycle;
pub(crate) mod reactor;
pub(crate) mod turn;
pub(crate) mod waker;
pub(crate) mod workers;
