//! As much of an API client as the command line needs: a login, ports, and calls of identity.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use hextet_core::ids::PortId;
use hextet_core::mac::Mac;
use hextet_core::port::VnicType;
use hextet_lab::clouds::{CloudLogin, Proof, Trust, login, unanswered};
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
    identity: String,
    token: String,
    /// The id of the user that signed in.
    pub user: String,
}

/// As much of a port as is needed here.
pub struct Port {
    /// Its id.
    pub id: PortId,
    /// The host that it is bound to; empty: none.
    pub host: String,
    /// `ACTIVE` or `DOWN`.
    pub status: String,
    /// Its `binding:vnic_type`.
    pub vnic_type: VnicType,
}

impl Port {
    /// Refuses it where no host carries its kind.
    pub fn check_carried(&self) -> Result<()> {
        check_carried(self.id, self.vnic_type)
    }
}

fn check_carried(port: PortId, kind: VnicType) -> Result<()> {
    if kind.is_carried() {
        return Ok(());
    }
    bail!(
        "no host carries port {port}: its binding:vnic_type is '{}', and hosts carry '{}' ones alone",
        kind.name(),
        VnicType::default().name()
    )
}

/// What a guest's NIC must be for a port.
pub struct Nic {
    /// The port.
    pub port: PortId,
    /// Its MAC.
    pub mac: Mac,
    /// Its network's MTU, bytes.
    pub mtu: u64,
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
        let believed = login.believed()?;
        let mut builder = reqwest::Client::builder()
            .timeout(ANSWER_TIMEOUT)
            .no_proxy()
            .tls_danger_accept_invalid_certs(believed.anybody);
        if let Some(authorities) = believed.authorities {
            builder = builder.tls_certs_only(authorities);
        }
        let http = builder.build()?;
        let address = login.auth_url.trim_end_matches('/');
        let identity = format!("{}/v3", address.strip_suffix("/v3").unwrap_or(address));
        let url = format!("{identity}/auth/tokens");
        let answer = http
            .post(&url)
            .header("content-type", "application/json")
            .body(login.body().to_string())
            .send()
            .await
            .map_err(|error| unanswered(&login.auth_url, error))?;
        let token = answer
            .headers()
            .get("x-subject-token")
            .and_then(|token| token.to_str().ok())
            .map(str::to_owned);
        let body = take(answer).await.context("login refused")?;
        let network = network_url(&body).context("the catalog has no network service")?;
        let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        Ok(Self {
            http,
            user: word(&body["token"]["user"]["id"]),
            network,
            identity,
            token: token.context("the login's answer has no token")?,
        })
    }

    /// The port of this id or unique name.
    pub async fn find_port(&self, name: &str) -> Result<Port> {
        parse(&self.find(name).await?)
    }

    /// The NIC for the port of this id or unique name; asks for nothing that is for administrators.
    pub async fn nic(&self, name: &str) -> Result<Nic> {
        let port = self.find(name).await?;
        let word = |name: &str| {
            let word = port[name].as_str();
            word.with_context(|| format!("the server's port has no {name}"))
        };
        let id = word("id")?.parse().context("the server's port id")?;
        check_carried(id, vnic_type(&port)?)?;
        let path = format!("/v2.0/networks/{}", word("network_id")?);
        let network = self.call(Method::GET, &path, None).await?;
        let mac = word("mac_address")?.parse();
        Ok(Nic {
            port: id,
            mac: mac.map_err(|error| anyhow!("the server's MAC: {error}"))?,
            mtu: network["network"]["mtu"]
                .as_u64()
                .context("the server's network has no mtu")?,
        })
    }

    /// As the server has it.
    async fn find(&self, name: &str) -> Result<Value> {
        if let Ok(id) = name.parse::<PortId>() {
            let path = format!("/v2.0/ports?id={id}");
            let mut body = self.call(Method::GET, &path, None).await?;
            if let Some(port) = body["ports"].get_mut(0) {
                return Ok(port.take());
            }
        }
        let query = quoted(name);
        let path = format!("/v2.0/ports?name={query}");
        let mut body = self.call(Method::GET, &path, None).await?;
        let found = body["ports"].as_array_mut().map(std::mem::take);
        let mut found = found.unwrap_or_default();
        match (found.pop(), found.len()) {
            (None, _) => bail!("no port has the id or the name {name:?}"),
            (Some(port), 0) => Ok(port),
            (Some(_), others) => bail!("{} ports have the name {name:?}: use an id", others + 1),
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
        take(self.send(method, &self.network, path, body, None).await?).await
    }

    /// A call of identity, with a path below `/v3`.
    pub async fn identity(&self, method: Method, path: &str, body: Option<Value>) -> Result<Value> {
        take(self.send(method, &self.identity, path, body, None).await?).await
    }

    /// Gives a token back.
    pub async fn revoke(&self, token: &str) -> Result<()> {
        let path = "/auth/tokens";
        let sent = self.send(Method::DELETE, &self.identity, path, None, Some(token));
        take(sent.await?).await.map(|_| ())
    }

    async fn send(
        &self,
        method: Method,
        base: &str,
        path: &str,
        body: Option<Value>,
        subject: Option<&str>,
    ) -> Result<Response> {
        let mut request = self
            .http
            .request(method, format!("{base}{path}"))
            .header("x-auth-token", &self.token);
        if let Some(subject) = subject {
            request = request.header("x-subject-token", subject);
        }
        if let Some(body) = body {
            request = request
                .header("content-type", "application/json")
                .body(body.to_string());
        }
        let sent = request.send().await;
        sent.map_err(|error| unanswered(base, error))
    }
}

/// A word as it stands in a path or a query.
pub fn quoted(word: &str) -> String {
    word.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

fn from_environment(auth_url: String) -> Result<CloudLogin> {
    let need = |name: &str| {
        std::env::var(name).with_context(|| format!("OS_AUTH_URL is set, {name} is not"))
    };
    let proof = match std::env::var("OS_APPLICATION_CREDENTIAL_ID") {
        Ok(id) => Proof::Credential {
            id,
            secret: need("OS_APPLICATION_CREDENTIAL_SECRET")?,
        },
        Err(_) => Proof::Password {
            username: need("OS_USERNAME")?,
            password: need("OS_PASSWORD")?,
            project_name: need("OS_PROJECT_NAME")?,
            domain_name: std::env::var("OS_USER_DOMAIN_NAME")
                .unwrap_or_else(|_| "Default".to_owned()),
        },
    };
    Ok(CloudLogin {
        auth_url,
        proof,
        trust: match std::env::var_os("OS_CACERT").filter(|path| !path.is_empty()) {
            Some(path) => Trust::File(path.into()),
            None => Trust::Machine,
        },
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
        vnic_type: vnic_type(port)?,
    })
}

fn vnic_type(port: &Value) -> Result<VnicType> {
    let kind = &port["binding:vnic_type"];
    serde_json::from_value(kind.clone())
        .with_context(|| format!("the server's binding:vnic_type {kind}"))
}
