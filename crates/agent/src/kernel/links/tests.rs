use super::*;
use crate::kernel::netlink::tests::datagram;

#[test]
fn a_change_that_cannot_be_understood_may_be_any() {
    let link = datagram(Some(7), 0);
    let told = changes(&link);
    let [LinkChange::Seen(seen)] = &told[..] else {
        panic!("a link is told of: {told:?}");
    };
    assert_eq!(seen.ifindex, 7);
    let mut cut = link.clone();
    // It says that it is longer than it is.
    cut[0] += 4;
    assert_eq!(changes(&cut), [LinkChange::Lost]);
    assert_eq!(changes(&[link, cut].concat()), [LinkChange::Lost]);
}
