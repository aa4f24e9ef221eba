//! Bodies of records of the redo file. To the parser a statement is any text.

/// A parameter of a statement.
enum Param {
    Null,
    Int(i64),
    Text(&'static str),
    Blob(&'static [u8]),
}

use Param::{Blob, Int, Null, Text};

/// Names and bodies.
pub fn seeds() -> Vec<(&'static str, Vec<u8>)> {
    let insert = "put a document $1 $2 $3";
    let delete = "take away $1 $2";
    let take = "count $1 for $2 up to $3";
    let port = "4e8e5957-649f-477b-9e5b-f1f75b21c03c";
    let bodies: [(&str, Vec<u8>); 10] = [
        ("bare", statement("forget", &[])),
        ("null", statement("look at $1", &[Null])),
        ("number", statement("look at $1", &[Int(i64::MIN)])),
        ("text", statement("look at $1", &[Text("blå")])),
        ("blob", statement("look at $1", &[Blob(&[0, 0xff, 0x80])])),
        ("empty-text", statement("", &[Text(""), Blob(&[])])),
        (
            "insert",
            statement(
                insert,
                &[Text("port"), Text(port), Blob(br#"{"mtu":1450}"#)],
            ),
        ),
        ("delete", statement(delete, &[Text("port"), Text(port)])),
        ("take", statement(take, &[Int(1), Text("demo"), Int(500)])),
        (
            "addresses",
            statement("take the address $1 $2", &[Int(7), Blob(&[0x20; 16])]),
        ),
    ];
    let all = bodies.iter().flat_map(|(_, body)| body.clone()).collect();
    bodies.into_iter().chain([("all", all)]).collect()
}

fn statement(sql: &str, params: &[Param]) -> Vec<u8> {
    let mut body = counted(sql.as_bytes());
    body.extend(length(params.len()));
    for param in params {
        match param {
            Null => body.push(0),
            Int(number) => {
                body.push(1);
                body.extend(number.to_le_bytes());
            }
            Text(text) => {
                body.push(2);
                body.extend(counted(text.as_bytes()));
            }
            Blob(bytes) => {
                body.push(3);
                body.extend(counted(bytes));
            }
        }
    }
    body
}

fn counted(bytes: &[u8]) -> Vec<u8> {
    [&length(bytes.len()), bytes].concat()
}

fn length(length: usize) -> [u8; 4] {
    u32::try_from(length).unwrap().to_le_bytes()
}
