use super::*;

#[test]
fn every_part_has_its_turn_within_a_round() {
    let mut now = Instant::now();
    let mut rounds = Rounds::new(now);
    for _ in 0..2 {
        let began = now;
        let mut parts = BTreeSet::new();
        while parts.len() < PARTS as usize {
            assert_eq!(rounds.take_part(now), None, "not before its time");
            now += rounds.until(now);
            parts.extend(rounds.take_part(now));
        }
        assert!(now - began <= ROUND);
    }
}

#[test]
fn frames_without_a_row_are_told_of_once_until_there_are_no_more() {
    let mut rounds = Rounds::new(Instant::now());
    let told: Vec<bool> = [0, 0, 5, 9, 12, 12, 12, 13]
        .into_iter()
        .map(|frames| rounds.is_news(frames))
        .collect();
    let expected = [false, false, true, false, false, false, false, true];
    assert_eq!(told, expected);
}
