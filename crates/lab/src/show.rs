//! The tables, and what a person can try next.

use std::time::Duration;

use comfy_table::Table;
use comfy_table::presets::UTF8_FULL_CONDENSED;

use crate::client::Client;
use crate::guest::Place;
use crate::lab::{Lab, Plugged};
use crate::verdict::{Line, Verdict};

/// One table a guest.
pub fn tables(lab: &Lab, lines: &[Line]) -> String {
    let mut text = String::new();
    for plugged in lab.guests() {
        let own = lines
            .iter()
            .filter(|line| line.guest == plugged.guest.name());
        text.push_str(&format!("\n{}\n{}\n", title(plugged), table(own)));
    }
    text
}

fn title(plugged: &Plugged) -> String {
    let guest = &plugged.guest;
    let usable = match plugged.usable_after {
        // Its clock says how fast this machine emulates it.
        None if guest.client() == Client::Machine => "not timed".to_owned(),
        Some(after) => format!("usable {} after link up", seconds(after)),
        None => "never usable".to_owned(),
    };
    format!("{} ({}): {usable}", guest.name(), guest.client())
}

fn table<'a>(lines: impl Iterator<Item = &'a Line>) -> Table {
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED).set_header([
        "",
        "promised",
        "seen in the guest",
        "verdict",
    ]);
    for line in lines {
        table.add_row([
            line.column.to_string(),
            line.promised.clone(),
            line.seen.clone(),
            verdict(&line.verdict),
        ]);
    }
    table
}

fn verdict(verdict: &Verdict) -> String {
    match verdict {
        Verdict::Right => "right".to_owned(),
        Verdict::Wrong { reason } => format!("WRONG: {reason}"),
        Verdict::Because {
            guest,
            column,
            reason,
        } => format!("wrong because of {column} of {guest}: {reason}"),
    }
}

/// The last line: `N of N right`.
pub fn summary(lines: &[Line]) -> String {
    let right = lines.iter().filter(|line| line.is_right()).count();
    format!("{right} of {} right", lines.len())
}

/// How to use the cloud and how to get into a guest.
pub fn invitation(lab: &Lab) -> String {
    let enter_cloud = format!("nsenter --net={}", lab.cloud().namespace().path().display());
    let clouds = lab.cloud().clouds_yaml();
    let mut text = format!(
        "\nThe cloud stays up. Try it (as root):\n  \
         {enter_cloud} env OS_CLIENT_CONFIG_FILE={} OS_CLOUD=hextet-demo openstack network list\n  \
         (OS_CLOUD=hextet is the administrator; the log is {})\n\
         Enter a guest:\n",
        clouds.display(),
        lab.cloud().log().display()
    );
    for plugged in lab.guests() {
        let guest = &plugged.guest;
        let enter = match (guest.place(), guest.pid()) {
            // With what is the client's own, so that its files are in their places.
            (Place::Namespace(_), Some(pid)) => {
                format!("nsenter --target={pid} --net --mount --uts --pid bash")
            }
            (Place::Namespace(namespace), None) => {
                format!("nsenter --net={} bash", namespace.path().display())
            }
            (Place::Machine(machine), _) => format!("less {}", machine.console().display()),
        };
        text.push_str(&format!("  {:24} {enter}\n", guest.name()));
    }
    text.push_str("Ctrl-C takes everything down.");
    text
}

fn seconds(duration: Duration) -> String {
    format!("{:.2} s", duration.as_secs_f64())
}
