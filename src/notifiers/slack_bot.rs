//! Slack's bot: it answers in the thread of an incident's first message, and changes that one when it is worse or over.

use super::{Answer, Payload, Request, slack};
use crate::message::{About, SHOWN};
use crate::notification::{Item, News, Notification, Thread};
use crate::receiver::{Receiver, ReceiverKind, Secret};
use serde_json::{Value, json};

pub(super) fn render(
    notification: &Notification,
    receiver: &Receiver,
    about: &About,
) -> Result<Payload, String> {
    let ReceiverKind::SlackBot { url, token, channel } = &receiver.kind else {
        return Err("not Slack".into());
    };
    let request = |method: &str, body: &Value, answer| {
        let url = format!("{}/{method}", url.expose().trim_end_matches('/'));
        let request = Request::new(Secret::new(url), body.to_string(), answer);
        Request { bearer_token: Some(token.clone()), ..request }
    };
    // Changes first: they may be made twice, a message should not.
    let mut requests: Vec<Request> = roots(notification)
        .filter_map(|(item, thread)| {
            let (channel, ts) = place(&thread.name)?;
            let alone = Notification { items: vec![item.clone()], ..notification.clone() };
            let body = with(slack::body(&alone, receiver, about), &[("channel", channel), ("ts", ts)]);
            Some(request("chat.update", &body, Answer::SlackChange))
        })
        .collect();
    let body = with(slack::body(notification, receiver, about), &[("channel", channel)]);
    let body = merged(body, json!({ "unfurl_links": false, "unfurl_media": false }));
    let mut post = request("chat.postMessage", &body, Answer::SlackApi);
    if let Some((channel, ts)) = notification.thread().and_then(place) {
        // Who has not followed the thread sees what is new, too; that it is over, the first message says.
        let wakes = notification.firing().next().is_some();
        let reply = with(body, &[("channel", channel), ("thread_ts", ts)]);
        post.instead = post.body.replace(merged(reply, json!({ "reply_broadcast": wakes })).to_string());
    }
    requests.push(post);
    Ok(Payload::Requests(requests))
}

/// First messages that no longer say how it is.
fn roots(notification: &Notification) -> impl Iterator<Item = (&Item, &Thread)> {
    let changed = |item: &&Item| !matches!(item.news, News::Firing | News::Repeated);
    let items = notification.items.iter().filter(changed).take(SHOWN);
    items.filter_map(|item| Some((item, item.thread.as_ref().filter(|thread| thread.alone)?)))
}

/// A channel and a time stamp, as they came back.
fn place(name: &str) -> Option<(&str, &str)> {
    name.split_once('/')
}

fn with(body: Value, more: &[(&str, &str)]) -> Value {
    let more = more.iter().map(|(key, value)| ((*key).to_owned(), Value::from(*value)));
    merged(body, Value::Object(more.collect()))
}

fn merged(mut body: Value, more: Value) -> Value {
    if let (Some(body), Value::Object(more)) = (body.as_object_mut(), more) {
        body.extend(more);
    }
    body
}
