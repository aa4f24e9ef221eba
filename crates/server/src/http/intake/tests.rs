use super::*;

fn answer(bytes: usize) -> Response {
    Response::new(Body::from(vec![b'x'; bytes]))
}

#[tokio::test]
async fn a_large_answer_is_counted_until_it_is_taken() {
    let budget = Budget::new(3 * PIECE_BYTES);
    let mut first = budget.give_out(answer(2 * PIECE_BYTES)).unwrap();
    assert_eq!(
        budget.give_out(answer(2 * PIECE_BYTES)).unwrap_err(),
        Bound::AnswersBusy
    );
    // Small ones are always given out.
    budget.give_out(answer(ANSWER_COUNTED_FROM)).unwrap();
    assert_eq!(
        first.body().size_hint().exact(),
        Some(2 * PIECE_BYTES as u64)
    );
    let piece = first.body_mut().frame().await.unwrap().unwrap();
    assert_eq!(piece.into_data().unwrap().len(), PIECE_BYTES);
    assert!(!first.body().is_end_stream());
    assert_eq!(
        budget.give_out(answer(2 * PIECE_BYTES)).unwrap_err(),
        Bound::AnswersBusy
    );
    let rest = first.into_body().collect().await.unwrap().to_bytes();
    assert_eq!(rest.len(), PIECE_BYTES);
    budget.give_out(answer(2 * PIECE_BYTES)).unwrap();
}

#[test]
fn an_answer_larger_than_all_is_given_out_alone() {
    let budget = Budget::new(PIECE_BYTES);
    let alone = budget.give_out(answer(5 * PIECE_BYTES)).unwrap();
    assert_eq!(
        budget.give_out(answer(PIECE_BYTES)).unwrap_err(),
        Bound::AnswersBusy
    );
    drop(alone);
    budget.give_out(answer(PIECE_BYTES)).unwrap();
}

#[tokio::test]
async fn a_body_of_several_pieces_is_one_text() {
    let pieces = ["{\"a\"", ": ", "1}"].map(|piece| Ok::<_, std::io::Error>(Bytes::from(piece)));
    let body = Body::from_stream(futures::stream::iter(pieces));
    let budget = Budget::new(8);
    let gathered = budget.gather(body, 8, Duration::from_secs(60)).await;
    let gathered = gathered.ok().unwrap();
    assert_eq!(gathered.octets, "{\"a\": 1}");
    assert!(budget.take(1).is_none(), "its bytes are counted");
    drop(gathered);
    assert!(budget.take(8).is_some());
}
