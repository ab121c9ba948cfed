//! The system calls that aya does not have: what a link is attached to, and mapping a map into memory.

use aya::Pod;
use hitless_proto::bridge::{cells::BucketCells, shadow::ShadowBucket};
use std::{
    ffi::CString,
    fs, io,
    os::{
        fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd},
        unix::ffi::OsStrExt,
    },
    path::Path,
    ptr::NonNull,
    sync::atomic::{AtomicU32, AtomicU64},
};

const BPF_MAP_LOOKUP_ELEM: libc::c_long = 1;
const BPF_MAP_UPDATE_ELEM: libc::c_long = 2;
const BPF_OBJ_GET: libc::c_long = 7;
const BPF_OBJ_GET_INFO_BY_FD: libc::c_long = 15;
const BPF_MAP_LOOKUP_BATCH: libc::c_long = 24;
const BPF_LINK_DETACH: libc::c_long = 34;

/// `union bpf_attr` as BPF_OBJ_GET reads it.
#[repr(C)]
struct ObjectRequest {
    path: u64,
    fd: u32,
    flags: u32,
}

/// `union bpf_attr` as BPF_OBJ_GET_INFO_BY_FD reads it.
#[repr(C)]
struct InfoRequest {
    fd: u32,
    length: u32,
    info: u64,
}

/// The start of `struct bpf_link_info`, with the union as XDP and tcx links fill it.
#[repr(C)]
#[derive(Default)]
struct LinkInfo {
    kind: u32,
    id: u32,
    program_id: u32,
    padding: u32,
    ifindex: u32,
    rest: [u32; 11],
}

/// `union bpf_attr` as BPF_MAP_LOOKUP_BATCH reads it.
#[repr(C)]
struct BatchRequest {
    in_batch: u64,
    out_batch: u64,
    keys: u64,
    values: u64,
    count: u32,
    map_fd: u32,
    element_flags: u64,
    flags: u64,
}

/// Every value of an array map, in one system call.
///
/// # Errors
/// What `bpf(2)` says, and if it gives fewer values than asked for.
pub fn read_array<V: Pod + Default>(map: BorrowedFd<'_>, entries: u32) -> io::Result<Vec<V>> {
    // The kernel copies whole values, rounded up to eight bytes.
    if !size_of::<V>().is_multiple_of(8) {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let mut keys = vec![0u32; entries as usize];
    let mut values = vec![V::default(); entries as usize];
    let mut next = 0u64;
    let mut request = BatchRequest {
        in_batch: 0,
        out_batch: (&raw mut next) as u64,
        keys: keys.as_mut_ptr() as u64,
        values: values.as_mut_ptr() as u64,
        count: entries,
        map_fd: map.as_raw_fd() as u32,
        element_flags: 0,
        flags: 0,
    };
    // SAFETY: the request and what it points to live across the call; keys and values have room for `count` entries
    // of the map's sizes (the caller has checked its shape), and any bits are a value.
    let result = unsafe {
        libc::syscall(
            libc::SYS_bpf,
            BPF_MAP_LOOKUP_BATCH,
            &raw mut request,
            size_of::<BatchRequest>(),
        )
    };
    // ENOENT: the end of the map was reached, as it should be.
    if result < 0 {
        let error = io::Error::last_os_error();
        if error.raw_os_error() != Some(libc::ENOENT) {
            return Err(error);
        }
    }
    if request.count != entries {
        return Err(io::Error::new(
            io::ErrorKind::UnexpectedEof,
            format!("{} of {entries} values", request.count),
        ));
    }
    Ok(values)
}

/// `union bpf_attr` as BPF_MAP_LOOKUP_ELEM and BPF_MAP_UPDATE_ELEM read it.
#[repr(C)]
struct ElementRequest {
    map_fd: u32,
    padding: u32,
    key: u64,
    value: u64,
    flags: u64,
}

/// Reads or writes the words of one entry of an array map, of a map per CPU those of each possible CPU one after the
/// other. `words` must be as many as the map's entries have: the caller has looked at the map.
fn element(
    command: libc::c_long,
    map: BorrowedFd<'_>,
    key: u32,
    words: &mut [u64],
) -> io::Result<()> {
    let request = ElementRequest {
        map_fd: map.as_raw_fd() as u32,
        padding: 0,
        key: (&raw const key) as u64,
        value: words.as_mut_ptr() as u64,
        flags: 0,
    };
    // SAFETY: the request, the key and the words live across the call, and the words are all that the kernel reads or
    // writes, which the caller has seen to.
    let result = unsafe {
        libc::syscall(
            libc::SYS_bpf,
            command,
            &raw const request,
            size_of::<ElementRequest>(),
        )
    };
    if result < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(())
    }
}

