//! What the owner of the socket orders: `POST /silences` with the silence as JSON, `POST /silences/ID/expire`.

use super::server::{ANSWER_WITHIN, Answer, text, typed};
use super::{Asked, Order};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use hyper::{Request, StatusCode};

/// Of a request's body.
const BODY_MAX: usize = 64 << 10;

/// Hands it to the agent, and says what became of it.
pub(super) async fn obey(request: Request<Incoming>, asked: &Asked) -> Answer {
    let path = request.uri().path().to_owned();
    let Ok(body) = Limited::new(request.into_body(), BODY_MAX).collect().await else {
        return refused(StatusCode::PAYLOAD_TOO_LARGE, "no body, or too large a one");
    };
    let order = match read(&path, &body.to_bytes()) {
        Ok(order) => order,
        Err((status, why)) => return refused(status, &why),
    };
    let Some(answer) = asked.order(order) else {
        return refused(StatusCode::SERVICE_UNAVAILABLE, "too many ask, or it is ending");
    };
    match tokio::time::timeout(ANSWER_WITHIN, answer).await {
        Ok(Ok(Ok(silence))) => match serde_json::to_string(&silence) {
            Ok(body) => typed(StatusCode::OK, "application/json", body),
            Err(e) => refused(StatusCode::INTERNAL_SERVER_ERROR, &e.to_string()),
        },
        Ok(Ok(Err(why))) => refused(StatusCode::BAD_REQUEST, &why),
        Ok(Err(_)) | Err(_) => refused(StatusCode::SERVICE_UNAVAILABLE, "the agent does not answer"),
    }
}

fn refused(status: StatusCode, why: &str) -> Answer {
    text(status, format!("{why}\n"))
}

fn read(path: &str, body: &[u8]) -> Result<Order, (StatusCode, String)> {
    if path == "/silences" {
        let wanted = serde_json::from_slice(body).map_err(|e| (StatusCode::BAD_REQUEST, e.to_string()))?;
        return Ok(Order::Silence(wanted));
    }
    let id = path.strip_prefix("/silences/").and_then(|rest| rest.strip_suffix("/expire"));
    match id.and_then(|id| id.parse().ok()) {
        Some(id) => Ok(Order::Expire(id)),
        None => Err((StatusCode::NOT_FOUND, "there are /silences and /silences/ID/expire".to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mute::silences::Wanted;

    #[test]
    fn orders_are_read() {
        let body = br#"{"matchers":["a=b"],"ends":7,"author":"anna","comment":""}"#;
        let wanted =
            Wanted { matchers: vec!["a=b".into()], ends: 7, author: "anna".into(), comment: String::new() };
        assert_eq!(read("/silences", body), Ok(Order::Silence(wanted)));
        assert_eq!(read("/silences/12/expire", b""), Ok(Order::Expire(12)));
        for (path, body) in
            [("/silences", &b"{}"[..]), ("/silences", b""), ("/silences/x/expire", b""), ("/", b"{}")]
        {
            assert!(read(path, body).is_err(), "{path}");
        }
    }
}
