//! What surrounds every request: its id, its bounds, its line in the log, its place in the metrics.

use std::sync::Arc;
use std::time::Instant;

use axum::body::{Body, HttpBody as _};
use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::Response;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tracing::{Instrument, Span, field};
use uuid::Uuid;

use super::X_AUTH_TOKEN;
use super::bounds::{
    Bound, Bounds, OPEN_BODIES_EACH, OPEN_BODIES_MAX, body_bytes_max, check_head, check_json,
    is_identity,
};
use super::intake::Budget;
use super::metrics::Metrics;
use super::pace::Pace;
use crate::app::random_id;
use crate::identity::{Identity, Places, Source};

/// The name under which clients report a request; what a client sends under it names the work that it is a part of.
pub(super) const X_OPENSTACK_REQUEST_ID: HeaderName =
    HeaderName::from_static("x-openstack-request-id");

/// What all requests share at the edge.
#[derive(Clone)]
pub(super) struct Edge {
    inner: Arc<Inner>,
}

struct Inner {
    bounds: Bounds,
    identity: Identity,
    metrics: Metrics,
    /// Places of requests that are carried out.
    places: Arc<Semaphore>,
    bodies: Budget,
    open_bodies: Budget,
    /// Places of bodies that take of them, or one source would keep all others from logging in.
    open_places: Places,
    answers: Budget,
    access_log: bool,
}

/// A request that may be carried out, and what it holds until then.
struct Admitted {
    request: Request,
    _place: OwnedSemaphorePermit,
    _share: Option<OwnedSemaphorePermit>,
}

impl Edge {
    pub(super) fn new(
        bounds: Bounds,
        identity: Identity,
        metrics: Metrics,
        access_log: bool,
    ) -> Self {
        Self {
            inner: Arc::new(Inner {
                bounds,
                identity,
                metrics,
                places: Arc::new(Semaphore::new(bounds.requests)),
                bodies: Budget::new(bounds.body_bytes),
                open_bodies: Budget::new(bounds.open_body_bytes),
                open_places: Places::new(OPEN_BODIES_MAX, OPEN_BODIES_EACH),
                answers: Budget::new(bounds.answer_bytes),
                access_log,
            }),
        }
    }
}

/// The outermost layer.
pub(super) async fn frame(State(edge): State<Edge>, request: Request, next: Next) -> Response {
    let began = Instant::now();
    let id = new_id();
    let method = request.method().clone();
    let identity = is_identity(request.uri().path());
    let span = tracing::info_span!(
        "request",
        %id,
        global_id = field::Empty,
        %method,
        path = request.uri().path(),
        user = field::Empty,
        project = field::Empty,
    );
    if let Some(global) = global_id(request.headers()) {
        span.record("global_id", global);
    }
    let under_way = edge.inner.metrics.begin();
    let answered = edge.carry_out(request, next).instrument(span.clone()).await;
    let mut response = match answered {
        Ok(response) => response,
        Err(bound) => {
            edge.inner.metrics.count_refused(bound.reason());
            bound.response(identity)
        }
    };
    drop(under_way);
    let id = HeaderValue::from_str(&id).expect("a UUID is visible ASCII");
    response.headers_mut().insert(X_OPENSTACK_REQUEST_ID, id);
    edge.note(span, &method, &response, began);
    response
}

/// The id of a request.
pub(super) fn new_id() -> String {
    format!("req-{}", random_id())
}

impl Edge {
    async fn carry_out(&self, request: Request, next: Next) -> Result<Response, Bound> {
        let Admitted {
            request,
            _place,
            _share,
        } = self.admit(request).await?;
        let time = self.inner.bounds.request_time;
        let response = tokio::time::timeout(time, next.run(request))
            .await
            .map_err(|_| Bound::TooSlow)?;
        self.inner.answers.give_out(response)
    }

