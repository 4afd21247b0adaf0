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
        Payload::Post { url, key, body, answer } => match client(url, ca_file, timeout) {
            Ok(client) => {
                let posted = post(&client, url, key.as_deref(), body, *answer).await;
                posted.unwrap_or_else(|outcome| without_secrets(outcome, url))
            }
            Err(why) => failed(&why),
        },
        Payload::Mail { settings, message } => match transport(settings, ca_file, timeout) {
            Ok(transport) => {
                let mailed = tokio::time::timeout(timeout * MAIL_STEPS, mail(&transport, message)).await;
                mailed.unwrap_or_else(|_| retry("the mail server took too long"))
            }
            Err(why) => failed(&why),
        },
    }
}

fn retry(why: &str) -> Outcome {
    Outcome::Retry { after: None, why: clean(why, WHY_MAX) }
}

fn failed(why: &str) -> Outcome {
    Outcome::Failed { why: clean(why, WHY_MAX) }
}

/// An error outcome comes as `Err`, so that its text passes [`without_secrets`].
async fn post(
    client: &reqwest::Client,
    url: &Secret,
    key: Option<&str>,
    body: &str,
    answer: Answer,
) -> Result<Outcome, Outcome> {
    let mut request =
        client.post(url.expose()).header("Content-Type", "application/json").body(body.to_owned());
    if let Some(key) = key {
        request = request.header("Idempotency-Key", key);
    }
    let sent = request.send().await.map_err(reqwest::Error::without_url);
    let mut response = match sent {
        Ok(response) => response,
        Err(error) if error.is_builder() => return Err(failed(&chain(&error))),
        Err(error) => return Err(retry(&chain(&error))),
    };
    let status = response.status();
    let after = response.headers().get("Retry-After").and_then(|value| value.to_str().ok());
    let after = after.and_then(|value| retry_after(value, now()));
    let text = text(&mut response).await;
    let taken = match answer {
        Answer::Success => status.is_success(),
        Answer::SlackOk => status.as_u16() == 200 && text.trim() == "ok",
    };
    if taken {
        return Ok(Outcome::Sent);
    }
    let why = format!("answered {}: {}", status.as_u16(), text.trim());
    let why = why.trim_end_matches([':', ' ']);
    Err(match status.as_u16() {
        408 | 425 | 429 | 500..=599 => Outcome::Retry { after, why: why.into() },
        300..=399 => failed(&format!("{why} (redirects are not followed)")),
        _ => failed(why),
    })
}

fn client(url: &Secret, ca_file: Option<&Path>, timeout: Duration) -> Result<reqwest::Client, String> {
    install_crypto();
    let mut builder = reqwest::Client::builder()
        .timeout(timeout)
        .redirect(reqwest::redirect::Policy::none())
        .user_agent(concat!("gatewatch/", env!("CARGO_PKG_VERSION")));
    if let Some(path) = ca_file {
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

/// Some servers answer with the path they were asked for, and the path is the secret.
fn without_secrets(outcome: Outcome, url: &Secret) -> Outcome {
    let url = url.expose();
    let after_scheme = url.split_once("://").map_or(url, |(_, rest)| rest);
    let mut secrets: Vec<&str> = after_scheme
        .split(['/', '?', '&', '=', '#', '@', ':'])
        .skip(usize::from(!after_scheme.contains('@')))
        .filter(|part| part.len() >= 4)
        .collect();
    secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
    let redact =
        |why: String| clean(&secrets.iter().fold(why, |why, secret| why.replace(secret, "…")), WHY_MAX);
    match outcome {
        Outcome::Sent => Outcome::Sent,
        Outcome::Retry { after, why } => Outcome::Retry { after, why: redact(why) },
        Outcome::Failed { why } => Outcome::Failed { why: redact(why) },
    }
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
    if error.is_permanent() || error.is_client() { failed(&why) } else { retry(&why) }
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
        let Outcome::Failed { why } = without_secrets(Outcome::Failed { why }, &url) else { panic!() };
        for secret in ["T0AA", "B0BB", "xyzzy42", "s3cret", "hunter22"] {
            assert!(!why.contains(secret), "{why}");
        }
        assert!(why.starts_with("Cannot POST"), "{why}");
    }
}
