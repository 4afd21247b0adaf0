//! What Envoy says of a request's end, in whatever form it was logged: response flags (where it failed), response code
//! details and the transport's failure reason (how).
//!
//! Flags are the short words (`UF,URX`) or the long ones (`UpstreamConnectionFailure,…`). Details and reasons have
//! blanks or, where Envoy itself replaced them, underscores.

use crate::context::Context;
use crate::fields::is_missing;
use crate::reason::{Cause, Origin, Reason};
use crate::record::{Outcome, Status};

/// What bears on the outcome.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Evidence<'a> {
    pub(crate) status: Status,
    /// `%RESPONSE_FLAGS%`; `None`: not logged.
    pub(crate) flags: Option<&'a [u8]>,
    /// `%RESPONSE_CODE_DETAILS%`; empty if not logged.
    pub(crate) details: &'a [u8],
    /// `%UPSTREAM_TRANSPORT_FAILURE_REASON%`; empty if not logged.
    pub(crate) failure: &'a [u8],
    /// `%CONNECTION_TERMINATION_DETAILS%`; empty if not logged.
    pub(crate) termination: &'a [u8],
    /// `%UPSTREAM_CLUSTER%`; empty if not logged.
    pub(crate) pool: &'a [u8],
    /// Whether an upstream was picked; `None`: not logged.
    pub(crate) has_upstream: Option<bool>,
    /// Whether the upstream's header came: it has a service time; `None`: not logged.
    pub(crate) header_came: Option<bool>,
    /// A request rather than a TCP session; `None`: not logged.
    pub(crate) is_http: Option<bool>,
    /// Perhaps gRPC, which Envoy answers with 200 when it fails: POST over HTTP/2.
    pub(crate) may_be_grpc: bool,
}

/// How an upstream failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Failure {
    /// UF
    Connection,
    /// UC
    Termination,
    /// UR
    RemoteReset,
    /// LR
    LocalReset,
    /// UT
    Timeout,
    /// UPE
    Protocol,
    /// UH, LH
    NoHost,
    /// UO
    Overflow,
    /// NC
    NoCluster,
    /// DF
    Dns,
    /// SI, DT, UMSDR: a limit on how long a stream may last or be silent.
    Limit,
}

impl Failure {
    /// Whether the upstream's header may have come before.
    fn may_be_late(self) -> bool {
        matches!(
            self,
            Failure::Termination
                | Failure::RemoteReset
                | Failure::LocalReset
                | Failure::Timeout
                | Failure::Protocol
        )
    }
}

/// What a flag means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Means {
    Failed(Failure),
    /// Envoy's configuration answered, or had no answer.
    Configured,
    /// A filter or a limit refused the request: no upstream failed.
    Policy,
    Client,
    /// No retry was left: beside another flag, or the upstream's own answer.
    RetriesExhausted,
    Cached,
    Nothing,
}

use Failure::{
    Connection, Dns, Limit, LocalReset, NoCluster, NoHost, Overflow, Protocol, RemoteReset, Termination,
    Timeout,
};
use Means::{Cached, Client, Configured, Failed, Nothing, Policy, RetriesExhausted};

