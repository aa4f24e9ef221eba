//! Two guests in namespaces of their own, one of which sends to the other through the kernel's sockets.

use std::fs::File;
use std::io::{Read, Write};
use std::net::{Ipv6Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};
use nix::sched::{CloneFlags, CpuSet, sched_setaffinity, setns};
use nix::sys::socket::MsgFlags;
use nix::sys::socket::{
    AddressFamily, SockFlag, SockProtocol, SockType, SockaddrIn6, connect, recv, send, socket,
};
use nix::unistd::Pid;
use serde_json::{Value as Json, json};

const PORT: u16 = 7777;
/// Bytes of a small packet's payload.
const SMALL: usize = 64;
/// Bytes of one write of a stream.
const WRITE: usize = 128 * 1024;
/// A silent peer is a failure.
const SILENCE: Duration = Duration::from_secs(5);

/// Two namespaces under /run/netns, and the address of the second's guest.
pub struct Pair<'a> {
    /// Who sends.
    pub from: &'a str,
    /// Who receives.
    pub to: &'a str,
    /// Of the receiver.
    pub address: Ipv6Addr,
}

/// Has the calling thread, which is of no more use to anybody else, live in a namespace and on a core.
fn settle(namespace: &str, core: usize) -> Result<()> {
    let file = File::open(Path::new("/run/netns").join(namespace)).context("a namespace")?;
    setns(file, CloneFlags::CLONE_NEWNET)?;
    let mut cores = CpuSet::new();
    cores.set(core)?;
    sched_setaffinity(Pid::from_raw(0), &cores)?;
    Ok(())
}

/// Processor time of the calling thread.
fn used() -> Result<Duration> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat")?;
    let first = text.split_whitespace().next().context("schedstat")?;
    Ok(Duration::from_nanos(first.parse()?))
}

fn joined<R>(thread: thread::JoinHandle<Result<R>>) -> Result<R> {
    thread.join().map_err(|_| anyhow!("a thread panicked"))?
}

