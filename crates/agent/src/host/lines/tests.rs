use uuid::Uuid;

use super::*;

#[test]
fn each_port_has_its_share_of_the_log_and_has_it_anew_each_minute() {
    let port = |number| PortId(Uuid::from_u128(number));
    let now = Instant::now();
    let mut lines = Lines::default();
    for _ in 0..LINES_MAX {
        assert!(lines.may_say(port(1), now));
    }
    let later = now + INTERVAL - Duration::from_millis(1);
    assert!(!lines.may_say(port(1), later));
    assert!(lines.may_say(port(2), later));
    assert_eq!(lines.0[&port(1)].left_out, 1);
    assert!(lines.may_say(port(1), now + INTERVAL));
    assert_eq!(lines.0[&port(1)].left_out, 0);
    lines.retain(|known| *known != port(1));
    assert_eq!(lines.0.len(), 1);
}
