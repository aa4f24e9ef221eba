//! The kernel's vhost-net behind a tap, and a driver of its two queues (virtio 1.2 §2.7, linux/vhost.h). What a guest's memory is to
//! QEMU, this process' is here: an address in a queue is one of ours.

#![allow(
    unsafe_code,
    reason = "vhost-net is set up by ioctl, and writes to our memory"
)]

use std::collections::VecDeque;
use std::fs::{File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, FromRawFd as _};
use std::sync::atomic::{AtomicU8, AtomicU16, AtomicU32, AtomicU64, Ordering};

/// Frames that a queue holds.
const SIZE: usize = 32;
/// The longest frame, with its header.
pub const FRAME_MAX: usize = 10 + 14 + (1 << 16);
/// A descriptor that the device writes to (VIRTQ_DESC_F_WRITE).
const WRITE: u16 = 2;

/// `linux/vhost.h`.
const SET_FEATURES: libc::Ioctl = 0x4008_af00;
const SET_OWNER: libc::Ioctl = 0xaf01;
const SET_MEM_TABLE: libc::Ioctl = 0x4008_af03;
const SET_VRING_NUM: libc::Ioctl = 0x4008_af10;
const SET_VRING_ADDR: libc::Ioctl = 0x4028_af11;
const SET_VRING_BASE: libc::Ioctl = 0x4008_af12;
const SET_VRING_KICK: libc::Ioctl = 0x4008_af20;
const SET_VRING_CALL: libc::Ioctl = 0x4008_af21;
const SET_BACKEND: libc::Ioctl = 0x4008_af30;

/// All of a process' memory on x86-64 but its first page: where it is to the guest, how long, where it is here, no flags.
const PAGE: u64 = 4096;
const MEMORY: [u64; 4] = [PAGE, (1 << 47) - 2 * PAGE, PAGE, 0];

#[repr(C, align(16))]
#[derive(Default)]
struct Ring {
    descriptors: [Descriptor; SIZE],
    available: Available,
    used: Used,
}

#[repr(C)]
#[derive(Default)]
struct Descriptor {
    address: AtomicU64,
    length: AtomicU32,
    flags: AtomicU16,
    next: AtomicU16,
}

#[repr(C)]
#[derive(Default)]
struct Available {
    flags: AtomicU16,
    index: AtomicU16,
    ring: [AtomicU16; SIZE],
}

#[repr(C, align(4))]
#[derive(Default)]
struct Used {
    flags: AtomicU16,
    index: AtomicU16,
    /// A descriptor, and how many octets the device wrote.
    ring: [[AtomicU32; 2]; SIZE],
}

/// A queue as its driver has it. Each descriptor is of one buffer of its own.
pub struct Queue {
    ring: Box<Ring>,
    buffers: Vec<Box<[AtomicU8]>>,
    /// Buffers that the device does not have.
    free: VecDeque<usize>,
    /// How many the device was given and has given back, as the rings count them.
    given: u16,
    back: u16,
    kick: File,
    call: File,
}

impl Queue {
    fn new() -> Self {
        let buffer = || (0..FRAME_MAX).map(|_| AtomicU8::new(0)).collect();
        Self {
            ring: Box::default(),
            buffers: std::iter::repeat_with(buffer).take(SIZE).collect(),
            free: (0..SIZE).collect(),
            given: 0,
            back: 0,
            kick: event(),
            call: event(),
        }
    }

    pub fn has_room(&self) -> bool {
        !self.free.is_empty()
    }

