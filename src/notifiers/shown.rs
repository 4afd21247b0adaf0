//! What would be sent, for people to look at: secrets left out.

use super::{Payload, Program, Request};
use crate::receiver::Secret;
use reqwest::Url;
use std::fmt::Write as _;

impl Payload {
    /// As text: where to, headers, and the body.
    #[must_use]
    pub fn shown(&self) -> String {
        match self {
            Payload::Requests(requests) | Payload::Peers(requests) => {
                requests.iter().map(Request::shown).collect::<Vec<_>>().join("\n")
            }
            Payload::Mail { settings, message } => {
                let mail = String::from_utf8_lossy(&message.formatted()).replace("\r\n", "\n");
                format!("mail by {}:{}\n\n{mail}\n", settings.host, settings.port)
            }
            Payload::Program(program) => program.shown(),
            Payload::Datagrams { socket, datagrams } => {
                let mut out = format!("datagrams to {}\n", socket.display());
                for datagram in datagrams {
                    let _ = writeln!(out, "\n{}", String::from_utf8_lossy(datagram).replace('\0', ""));
                }
                out
            }
        }
    }
}

impl Request {
    fn shown(&self) -> String {
        let method = if self.body.is_some() { "POST" } else { "GET" };
        let mut out = format!("{method} {}\n", host_of(&self.url));
        if let Some(key) = &self.key {
            let _ = writeln!(out, "Idempotency-Key: {key}");
        }
        if self.bearer_token.is_some() {
            out.push_str("Authorization: Bearer <secret>\n");
        }
        if self.secret.is_some() {
            out.push_str("webhook-signature: <secret>\n");
        }
        if let Some(body) = &self.body {
            let value: Option<serde_json::Value> = serde_json::from_str(body).ok();
            let pretty = value.and_then(|value| serde_json::to_string_pretty(&value).ok());
            let _ = writeln!(out, "\n{}", self.without_secrets(&pretty.unwrap_or_else(|| body.clone())));
        }
        out
    }

    fn without_secrets(&self, text: &str) -> String {
        let hidden = self.hidden.iter().map(Secret::expose);
        hidden.fold(text.to_owned(), |text, secret| text.replace(&format!("\"{secret}\""), "\"<secret>\""))
    }
}

impl Program {
    fn shown(&self) -> String {
        let mut out = format!("run {}", self.program.display());
        self.args.iter().for_each(|_| out.push_str(" <secret>"));
        out.push('\n');
        for (name, value) in &self.environment {
            let _ = writeln!(out, "{name}={value}");
        }
        let _ = writeln!(out, "\n{}", self.input);
        out
    }
}

/// Of a URL only where it leads: the rest may be a credential.
fn host_of(url: &Secret) -> String {
    let Ok(url) = Url::parse(url.expose()) else { return "<secret>".into() };
    let port = url.port().map_or(String::new(), |port| format!(":{port}"));
    let rest = if matches!(url.path(), "" | "/") && url.query().is_none() { "/" } else { "/<secret>" };
    format!("{}://{}{port}{rest}", url.scheme(), url.host_str().unwrap_or(""))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::notifiers::Answer;

    #[test]
    fn only_the_host() {
        let host = |url: &str| host_of(&Secret::new(url.into()));
        assert_eq!(host("https://user:s3cret@a.example:8443/x?y=z"), "https://a.example:8443/<secret>");
        assert_eq!(host("https://ntfy.sh/"), "https://ntfy.sh/");
        assert_eq!(host("s3cret"), "<secret>");
        let url = Secret::new("https://a.example/x".into());
        let mut request = Request::new(url, r#"{"routing_key":"s3cret"}"#.into(), Answer::Success);
        request.hidden.push(Secret::new("s3cret".into()));
        request.bearer_token = Some(Secret::new("t0ken".into()));
        let shown = request.shown();
        assert!(shown.contains("\"routing_key\": \"<secret>\"") && !shown.contains("t0ken"), "{shown}");
    }
}
