//! When maintenance windows open next, by both clocks: what people mean and what they wrote are often an hour apart.

use crate::mute::maintenance::{Window, reading_of};
use gatewatch_parsers::{Millis, Zone};

/// `Maintenance weekly opens next 2026-11-28 02:00–04:00 Europe/Berlin (01:00–03:00 UTC).`
pub fn when(window: &Window, now: Millis) -> String {
    let name = &window.name;
    let Some(span) = window.next(now) else { return format!("Maintenance {name} opens no more.") };
    let range = |zone: Zone| {
        let (start, end) = (reading_of(zone, span.start), reading_of(zone, span.end));
        let same_day = start.get(..10) == end.get(..10);
        let end = if same_day { end.get(11..).unwrap_or_default().to_owned() } else { format!(" {end}") };
        // One that was always open has no beginning.
        if span.start == Millis::MIN {
            format!("until{end}")
        } else {
            format!("{start}–{end}").replace("– ", " – ")
        }
    };
    let utc = Zone::Fixed(0);
    let beside = if window.zone == utc { String::new() } else { format!(" ({} UTC)", range(utc)) };
    let verb = if span.start <= now { "is open" } else { "opens next" };
    format!("Maintenance {name} {verb} {} {}{beside}.", range(window.zone), window.zone)
}

/// That it is over for good.
pub fn warning(window: &Window, now: Millis) -> Option<String> {
    let until = window.until.filter(|_| window.next(now).is_none())?;
    let at = reading_of(window.zone, until);
    Some(format!("warning: maintenance `{}` is over since {at} {}: it can go\n", window.name, window.zone))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-11-22 14:53:53 UTC, a Sunday
    const NOW: Millis = 1_795_359_233_243;

    #[test]
    fn in_words() {
        let mut window = Window::new("weekly", Zone::parse("Europe/Berlin").unwrap());
        window.times = vec![(120, 240)];
        let next = "Maintenance weekly opens next 2026-11-23 02:00–04:00 Europe/Berlin (2026-11-23 01:00–03:00 UTC).";
        assert_eq!(when(&window, NOW), next);
        window.times = vec![(22 * 60, 120)];
        let night = "Maintenance weekly opens next 2026-11-22 22:00 – 2026-11-23 02:00 Europe/Berlin \
                     (2026-11-22 21:00 – 2026-11-23 01:00 UTC).";
        assert_eq!(when(&window, NOW), night);
        window.zone = Zone::Fixed(0);
        window.times = vec![(14 * 60, 15 * 60)];
        assert_eq!(when(&window, NOW), "Maintenance weekly is open 2026-11-22 14:00–15:00 UTC.");
        assert_eq!(warning(&window, NOW), None);
        window.until = Some(NOW - 1);
        assert_eq!(when(&window, NOW), "Maintenance weekly opens no more.");
        assert!(warning(&window, NOW).unwrap().contains("over since 2026-11-22 14:53 UTC"));
        let mut once = Window::new("once", Zone::Fixed(0));
        once.until = Some(NOW + 60_000);
        assert_eq!(when(&once, NOW), "Maintenance once is open until 2026-11-22 14:54 UTC.");
    }
}
