//! Any octets as a frame with a BPDU.
#![no_main]

use hitless_wire::bpdu::{Bpdu, Frame, MAX_FRAME_BYTES};
use hitless_wire::ether::Tci;
use libfuzzer_sys::fuzz_target;

/// How frames begin; the fuzzer has only the rest to find.
const HEADERS: [&[u8]; 5] = [
    b"",
    b"\x01\x80\xc2\0\0\0\x02\0\0\0\x01\x01\0\x26\x42\x42\x03",
    b"\x01\x80\xc2\0\0\0\x02\0\0\0\x01\x01\x81\0\0\x0a\0\x27\x42\x42\x03",
    b"\x01\0\x0c\xcc\xcc\xcd\x02\0\0\0\x01\x01\x81\0\0\x0a\0\x32\xaa\xaa\x03\0\0\x0c\x01\x0b",
    b"\x01\0\x0c\xcc\xcc\xcd\x02\0\0\0\x01\x01\0\x32\xaa\xaa\x03\0\0\x0c\x01\x0b",
];

fuzz_target!(|data: &[u8]| {
    let Some((&[header, a, b], rest)) = data.split_first_chunk() else {
        return;
    };
    let tag = (header & 0x80 != 0).then_some(Tci(u16::from_be_bytes([a, b])));
    let mut octets = HEADERS[usize::from(header) % HEADERS.len()].to_vec();
    octets.extend(rest);
    // Whether it is taken or not: no octets may stop the switch.
    let _any = Bpdu::parse(&octets);
    if let Ok(frame) = Frame::parse(&octets, tag) {
        let mut again = [0; MAX_FRAME_BYTES];
        let length = frame.emit(&mut again).expect("a buffer for every frame");
        assert_eq!(Frame::parse(&again[..length], None), Ok(frame));
    }
});
