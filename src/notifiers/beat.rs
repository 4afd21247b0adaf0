//! What says at intervals that all is well. Its [`Delivery::id`] is 0: no outbox waits for it.

use super::{Answer, Delivery, Payload, Request, alertmanager, webhook};
use crate::message::About;
use crate::receiver::{Heartbeat, Receiver, ReceiverKind};
use gatewatch_parsers::Millis;

/// What it is called among receivers.
pub const NAME: &str = "heartbeat";

/// Asks a dead man's switch to wait on.
#[must_use]
pub fn switch(heartbeat: &Heartbeat) -> Delivery {
    let request = Request::new(heartbeat.url.clone(), String::new(), Answer::Success);
    let request = if heartbeat.post { request } else { Request { body: None, ..request } };
    Delivery {
        id: 0,
        receiver: NAME.to_owned(),
        ca_file: heartbeat.ca_file.clone(),
        proxy: heartbeat.proxy.clone(),
        payload: Payload::one(request),
    }
}

/// Tells a receiver of an alert that never ends; `None`: it is none that hears such. `since`: when the agent began;
/// `every`: when it will be told again.
pub fn watchdog(
    receiver: &Receiver,
    about: &About,
    since: Millis,
    now: Millis,
    every: Millis,
) -> Option<Delivery> {
    let payload = match &receiver.kind {
        ReceiverKind::Webhook { .. } => webhook::watchdog(receiver, about, since, now),
        ReceiverKind::Alertmanager { .. } => alertmanager::watchdog(receiver, about, since, now + 4 * every),
        _ => return None,
    };
    Some(Delivery {
        id: 0,
        receiver: receiver.name.clone(),
        ca_file: receiver.ca_file.clone(),
        proxy: receiver.proxy.clone(),
        payload: payload.ok()?,
    })
}