/// The words of an entry of an array map, whatever they mean.
///
/// # Errors
/// What `bpf(2)` says, for instance that there is no such entry.
pub fn read_words(map: BorrowedFd<'_>, key: u32, words: usize) -> io::Result<Vec<u64>> {
    let mut values = vec![0; words];
    element(BPF_MAP_LOOKUP_ELEM, map, key, &mut values)?;
    Ok(values)
}

/// Writes the words of an entry of an array map.
///
/// # Errors
/// What `bpf(2)` says.
pub fn write_words(map: BorrowedFd<'_>, key: u32, mut words: Vec<u64>) -> io::Result<()> {
    element(BPF_MAP_UPDATE_ELEM, map, key, &mut words)
}

/// What a pinned link of ours is attached to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attachment {
    /// The device, or 0 after the kernel took it away.
    pub ifindex: u32,
    /// The program that runs.
    pub program_id: u32,
}

/// Opens a pinned object.
///
/// # Errors
/// What `bpf(2)` says.
fn open_pin(path: &Path) -> io::Result<OwnedFd> {
    let path = CString::new(path.as_os_str().as_bytes())?;
    let request = ObjectRequest {
        path: path.as_ptr() as u64,
        fd: 0,
        flags: 0,
    };
    // SAFETY: the request and the path live across the call.
    let fd = unsafe {
        libc::syscall(
            libc::SYS_bpf,
            BPF_OBJ_GET,
            &raw const request,
            size_of::<ObjectRequest>(),
        )
    };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: a descriptor that the kernel has just given to us alone.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as i32) })
}

/// Opens a pinned link. The kernel gives out and describes any pinned object, each kind in a structure of its own, so
/// that a map would pass for a link.
///
/// # Errors
/// What `bpf(2)` says, and if the pin is something else.
fn open_link(pin: &Path) -> io::Result<OwnedFd> {
    let link = open_pin(pin)?;
    let number = link.as_raw_fd();
    // The descriptor's name tells most quickly; the text that the kernel gives about it, for certain.
    let name = fs::read_link(format!("/proc/self/fd/{number}"))?;
    if name.as_os_str() == "anon_inode:bpf-link" {
        return Ok(link);
    }
    let info = fs::read_to_string(format!("/proc/self/fdinfo/{number}"))?;
    if info.lines().any(|line| line.starts_with("link_type:")) {
        Ok(link)
    } else {
        Err(io::Error::new(
            io::ErrorKind::InvalidData,
            "it is another BPF object",
        ))
    }
}

/// Takes the program of a pinned link off its device before this returns. Without that it would go with the last
/// reference to the link, some time later.
///
/// # Errors
/// What `bpf(2)` says, and if the pin is no link.
pub fn detach_link(pin: &Path) -> io::Result<()> {
    let link = open_link(pin)?;
    let request = link.as_raw_fd() as u32;
    // SAFETY: the request, a structure of this one field, lives across the call and its size is passed along.
    let result = unsafe {
        libc::syscall(
            libc::SYS_bpf,
            BPF_LINK_DETACH,
            &raw const request,
            size_of::<u32>(),
        )
    };
    if result < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(())
    }
}

/// Asks the kernel about a pinned XDP or tcx link.
///
/// # Errors
/// What `bpf(2)` says, and if the pin is no link.
pub fn link_attachment(pin: &Path) -> io::Result<Attachment> {
    let link = open_link(pin)?;
    let mut info = LinkInfo::default();
    let request = InfoRequest {
        fd: link.as_raw_fd() as u32,
        length: size_of::<LinkInfo>() as u32,
        info: (&raw mut info) as u64,
    };
    // SAFETY: both structures live across the call and their sizes are passed along.
    let result = unsafe {
        libc::syscall(
            libc::SYS_bpf,
            BPF_OBJ_GET_INFO_BY_FD,
            &raw const request,
            size_of::<InfoRequest>(),
        )
    };
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(Attachment {
        ifindex: info.ifindex,
        program_id: info.program_id,
    })
}

