//! The only code that talks to receivers: HTTP requests, a mail, a program, datagrams. Errors say what happened and never where to:
//! a webhook's URL is a credential.

mod answer;
mod datagram;
mod mail;
mod program;

use crate::message::words::clean;
use crate::notification::Outcome;
use crate::notifiers::{Delivery, Payload, Request};
use crate::receiver::Secret;
use answer::{Heard, Verdict, verdict};
use gatewatch_parsers::Millis;
use mail::{mail, transport};
use std::error::Error;
use std::path::Path;
use std::time::{Duration, SystemTime};
use tokio::task::JoinSet;

/// How long a request may take; of a mail, each of its steps.
pub const TIMEOUT: Duration = Duration::from_secs(10);
/// A mail as a whole may take so many times that: some servers greet late on purpose.
const MAIL_STEPS: u32 = 6;
/// So much of an answer is read: some repeat the message.
const ANSWER_MAX: usize = 256 << 10;
const WHY_MAX: usize = 300;

/// Chooses ring for TLS. To be called before anything is sent; calling it again does nothing.
pub fn install_crypto() {
    // Only fails if there is one already: ours, or that of a test.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

/// Sends one notification.
// A client per delivery: alerts are rare, and a kept connection would give a retry the very one that had failed.
pub async fn send(delivery: &Delivery, timeout: Duration) -> Outcome {
    match &delivery.payload {
        Payload::Requests(requests) => in_turn(delivery, requests, timeout).await,
        Payload::Peers(requests) => to_peers(delivery, requests, timeout).await,
        Payload::Program(program) => without_secrets(program::run(program).await, program.args.iter()),
        Payload::Datagrams { socket, datagrams } => {
            let sending = tokio::time::timeout(timeout, datagram::send_all(socket, datagrams)).await;
            sending.unwrap_or_else(|_| retry("the socket takes nothing", true))
        }
        Payload::Mail { settings, message } => {
            match transport(settings, delivery.ca_file.as_deref(), timeout) {
                Ok(transport) => {
                    let mailed = tokio::time::timeout(timeout * MAIL_STEPS, mail(&transport, message)).await;
                    mailed.unwrap_or_else(|_| retry("the mail server took too long", true))
                }
                Err(why) => failed(&why),
            }
        }
    }
}

fn retry(why: &str, may_have_arrived: bool) -> Outcome {
    Outcome::Retry { after: None, why: clean(why, WHY_MAX), may_have_arrived }
}

fn failed(why: &str) -> Outcome {
    Outcome::Failed { why: clean(why, WHY_MAX) }
}

/// One after the other; what may do later ends it, since all of them go again then.
async fn in_turn(delivery: &Delivery, requests: &[Request], timeout: Duration) -> Outcome {
    let mut became = Outcome::Sent;
    for one in requests {
        match exchange(delivery, one, timeout).await {
            retry @ Outcome::Retry { .. } => return retry,
            // One that is refused must not silence the others.
            failed @ Outcome::Failed { .. } => became = failed,
            sent if became.is_sent() => became = sent,
            _ => {}
        }
    }
    became
}

/// All at once: one that does not answer holds up no other. It is sent if one of them has it.
async fn to_peers(delivery: &Delivery, requests: &[Request], timeout: Duration) -> Outcome {
    let mut under_way = JoinSet::new();
    for one in requests {
        let (one, delivery) =
            (one.clone(), Delivery { payload: Payload::Peers(Vec::new()), ..delivery.clone() });
        under_way.spawn(async move { exchange(&delivery, &one, timeout).await });
    }
    let mut became: Option<Outcome> = None;
    while let Some(one) = under_way.join_next().await {
        let one = one.unwrap_or_else(|_| failed("sending crashed"));
        // Sent before later, later before never.
        became = Some(match (became, one) {
            (Some(sent), _) if sent.is_sent() => sent,
            (Some(retry @ Outcome::Retry { .. }), Outcome::Failed { .. }) => retry,
            (_, one) => one,
        });
    }
    became.unwrap_or_else(|| failed("nobody to send it to"))
}

async fn exchange(delivery: &Delivery, one: &Request, timeout: Duration) -> Outcome {
    let hidden = [Some(&one.url), one.bearer_token.as_ref(), delivery.proxy.as_ref()].into_iter().flatten();
    let outcome = match client(delivery, &one.url, timeout) {
        Ok(client) => asked(&client, one).await,
        Err(why) => failed(&why),
    };
    without_secrets(outcome, hidden.chain(&one.hidden))
}

/// Its text is not yet clean: an answer may repeat the URL.
async fn asked(client: &reqwest::Client, one: &Request) -> Outcome {
    let first = match sent(client, one, one.body.as_deref()).await {
        Ok(heard) => verdict(&heard, one.answer, one.instead.is_some()),
        Err(outcome) => return outcome,
    };
    if let Verdict::Is(outcome) = first {
        return outcome;
    }
    match sent(client, one, one.instead.as_deref()).await.map(|heard| verdict(&heard, one.answer, false)) {
        Ok(Verdict::Is(outcome)) | Err(outcome) => outcome,
        Ok(Verdict::TooMuch) => failed("refused twice"),
    }
}

async fn sent(client: &reqwest::Client, one: &Request, body: Option<&str>) -> Result<Heard, Outcome> {
    let Request { url, key, bearer_token, secret, .. } = one;
    let mut request = match body {
        Some(body) => {
            client.post(url.expose()).header("Content-Type", "application/json").body(body.to_owned())
        }
        None => client.get(url.expose()),
    };
    if let Some(key) = key {
        request = request.header("Idempotency-Key", key);
    }
    if let Some(token) = bearer_token {
        request = request.bearer_auth(token.expose());
    }
    if let (Some(secret), Some(key)) = (secret, key) {
        let timestamp = now().div_euclid(1_000);
        request = request
            .header("webhook-id", key)
            .header("webhook-timestamp", timestamp)
            .header("webhook-signature", secret.sign(key, timestamp, body.unwrap_or_default()));
    }
    match request.send().await.map_err(reqwest::Error::without_url) {
        Ok(response) => Ok(heard(response).await),
        Err(error) if error.is_builder() => Err(failed(&chain(&error))),
        // Who was never spoken to has nothing.
        Err(error) => Err(retry(&chain(&error), !error.is_connect())),
    }
}

async fn heard(mut response: reqwest::Response) -> Heard {
    let status = response.status().as_u16();
    let retry_after = response.headers().get("Retry-After").and_then(|value| value.to_str().ok());
    let retry_after = retry_after.map(str::to_owned);
    Heard { status, retry_after, text: text(&mut response).await, at: now() }
}

fn client(delivery: &Delivery, url: &Secret, timeout: Duration) -> Result<reqwest::Client, String> {
    install_crypto();
    let mut builder = reqwest::Client::builder()
        .timeout(timeout)
        .redirect(reqwest::redirect::Policy::none())
        // The environment's proxy would see every message: only one that is configured does.
        .no_proxy()
        .user_agent(concat!("gatewatch/", env!("CARGO_PKG_VERSION")));
    if let Some(proxy) = &delivery.proxy {
        let proxy = reqwest::Proxy::all(proxy.expose()).map_err(|error| chain(&error.without_url()))?;
        builder = builder.proxy(proxy);
    }
    if let Some(path) = &delivery.ca_file {
        let pem = read(path)?;
        let certificates = reqwest::Certificate::from_pem_bundle(&pem).map_err(|error| chain(&error))?;
        builder = builder.tls_certs_only(certificates);
    } else if !url.expose().starts_with("https:") {
        // A machine without any certificates can still reach a receiver that needs none.
        builder = builder.tls_certs_only([]);
    }
    builder.build().map_err(|error| chain(&error.without_url()))
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    std::fs::read(path).map_err(|error| format!("ca_file {}: {error}", path.display()))
}

/// The beginning of the answer; what cannot be read is left out.
async fn text(response: &mut reqwest::Response) -> String {
    let mut bytes = Vec::new();
    while bytes.len() < ANSWER_MAX
        && let Ok(Some(chunk)) = response.chunk().await
    {
        bytes.extend(chunk.iter().take(ANSWER_MAX - bytes.len()));
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn now() -> Millis {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Millis::try_from(since.as_millis()).unwrap_or(Millis::MAX)
}

/// The error and what it came from: "error sending request" alone helps nobody.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        let more = error.to_string();
        if !text.contains(&more) {
            text.push_str(": ");
            text.push_str(&more);
        }
        source = error.source();
    }
    text
}

/// Some servers answer with the path they were asked for, or with a header; and there the secrets are.
fn without_secrets<'s>(outcome: Outcome, hidden: impl Iterator<Item = &'s Secret>) -> Outcome {
    let mut secrets: Vec<&str> = hidden.flat_map(|secret| parts(secret.expose())).collect();
    secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
    let redact =
        |why: String| clean(&secrets.iter().fold(why, |why, secret| why.replace(secret, "…")), WHY_MAX);
    match outcome {
        sent @ (Outcome::Sent | Outcome::SentAs(_)) => sent,
        Outcome::Retry { after, why, may_have_arrived } => {
            Outcome::Retry { after, why: redact(why), may_have_arrived }
        }
        Outcome::Failed { why } => Outcome::Failed { why: redact(why) },
    }
}

/// What of a URL, or of a token, must not be shown: everything but the host.
fn parts(secret: &str) -> impl Iterator<Item = &str> {
    let (is_url, rest) = secret.split_once("://").map_or((false, secret), |(_, rest)| (true, rest));
    let host = usize::from(is_url && !rest.contains('@'));
    rest.split(['/', '?', '&', '=', '#', '@', ':']).skip(host).filter(|part| part.len() >= 4)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_that_repeats_the_url_betrays_nothing() {
        let url = Secret::new(
            "https://ops:hunter22@hooks.example.net/services/T0AA/B0BB/xyzzy42?token=s3cret".into(),
        );
        let why = "Cannot POST /services/T0AA/B0BB/xyzzy42?token=s3cret for ops:hunter22".into();
        let Outcome::Failed { why } = without_secrets(Outcome::Failed { why }, [&url].into_iter()) else {
            panic!()
        };
        for secret in ["T0AA", "B0BB", "xyzzy42", "s3cret", "hunter22"] {
            assert!(!why.contains(secret), "{why}");
        }
        assert!(why.starts_with("Cannot POST"), "{why}");
    }
}
