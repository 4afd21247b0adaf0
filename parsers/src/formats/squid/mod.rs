//! Squid's access logs: the native format, the other ones that have names, and any `logformat` string. Squid's stamps
//! are taken when the line is written: the request's end.

mod codes;
mod verdict;

use super::percent::{Percent, Piece, Product};
use super::{Compiled, Format, Kind, SpecError};

/// `squid:…`
pub const KIND: Kind = Kind {
    name: "squid",
    summary: "Squid access logs: native, common, combined, or the logformat string as it stands in squid.conf",
    example: "squid:%ts.%03tu %6tr %>a %Ss/%03>Hs %<st %rm %ru %[un %Sh/%<a %mt %err_code/%err_detail",
    compile,
    built_in,
};

const PRODUCT: Product = Product { verdict: verdict::verdict, marks: None, request: None };

/// Squid's own formats, as its documentation gives them. The native one is `squid` alone.
const NAMED: &[(&str, &str)] = &[
    ("squid", "%ts.%03tu %6tr %>a %Ss/%03>Hs %<st %rm %ru %[un %Sh/%<a %mt"),
    (
        "combined",
        r#"%>a %[ui %[un [%tl] "%rm %ru HTTP/%rv" %>Hs %<st "%{Referer}>h" "%{User-Agent}>h" %Ss:%Sh"#,
    ),
    ("common", r#"%>a %[ui %[un [%tl] "%rm %ru HTTP/%rv" %>Hs %<st %Ss:%Sh"#),
];

fn compile(setting: Option<&str>) -> Compiled {
    let setting = setting.unwrap_or("squid");
    if NAMED.iter().any(|(name, _)| *name == setting) {
        return named(setting)?.boxed();
    }
    if matches!(setting, "referrer" | "useragent") {
        let message = format!("Squid's `{setting}` log has no status, so it says nothing about errors");
        return Err(SpecError { message, at: 0 });
    }
    if !setting.contains('%') {
        let names: Vec<_> = NAMED.iter().map(|(name, _)| *name).collect();
        let message = format!(
            "no Squid format is called `{setting}`; known: {}; or give the logformat string itself",
            names.join(", ")
        );
        return Err(SpecError { message, at: 0 });
    }
    let (text, title) = match setting.trim().strip_prefix("logformat ").and_then(|d| d.trim().split_once(' '))
    {
        Some((name, text)) => (text.trim(), format!("Squid {name}")),
        None => (setting.trim(), "Squid logformat".to_owned()),
    };
    let pieces = pieces(text)?;
    Percent::compile(&PRODUCT, format!("squid:{setting}"), title, vec![pieces])?.boxed()
}

fn built_in() -> Vec<Box<dyn Format>> {
    let formats = NAMED.iter().filter_map(|(name, _)| named(name).ok());
    formats.map(|format| Box::new(format) as Box<dyn Format>).collect()
}

fn named(name: &str) -> Result<Percent, SpecError> {
    let format = NAMED.iter().find(|(known, _)| *known == name).map_or("", |(_, format)| format);
    let (setting, title) = match name {
        "squid" => ("squid".to_owned(), "Squid native".to_owned()),
        name => (format!("squid:{name}"), format!("Squid {name}")),
    };
    // `log_mime_hdrs` puts the headers behind it.
    Ok(Percent::compile(&PRODUCT, setting, title, vec![pieces(format)?])?.with_tail())
}

fn pieces(text: &str) -> Result<Vec<Piece>, SpecError> {
    codes::pieces(text).map_err(|message| SpecError { message, at: 0 })
}

#[cfg(test)]
mod tests;
