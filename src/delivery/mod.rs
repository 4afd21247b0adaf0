//! From a change to a message that has arrived.

pub mod notification;
pub mod outbox;
mod queue;
