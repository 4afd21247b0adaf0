//! Receivers that are programs elsewhere: `[notify.webhook.NAME]`, `alertmanager`, `pagerduty`.

use super::{optional, required, url, url_or, web_url};
use crate::config::Outside;
use crate::config::reader::Reader;
use crate::config::secrets::{exposed, is_credential, secret};
use crate::config::values::{self, Refusal};
use crate::receiver::{ReceiverKind, Secret, SigningSecret};

const PAGERDUTY: &str = "https://events.pagerduty.com/v2/enqueue";
/// How often Alertmanager is told of what fires.
const RESEND: i64 = 60_000;
const RESEND_RANGE: std::ops::RangeInclusive<i64> = 5_000..=3_600_000;

pub(super) fn webhook(reader: &mut Reader<'_, '_, '_>, outside: &Outside<'_>) -> Option<ReceiverKind> {
    let url = url(reader, outside);
    if url.as_ref().is_some_and(|url| is_credential(url.expose())) {
        exposed(reader, "url", outside);
    }
    let bearer_token = secret(reader, ("bearer_token", "bearer_token_file"), outside);
    exposed(reader, "bearer_token", outside);
    let signing = secret(reader, ("secret", "secret_file"), outside);
    exposed(reader, "secret", outside);
    let secret = signing.and_then(|(text, spot)| match SigningSecret::read(&text) {
        Ok(secret) => Some(secret),
        Err(why) => {
            reader.log.error(spot, "`secret` must be one of Standard Webhooks".to_owned(), why);
            None
        }
    });
    let bearer_token = bearer_token.map(|(text, _)| Secret::new(text));
    Some(ReceiverKind::Webhook { url: url?, bearer_token, secret })
}

pub(super) fn alertmanager(reader: &mut Reader<'_, '_, '_>, outside: &Outside<'_>) -> Option<ReceiverKind> {
    const EXAMPLE: &str = "like urls = [\"http://127.0.0.1:9093\"], every peer of a cluster";
    match reader.get("urls") {
        None => reader.lacks("urls", EXAMPLE),
        Some(written) if written.value.as_array().is_some_and(|a| a.is_empty()) => {
            reader.log.error(written.spot, "`urls` must not be empty".to_owned(), EXAMPLE);
        }
        Some(_) => {}
    }
    let urls = reader.list("urls", |value| web_url(value, outside));
    let bearer_token = optional(reader, ("bearer_token", "bearer_token_file"), outside);
    let resend = reader.value("resend", |value| {
        let resend = values::duration(value)?;
        let refusal = || Refusal::new("5s to 1h", "Alertmanager forgets what it is not told again");
        RESEND_RANGE.contains(&resend).then_some(resend).ok_or_else(refusal)
    });
    let urls = urls?.into_iter().map(|url| url.value).collect();
    Some(ReceiverKind::Alertmanager { urls, bearer_token, resend: resend.unwrap_or(RESEND) })
}

pub(super) fn pagerduty(reader: &mut Reader<'_, '_, '_>, outside: &Outside<'_>) -> Option<ReceiverKind> {
    let example = "the integration key of a service (Events API v2), or routing_key_file = \"…\"";
    let routing_key = required(reader, ("routing_key", "routing_key_file"), example, outside);
    let url = url_or(reader, "url", PAGERDUTY, outside);
    Some(ReceiverKind::PagerDuty { url: url?, routing_key: routing_key? })
}
