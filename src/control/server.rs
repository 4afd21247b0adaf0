//! The serving thread: HTTP/1, GET and HEAD, and on the socket POST; one request a connection. Hostile guests cost little: small headers, short
//! deadlines, and at the cap of connections the oldest one goes.

use super::socket::{self, Bound, measure};
use super::{Asked, Doors, Word, orders};
use crate::metrics::{self, Picture};
use gatewatch_parsers::Millis;
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{ACCEPT, ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use std::collections::VecDeque;
use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::mpsc::Sender;
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::oneshot;
use tokio::task::AbortHandle;

/// Of the request's header, all of it.
const HEADER_MAX: usize = 8 << 10;
/// The header has to come within,
const HEADER_WITHIN: Duration = Duration::from_secs(5);
/// and a guest is gone after so long.
const VISIT: Duration = Duration::from_secs(20);
/// Guests at once, at each door.
const GUESTS: usize = 64;
/// The agent has so long for an answer.
pub(super) const ANSWER_WITHIN: Duration = Duration::from_secs(8);
/// A door that is not open is tried again.
const RETRY: Duration = Duration::from_secs(5);
/// An agent that has not turned for so long is stuck.
const STUCK: Millis = 30_000;

/// Starts the thread; it ends when `stopped` does.
pub(super) fn start(
    doors: Doors,
    asked: Asked,
    words: Sender<Word>,
    stopped: oneshot::Receiver<()>,
) -> io::Result<JoinHandle<()>> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .enable_time()
        .max_blocking_threads(4)
        .build()?;
    std::thread::Builder::new().name("control".to_owned()).spawn(move || {
        let house = House { doors, asked, words, port: None, socket: None, said: Vec::new() };
        runtime.block_on(house.keep(stopped));
        // A disk that is looked at must not hold up the end.
        runtime.shutdown_background();
    })
}

/// Both doors, and what was said of them.
struct House {
    doors: Doors,
    asked: Asked,
    words: Sender<Word>,
    port: Option<TcpListener>,
    socket: Option<(UnixListener, Bound)>,
    said: Vec<&'static str>,
}

impl House {
    async fn keep(mut self, mut stopped: oneshot::Receiver<()>) {
        let (mut at_port, mut at_socket) = (Guests::default(), Guests::default());
        let mut again = tokio::time::interval(RETRY);
        loop {
            tokio::select! {
                _ = &mut stopped => return,
                _ = again.tick() => self.open(),
                guest = accept(self.port.as_ref(), TcpListener::accept) => {
                    at_port.welcome(guest.map(|(stream, _)| stream), &self.asked, false).await;
                }
                guest = accept(self.socket.as_ref().map(|s| &s.0), UnixListener::accept) => {
                    at_socket.welcome(guest.map(|(stream, _)| stream), &self.asked, true).await;
                }
            }
        }
    }

    /// Opens what is not open.
    fn open(&mut self) {
        if let (None, Some(at)) = (&self.port, self.doors.listen) {
            match listen(at) {
                Ok((listener, at)) => {
                    self.said.retain(|said| *said != "port");
                    let _ended = self.words.send(Word::Listens(at));
                    self.say(format!("metrics are at http://{at}/metrics"));
                    self.port = Some(listener);
                }
                Err(e) => self.say_once(
                    "port",
                    format!("no metrics at {at} ({e}): set agent.listen to another address, or to \"off\""),
                ),
            }
        }
        if self.socket.as_ref().is_none_or(|(_, bound)| !bound.is_there()) {
            self.socket = None;
            match place(&self.doors.state_dir) {
                Ok(socket) => {
                    self.said.retain(|said| *said != "socket");
                    self.socket = Some(socket);
                }
                Err(e) => {
                    let path = self.doors.state_dir.join(socket::NAME);
                    self.say_once("socket", format!("no `gatewatch status` through {}: {e}", path.display()));
                }
            }
        }
    }

    fn say(&self, text: String) {
        let _ended = self.words.send(Word::Say(text));
    }

    fn say_once(&mut self, about: &'static str, text: String) {
        if !self.said.contains(&about) {
            self.said.push(about);
            self.say(text);
        }
    }
}

fn listen(at: SocketAddr) -> io::Result<(TcpListener, SocketAddr)> {
    let listener = std::net::TcpListener::bind(at)?;
    listener.set_nonblocking(true)?;
    let at = listener.local_addr()?;
    Ok((TcpListener::from_std(listener)?, at))
}

fn place(folder: &Path) -> io::Result<(UnixListener, Bound)> {
    let bound = socket::bind(folder)?;
    Ok((UnixListener::from_std(bound.listener.try_clone()?)?, bound))
}

