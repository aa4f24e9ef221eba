//! As much of a networking API client as the command line needs: a password login, and ports.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use hextet_core::ids::PortId;
use hextet_lab::clouds::{CloudLogin, login};
use reqwest::{Method, Response};
use serde_json::{Value, json};

/// How long the server may take to answer one request.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);
/// The administrator's entry in `clouds.yaml`.
const CLOUD: &str = "hextet";

/// A session of the API.
pub struct Api {
    http: reqwest::Client,
    network: String,
    token: String,
}

/// As much of a port as is needed here.
pub struct Port {
    /// Its id.
    pub id: PortId,
    /// The host that it is bound to; empty: none.
    pub host: String,
    /// `ACTIVE` or `DOWN`.
    pub status: String,
}

impl Api {
    /// Signs in with `OS_*` of the environment where `OS_AUTH_URL` is set, else as the administrator of this
    /// `clouds.yaml`.
    pub async fn sign_in(clouds_yaml: &Path) -> Result<Self> {
        let login = match std::env::var("OS_AUTH_URL") {
            Ok(auth_url) => from_environment(auth_url)?,
            Err(_) => {
                let text = std::fs::read_to_string(clouds_yaml)
                    .with_context(|| format!("could not read {}", clouds_yaml.display()))?;
                login(&text, CLOUD)?
            }
        };
        plain(&login.auth_url)?;
        let http = reqwest::Client::builder()
            .timeout(ANSWER_TIMEOUT)
            .no_proxy()
            .build()?;
        let url = format!("{}/auth/tokens", login.auth_url.trim_end_matches('/'));
        let domain = json!({ "name": login.domain_name });
        let body = json!({ "auth": {
            "identity": { "methods": ["password"], "password": { "user": {
                "name": login.username, "domain": domain, "password": login.password,
            }}},
            "scope": { "project": { "name": login.project_name, "domain": domain }},
        }});
        let answer = http
            .post(&url)
            .header("content-type", "application/json")
            .body(body.to_string())
            .send()
            .await
            .with_context(|| format!("no answer from {}", login.auth_url))?;
        let token = answer
            .headers()
            .get("x-subject-token")
            .and_then(|token| token.to_str().ok())
            .map(str::to_owned);
        let body = take(answer).await.context("login refused")?;
        let network = network_url(&body).context("the catalog has no network service")?;
        plain(&network)?;
        Ok(Self {
            http,
            network,
            token: token.context("the login's answer has no token")?,
        })
    }

    /// The port of this id or unique name.
    pub async fn find_port(&self, name: &str) -> Result<Port> {
        if let Ok(id) = name.parse::<PortId>()
            && let Some(port) = self.port(id).await?
        {
            return Ok(port);
        }
        let query: String = name.bytes().map(|byte| format!("%{byte:02X}")).collect();
        let path = format!("/v2.0/ports?name={query}");
        let body = self.call(Method::GET, &path, None).await?;
        let found = body["ports"].as_array().map(Vec::as_slice).unwrap_or(&[]);
        match found {
            [] => bail!("no port has the id or the name {name:?}"),
            [port] => parse(port),
            many => bail!("{} ports have the name {name:?}: use an id", many.len()),
        }
    }

    /// The port of this id, if there is one.
    pub async fn port(&self, id: PortId) -> Result<Option<Port>> {
        let path = format!("/v2.0/ports?id={id}");
        let body = self.call(Method::GET, &path, None).await?;
        body["ports"]
            .as_array()
            .and_then(|ports| ports.first())
            .map(parse)
            .transpose()
    }

    /// Binds the port to a host; to none if empty.
    pub async fn bind(&self, id: PortId, host: &str) -> Result<()> {
        let body = json!({ "port": { "binding:host_id": host } });
        let path = format!("/v2.0/ports/{id}");
        self.call(Method::PUT, &path, Some(body)).await?;
        Ok(())
    }

    async fn call(&self, method: Method, path: &str, body: Option<Value>) -> Result<Value> {
        let mut request = self
            .http
            .request(method, format!("{}{path}", self.network))
            .header("x-auth-token", &self.token);
        if let Some(body) = body {
            request = request
                .header("content-type", "application/json")
                .body(body.to_string());
        }
        let answer = request
            .send()
            .await
            .with_context(|| format!("no answer from {}", self.network))?;
        take(answer).await
    }
}

/// There is no TLS on this side.
fn plain(url: &str) -> Result<()> {
    match reqwest::Url::parse(url) {
        Ok(parsed) if parsed.scheme() == "http" => Ok(()),
        Ok(parsed) => bail!(
            "{url} is {}: this command speaks http only, as in http://[::1]:9696/identity/v3",
            parsed.scheme()
        ),
        Err(_) => bail!("{url:?} is no address: it begins with http://"),
    }
}

fn from_environment(auth_url: String) -> Result<CloudLogin> {
    let need = |name: &str| {
        std::env::var(name).with_context(|| format!("OS_AUTH_URL is set, {name} is not"))
    };
    Ok(CloudLogin {
        auth_url,
        username: need("OS_USERNAME")?,
        password: need("OS_PASSWORD")?,
        project_name: need("OS_PROJECT_NAME")?,
        domain_name: std::env::var("OS_USER_DOMAIN_NAME").unwrap_or_else(|_| "Default".to_owned()),
    })
}

/// The body of a good answer; the server's own words of a bad one.
async fn take(answer: Response) -> Result<Value> {
    let status = answer.status();
    let text = answer.text().await?;
    let body: Value = serde_json::from_str(&text).unwrap_or(Value::Null);
    if status.is_success() {
        return Ok(body);
    }
    let message = body["NeutronError"]["message"]
        .as_str()
        .or_else(|| body["error"]["message"].as_str());
    Err(match message {
        Some(message) => anyhow!("{message} ({status})"),
        None => anyhow!("the server answered {status}"),
    })
}

/// The public address of the network service.
fn network_url(token: &Value) -> Option<String> {
    let services = token["token"]["catalog"].as_array()?;
    let network = services
        .iter()
        .find(|service| service["type"] == "network")?;
    let endpoints = network["endpoints"].as_array()?;
    let public = endpoints
        .iter()
        .find(|endpoint| endpoint["interface"] == "public")?;
    Some(public["url"].as_str()?.trim_end_matches('/').to_owned())
}

fn parse(port: &Value) -> Result<Port> {
    let word = |name: &str| {
        port[name].as_str().map(str::to_owned).with_context(|| {
            format!("the server's port has no {name} (an administrator is needed)")
        })
    };
    Ok(Port {
        id: word("id")?.parse().context("the server's port id")?,
        host: word("binding:host_id")?,
        status: word("status")?,
    })
}
