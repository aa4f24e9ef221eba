//! `hextet port libvirt-xml`: the interface element of a domain, for a port. It asks the API alone, so that whoever may
//! see the port and its network may ask, from anywhere.

use anyhow::Result;
use clap::Args;

use crate::api::{Api, Nic};
use crate::paths::Paths;

/// Arguments of `hextet port libvirt-xml`.
#[derive(Args)]
pub struct LibvirtXmlArgs {
    /// A port's id or unique name
    port: String,
    /// libvirt makes the tap when the guest starts and removes it when it ends; none of that name may be there before
    #[arg(long)]
    managed: bool,
}

/// Prints the element.
pub async fn run(paths: &Paths, args: &LibvirtXmlArgs) -> Result<()> {
    let api = Api::sign_in(&paths.clouds_yaml()).await?;
    print!("{}", element(&api.nic(&args.port).await?, args.managed));
    Ok(())
}

/// As libvirt's schema has it. The tap's name is the one that the agent adopts a tap by.
fn element(nic: &Nic, managed: bool) -> String {
    let managed = if managed { "yes" } else { "no" };
    format!(
        "<interface type='ethernet'>\n  \
           <mac address='{}'/>\n  \
           <target dev='{}' managed='{managed}'/>\n  \
           <model type='virtio'/>\n  \
           <mtu size='{}'/>\n\
         </interface>\n",
        nic.mac,
        nic.port.tap_name(),
        nic.mtu
    )
}

#[cfg(test)]
mod tests;
