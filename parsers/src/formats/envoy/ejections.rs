//! Envoy's outlier detection log: an object a line, for each server that is taken out of rotation or put back.

use crate::context::Context;
use crate::event::{Event, Happened};
use crate::fields::is_missing;
use crate::formats::json::scan;

/// The event that this object tells of, if it is one. An ejection that was not enforced is none.
pub(crate) fn ejection<'a>(text: &'a [u8], node: &'a [u8], context: &mut Context) -> Option<Event<'a>> {
    let (mut action, mut url, mut time): (&[u8], &[u8], &[u8]) = (b"", b"", b"");
    let (mut pool, mut kind, mut enforced): (&[u8], &[u8], &[u8]) = (b"", b"", b"");
    let whole = scan::members(text, |names, value, _| {
        let value = value.bytes();
        match names {
            [b"action"] => action = value,
            [b"upstream_url"] => url = value,
            [b"timestamp" | b"time"] => time = value,
            [b"cluster_name" | b"cluster"] => pool = value,
            [b"type"] => kind = value,
            [b"enforced"] => enforced = value,
            _ => {}
        }
    });
    if whole.is_err() || is_missing(url) || enforced == b"false" {
        return None;
    }
    let happened = match action {
        b"EJECT" | b"eject" => Happened::Down,
        b"UNEJECT" | b"uneject" => Happened::Up,
        _ => return None,
    };
    // What put it back is the clock: the type is only a default then.
    let detail: &[u8] = if happened == Happened::Down { kind } else { b"" };
    let upstream = url.strip_prefix(b"tcp://").unwrap_or(url);
    let at = context.dates.any(time);
    Some(Event { at, happened, node, pool, upstream, detail })
}
