//! The only code that talks to receivers: one HTTP request or one mail. Errors say what happened and never where to:
//! a webhook's URL is a credential.

use crate::message::words::clean;
use crate::notification::Outcome;
use crate::notifiers::{Answer, Delivery, Payload};
use crate::receiver::{EmailSettings, Secret, Tls};
use chrono::DateTime;
use gatewatch_parsers::Millis;
use lettre::address::Envelope;
use lettre::transport::smtp;
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, CertificateStore, TlsParameters};
use lettre::{AsyncSmtpTransport, AsyncTransport, Tokio1Executor};
use std::error::Error;
use std::path::Path;
use std::time::{Duration, SystemTime};

/// How long a request may take; of a mail, each of its steps.
pub const TIMEOUT: Duration = Duration::from_secs(10);
/// A mail as a whole may take so many times that: some servers greet late on purpose.
const MAIL_STEPS: u32 = 6;
/// So much of an answer is read.
const ANSWER_MAX: usize = 1_024;
const WHY_MAX: usize = 300;

/// Chooses ring for TLS. To be called before anything is sent; calling it again does nothing.
pub fn install_crypto() {
    // Only fails if there is one already: ours, or that of a test.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

/// Sends one notification.
// A client per delivery: alerts are rare, and a kept connection would give a retry the very one that had failed.
pub async fn send(delivery: &Delivery, timeout: Duration) -> Outcome {
    let ca_file = delivery.ca_file.as_deref();
    match &delivery.payload {
        Payload::Post { url, bearer_token, .. } => {
            let hidden = [Some(url), bearer_token.as_ref(), delivery.proxy.as_ref()];
            let outcome = match client(delivery, url, timeout) {
                Ok(client) => post(&client, &delivery.payload).await,
                Err(why) => failed(&why),
            };
            without_secrets(outcome, hidden.into_iter().flatten())
        }
        Payload::Mail { settings, message } => match transport(settings, ca_file, timeout) {
            Ok(transport) => {
                let mailed = tokio::time::timeout(timeout * MAIL_STEPS, mail(&transport, message)).await;
                mailed.unwrap_or_else(|_| retry("the mail server took too long", true))
            }
            Err(why) => failed(&why),
        },
    }
}

fn retry(why: &str, may_have_arrived: bool) -> Outcome {
    Outcome::Retry { after: None, why: clean(why, WHY_MAX), may_have_arrived }
}

fn failed(why: &str) -> Outcome {
    Outcome::Failed { why: clean(why, WHY_MAX) }
}

/// Its text is not yet clean: an answer may repeat the URL.
async fn post(client: &reqwest::Client, payload: &Payload) -> Outcome {
    let Payload::Post { url, key, body, answer, bearer_token, secret } = payload else {
        return failed("no HTTP request");
    };
    let mut request = client.post(url.expose()).header("Content-Type", "application/json").body(body.clone());
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
            .header("webhook-signature", secret.sign(key, timestamp, body));
    }
    match request.send().await.map_err(reqwest::Error::without_url) {
        Ok(response) => answered(response, *answer).await,
        Err(error) if error.is_builder() => failed(&chain(&error)),
        // Who was never spoken to has nothing.
        Err(error) => retry(&chain(&error), !error.is_connect()),
    }
}