    /// Checks the head, takes the body in, and then a place: a slow body holds none.
    async fn admit(&self, request: Request) -> Result<Admitted, Bound> {
        let (parts, body) = request.into_parts();
        let has_body = !body.is_end_stream();
        let pace = parts.extensions.get::<Arc<Pace>>().cloned();
        let unread = || {
            if let Some(pace) = &pace {
                pace.leave_unread();
            }
        };
        let admitted = async {
            check_head(&parts, has_body)?;
            let takes_body = !matches!(parts.method, Method::GET | Method::HEAD | Method::OPTIONS);
            let open = is_open(&parts.method, parts.uri.path());
            if !has_body {
                return Ok((Body::empty(), None));
            }
            if !takes_body || !(open || self.bears_token(&parts.headers).await) {
                // Who calls is judged by whoever answers, and is told so without the body.
                unread();
                return Ok((Body::empty(), None));
            }
            let (budget, _place) = match open {
                true => {
                    let source = parts.extensions.get::<Source>().copied();
                    let place = self
                        .inner
                        .open_places
                        .take(source.unwrap_or(Source::Inside));
                    (
                        &self.inner.open_bodies,
                        Some(place.ok_or(Bound::BodiesBusy)?),
                    )
                }
                false => (&self.inner.bodies, None),
            };
            let bytes_max = body_bytes_max(parts.uri.path());
            let gathered = budget
                .gather(body, bytes_max, self.inner.bounds.body_time)
                .await?;
            check_json(&gathered.octets)?;
            Ok((Body::from(gathered.octets), gathered.share))
        };
        let (body, share) = admitted.await.inspect_err(|_| {
            if has_body {
                unread();
            }
        })?;
        let places = self.inner.places.clone();
        Ok(Admitted {
            request: Request::from_parts(parts, body),
            _place: places.try_acquire_owned().map_err(|_| Bound::Busy)?,
            _share: share,
        })
    }

    /// Whether the request's token may open something.
    async fn bears_token(&self, headers: &HeaderMap) -> bool {
        match headers.get(X_AUTH_TOKEN).map(HeaderValue::to_str) {
            Some(Ok(token)) => self.inner.identity.may_open(token).await,
            _ => false,
        }
    }

    /// The place in the metrics, and the line in the log, which is written once the answer is on its way.
    fn note(&self, span: Span, method: &Method, response: &Response, began: Instant) {
        let took = began.elapsed();
        let found = response.extensions().get::<MatchedPath>().cloned();
        let route = found.as_ref().map_or("none", MatchedPath::as_str);
        let status = response.status().as_u16();
        self.inner
            .metrics
            .count_request(route, method, status, took);
        if self.inner.access_log {
            let duration_ms = took.as_secs_f64() * 1000.0;
            tokio::spawn(async move {
                let route = found.as_ref().map_or("none", MatchedPath::as_str);
                span.in_scope(|| tracing::info!(route, status, duration_ms, "answered"));
            });
        }
    }
}

/// Where no token is needed, since what makes one is in the body.
fn is_open(method: &Method, path: &str) -> bool {
    let path = path.trim_end_matches('/');
    let changes_password = || {
        path.strip_prefix("/identity/v3/users/")
            .and_then(|rest| rest.strip_suffix("/password"))
            .is_some_and(|user| !user.contains('/'))
    };
    *method == Method::POST && (path == "/identity/v3/auth/tokens" || changes_password())
}

/// The id of the work that a request is a part of: what a client sends in OpenStack's form of ids, `req-` and a UUID.
fn global_id(headers: &HeaderMap) -> Option<&str> {
    let text = headers.get(X_OPENSTACK_REQUEST_ID)?.to_str().ok()?;
    let uuid = text.strip_prefix("req-")?;
    let hyphened = uuid.len() == 36 && Uuid::try_parse(uuid).is_ok();
    hyphened.then_some(text)
}

/// Leaves the template of the path that was found beside the answer.
pub(super) async fn tell_route(
    path: Option<MatchedPath>,
    request: Request,
    next: Next,
) -> Response {
    let mut response = next.run(request).await;
    if let Some(path) = path {
        response.extensions_mut().insert(path);
    }
    response
}

/// Notes in the request's span who makes it.
pub(crate) fn tell_caller(user: &str, project: Option<&str>) {
    let span = Span::current();
    span.record("user", user);
    if let Some(project) = project {
        span.record("project", project);
    }
}
