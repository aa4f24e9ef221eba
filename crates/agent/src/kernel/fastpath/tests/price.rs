//! What a delivered packet costs in the program: `cargo test -p hextet-agent --lib price -- --nocapture`.

use super::*;

const ROUNDS: usize = 5;
const REPEATS: u32 = 20_000;

/// The price is printed, as it is the machine's, too.
#[test]
fn a_delivered_packet_is_counted_once_and_has_its_price() {
    let punt = PuntBudget::default();
    let build = Build {
        punt,
        trace: false,
        dry_run: false,
    };
    let object = object::load(build, Sizes::default(), None).unwrap();
    let maps = Maps::open(|name| Ok(Bench::map(&object, name))).unwrap();
    maps.apply(&Rows::default().diff(&world())).unwrap();
    let (from, to) = (global(0xa), global(0xb));
    let frames = [
        ("IPv6, UDP", udp(A, B, from, to, 1000, 2000, &[0; 64])),
        ("IPv6, echo", icmpv6(A, B, 128, from, to, &[0; 60])),
    ];
    for (what, frame) in &frames {
        let mut prices: Vec<u128> = (0..ROUNDS).map(|_| price(&object, frame)).collect();
        prices.sort_unstable();
        println!(
            "{what}: {} ns ({} to {})",
            prices[ROUNDS / 2],
            prices[0],
            prices[ROUNDS - 1]
        );
    }
    let (packets, _) = maps.counters().unwrap()[&(PORT_A, Verdict::Unicast)];
    assert_eq!(packets, u64::from(REPEATS) * (ROUNDS * frames.len()) as u64);
}

/// Of one run, nanoseconds.
fn price(object: &Object, frame: &[u8]) -> u128 {
    let mut programs = object.progs_mut();
    let program = programs.find(|found| found.name() == object::GUEST);
    let input = ProgramInput {
        data_in: Some(frame),
        repeat: REPEATS,
        ..Default::default()
    };
    let output = program.unwrap().test_run(input).unwrap();
    assert_eq!(output.return_value, REDIRECTED);
    output.duration.as_nanos()
}