/// Every flag of Envoy: short, long, meaning.
const FLAGS: &[(&str, &str, Means)] = &[
    ("UF", "UpstreamConnectionFailure", Failed(Connection)),
    ("UC", "UpstreamConnectionTermination", Failed(Termination)),
    ("UT", "UpstreamRequestTimeout", Failed(Timeout)),
    ("UH", "NoHealthyUpstream", Failed(NoHost)),
    ("UPE", "UpstreamProtocolError", Failed(Protocol)),
    ("UR", "UpstreamRemoteReset", Failed(RemoteReset)),
    ("LR", "LocalReset", Failed(LocalReset)),
    ("UO", "UpstreamOverflow", Failed(Overflow)),
    ("NC", "NoClusterFound", Failed(NoCluster)),
    ("DF", "DnsResolutionFailed", Failed(Dns)),
    ("LH", "FailedLocalHealthCheck", Failed(NoHost)),
    ("SI", "StreamIdleTimeout", Failed(Limit)),
    ("UMSDR", "UpstreamMaxStreamDurationReached", Failed(Limit)),
    ("DT", "DurationTimeout", Failed(Limit)),
    ("URX", "UpstreamRetryLimitExceeded", RetriesExhausted),
    ("DC", "DownstreamConnectionTermination", Client),
    ("DR", "DownstreamRemoteReset", Client),
    ("NR", "NoRouteFound", Configured),
    ("NFCF", "NoFilterConfigFound", Configured),
    ("RL", "RateLimited", Policy),
    ("RLSE", "RateLimitServiceError", Policy),
    ("UAEX", "UnauthorizedExternalService", Policy),
    ("FI", "FaultInjected", Policy),
    ("IH", "InvalidEnvoyRequestHeaders", Policy),
    ("DPE", "DownstreamProtocolError", Policy),
    ("OM", "OverloadManagerTerminated", Policy),
    ("OM", "OverloadManager", Policy),
    ("DO", "DropOverload", Policy),
    ("UDO", "UnconditionalDropOverload", Policy),
    ("RFCF", "ResponseFromCacheFilter", Cached),
    ("DI", "DelayInjected", Nothing),
];

/// The flags of one line.
#[derive(Clone, Copy, Debug, Default)]
struct Flags {
    failure: Option<Failure>,
    configured: bool,
    policy: bool,
    client: bool,
    exhausted: bool,
    cached: bool,
    /// One that is not Envoy's own.
    unknown: bool,
}

impl Flags {
    fn of(text: &[u8]) -> Flags {
        let mut flags = Flags::default();
        if is_missing(text) {
            return flags;
        }
        let names = text.split(|b| matches!(b, b',' | b' ' | b'|' | b'[' | b']' | b'"'));
        for flag in names.filter(|flag| !is_missing(flag)) {
            let known = FLAGS.iter().find(|(short, long, _)| {
                flag == short.as_bytes() || flag.eq_ignore_ascii_case(long.as_bytes())
            });
            match known.map(|(_, _, means)| *means) {
                // A limit beside a failure says less than the failure.
                Some(Failed(failure)) if flags.failure.is_none_or(|f| f == Limit) => {
                    flags.failure = Some(failure);
                }
                Some(Failed(_) | Nothing) => {}
                Some(Configured) => flags.configured = true,
                Some(Policy) => flags.policy = true,
                Some(Client) => flags.client = true,
                Some(RetriesExhausted) => flags.exhausted = true,
                Some(Cached) => flags.cached = true,
                None => flags.unknown = true,
            }
        }
        flags
    }
}