/// The next one at this door; for ever, if it is not open.
async fn accept<'l, L, T>(
    door: Option<&'l L>,
    accept: impl AsyncFnOnce(&'l L) -> io::Result<T>,
) -> io::Result<T> {
    match door {
        Some(door) => accept(door).await,
        None => std::future::pending().await,
    }
}

/// Who is there; the first one came first.
#[derive(Default)]
struct Guests(VecDeque<AbortHandle>);

impl Guests {
    async fn welcome<S>(&mut self, stream: io::Result<S>, asked: &Asked, is_owner: bool)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let Ok(stream) = stream else {
            // Out of descriptors, most likely: not again at once.
            tokio::time::sleep(Duration::from_millis(100)).await;
            return;
        };
        self.0.retain(|guest| !guest.is_finished());
        if self.0.len() >= GUESTS
            && let Some(oldest) = self.0.pop_front()
        {
            oldest.abort();
        }
        let guest = tokio::spawn(receive(stream, asked.clone(), is_owner));
        self.0.push_back(guest.abort_handle());
    }
}

async fn receive<S>(stream: S, asked: Asked, is_owner: bool)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = service_fn(move |request: Request<Incoming>| {
        let asked = asked.clone();
        async move { Ok::<_, Infallible>(answer(request, &asked, is_owner).await) }
    });
    let connection = http1::Builder::new()
        .keep_alive(false)
        .max_buf_size(HEADER_MAX)
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_WITHIN)
        .serve_connection(TokioIo::new(stream), service);
    // What goes wrong is the guest's affair.
    let _ended = tokio::time::timeout(VISIT, connection).await;
}

pub(super) type Answer = Response<Full<Bytes>>;

async fn answer(request: Request<Incoming>, asked: &Asked, is_owner: bool) -> Answer {
    // Who may open the socket may do as the agent's user does anyway; the port is anybody's, and changes nothing.
    if is_owner && request.method() == Method::POST {
        return orders::obey(request, asked).await;
    }
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        let mut answer = text(StatusCode::METHOD_NOT_ALLOWED, "GET or HEAD\n".to_owned());
        answer.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        return answer;
    }
    match request.uri().path() {
        "/metrics" => {
            let accepts = request.headers().get(ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or("");
            let format = metrics::Format::accepted(accepts);
            with_picture(asked, move |picture| {
                let encoded = metrics::encode(picture, format);
                encoded.map(|body| typed(StatusCode::OK, format.content_type(), body))
            })
            .await
        }
        "/healthz" => health(asked.since_turn()),
        "/readyz" => with_picture(asked, |picture| Some(readiness(&picture))).await,
        "/status" if is_owner => {
            with_picture(asked, |picture| {
                let body = serde_json::to_string(&picture.view).ok()?;
                Some(typed(StatusCode::OK, "application/json", body))
            })
            .await
        }
        "/" => text(StatusCode::OK, "gatewatch: /metrics /healthz /readyz\n".to_owned()),
        _ => text(StatusCode::NOT_FOUND, "there are /metrics, /healthz and /readyz\n".to_owned()),
    }
}

/// Answers from a picture of the agent, with the lengths that its files have now.
async fn with_picture(
    asked: &Asked,
    render: impl FnOnce(Picture) -> Option<Answer> + Send + 'static,
) -> Answer {
    let unavailable = |why: &str| text(StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n"));
    let Some(answer) = asked.ask() else { return unavailable("too many ask, or it is ending") };
    let Ok(Ok(picture)) = tokio::time::timeout(ANSWER_WITHIN, answer).await else {
        return unavailable("the agent does not answer");
    };
    let rendered = tokio::task::spawn_blocking(move || {
        let mut picture = Picture::clone(&picture);
        measure(&mut picture.view);
        render(picture)
    });
    rendered.await.ok().flatten().unwrap_or_else(|| unavailable("it cannot be said"))
}

/// Whether the process is alive and the engine turns.
fn health(since_turn: Millis) -> Answer {
    if since_turn < STUCK {
        return text(StatusCode::OK, "ok\n".to_owned());
    }
    let stuck = format!("the engine has not turned for {} s\n", since_turn / 1_000);
    text(StatusCode::SERVICE_UNAVAILABLE, stuck)
}

fn readiness(picture: &Picture) -> Answer {
    let checks = picture.view.checks();
    let status = match checks.iter().any(|check| check.trouble.is_some()) {
        true => StatusCode::SERVICE_UNAVAILABLE,
        false => StatusCode::OK,
    };
    let lines = checks.map(|check| format!("{}: {}\n", check.name, check.trouble.as_deref().unwrap_or("ok")));
    text(status, lines.concat())
}

pub(super) fn text(status: StatusCode, body: String) -> Answer {
    typed(status, "text/plain; charset=utf-8", body)
}

pub(super) fn typed(status: StatusCode, kind: &'static str, body: String) -> Answer {
    let mut answer = Response::new(Full::new(Bytes::from(body)));
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    answer.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer
}
