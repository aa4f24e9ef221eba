//! Requests down to what the app is asked, without a cloud.

use axum::body::Body;
use http::Method;

use super::resource::Resource;
use super::{networks, ports, quotas, subnets, tags};
use crate::http::body::{posted, put};
use crate::http::query::Query;

/// Whether a request could be asked of the app, as far as can be told without a cloud.
pub(in crate::http) async fn decode(
    method: &Method,
    path: &str,
    query: Option<&str>,
    body: Body,
) -> bool {
    let mut steps = path.split('/').skip(2);
    match (steps.next(), steps.nth(1)) {
        (Some("quotas"), _) => quotas::decode(body).await,
        (Some(_), Some("tags")) => tags::decode(body).await,
        (Some("networks"), _) => of::<networks::Networks>(method, query, body).await,
        (Some("subnets"), _) => of::<subnets::Subnets>(method, query, body).await,
        (Some("ports"), _) => of::<ports::Ports>(method, query, body).await,
        _ => false,
    }
}

async fn of<R: Resource>(method: &Method, query: Option<&str>, body: Body) -> bool {
    match *method {
        Method::POST => match posted::<R::Post>(R::NOUN, body).await {
            Ok(posted) => {
                let asked = posted.objects.into_iter().map(|said| said.map(R::asked));
                asked.collect::<Result<Vec<_>, _>>().is_ok()
            }
            Err(_) => false,
        },
        Method::PUT => match put::<R::Put>(R::NOUN, body).await {
            Ok(said) => said.map(R::patch).is_ok(),
            Err(_) => false,
        },
        _ => Query::parse(R::NOUN, query).is_ok(),
    }
}
