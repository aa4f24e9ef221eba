use super::*;

#[test]
fn a_host_is_behind_from_what_it_is_told_until_it_reports_it() {
    let hosts = Hosts::default();
    let (first, second) = (hosts.enter(5), hosts.enter(0));
    let seen = |connected, behind, behind_max| Seen {
        connected,
        behind,
        behind_max,
        lagged: 0,
    };
    assert_eq!(hosts.seen(), seen(2, 0, 0));
    first.tell(7);
    second.tell(7);
    assert_eq!(hosts.seen(), seen(2, 2, 7));
    second.reach(6);
    assert_eq!(hosts.seen(), seen(2, 2, 2));
    second.reach(7);
    assert_eq!(hosts.seen(), seen(2, 1, 2));
    first.count_lagged();
    assert_eq!(hosts.seen().lagged, 1);
    drop(first);
    drop(second);
    assert_eq!(
        hosts.seen(),
        Seen {
            lagged: 1,
            ..seen(0, 0, 0)
        }
    );
}
