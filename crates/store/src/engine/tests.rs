use super::*;

#[test]
fn a_parameter_keeps_its_number_whatever_the_order_of_appearance() {
    let db = rusqlite::Connection::open_in_memory().unwrap();
    let answer: (i64, i64) = db
        .query_row(&translate("SELECT $2, $1"), (1, 2), |row| {
            Ok((row.get(0)?, row.get(1)?))
        })
        .unwrap();
    assert_eq!(answer, (2, 1));
}