/// What an answer means.
async fn answered(mut response: reqwest::Response, answer: Answer) -> Outcome {
    let status = response.status();
    let after = response.headers().get("Retry-After").and_then(|value| value.to_str().ok());
    let after = after.and_then(|value| retry_after(value, now()));
    let text = text(&mut response).await;
    let taken = match answer {
        Answer::Success => status.is_success(),
        Answer::SlackOk => status.as_u16() == 200 && text.trim() == "ok",
    };
    if taken {
        return Outcome::Sent;
    }
    let why = format!("answered {}: {}", status.as_u16(), text.trim());
    let why: String = why.trim_end_matches([':', ' ']).into();
    match status.as_u16() {
        408 | 425 | 429 | 503 => Outcome::Retry { after, why, may_have_arrived: false },
        // A gateway on the way, or a crash half-way through: it may have been taken before.
        500..=599 => Outcome::Retry { after, why, may_have_arrived: true },
        300..=399 => Outcome::Failed { why: format!("{why} (redirects are not followed)") },
        _ => Outcome::Failed { why },
    }
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

/// Seconds, or a date.
fn retry_after(value: &str, now: Millis) -> Option<Millis> {
    let value = value.trim();
    if let Ok(seconds) = value.parse::<u32>() {
        return Some(Millis::from(seconds) * 1_000);
    }
    let date = DateTime::parse_from_rfc2822(value).ok()?;
    Some((date.timestamp_millis() - now).max(0))
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
        Outcome::Sent => Outcome::Sent,
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

async fn mail(transport: &AsyncSmtpTransport<Tokio1Executor>, message: &lettre::Message) -> Outcome {
    let (envelope, bytes) = (message.envelope(), message.formatted());
    let error = match transport.send_raw(envelope, &bytes).await {
        Ok(_) => return Outcome::Sent,
        Err(error) => error,
    };
    if !(error.is_permanent() && envelope.to().len() > 1) {
        return refusal(&error);
    }
    // One address that is refused must not silence the others.
    let mut sent = false;
    let mut last = refusal(&error);
    for to in envelope.to() {
        let Ok(one) = Envelope::new(envelope.from().cloned(), vec![to.clone()]) else { continue };
        match transport.send_raw(&one, &bytes).await {
            Ok(_) => sent = true,
            Err(error) => last = refusal(&error),
        }
    }
    if sent { Outcome::Sent } else { last }
}

fn transport(
    settings: &EmailSettings,
    ca_file: Option<&Path>,
    timeout: Duration,
) -> Result<AsyncSmtpTransport<Tokio1Executor>, String> {
    install_crypto();
    let tls = match settings.tls {
        Tls::Starttls => smtp::client::Tls::Required(parameters(settings, ca_file)?),
        Tls::Implicit => smtp::client::Tls::Wrapper(parameters(settings, ca_file)?),
        Tls::None => smtp::client::Tls::None,
    };
    let mut builder = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(settings.host.as_str())
        .port(settings.port)
        .tls(tls)
        .timeout(Some(timeout));
    if let (Some(username), Some(password)) = (&settings.username, &settings.password) {
        builder = builder.credentials(Credentials::new(username.clone(), password.expose().to_owned()));
    }
    Ok(builder.build())
}

fn parameters(settings: &EmailSettings, ca_file: Option<&Path>) -> Result<TlsParameters, String> {
    let mut builder = TlsParameters::builder(settings.host.clone());
    if let Some(path) = ca_file {
        let certificate = Certificate::from_pem(&read(path)?).map_err(|error| chain(&error))?;
        builder = builder.certificate_store(CertificateStore::None).add_root_certificate(certificate);
    }
    builder.build().map_err(|error| chain(&error))
}

/// 5xx and what the server cannot do (STARTTLS, AUTH) stay so; everything else may pass.
fn refusal(error: &smtp::Error) -> Outcome {
    let why = chain(error);
    if error.is_permanent() || error.is_client() {
        failed(&why)
    } else {
        // A 4xx says that the server has not taken it.
        retry(&why, !error.is_transient() && !why.contains("refused"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_in_both_forms() {
        let now = 1_793_492_550_000; // 2026-11-01 00:22:30 UTC
        let cases = [
            ("30", Some(30_000)),
            (" 0 ", Some(0)),
            ("Sun, 01 Nov 2026 00:23:00 GMT", Some(30_000)),
            ("Sun, 01 Nov 2026 00:20:00 GMT", Some(0)),
            ("-3", None),
            ("soon", None),
            ("", None),
        ];
        for (value, expected) in cases {
            assert_eq!(retry_after(value, now), expected, "{value}");
        }
    }

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