impl Pair<'_> {
    /// Small datagrams as fast as one core sends them: the sender's processor time for each, in which all work of the way
    /// is done, up to the receiver's socket.
    ///
    /// # Errors
    /// The kernel's.
    pub fn packets(&self, length: Duration) -> Result<Json> {
        let stop = Arc::new(AtomicBool::new(false));
        let sink = self.sink(Arc::clone(&stop))?;
        let (from, address) = (self.from.to_owned(), self.address);
        let sender = thread::spawn(move || {
            settle(&from, 0)?;
            let socket = UdpSocket::bind("[::]:0")?;
            socket.connect((address, PORT))?;
            let (start, before, mut sent) = (Instant::now(), used()?, 0u64);
            while start.elapsed() < length {
                for _ in 0..100 {
                    // Refused or full: counted as a packet, because it went the way.
                    let _ = socket.send(&[0; SMALL]);
                }
                sent += 100;
            }
            Ok((sent, used()? - before, start.elapsed()))
        });
        let (sent, cpu, took) = joined(sender)?;
        stop.store(true, Ordering::Relaxed);
        let received = joined(sink)?;
        let each = cpu.as_nanos() as f64 / sent as f64;
        Ok(
            json!({"ns": each, "sent": sent, "received": received, "per_s": sent as f64 / took.as_secs_f64()}),
        )
    }

    fn sink(&self, stop: Arc<AtomicBool>) -> Result<thread::JoinHandle<Result<u64>>> {
        let to = self.to.to_owned();
        let (ready, wait) = std::sync::mpsc::channel();
        let sink = thread::spawn(move || {
            settle(&to, 1)?;
            let socket = UdpSocket::bind((Ipv6Addr::UNSPECIFIED, PORT))?;
            socket.set_read_timeout(Some(Duration::from_millis(100)))?;
            ready.send(())?;
            let (mut buffer, mut received) = ([0; 2 * SMALL], 0);
            while !stop.load(Ordering::Relaxed) {
                received += u64::from(socket.recv(&mut buffer).is_ok());
            }
            Ok(received)
        });
        wait.recv_timeout(SILENCE)
            .context("the receiver does not come up")?;
        Ok(sink)
    }

    /// Echo requests one after the other; the median of their round trips, µs.
    ///
    /// # Errors
    /// When one is not answered.
    pub fn echo(&self, count: u16) -> Result<Json> {
        let (from, address) = (self.from.to_owned(), self.address);
        let asker = thread::spawn(move || {
            settle(&from, 0)?;
            let socket = socket(
                AddressFamily::Inet6,
                SockType::Raw,
                SockFlag::SOCK_CLOEXEC,
                SockProtocol::IcmpV6,
            )?;
            let fd = std::os::fd::AsRawFd::as_raw_fd(&socket);
            connect(
                fd,
                &SockaddrIn6::from(std::net::SocketAddrV6::new(address, 0, 0, 0)),
            )?;
            let timeout = nix::sys::time::TimeVal::new(SILENCE.as_secs() as i64, 0);
            nix::sys::socket::setsockopt(
                &socket,
                nix::sys::socket::sockopt::ReceiveTimeout,
                &timeout,
            )?;
            let mut trips = Vec::with_capacity(usize::from(count));
            for number in 0..count {
                let [high, low] = number.to_be_bytes();
                // The kernel fills in the checksum.
                let request = [128, 0, 0, 0, 0x68, 0x78, high, low];
                let start = Instant::now();
                send(fd, &request, MsgFlags::empty())?;
                let mut answer = [0; 256];
                loop {
                    let length = recv(fd, &mut answer, MsgFlags::empty())?;
                    if length >= 8 && answer[0] == 129 && answer[4..8] == request[4..] {
                        break;
                    }
                }
                trips.push(start.elapsed().as_secs_f64() * 1e6);
            }
            trips.sort_by(f64::total_cmp);
            anyhow::Ok(trips)
        });
        let trips = joined(asker)?;
        Ok(json!({"p50_us": trips[trips.len() / 2], "p99_us": trips[trips.len() * 99 / 100]}))
    }

    /// One TCP stream: processor time of both ends for a gigabyte, ms.
    ///
    /// # Errors
    /// The kernel's.
    pub fn stream(&self, bytes: usize) -> Result<Json> {
        let (ready, wait) = std::sync::mpsc::channel();
        let (to, from, address) = (self.to.to_owned(), self.from.to_owned(), self.address);
        let reader = thread::spawn(move || {
            settle(&to, 1)?;
            let listener = TcpListener::bind((Ipv6Addr::UNSPECIFIED, PORT))?;
            ready.send(())?;
            let (mut stream, _) = listener.accept()?;
            let (before, mut buffer) = (used()?, vec![0; WRITE]);
            while stream.read(&mut buffer)? > 0 {}
            anyhow::Ok(used()? - before)
        });
        wait.recv_timeout(SILENCE)
            .context("the receiver does not come up")?;
        let writer = thread::spawn(move || {
            settle(&from, 0)?;
            let to = SocketAddr::from((address, PORT));
            let mut stream = TcpStream::connect_timeout(&to, SILENCE)?;
            let (before, start) = (used()?, Instant::now());
            let block = vec![0; WRITE];
            for _ in 0..bytes / WRITE {
                stream.write_all(&block)?;
            }
            drop(stream);
            anyhow::Ok((used()? - before, start.elapsed()))
        });
        let (sending, took) = joined(writer)?;
        let cpu = sending + joined(reader)?;
        let gigabytes = bytes as f64 / 1e9;
        Ok(json!({
            "ms_per_gb": cpu.as_secs_f64() * 1000.0 / gigabytes,
            "gbit_s": gigabytes * 8.0 / took.as_secs_f64(),
        }))
    }
}
