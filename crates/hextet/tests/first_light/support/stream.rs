//! A TCP connection from one guest to another: numbered bytes, and every segment accounted for.
#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

use std::io::{Read as _, Write as _};
use std::net::{Ipv6Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use hextet_agent::kernel::netns;

use super::{Namespace, until};

const PORT: u16 = 4001;
/// Bytes of one write, each a segment of its own while nothing holds up the connection.
const CHUNK: usize = 512;
/// From one write to the next.
const PAUSE: Duration = Duration::from_millis(1);

pub struct Stream {
    stop: Arc<AtomicBool>,
    sent: Arc<AtomicU64>,
    received: Arc<AtomicU64>,
    writer: JoinHandle<TcpStream>,
    reader: JoinHandle<()>,
    /// The namespaces of the one that connects and of the other.
    ends: [PathBuf; 2],
    /// Segments that each had sent and received before the first byte.
    before: [Segments; 2],
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Segments {
    sent: u64,
    received: u64,
}

impl Stream {
    pub fn start(from: &Namespace, to: &Namespace, address: Ipv6Addr) -> Self {
        let listener = netns::inside(&to.path, || TcpListener::bind((address, PORT)));
        let listener = listener.unwrap().unwrap();
        let writing = netns::inside(&from.path, || TcpStream::connect((address, PORT)));
        let mut writing = writing.unwrap().unwrap();
        writing.set_nodelay(true).unwrap();
        let (mut reading, _) = listener.accept().unwrap();
        let ends = [from.path.clone(), to.path.clone()];
        let before = ends.each_ref().map(|end| segments(end));
        let stop = Arc::new(AtomicBool::new(false));
        let (sent, received) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
        let (stopped, count) = (stop.clone(), sent.clone());
        let writer = std::thread::spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                let at = count.load(Ordering::Relaxed);
                let chunk: Vec<u8> = (at..).take(CHUNK).map(byte).collect();
                writing.write_all(&chunk).expect("the connection stands");
                count.store(at + CHUNK as u64, Ordering::Relaxed);
                std::thread::sleep(PAUSE);
            }
            writing
        });
        let count = received.clone();
        let reader = std::thread::spawn(move || {
            let mut buffer = [0; 16 * CHUNK];
            loop {
                let length = reading.read(&mut buffer).expect("the connection stands");
                if length == 0 {
                    return;
                }
                let at = count.load(Ordering::Relaxed);
                let mut wanted = (at..).map(byte);
                let same = buffer[..length]
                    .iter()
                    .all(|got| wanted.next() == Some(*got));
                assert!(same, "other bytes than were sent");
                count.store(at + length as u64, Ordering::Relaxed);
            }
        });
        Self {
            stop,
            sent,
            received,
            writer,
            reader,
            ends,
            before,
        }
    }

    /// Waits until the bytes that are sent from now on arrive.
    pub fn flows_on(&self) {
        let enough = self.sent.load(Ordering::Relaxed) + 50 * CHUNK as u64;
        until("the connection goes on", || {
            (self.received.load(Ordering::Relaxed) > enough).then_some(())
        });
    }

    /// All bytes have arrived, and every segment that either end has sent, again or for the first time, was received.
    pub fn end(self) {
        self.finish(true);
    }

    /// All bytes have arrived, some of them perhaps at a second attempt.
    pub fn end_whole(self) {
        self.finish(false);
    }

    fn finish(self, every_segment: bool) {
        self.flows_on();
        self.stop.store(true, Ordering::Relaxed);
        let writing = self.writer.join().unwrap();
        let sent = self.sent.load(Ordering::Relaxed);
        until("every byte", || {
            (self.received.load(Ordering::Relaxed) == sent).then_some(())
        });
        until("every segment", || {
            if !every_segment {
                return Some(());
            }
            let now = self.ends.each_ref().map(|end| segments(end));
            let passed = |end: usize| Segments {
                sent: now[end].sent - self.before[end].sent,
                received: now[end].received - self.before[end].received,
            };
            let (one, two) = (passed(0), passed(1));
            (one.sent == two.received && two.sent == one.received).then_some(())
        });
        drop(writing);
        self.reader.join().unwrap();
    }
}

/// What stands at this place of the stream: a period that no segment's length divides.
fn byte(at: u64) -> u8 {
    u8::try_from(at % 251).unwrap()
}

/// What the kernel says of the connection's segments at one end (`tcpi_segs_out`, `tcpi_segs_in`).
fn segments(netns: &Path) -> Segments {
    let output = Command::new("nsenter")
        .arg(format!("--net={}", netns.display()))
        .args(["ss", "-Htin", "state", "established"])
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let figure = |name: &str| {
        let mut words = text.split_whitespace();
        let value = words.find_map(|word| word.strip_prefix(name));
        value.map_or(0, |value| value.parse().unwrap())
    };
    assert!(
        text.contains(&format!(":{PORT}")),
        "the connection: {text:?}"
    );
    Segments {
        sent: figure("segs_out:"),
        received: figure("segs_in:"),
    }
}
