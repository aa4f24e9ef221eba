use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use std::convert::Infallible;

use super::{Claims, Discard, SigningKey, TOKEN_BYTES_MAX, sign, verify};

#[test]
fn a_token_says_what_was_signed_until_its_last_second() {
    let key = SigningKey::random("a");
    let token = sign(&key, &claims()).unwrap();
    assert!(token.len() < TOKEN_BYTES_MAX);
    assert_eq!(judge(&key, &token, 1_000), Ok(claims()));
    assert_eq!(judge(&key, &token, 4_599), Ok(claims()));
    assert_eq!(judge(&key, &token, 4_600), Err(Discard::Expired));
}

#[test]
fn another_key_a_changed_claim_another_algorithm_and_no_signature_are_foreign() {
    let key = SigningKey::random("a");
    let token = sign(&key, &claims()).unwrap();
    let [header, payload, signature] = parts(&token);
    let mut other = claims();
    other.sub = "somebody-else".to_owned();
    let [_, other_payload, _] = parts(&sign(&key, &other).unwrap());
    let no_algorithm = URL_SAFE_NO_PAD.encode(r#"{"alg":"none","typ":"JWT"}"#);
    let cases = [
        sign(&SigningKey::random("a"), &claims()).unwrap(),
        sign(&SigningKey::random("b"), &claims()).unwrap(),
        format!("{header}.{other_payload}.{signature}"),
        format!("{no_algorithm}.{payload}."),
        format!("{header}.{payload}."),
        format!("{header}.{payload}"),
        "gAAAAABn-not-a-token".to_owned(),
        String::new(),
        "x".repeat(TOKEN_BYTES_MAX + 1),
    ];
    for case in cases {
        assert_eq!(judge(&key, &case, 1_000), Err(Discard::Foreign), "{case}");
    }
}

#[test]
fn a_key_that_was_replaced_verifies_until_its_end() {
    let mut key = SigningKey::random("a");
    let token = sign(&key, &claims()).unwrap();
    key.verifies_until = Some(2_000);
    assert_eq!(judge(&key, &token, 1_999), Ok(claims()));
    assert_eq!(judge(&key, &token, 2_000), Err(Discard::Foreign));
}

#[test]
fn a_token_that_names_no_key_is_of_the_first() {
    let key = SigningKey::random(SigningKey::FIRST);
    let secret = jsonwebtoken::EncodingKey::from_secret(&key.octets().unwrap());
    let token = jsonwebtoken::encode(&jsonwebtoken::Header::default(), &claims(), &secret).unwrap();
    assert_eq!(judge(&key, &token, 1_000), Ok(claims()));
}

/// With one key in the store.
fn judge(key: &SigningKey, token: &str, now: u64) -> Result<Claims, Discard> {
    let found = |id: &str| Ok::<_, Infallible>((id == key.id).then(|| key.clone()));
    verify(token, now, found).unwrap()
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
        credential: None,
    }
}
