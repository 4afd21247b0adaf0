//! The upstream as the access log of the same product names it.

use crate::text::find;

/// `http://10.0.0.1:80/uri` → `10.0.0.1:80`, `fastcgi://unix:/run/php.sock:` → `unix:/run/php.sock`, `10.0.0.1:53` as it
/// is. `whole`: the value ended with its quote; one that was cut may have lost part of its address.
pub(super) fn upstream(url: &[u8], whole: bool) -> &[u8] {
    let address = match memchr::memmem::find(url, b"://") {
        Some(at) if url.iter().take(at).all(u8::is_ascii_alphanumeric) => {
            url.get(at + 3..).unwrap_or_default()
        }
        _ => url,
    };
    let end = match address.strip_prefix(b"unix:") {
        Some(path) => find(b':', path).map(|at| at + 5),
        None => address.iter().position(|b| matches!(b, b'/' | b'?')),
    };
    match end {
        Some(end) => address.get(..end).unwrap_or_default(),
        None if whole => address,
        None => b"",
    }
}

/// `127.0.0.1:24002 (backend:24002)`: the name that the configuration has, where it stands with its port; else the address.
pub(super) fn worker<'a>(address: &'a [u8], name: &'a [u8]) -> &'a [u8] {
    // A second colon: an IPv6 address without brackets has no port.
    let has_port = match name.strip_prefix(b"[") {
        Some(address) => memchr::memmem::find(address, b"]:").is_some(),
        None => name.iter().filter(|b| **b == b':').count() == 1,
    };
    if has_port || address.is_empty() { name } else { address }
}
