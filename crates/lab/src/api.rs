//! The networking API as any client uses it: a password for a token, the catalogue for the address, JSON both ways.

use std::path::Path;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use reqwest::blocking::{Client, RequestBuilder, Response};
use serde_json::{Value, json};

use crate::clouds::{Believed, CloudLogin, unanswered};
use crate::run::Namespace;

/// Longest wait for one answer.
const ANSWER_BOUND: Duration = Duration::from_secs(30);

/// A signed-in client.
pub struct Api {
    client: Client,
    token: String,
    network_url: String,
}

impl Api {
    /// Signs in to a cloud that listens inside a network namespace.
    ///
    /// # Errors
    /// When the namespace cannot be entered, the login is refused, or the catalogue has no network service.
    pub fn sign_in(namespace: &Path, login: &CloudLogin) -> Result<Self> {
        let client = client_inside(namespace, login.believed()?)?;
        let url = format!("{}/auth/tokens", login.auth_url.trim_end_matches('/'));
        let response = client
            .post(&url)
            .header("content-type", "application/json")
            .body(login.body().to_string())
            .send()
            .map_err(|error| unanswered(&url, error))?;
        let token = response
            .headers()
            .get("x-subject-token")
            .and_then(|token| token.to_str().ok())
            .map(str::to_owned);
        let answer = body_of(response).with_context(|| format!("POST {url}"))?;
        let network_url = catalogued(&answer["token"]["catalog"], "network")
            .context("the catalogue has no network service")?;
        Ok(Self {
            client,
            token: token.context("the login's answer has no X-Subject-Token")?,
            network_url: format!("{}/v2.0", network_url.trim_end_matches('/')),
        })
    }

    /// Creates a resource and gives it as the API shows it: `create("networks", "network", {…})`.
    ///
    /// # Errors
    /// When the API refuses, with its reason.
    pub fn create(&self, collection: &str, member: &str, attributes: Value) -> Result<Value> {
        let url = format!("{}/{collection}", self.network_url);
        let request = self.client.post(&url);
        let mut answer = self.sent("POST", &url, request, json!({ member: attributes }))?;
        Ok(answer[member].take())
    }

    /// Changes a resource and gives it as the API shows it: `update("ports", "port", id, {…})`.
    ///
    /// # Errors
    /// When the API refuses, with its reason.
    pub fn update(
        &self,
        collection: &str,
        member: &str,
        id: &str,
        attributes: Value,
    ) -> Result<Value> {
        let url = format!("{}/{collection}/{id}", self.network_url);
        let request = self.client.put(&url);
        let mut answer = self.sent("PUT", &url, request, json!({ member: attributes }))?;
        Ok(answer[member].take())
    }

    /// Shows a resource: `show("ports", "port", id)`.
    ///
    /// # Errors
    /// When the API refuses, with its reason.
    pub fn show(&self, collection: &str, member: &str, id: &str) -> Result<Value> {
        let url = format!("{}/{collection}/{id}", self.network_url);
        let response = self
            .client
            .get(&url)
            .header("x-auth-token", &self.token)
            .send();
        let answer = response.map_err(anyhow::Error::from).and_then(body_of);
        let mut answer = answer.with_context(|| format!("GET {url}"))?;
        Ok(answer[member].take())
    }

    /// A request with this body, which it may take.
    fn sent(&self, method: &str, url: &str, request: RequestBuilder, body: Value) -> Result<Value> {
        let response = request
            .header("x-auth-token", &self.token)
            .header("content-type", "application/json")
            .body(body.to_string())
            .send();
        let answer = response.map_err(anyhow::Error::from).and_then(body_of);
        answer.with_context(|| format!("{method} {url} {body}"))
    }
}

/// The client's own thread is started by the thread that builds it, and a thread starts where its maker is: so a
/// client built inside the namespace connects from there, whoever calls it.
fn client_inside(namespace: &Path, believed: Believed) -> Result<Client> {
    let namespace = namespace.to_owned();
    let builder = thread::spawn(move || {
        Namespace::enter(&namespace)?;
        let mut builder = Client::builder()
            .timeout(ANSWER_BOUND)
            .no_proxy()
            .tls_danger_accept_invalid_certs(believed.anybody);
        if let Some(authorities) = believed.authorities {
            builder = builder.tls_certs_only(authorities);
        }
        Ok(builder.build()?)
    });
    builder
        .join()
        .map_err(|_| anyhow!("the HTTP client could not be built"))?
}

fn body_of(response: Response) -> Result<Value> {
    let status = response.status();
    let text = response.text()?;
    if !status.is_success() {
        bail!("{status}: {text}");
    }
    serde_json::from_str(&text).with_context(|| format!("no JSON: {text}"))
}

/// The public address of a service.
fn catalogued<'a>(catalogue: &'a Value, service: &str) -> Option<&'a str> {
    let entry = catalogue
        .as_array()?
        .iter()
        .find(|entry| entry["type"] == service)?;
    let endpoint = entry["endpoints"]
        .as_array()?
        .iter()
        .find(|endpoint| endpoint["interface"] == "public")?;
    endpoint["url"].as_str()
}