impl<'a> Evidence<'a> {
    /// With nothing known but these.
    pub(crate) fn new(status: Status, flags: Option<&'a [u8]>, details: &'a [u8]) -> Evidence<'a> {
        Evidence {
            status,
            flags,
            details,
            failure: b"",
            termination: b"",
            pool: b"",
            has_upstream: None,
            header_came: None,
            is_http: None,
            may_be_grpc: false,
        }
    }

    /// What the request's end means, as this input counts.
    pub(crate) fn outcome(&self, context: &Context) -> Outcome {
        let flags = self.flags();
        let by_default = self.by_default(&flags);
        match (context.is_gateway_status(self.status, by_default.gateway_error().is_some()), by_default) {
            (true, Outcome::GatewayError(_)) => by_default,
            (true, Outcome::Abandoned) => {
                Outcome::GatewayError(Cause { origin: Origin::Client, reason: Reason::ClientAborted })
            }
            (true, _) => Outcome::GatewayError(self.cause(&flags)),
            // A session without a status is none that the setting speaks of.
            (false, Outcome::GatewayError(_)) if matches!(self.status.code(), None | Some(0)) => by_default,
            (false, Outcome::GatewayError(_)) => Outcome::Fine,
            (false, other) => other,
        }
    }

    /// The flags as logged; the details say what flags that are not logged would.
    fn flags(&self) -> Flags {
        let mut flags = self.flags.map(Flags::of).unwrap_or_default();
        if flags.failure.is_none() && !flags.policy {
            flags.failure = self.failure_by_details();
        }
        flags.client |= self.details.starts_with(b"downstream_remote_disconnect");
        flags.configured |= self.details.starts_with(b"direct_response");
        flags
    }

    fn failure_by_details(&self) -> Option<Failure> {
        let starts = |text: &str| self.details.starts_with(text.as_bytes());
        if is_missing(self.details) || starts("via_upstream") {
            return None;
        }
        if starts("upstream_reset_") {
            let how = self.details.split(|b| *b == b'{').nth(1).unwrap_or_default();
            if how.is_empty() {
                return Some(LocalReset);
            }
            let kinds = [
                ("connection_termination", Termination),
                ("remote_reset", RemoteReset),
                ("remote_refused", RemoteReset),
                ("local_re", LocalReset),
                ("protocol_error", Protocol),
                ("overflow", Overflow),
                ("", Connection),
            ];
            let begins = |word: &str| how.get(..word.len()).is_some_and(|part| is_same(part, word));
            return kinds.iter().find(|(word, _)| begins(word)).map(|(_, failure)| *failure);
        }
        let known = [
            ("no_healthy_upstream", NoHost),
            ("response_timeout", Timeout),
            ("upstream_response_timeout", Timeout),
            ("upstream_per_try", Timeout),
            ("cluster_not_found", NoCluster),
            ("maintenance_mode", Overflow),
            ("dns_resolution_failure", Dns),
            ("upstream_max_stream_duration_reached", Limit),
            ("stream_idle_timeout", Limit),
        ];
        known.iter().find(|(text, _)| starts(text)).map(|(_, failure)| *failure)
    }

    fn by_default(&self, flags: &Flags) -> Outcome {
        if flags.policy {
            return Outcome::Fine;
        }
        let code = self.status.code();
        match code {
            None | Some(0) => self.without_answer(flags, code == Some(0)),
            Some(502 | 504) => Outcome::GatewayError(self.cause(flags)),
            Some(503) => match (flags.failure, self.came()) {
                (Some(failure), Some(true)) if failure.may_be_late() => Outcome::Aborted,
                // Envoy passed on what the upstream said.
                (_, Some(true)) | (None, _) => Outcome::Fine,
                (Some(failure), _) => self.failed(failure),
            },
            Some(code) => self.other_status(flags, code),
        }
    }

    /// A TCP session, or a client that got no header.
    fn without_answer(&self, flags: &Flags, is_zero: bool) -> Outcome {
        if flags.client {
            // Envoy itself closed the connection, or nobody waits for a header in a TCP session.
            let is_own = self.details.starts_with(b"downstream_local_disconnect");
            return if is_own || self.is_http == Some(false) { Outcome::Fine } else { Outcome::Abandoned };
        }
        match flags.failure {
            Some(failure) if !failure.may_be_late() && failure != Limit => self.failed(failure),
            None if flags.exhausted && self.is_http != Some(true) => self.failed(Connection),
            None if is_zero && self.is_http == Some(true) && !flags.configured => Outcome::Abandoned,
            _ => Outcome::Fine,
        }
    }

    /// Neither 502, 503 nor 504: the upstream's own status, kept although the body was cut; or an answer that Envoy made
    /// under another number, as it does for gRPC (200) and where its `local_reply_config` says so.
    fn other_status(&self, flags: &Flags, code: u16) -> Outcome {
        let Some(failure) = flags.failure else { return Outcome::Fine };
        let came = self.came();
        if failure.may_be_late() {
            let is_own = match came {
                Some(true) => false,
                Some(false) if self.details.is_empty() => self.may_be_grpc || code >= 400,
                Some(false) => true,
                None => false,
            };
            return if is_own { self.failed(failure) } else { Outcome::Aborted };
        }
        match failure {
            Limit => Outcome::Fine,
            // The number for a missing cluster is a setting.
            NoCluster if code != 200 => Outcome::Fine,
            _ if came == Some(true) => Outcome::Fine,
            _ => self.failed(failure),
        }
    }

    /// Whether the upstream's header came, if anything tells. Details are of Envoy; a service time is only there if the
    /// upstream answered, but may be suppressed.
    fn came(&self) -> Option<bool> {
        if self.details.starts_with(b"via_upstream")
            || self.details.starts_with(b"upstream_reset_after_response_started")
        {
            return Some(true);
        }
        if is_missing(self.details) { self.header_came } else { Some(false) }
    }

    fn failed(&self, failure: Failure) -> Outcome {
        Outcome::GatewayError(Cause::proxy(self.reason(failure)))
    }

    /// Who made the answer, and why, if it counts as a gateway error.
    fn cause(&self, flags: &Flags) -> Cause {
        if self.came() == Some(true) {
            return Cause::upstream();
        }
        if let Some(failure) = flags.failure {
            return Cause::proxy(self.reason(failure));
        }
        if flags.configured {
            return Cause::proxy(Reason::ProxyConfigurationError);
        }
        if flags.cached {
            return Cause::UNKNOWN;
        }
        let by_envoy =
            flags.unknown || flags.policy || !is_missing(self.details) || self.has_upstream == Some(false);
        match self.flags {
            _ if by_envoy => Cause::proxy(Reason::Unknown),
            // No flag: the answer is not Envoy's.
            Some(_) => Cause::upstream(),
            None => Cause::UNKNOWN,
        }
    }

    fn reason(&self, failure: Failure) -> Reason {
        match failure {
            // Istio's own name for what must not leave the mesh.
            NoHost if self.pool == b"BlackHoleCluster" => Reason::ProxyConfigurationError,
            NoHost => Reason::DestinationUnavailable,
            Connection => self.transport().unwrap_or(Reason::ConnectionFailed),
            Termination | RemoteReset => self.transport().unwrap_or(Reason::ConnectionTerminated),
            LocalReset => self.transport().unwrap_or(Reason::Unknown),
            Timeout | Limit => Reason::HttpResponseTimeout,
            Protocol if self.has("too_large") || self.has("too_many_headers") => {
                Reason::HttpResponseHeaderSectionSize
            }
            // Garbage, a header cut short and one that is too big: `protocol_error` is all of them.
            Protocol => Reason::InvalidResponse,
            Overflow => Reason::ConnectionLimitReached,
            NoCluster => Reason::ProxyConfigurationError,
            Dns if self.has("timeout") || self.has("timed_out") => Reason::DnsTimeout,
            Dns => Reason::DnsError,
        }
    }

    /// What the connection itself met with.
    fn transport(&self) -> Option<Reason> {
        let known = [
            ("CERTIFICATE_VERIFY_FAILED", Reason::TlsCertificateError),
            ("verify_cert", Reason::TlsCertificateError),
            ("not_supplied_by_SDS", Reason::ProxyConfigurationError),
            ("connection_timeout", Reason::ConnectionTimeout),
            ("connection_timed_out", Reason::ConnectionTimeout),
            ("connect_timeout", Reason::ConnectionTimeout),
            ("connect_error:_110", Reason::ConnectionTimeout),
            ("connection_refused", Reason::ConnectionRefused),
            ("connect_error:_111", Reason::ConnectionRefused),
            ("connection_reset", Reason::ConnectionTerminated),
            ("connect_error:_104", Reason::ConnectionTerminated),
            ("TLS_error", Reason::TlsProtocolError),
            ("SSL_routines", Reason::TlsProtocolError),
        ];
        known.iter().find(|(text, _)| self.has(text)).map(|(_, reason)| *reason)
    }

    /// Whether details or reasons hold this text.
    fn has(&self, text: &str) -> bool {
        let holds = |logged: &[u8]| logged.windows(text.len()).any(|part| is_same(part, text));
        [self.details, self.failure, self.termination].into_iter().any(holds)
    }
}

/// Letters of any size; Envoy before 1.17 wrote a blank for each underscore.
fn is_same(part: &[u8], text: &str) -> bool {
    let same = |(a, b): (&u8, &u8)| a.eq_ignore_ascii_case(b) || (*a == b' ' && *b == b'_');
    part.iter().zip(text.as_bytes()).all(same)
}
