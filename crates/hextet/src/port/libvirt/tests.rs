use super::*;

#[test]
fn the_element_names_the_tap_that_the_agent_adopts() {
    let nic = Nic {
        port: "1f2e3d4c-5b6a-4978-8877-665544332211".parse().unwrap(),
        mac: "fa:16:3e:00:00:07".parse().unwrap(),
        mtu: 1430,
    };
    assert_eq!(
        element(&nic, false),
        "<interface type='ethernet'>\n  \
           <mac address='fa:16:3e:00:00:07'/>\n  \
           <target dev='tap1f2e3d4c-5b' managed='no'/>\n  \
           <model type='virtio'/>\n  \
           <mtu size='1430'/>\n\
         </interface>\n"
    );
    assert!(element(&nic, true).contains("managed='yes'"));
}
