//! A mail's HTML: one column, styles inline, nothing loaded from anywhere, readable in the dark.

use crate::message::{Message, Section, Tone};

const FONT: &str = "font-family:-apple-system,'Segoe UI',Roboto,Helvetica,Arial,sans-serif";
const MONO: &str = "font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,monospace";

/// The whole page.
#[must_use]
pub fn page(message: &Message) -> String {
    let several = message.sections.len() > 1;
    let mut out = String::from(
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n",
    );
    push(&mut out, &[("title", &message.subject)]);
    out.push_str("</head>\n<body style=\"margin:0;padding:16px\">\n");
    out.push_str(&format!(
        "<div style=\"max-width:680px;margin:0 auto;font-size:15px;line-height:1.45;overflow-wrap:anywhere;{FONT}\">\n"
    ));
    if several {
        let style = "margin:0 0 16px;font-size:18px;line-height:1.3";
        out.push_str(&format!("<h1 style=\"{style}\">{}</h1>\n", escaped(&message.headline)));
    }
    if let Some(note) = &message.note {
        out.push_str(&format!("<p style=\"margin:0 0 16px\">{}</p>\n", escaped(note)));
    }
    for part in &message.sections {
        section(&mut out, part, several);
    }
    if let Some(more) = &message.more {
        out.push_str(&format!("<p style=\"margin:0 0 16px\">{}</p>\n", escaped(more)));
    }
    let foot = escaped(&message.foot);
    out.push_str(&format!("<p style=\"margin:0;font-size:13px;color:#6b7280\">{foot}</p>\n"));
    out.push_str("</div>\n</body></html>\n");
    out
}

/// Plain text as a page.
#[must_use]
pub fn plain(title: &str, text: &str) -> String {
    let mut out = String::from("<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n");
    push(&mut out, &[("title", title)]);
    out.push_str(&format!(
        "</head>\n<body style=\"margin:0;padding:16px\">\n\
         <div style=\"max-width:680px;margin:0 auto;font-size:15px;line-height:1.45;white-space:pre-wrap;\
         overflow-wrap:anywhere;{FONT}\">{}</div>\n</body></html>\n",
        escaped(text)
    ));
    out
}

fn push(out: &mut String, elements: &[(&str, &str)]) {
    for (tag, text) in elements {
        out.push_str(&format!("<{tag}>{}</{tag}>\n", escaped(text)));
    }
}

fn section(out: &mut String, section: &Section, several: bool) {
    let colour = match section.tone {
        Tone::Critical => "#dc2626",
        Tone::Warning => "#d97706",
        Tone::Good => "#16a34a",
        Tone::Unknown => "#6b7280",
    };
    out.push_str(&format!(
        "<div style=\"margin:0 0 20px;padding:2px 0 2px 14px;border-left:4px solid {colour}\">\n"
    ));
    let (tag, size) = if several { ("h2", 16) } else { ("h1", 18) };
    let head = escaped(&section.head);
    out.push_str(&format!(
        "<{tag} style=\"margin:0 0 8px;font-size:{size}px;line-height:1.3\">{head}</{tag}>\n"
    ));
    for line in &section.lead {
        out.push_str(&format!("<p style=\"margin:0 0 2px\">{}</p>\n", escaped(line)));
    }
    if !section.facts.is_empty() {
        let table = "margin:10px 0 0;border-collapse:collapse;font-size:15px";
        out.push_str(&format!("<table role=\"presentation\" style=\"{table}\">\n"));
        for fact in &section.facts {
            let label = "white-space:nowrap;padding:2px 14px 2px 0;vertical-align:top;color:#6b7280";
            let text = escaped(&fact.text);
            out.push_str(&format!(
                "<tr><td style=\"{label}\">{}</td><td style=\"padding:2px 0\">{text}</td></tr>\n",
                fact.label
            ));
        }
        out.push_str("</table>\n");
    }
    if let Some(command) = &section.command {
        code(out, std::slice::from_ref(command));
    }
    if !section.samples.is_empty() {
        code(out, &section.samples);
    }
    foot(out, section);
    out.push_str("</div>\n");
}

fn code(out: &mut String, lines: &[String]) {
    let lines: Vec<String> = lines.iter().map(|line| escaped(line)).collect();
    // Long lines wrap: a mail client on a phone cannot scroll sideways.
    out.push_str(&format!(
        "<pre style=\"margin:10px 0 0;padding:8px 10px;border-radius:4px;background:rgba(127,127,127,.14);\
         font-size:12px;line-height:1.5;white-space:pre-wrap;overflow-wrap:anywhere;{MONO}\">{}</pre>\n",
        lines.join("\n")
    ));
}

fn foot(out: &mut String, section: &Section) {
    let mut foot = String::new();
    if let Some(runbook) = &section.runbook {
        let text = escaped(runbook);
        let is_link = runbook.starts_with("https://") || runbook.starts_with("http://");
        let runbook =
            if is_link { format!("<a href=\"{text}\">Runbook</a>") } else { format!("Runbook: {text}") };
        foot.push_str(&runbook);
        foot.push_str(" · ");
    }
    foot.push_str(&format!("incident {}", escaped(&section.incident)));
    out.push_str(&format!("<p style=\"margin:8px 0 0;font-size:13px;color:#6b7280\">{foot}</p>\n"));
}

/// Safe in text and in a quoted attribute.
pub(super) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}
