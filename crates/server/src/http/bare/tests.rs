use super::*;

const BARE: &str = "HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";

#[track_caller]
fn check(written: &str, expected: Option<(usize, Bound)>) {
    assert_eq!(find(written.as_bytes()), expected, "{written:?}");
}

#[test]
fn an_answer_of_hypers_own_is_found_at_the_end_of_what_is_written() {
    check(BARE, Some((0, Bound::HeadersTooLarge)));
    check(
        "HTTP/1.0 400 Bad Request\r\n\r\n",
        Some((0, Bound::HeadBroken)),
    );
    check(
        "HTTP/1.1 414 URI Too Long\r\ncontent-length: 0\r\n\r\n",
        Some((0, Bound::UriTooLong)),
    );
    // Behind the answer to a request before it.
    let before = format!("HTTP/1.1 200 OK\r\n\r\n{}", "x".repeat(1000));
    let found = Some((before.len(), Bound::HeadersTooLarge));
    check(&format!("{before}{BARE}"), found);
}

#[test]
fn our_own_answers_are_left_alone() {
    for written in [
        "",
        "\r\n\r\n",
        "HTTP/1.1 \r\n\r\n",
        "HTTP/1.1 100 Continue\r\n\r\n",
        "HTTP/1.1 204 No Content\r\nX-Openstack-Request-Id: req-1\r\n\r\n",
        "HTTP/1.1 400 Bad Request\r\ncontent-length: 9\r\nx-openstack-request-id: req-1\r\n\r\n",
        &format!("{BARE}}}"),
        &BARE[..BARE.len() - 1],
    ] {
        check(written, None);
    }
}
