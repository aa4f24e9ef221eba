use super::*;

fn file(link_type: u32, frames: &[&[u8]]) -> Vec<u8> {
    let mut file = vec![0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0];
    file.extend([0; 8]);
    file.extend(65_535u32.to_le_bytes());
    file.extend(link_type.to_le_bytes());
    for frame in frames {
        let length = u32::try_from(frame.len()).unwrap().to_le_bytes();
        file.extend([0; 8]);
        file.extend(length);
        file.extend(length);
        file.extend(*frame);
    }
    file
}

#[test]
fn the_frames_of_a_file_come_in_their_order() {
    let file = file(1, &[b"first frame here", b"second"]);
    assert!(is_capture(&file));
    assert_eq!(parse(&file).unwrap(), [&b"first frame here"[..], b"second"]);
}

#[test]
fn no_more_frames_are_taken_than_the_bound() {
    let frames = vec![&b"frame"[..]; FRAMES_MAX + 5];
    assert_eq!(parse(&file(1, &frames)).unwrap().len(), FRAMES_MAX);
}

#[test]
fn what_is_no_ethernet_capture_is_refused_by_name() {
    assert_eq!(parse(b"text"), Err(CaptureError::Format));
    assert_eq!(parse(&[0x0a, 0x0d, 0x0d, 0x0a]), Err(CaptureError::Format));
    assert_eq!(parse(&file(113, &[])), Err(CaptureError::LinkType(113)));
    let whole = file(1, &[b"frame"]);
    for cut in 25..whole.len() {
        assert_eq!(parse(&whole[..cut]), Err(CaptureError::Truncated), "{cut}");
    }
}
