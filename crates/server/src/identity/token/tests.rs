use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::{Claims, Discard, Signer, TOKEN_BYTES_MAX};

#[test]
fn a_token_says_what_was_signed_until_its_last_second() {
    let signer = Signer::new(&[7; 32]);
    let token = signer.sign(&claims()).unwrap();
    assert!(token.len() < TOKEN_BYTES_MAX);
    assert_eq!(signer.verify(&token, 1_000), Ok(claims()));
    assert_eq!(signer.verify(&token, 4_599), Ok(claims()));
    assert_eq!(signer.verify(&token, 4_600), Err(Discard::Expired));
}

#[test]
fn another_key_a_changed_claim_another_algorithm_and_no_signature_are_foreign() {
    let signer = Signer::new(&[7; 32]);
    let token = signer.sign(&claims()).unwrap();
    let [header, payload, signature] = parts(&token);
    let mut other = claims();
    other.sub = "somebody-else".to_owned();
    let [_, other_payload, _] = parts(&signer.sign(&other).unwrap());
    let no_algorithm = URL_SAFE_NO_PAD.encode(r#"{"alg":"none","typ":"JWT"}"#);
    let cases = [
        Signer::new(&[8; 32]).sign(&claims()).unwrap(),
        format!("{header}.{other_payload}.{signature}"),
        format!("{no_algorithm}.{payload}."),
        format!("{header}.{payload}."),
        format!("{header}.{payload}"),
        "gAAAAABn-not-a-token".to_owned(),
        String::new(),
        "x".repeat(TOKEN_BYTES_MAX + 1),
    ];
    for case in cases {
        assert_eq!(signer.verify(&case, 1_000), Err(Discard::Foreign), "{case}");
    }
}

fn parts(token: &str) -> [String; 3] {
    let parts: Vec<String> = token.split('.').map(str::to_owned).collect();
    parts.try_into().unwrap()
}

fn claims() -> Claims {
    Claims {
        sub: "0123456789abcdef0123456789abcdef".to_owned(),
        project: Some("fedcba9876543210fedcba9876543210".to_owned()),
        iat: 1_000,
        exp: 4_600,
        login: 1_000_000,
        jti: "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa".to_owned(),
        parent: None,
        methods: vec!["password".to_owned()],
    }
}
