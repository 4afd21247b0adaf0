//! A program on this host: the webhook's JSON on its standard input, and no shell.

use super::{Notifier, Payload, Program, webhook};
use crate::message::About;
use crate::notification::Notification;
use crate::receiver::{Receiver, ReceiverKind};

/// `[notify.exec.NAME]`
pub(super) const NOTIFIER: Notifier = Notifier {
    name: "exec",
    summary: "a program of this host, without a shell: the webhook's JSON on its standard input",
    render,
};

/// Not the daemon's own: where programs are found does not change with who started it.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

fn render(notification: &Notification, receiver: &Receiver, about: &About) -> Result<Payload, String> {
    let ReceiverKind::Exec { program, args, timeout } = &receiver.kind else {
        return Err("no program".into());
    };
    let firing = notification.firing().next().is_some();
    // Nothing from a log: a program may do anything with its environment.
    let environment = vec![
        ("PATH", PATH.to_owned()),
        ("LANG", "C.UTF-8".to_owned()),
        ("GATEWATCH_RECEIVER", receiver.name.clone()),
        ("GATEWATCH_STATUS", if firing { "firing" } else { "resolved" }.to_owned()),
        ("GATEWATCH_SEVERITY", notification.severity().name().to_owned()),
        ("GATEWATCH_KEY", notification.key.clone()),
    ];
    Ok(Payload::Program(Program {
        program: program.clone(),
        args: args.clone(),
        environment,
        input: webhook::json(notification, about)?,
        timeout: *timeout,
    }))
}
