//! Maps that are full, under traffic: an established flow loses nothing, the new entry is refused, counted and told.
#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

use hextet_agent::kernel::Verdict;
use hextet_agent::kernel::fastpath::Sizes;
use serde_json::json;

use crate::metrics::{LISTEN, figures, frames};
use crate::support::{Cloud, Flow, Namespace, Stream, reaches, until};
use crate::survival::{beside, configure_stopped, pins};

/// Counted of rows that a map refused.
const REFUSED: &str = "hextet_agent_rows_refused_total";
/// Counted of frames that a full table of counters keeps apart by verdict alone.
const UNATTRIBUTED: &str = "hextet_agent_frames_unattributed_total";

/// A cloud whose maps are as its configuration says, but for one that was made before with another size: the two that can
/// never be full by the configuration, because others of the same size are full before, are so here.
fn with_small(map: &str, sizes: Sizes) -> Cloud {
    let mut cloud = Cloud::new();
    cloud.stop();
    cloud.done(&["down"]);
    drop(beside(&cloud, sizes));
    for entry in std::fs::read_dir(pins(&cloud)).unwrap() {
        let path = entry.unwrap().path();
        if !path.ends_with(map) {
            std::fs::remove_file(path).unwrap();
        }
    }
    let listen = format!("metrics_listen = \"{LISTEN}\"");
    configure_stopped(&mut cloud, &listen);
    cloud
}

/// The same by the configuration alone.
fn configured(maps: &str) -> Cloud {
    let mut cloud = Cloud::new();
    cloud.stop();
    // A map keeps the size that it was made with.
    cloud.done(&["down"]);
    let lines = format!("metrics_listen = \"{LISTEN}\"\nmaps = {{ {maps} }}");
    configure_stopped(&mut cloud, &lines);
    cloud
}

/// Ports on taps until one is refused: how many there are, and the refused one's id and reason.
fn fill(cloud: &Cloud, network: impl Fn() -> String) -> (usize, String, String) {
    for number in 0.. {
        let name = format!("tap{number}");
        cloud.host.ip(&format!("tuntap add dev {name} mode tap"));
        let port = json!({ "network_id": network(), "name": name });
        let port = cloud.create("port", port)["id"]
            .as_str()
            .unwrap()
            .to_owned();
        cloud.run(&["port", "attach", &name, "--tap", &name]);
        let outcome = until("it is served, or refused", || {
            let listed = cloud.listed(&port);
            let why = listed["reason"].as_str().map(str::to_owned);
            match why {
                Some(why) if why.contains("refused a row") => Some(Some(why)),
                Some(_) => None,
                None => Some(None),
            }
        });
        if let Some(why) = outcome {
            return (number, port, why);
        }
        assert!(number < 100, "there is room for all");
    }
    unreachable!("it ends")
}

/// Of `each_its_network` a network's own row is refused, not only a port's.
fn the_newest_is_refused_and_nobody_else_notices(cloud: &Cloud, map: &str, each_its_network: bool) {
    let network = cloud.network();
    let (one, first_id, first) = cloud.guest(&network, "one");
    let (two, second_id, second) = cloud.guest(&network, "two");
    let addressed = |guest: &Namespace, address| {
        until("the address", || {
            guest.addresses().contains(&(address, 64)).then_some(())
        });
    };
    addressed(&one, first);
    addressed(&two, second);
    reaches(&one, second);
    let stream = Stream::start(&one, &two, second);
    let flow = Flow::start(&one, &two, second);
    assert_eq!(figures(cloud)[REFUSED], 0.0, "{map}");
    let (served, refused, why) = fill(cloud, || match each_its_network {
        true => cloud.network(),
        false => network.clone(),
    });
    assert!(served > 0, "{map}");
    let said = "the fast path refused a row: the map is full";
    assert_eq!(why, said, "{map}");
    // Who reads often gets the figures of a second ago.
    let now = until("it is counted", || {
        let now = figures(cloud);
        (now[REFUSED] > 0.0).then_some(now)
    });
    let table = |of: &str| now[&format!("hextet_agent_table_rows{of}{{table=\"{map}\"}}")];
    assert_eq!(table(""), table("_max"), "{map}");
    until("the API says so", || {
        (cloud.status(&refused) == "DOWN").then_some(())
    });
    for port in [&first_id, &second_id] {
        assert_eq!(cloud.status(port), "ACTIVE", "{map}");
    }
    stream.flows_on();
    // Room that comes free is given to whoever waits for it.
    cloud.done(&["port", "detach", "tap0"]);
    until("the refused one is served", || {
        (cloud.status(&refused) == "ACTIVE").then_some(())
    });
    stream.end();
    let (sent, arrived) = flow.end(&two);
    assert_eq!(sent, arrived, "{map}");
}

#[test]
fn a_port_for_which_a_map_has_no_room_is_down_and_says_so_and_nobody_else_notices() {
    for (map, maps, each_its_network) in [
        ("ports", "ports = 6", false),
        ("sources", "sources = 14", false),
        ("neigh", "neighbours = 11", true),
    ] {
        let cloud = configured(maps);
        the_newest_is_refused_and_nobody_else_notices(&cloud, map, each_its_network);
    }
    let learnable = Sizes {
        sources: 5,
        ..Sizes::default()
    };
    let members = Sizes {
        member_chunks: 3,
        ..Sizes::default()
    };
    for (map, sizes, each_its_network) in
        [("learnable", learnable, false), ("members", members, true)]
    {
        let cloud = with_small(map, sizes);
        the_newest_is_refused_and_nobody_else_notices(&cloud, map, each_its_network);
    }
}

#[test]
fn a_full_table_of_counters_stops_no_frame_and_loses_none_from_the_sums() {
    // Beside what is kept for this, there is room for very few.
    let counters = u32::try_from(Verdict::ALL.len()).unwrap() + 3;
    let cloud = with_small(
        "counters",
        Sizes {
            counters,
            ..Sizes::default()
        },
    );
    let network = cloud.network();
    let (one, _, _) = cloud.guest(&network, "one");
    let (two, _, second) = cloud.guest(&network, "two");
    reaches(&one, second);
    let unicast = frames("passed", "unicast");
    let before = figures(&cloud);
    assert_eq!(
        before["hextet_agent_table_rows{table=\"counters\"}"],
        before["hextet_agent_table_rows_max{table=\"counters\"}"]
    );
    let stream = Stream::start(&one, &two, second);
    let flow = Flow::start(&one, &two, second);
    // A new guest's frames are for pairs that nothing has counted yet.
    let (three, _, _) = cloud.guest(&network, "three");
    reaches(&three, second);
    until("it is told", || {
        cloud
            .log_text()
            .contains("the table of counters is full")
            .then_some(())
    });
    stream.end();
    let (sent, arrived) = flow.end(&two);
    assert_eq!(sent, arrived);
    #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
    let sent = sent as f64;
    let after = until("every frame is in the sum", || {
        let after = figures(&cloud);
        (after[&unicast] >= before[&unicast] + sent).then_some(after)
    });
    assert!(after[UNATTRIBUTED] > before[UNATTRIBUTED]);
}
