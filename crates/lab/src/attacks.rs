//! The table of attacks: real tools against a guest on a plain kernel bridge, where each must do harm, and then against
//! a guest of the cloud, where none may.

mod bed;
mod ear;
mod harm;
mod lease;
#[cfg(test)]
mod tests;
mod tools;

use std::collections::BTreeMap;
use std::os::unix::process::CommandExt;
use std::process::{Child, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use comfy_table::Table;
use comfy_table::presets::UTF8_FULL_CONDENSED;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use crate::client::Client;
use crate::interrupt::Interrupt;
use crate::lab::{Lab, say};
use crate::networks::NetworkSpec;
use bed::Bed;
use harm::Watch;
use tools::{ATTACKS, Attack};

/// The networks whose guests are attacker, victim and their neighbour: one where they form their addresses, and one where a
/// server gives them, of as few as could be used up.
pub const NETWORKS: [NetworkSpec; 2] = [
    NetworkSpec {
        name: "attacked",
        cidr: "2001:db8:a::/64",
        mode: "slaac",
        mtu: None,
        ipv4: None,
        physical: None,
        options: &[],
        guests: &[Client::Kernel, Client::Kernel, Client::Kernel],
    },
    NetworkSpec {
        name: "starved",
        cidr: "2001:db8:b::/124",
        mode: "dhcpv6-stateful",
        mtu: None,
        ipv4: None,
        physical: None,
        options: &[],
        guests: &[Client::Dhclient, Client::Dhclient, Client::Dhclient],
    },
];

/// How long an attack may take to do its harm on the plain bridge.
const HARM_BOUND: Duration = Duration::from_secs(60);
/// How long it is given on the cloud at least; twice what it took on the bridge if that is more.
const TRIAL_LEAST: Duration = Duration::from_secs(1);
/// How often the victim is looked at.
const LOOK: Duration = Duration::from_millis(100);
/// How often a tool that has ended is started again, and the victim made to do what the tool waits for.
const ROUND: Duration = Duration::from_millis(2500);

/// Programs of the attacks, and Debian's packages of them.
pub fn programs() -> impl Iterator<Item = (&'static str, &'static str)> {
    ATTACKS
        .iter()
        .map(|attack| (attack.tool(), attack.package()))
}

/// What came of an attack on one bed.
struct Outcome {
    /// The victim's harm in words.
    harm: Option<String>,
    /// How long it took to do it, or how long it was tried.
    took: Duration,
    /// Frames that the attacker sent.
    sent: u64,
}

/// A row of the table.
#[derive(Debug)]
pub struct Row {
    attack: &'static Attack,
    plain: String,
    cloud: String,
    right: bool,
}

impl Row {
    /// Whether the attack did harm on the plain bridge, and none on the cloud though it was tried.
    pub fn is_right(&self) -> bool {
        self.right
    }
}

/// Tries every attack on both beds.
///
/// # Errors
/// When a bed or a tool cannot be used, or someone asks the lab to end.
pub fn run(lab: &Lab, interrupt: &Interrupt) -> Result<Vec<Row>> {
    let [formed, given] = &NETWORKS;
    let (formed, given) = (Bed::cloud(lab, formed.name)?, Bed::cloud(lab, given.name)?);
    let mut rows = Vec::new();
    for attack in ATTACKS {
        interrupt.check()?;
        let name = attack.name;
        let cloud = match attack.harm.is_of_a_server() {
            true => &given,
            false => &formed,
        };
        rows.push(row(lab, cloud, attack).with_context(|| format!("the attack: {name}"))?);
    }
    Ok(rows)
}

fn row(lab: &Lab, cloud: &Bed, attack: &'static Attack) -> Result<Row> {
    say(&format!("attack: {}: {}", attack.name, attack.command));
    // What the last attack did is gone with it.
    let mut bare = Bed::plain(&lab.id())?;
    if attack.harm.is_of_a_server() {
        bare.serve_dhcpv6()?;
    }
    let plain = trial(attack, &bare, HARM_BOUND)?;
    drop(bare);
    let before = lab.cloud().drops(&cloud.attacker.port)?;
    let dropped = || -> Result<String> {
        let after = lab.cloud().drops(&cloud.attacker.port)?;
        Ok(risen(&before, &after))
    };
    let mut tried = trial(attack, cloud, TRIAL_LEAST.max(plain.took * 2))?;
    if tried.harm.is_none() && !attack.reactive && dropped()?.is_empty() {
        // A tool that is slow to begin has not been tried yet.
        tried = trial(attack, cloud, HARM_BOUND)?;
    }
    let dropped = dropped()?;
    let stopped = tried.harm.is_none() && (attack.reactive || !dropped.is_empty());
    Ok(Row {
        attack,
        right: plain.harm.is_some() && stopped,
        plain: match plain.harm {
            Some(harm) => harm,
            None => format!("NO HARM, {} frames sent", plain.sent),
        },
        cloud: match tried.harm {
            Some(harm) => format!("HARM: {harm}"),
            None if dropped.is_empty() && tried.sent == 0 => "heard nothing to answer".to_owned(),
            None if dropped.is_empty() => format!("no harm of {} frames", tried.sent),
            None => dropped,
        },
    })
}

/// Which drops have become more, and how many: `12 router_advertisement`.
fn risen(before: &BTreeMap<String, u64>, after: &BTreeMap<String, u64>) -> String {
    let risen = after.iter().filter_map(|(reason, packets)| {
        let more = packets.saturating_sub(before.get(reason).copied().unwrap_or(0));
        (more > 0).then(|| format!("{more} {reason}"))
    });
    risen.collect::<Vec<_>>().join(", ")
}

/// Runs the tool until it has done its harm, or the time is up.
fn trial(attack: &Attack, bed: &Bed, bound: Duration) -> Result<Outcome> {
    let mut watch = Watch::begin(bed, attack.harm)?;
    let before = bed.attacker.sent()?;
    let start = Instant::now();
    let mut tool = Tool(None);
    let mut round = start;
    let harm = loop {
        if Instant::now() >= round {
            tool.keep_running(attack, bed)?;
            if attack.reactive {
                watch.provoke()?;
            }
            round = Instant::now() + ROUND;
        }
        if let Some(harm) = watch.harmed()? {
            break Some(harm);
        }
        if start.elapsed() >= bound {
            break None;
        }
        thread::sleep(LOOK);
    };
    drop(tool);
    watch.end()?;
    Ok(Outcome {
        harm,
        took: start.elapsed(),
        sent: bed.attacker.sent()? - before,
    })
}

/// A running tool, ended when dropped.
struct Tool(Option<Child>);

impl Tool {
    fn keep_running(&mut self, attack: &Attack, bed: &Bed) -> Result<()> {
        if let Some(child) = &mut self.0
            && child.try_wait()?.is_none()
        {
            return Ok(());
        }
        let mut command = bed.attacker.command(&attack.on(bed));
        // Some make children of their own, which end with the group.
        command.process_group(0).stdin(Stdio::null());
        command.stdout(Stdio::null()).stderr(Stdio::null());
        self.end();
        self.0 = Some(command.spawn()?);
        Ok(())
    }
}

impl Tool {
    /// Ends it and its children.
    fn end(&mut self) {
        let Some(mut child) = self.0.take() else {
            return;
        };
        if let Ok(group) = i32::try_from(child.id()) {
            // It fails when all of them have ended by themselves.
            let _ = killpg(Pid::from_raw(group), Signal::SIGKILL);
        }
        let _ = child.wait();
    }
}

impl Drop for Tool {
    fn drop(&mut self) {
        self.end();
    }
}

/// The table.
pub fn table(rows: &[Row]) -> String {
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED).set_header([
        "a guest plays",
        "with",
        "plain bridge",
        "Hextet",
        "verdict",
    ]);
    for row in rows {
        table.add_row([
            row.attack.name,
            row.attack.tool(),
            &row.plain,
            &row.cloud,
            if row.right { "right" } else { "WRONG" },
        ]);
    }
    format!("\nattacks\n{table}\n")
}

/// The last line: `N of N attacks stopped`.
pub fn summary(rows: &[Row]) -> String {
    let right = rows.iter().filter(|row| row.right).count();
    format!("{right} of {} attacks stopped", rows.len())
}
