//! What exits and targets show, in words that reports and messages share.

use crate::figures::commas;
use gatewatch_rules::pairs::REFUSALS;
use gatewatch_rules::two_way::Finding;

/// A sentence without its end. Names come from a log: `clean` makes them fit to be shown.
#[must_use]
pub fn sentence(finding: &Finding, clean: impl Fn(&str) -> String) -> String {
    match finding {
        Finding::Exit { exit, provider, bad, of, is_bad } => {
            let lender = if provider.is_empty() || provider == exit {
                String::new()
            } else {
                format!(" of {}", clean(provider))
            };
            let verdict = if *is_bad { " (bad exit)" } else { "" };
            let (bad, targets) = (commas(*bad), plural(*of, "target"));
            format!("exit {}{lender} fails on {bad} of {targets}{verdict}", clean(exit))
        }
        Finding::Target { target, bad, of, refused, is_bad } => {
            let (name, bad, exits) = (clean(target), commas(*bad), plural(*of, "exit"));
            match refused.filter(|_| *is_bad) {
                Some(refused) => format!("target {name} blocks: {} on {bad} of {exits}", statuses(refused)),
                None => {
                    let verdict = if *is_bad { " (bad target)" } else { "" };
                    format!("target {name} fails for {bad} of {exits}{verdict}")
                }
            }
        }
        Finding::Everywhere { exits, targets } => format!(
            "nearly all of {} fail on nearly all of {}: look at what they share (provider, account, own network)",
            plural(*exits, "exit"),
            plural(*targets, "target")
        ),
    }
}

fn plural(n: u64, word: &str) -> String {
    if n == 1 { format!("1 {word}") } else { format!("{} {word}s", commas(n)) }
}

/// `403/429`: those that make up at least a twentieth.
fn statuses(refused: [u64; 3]) -> String {
    let all: u64 = refused.iter().sum();
    let counts = REFUSALS.iter().zip(refused).filter(|(_, n)| *n > 0 && n.saturating_mul(20) >= all);
    counts.map(|(status, _)| status.to_string()).collect::<Vec<_>>().join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sentences() {
        let exit = |provider: &str, bad, of, is_bad| Finding::Exit {
            exit: "203.0.113.7".into(),
            provider: provider.into(),
            bad,
            of,
            is_bad,
        };
        let target = |refused, bad, is_bad| Finding::Target {
            target: "shop.example".into(),
            bad,
            of: 64,
            refused,
            is_bad,
        };
        let table = [
            (exit("", 38, 40, true), "exit 203.0.113.7 fails on 38 of 40 targets (bad exit)"),
            (exit("acme", 1, 1, false), "exit 203.0.113.7 of acme fails on 1 of 1 target"),
            (target(Some([93, 2, 87]), 61, true), "target shop.example blocks: 403/429 on 61 of 64 exits"),
            (target(Some([0, 9, 0]), 61, true), "target shop.example blocks: 407 on 61 of 64 exits"),
            (target(None, 61, true), "target shop.example fails for 61 of 64 exits (bad target)"),
            (target(Some([3, 0, 0]), 3, false), "target shop.example fails for 3 of 64 exits"),
            (
                Finding::Everywhere { exits: 1_000, targets: 40 },
                "nearly all of 1,000 exits fail on nearly all of 40 targets: look at what they share (provider, \
                 account, own network)",
            ),
        ];
        for (finding, expected) in table {
            assert_eq!(sentence(&finding, str::to_owned), expected);
        }
    }
}