    /// What can be read when the device has given something back.
    pub fn call(&self) -> BorrowedFd<'_> {
        self.call.as_fd()
    }

    /// Gives the device a frame to send. There must be room.
    pub fn send(&mut self, frame: &[u8]) {
        let at = self.free.pop_front().expect("there is room");
        for (place, octet) in self.buffers[at].iter().zip(frame) {
            place.store(*octet, Ordering::Relaxed);
        }
        self.give(at, frame.len(), 0);
    }

    /// Gives the device all buffers to write to.
    fn offer(&mut self) {
        while let Some(at) = self.free.pop_front() {
            self.give(at, FRAME_MAX, WRITE);
        }
    }

    fn give(&mut self, at: usize, length: usize, flags: u16) {
        let descriptor = &self.ring.descriptors[at];
        let address = self.buffers[at].as_ptr() as u64;
        descriptor.address.store(address, Ordering::Relaxed);
        let length = u32::try_from(length).expect("a frame's length");
        descriptor.length.store(length, Ordering::Relaxed);
        descriptor.flags.store(flags, Ordering::Relaxed);
        let available = &self.ring.available;
        let place = &available.ring[usize::from(self.given) % SIZE];
        place.store(u16::try_from(at).expect("few"), Ordering::Relaxed);
        self.given = self.given.wrapping_add(1);
        available.index.store(self.given, Ordering::Release);
        (&self.kick)
            .write_all(&1_u64.to_ne_bytes())
            .expect("it is heard");
    }

    /// What the device has given back since the last call: the buffers are free, and what it wrote to them is `take`n before.
    pub fn settle(&mut self, mut take: impl FnMut(&[u8])) {
        // Whether anything was to be read or not: the ring says what there is.
        let _ = (&self.call).read(&mut [0; 8]);
        while self.back != self.ring.used.index.load(Ordering::Acquire) {
            let [at, length] = &self.ring.used.ring[usize::from(self.back) % SIZE];
            let at = at.load(Ordering::Relaxed) as usize;
            let length = length.load(Ordering::Relaxed) as usize;
            let frame: Vec<u8> = self.buffers[at][..length]
                .iter()
                .map(|octet| octet.load(Ordering::Relaxed))
                .collect();
            take(&frame);
            self.free.push_back(at);
            self.back = self.back.wrapping_add(1);
        }
    }

    /// The same of a queue of received frames, whose buffers the device has again.
    pub fn receive(&mut self, take: impl FnMut(&[u8])) {
        self.settle(take);
        self.offer();
    }
}

/// A tap whose frames the kernel itself takes from a guest and hands to it.
pub struct Vhost {
    /// While it is open, the kernel works: the first that is dropped.
    _device: File,
    pub received: Queue,
    pub sent: Queue,
}

impl Vhost {
    /// Neither QEMU nor libvirt is asked: this is what they do with `vhost=on`.
    pub fn new(tap: &File) -> Self {
        let device = OpenOptions::new()
            .read(true)
            .write(true)
            .open("/dev/vhost-net")
            .expect("a kernel with vhost_net");
        control(&device, SET_OWNER, &());
        // Headers of ten octets, as the tap has them, and one buffer for each frame.
        control(&device, SET_FEATURES, &0_u64);
        let [to_guest, length, here, flags] = MEMORY;
        control(&device, SET_MEM_TABLE, &[1, to_guest, length, here, flags]);
        let mut received = Queue::new();
        let sent = Queue::new();
        for (number, queue) in [(0, &received), (1, &sent)] {
            let size = u32::try_from(SIZE).expect("few");
            control(&device, SET_VRING_NUM, &[number, size]);
            control(&device, SET_VRING_BASE, &[number, 0]);
            let ring = &queue.ring;
            let addresses = [
                u64::from(number),
                ring.descriptors.as_ptr() as u64,
                std::ptr::from_ref(&ring.used) as u64,
                std::ptr::from_ref(&ring.available) as u64,
                0,
            ];
            control(&device, SET_VRING_ADDR, &addresses);
            let with = |file: &File| [number, file.as_raw_fd().cast_unsigned()];
            control(&device, SET_VRING_KICK, &with(&queue.kick));
            control(&device, SET_VRING_CALL, &with(&queue.call));
            control(&device, SET_BACKEND, &with(tap));
        }
        received.offer();
        Self {
            _device: device,
            received,
            sent,
        }
    }
}

fn control<T>(device: &File, request: libc::Ioctl, argument: &T) {
    // SAFETY: the kernel reads what it is given. The memory that it learns of by it is the queues', which go after the device.
    let done = unsafe { libc::ioctl(device.as_raw_fd(), request, std::ptr::from_ref(argument)) };
    let error = std::io::Error::last_os_error();
    assert_eq!(done, 0, "{request:#x}: {error}");
}

/// What one side tells the other by.
pub fn event() -> File {
    // SAFETY: the descriptor is new, and nobody else's.
    unsafe {
        let event = libc::eventfd(0, libc::EFD_NONBLOCK | libc::EFD_CLOEXEC);
        assert!(event >= 0, "{}", std::io::Error::last_os_error());
        File::from_raw_fd(event)
    }
}
