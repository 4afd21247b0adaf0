//! One mail.

use super::{chain, failed, install_crypto, read, retry};
use crate::notification::Outcome;
use crate::receiver::{EmailSettings, Tls};
use lettre::address::Envelope;
use lettre::transport::smtp;
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, CertificateStore, TlsParameters};
use lettre::{AsyncSmtpTransport, AsyncTransport, Tokio1Executor};
use std::path::Path;
use std::time::Duration;

pub(super) async fn mail(
    transport: &AsyncSmtpTransport<Tokio1Executor>,
    message: &lettre::Message,
) -> Outcome {
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

pub(super) fn transport(
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