/// An array map, mapped into memory for as long as this lives.
pub struct Mapping {
    start: NonNull<u8>,
    bytes: usize,
}

// SAFETY: the mapping is shared memory that outlives every user of this value, and all access to it is by atomics.
unsafe impl Send for Mapping {}
// SAFETY: as for Send.
unsafe impl Sync for Mapping {}

impl Mapping {
    /// Maps `bytes` of an array map that was created with BPF_F_MMAPABLE.
    ///
    /// # Errors
    /// What `mmap(2)` says, for instance when the map is smaller or was not created for it.
    pub fn new(map: BorrowedFd<'_>, bytes: usize) -> io::Result<Self> {
        // SAFETY: a fresh shared mapping at an address of the kernel's choice.
        let start = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                bytes,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_SHARED | libc::MAP_POPULATE,
                map.as_raw_fd(),
                0,
            )
        };
        if start == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let start =
            NonNull::new(start.cast()).ok_or_else(|| io::Error::other("mmap gave address 0"))?;
        Ok(Self { start, bytes })
    }

    /// The whole mapping as buckets of the FDB, for the rest of the process.
    #[must_use]
    pub fn leak_buckets(self) -> &'static [BucketCells] {
        let mapping = std::mem::ManuallyDrop::new(self);
        // SAFETY: page-aligned, `bytes` long and never unmapped; a bucket is plain memory of atomics, as the data
        // path shares it.
        unsafe {
            std::slice::from_raw_parts(
                mapping.start.as_ptr().cast(),
                mapping.bytes / size_of::<BucketCells>(),
            )
        }
    }

    /// A 64-bit field.
    ///
    /// # Panics
    /// If `offset` is not a multiple of 8 inside the mapping: a mistake in this program.
    #[must_use]
    pub fn u64_at(&self, offset: usize) -> &AtomicU64 {
        assert!(
            offset.is_multiple_of(8) && offset + 8 <= self.bytes,
            "field at {offset} of {} bytes",
            self.bytes
        );
        // SAFETY: aligned and inside the mapping, by the check above.
        unsafe { self.start.add(offset).cast().as_ref() }
    }

    /// A 32-bit field.
    ///
    /// # Panics
    /// If `offset` is not a multiple of 4 inside the mapping: a mistake in this program.
    #[must_use]
    pub fn u32_at(&self, offset: usize) -> &AtomicU32 {
        assert!(
            offset.is_multiple_of(4) && offset + 4 <= self.bytes,
            "field at {offset} of {} bytes",
            self.bytes
        );
        // SAFETY: aligned and inside the mapping, by the check above.
        unsafe { self.start.add(offset).cast().as_ref() }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: mapped in `new`, unmapped once.
        unsafe { libc::munmap(self.start.as_ptr().cast(), self.bytes) };
    }
}

/// Zeroed memory for the software copy of an FDB, for the rest of the process, in huge pages where the kernel has
/// them: the copy of a million entries is made in half the time, most of which would be page faults.
///
/// # Errors
/// What `mmap(2)` says.
pub fn shadow_memory(buckets: usize) -> io::Result<&'static mut [ShadowBucket]> {
    let bytes = buckets * size_of::<ShadowBucket>();
    // SAFETY: a fresh private mapping at an address of the kernel's choice.
    let start = unsafe {
        libc::mmap(
            std::ptr::null_mut(),
            bytes,
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
            -1,
            0,
        )
    };
    if start == libc::MAP_FAILED {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the mapping just made; without huge pages the advice does nothing.
    unsafe { libc::madvise(start, bytes, libc::MADV_HUGEPAGE) };
    // SAFETY: page-aligned, zeroed, `bytes` long, never unmapped, and nobody else has it; any bit pattern is a
    // valid bucket.
    Ok(unsafe { std::slice::from_raw_parts_mut(start.cast(), buckets) })
}
