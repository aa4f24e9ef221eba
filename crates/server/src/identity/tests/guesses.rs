//! Wrong passwords, as whoever sends them and whoever sits beside them meets it.

use std::time::Instant;

use super::super::Source;
use super::super::throttle::Guessed;
use super::*;

impl Cloud {
    async fn from(&self, source: Source, user: &str, password: &str) -> http::Response<Body> {
        let request = login_from(source, user, password);
        self.router.clone().oneshot(request).await.unwrap()
    }

    async fn log_in_from(&self, source: Source, user: &str) -> StatusCode {
        self.from(source, user, &self.password(user)).await.status()
    }

    async fn id_of(&self, user: &str) -> String {
        let user = user.to_owned();
        let found = self
            .identity
            .directory(|directory| directory.user_named(&user));
        found.await.unwrap().unwrap().id
    }
}

fn login_from(source: Source, user: &str, password: &str) -> Request<Body> {
    let auth = json!({"auth": {"identity": by_password(user, password)}});
    let request = Request::post("/identity/v3/auth/tokens").extension(source);
    request.body(Body::from(auth.to_string())).unwrap()
}

#[tokio::test]
async fn a_source_that_fills_its_places_keeps_nobody_else_out() {
    let cloud = Cloud::new().await;
    let from = async |address: &str| {
        let source = Source::of(address.parse().unwrap());
        cloud.log_in_from(source, "admin").await
    };
    let guesser = Source::of("2001:db8::1".parse().unwrap());
    let held: Vec<_> = std::iter::from_fn(|| cloud.identity.hasher().admit(guesser).ok()).collect();
    assert_eq!(held.len(), 64, "a quarter of the places");
    assert_eq!(from("2001:db8::2").await, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(from("2001:db8:0:1::2").await, StatusCode::CREATED);
    assert_eq!(from("192.0.2.1").await, StatusCode::CREATED);
    drop(held);
    assert_eq!(from("2001:db8::2").await, StatusCode::CREATED);
}

#[tokio::test]
async fn a_guess_before_its_turn_is_not_looked_at_and_a_neighbour_is() {
    let cloud = Cloud::new().await;
    let shared = Source::of("192.0.2.1".parse().unwrap());
    let admin = Guessed::Known(cloud.id_of("admin").await);
    for _ in 0..40 {
        let mut throttle = cloud.identity.throttle();
        throttle.handle_failure(&admin, shared, Instant::now());
    }
    // Not even the right one: it would tell.
    for password in ["wrong", &cloud.password("admin")] {
        let answer = cloud.from(shared, "admin", password).await;
        assert_eq!(answer.status(), StatusCode::TOO_MANY_REQUESTS);
        let seconds = answer.headers()["retry-after"].to_str().unwrap();
        assert!((1..=31).contains(&seconds.parse().unwrap()), "{seconds}");
    }
    let logins = cloud.identity.logins();
    assert_eq!((logins.failed, logins.put_off), (0, 2));
    assert_eq!(cloud.log_in_from(shared, "demo").await, StatusCode::CREATED);
    let elsewhere = Source::of("192.0.2.2".parse().unwrap());
    assert_eq!(
        cloud.log_in_from(elsewhere, "admin").await,
        StatusCode::CREATED
    );
}

#[tokio::test]
async fn whoever_logged_in_from_here_waits_and_gets_in_beside_one_who_guesses() {
    let cloud = Cloud::new().await;
    let shared = Source::of("192.0.2.1".parse().unwrap());
    assert_eq!(
        cloud.log_in_from(shared, "admin").await,
        StatusCode::CREATED
    );
    let admin = Guessed::Known(cloud.id_of("admin").await);
    for index in 0..40 {
        let mut throttle = cloud.identity.throttle();
        throttle.handle_failure(&admin, shared, Instant::now());
        let nobody = Guessed::Nobody(index.to_string());
        throttle.handle_failure(&nobody, shared, Instant::now());
    }
    assert_eq!(
        cloud.log_in_from(shared, "admin").await,
        StatusCode::CREATED
    );
    let logins = cloud.identity.logins();
    assert_eq!((logins.ok, logins.damped), (2, 1));
}

#[tokio::test]
async fn who_hangs_up_has_guessed_all_the_same() {
    let cloud = Cloud::new().await;
    let source = Source::of("192.0.2.1".parse().unwrap());
    let failed = || cloud.identity.logins().failed;
    // Where this test sleeps longer than a hash takes, a guess has its answer before it hangs up; the next one is tried.
    let mut hung_up = false;
    for user in 0..10 {
        let before = failed();
        let guess = tokio::spawn({
            let request = login_from(source, &format!("nobody-{user}"), "wrong");
            cloud.router.clone().oneshot(request)
        });
        // Gone as soon as the hash is under way.
        while cloud.identity.hasher().under_way() == 0 && !guess.is_finished() {
            tokio::task::yield_now().await;
        }
        guess.abort();
        hung_up = guess.await.is_err();
        let counted = async {
            while failed() == before {
                tokio::task::yield_now().await;
            }
        };
        let counted = tokio::time::timeout(Duration::from_secs(60), counted).await;
        counted.expect("it was not counted");
        if hung_up {
            break;
        }
    }
    assert!(hung_up, "every guess had its answer");
}
