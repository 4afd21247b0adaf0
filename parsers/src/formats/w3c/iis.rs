//! IIS as a gateway (Application Request Routing, and the modules that run programs behind it): its sub-status and the
//! error of Windows say who made an answer, and why.

use super::Values;
use super::columns::Role;
use crate::reason::{Cause, Reason};
use crate::record::{Outcome, Status};

/// Windows' own errors are logged as they are, or as an HRESULT of the facility Win32.
const FACILITY_WIN32: u32 = 0x8007_0000;

pub(super) fn outcome(values: &Values<'_>, status: Status) -> Outcome {
    let sub = values.get(Role::SubStatus);
    match status.code() {
        Some(502 | 504) => Outcome::GatewayError(cause(sub, values.get(Role::Win32Status))),
        _ => Outcome::Fine,
    }
}

fn cause(sub: &[u8], win32: &[u8]) -> Cause {
    let code = std::str::from_utf8(win32).ok().and_then(|text| text.parse::<u32>().ok()).unwrap_or_default();
    let code = if code & 0xFFFF_0000 == FACILITY_WIN32 { code & 0xFFFF } else { code };
    // WinHTTP's errors, by which the forwarder reaches its servers.
    match code {
        12_002 => return Cause::proxy(Reason::HttpResponseTimeout),
        12_007 => return Cause::proxy(Reason::DnsError),
        12_029 => return Cause::proxy(Reason::ConnectionFailed),
        12_030 => return Cause::proxy(Reason::ConnectionTerminated),
        12_152 | 12_150 => return Cause::proxy(Reason::HttpProtocolError),
        12_037 | 12_038 | 12_045 | 12_169 | 12_170 => return Cause::proxy(Reason::TlsCertificateError),
        12_157 | 12_175 => return Cause::proxy(Reason::TlsProtocolError),
        10_060 | 121 | 1_460 => return Cause::proxy(Reason::ConnectionTimeout),
        10_061 | 1_225 => return Cause::proxy(Reason::ConnectionRefused),
        64 | 10_054 => return Cause::proxy(Reason::ConnectionTerminated),
        _ => {}
    }
    match sub {
        // The program behind a gateway interface ran too long; it ended too early.
        b"1" => Cause::proxy(Reason::HttpResponseTimeout),
        b"2" => Cause::proxy(Reason::InvalidResponse),
        b"3" => Cause::proxy(Reason::Unknown),
        b"4" => Cause::proxy(Reason::DestinationUnavailable),
        // Passed through, or a handler's own: it does not tell.
        _ => Cause::UNKNOWN,
    }
}
