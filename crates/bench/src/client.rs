//! A keep-alive HTTP/1.1 client of one connection, as cheap as it can be: it shares the machine with what it measures.
//!
//! It reads answers that say their length, which is all that the server sends.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value as Json, json};

use crate::server::PASSWORD;

/// Longest wait for a part of an answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(60);
/// What is read from the socket in one go, bytes.
const READ_BYTES: usize = 64 * 1024;

/// One connection, and the answer that it read last.
pub struct Client {
    stream: BufReader<TcpStream>,
    address: SocketAddr,
    token: String,
    request: Vec<u8>,
    line: String,
    body: Vec<u8>,
    subject_token: Option<String>,
}

/// A resource of an answer, as far as the load needs to know it.
#[derive(Deserialize)]
pub struct Made {
    /// Its id.
    pub id: String,
}

impl Client {
    /// Connects. `token` goes with every request, unless it is empty.
    ///
    /// # Errors
    /// When nobody listens.
    pub fn connect(address: SocketAddr, token: &str) -> Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(ANSWER_WITHIN))?;
        Ok(Self {
            stream: BufReader::with_capacity(READ_BYTES, stream),
            address,
            token: token.to_owned(),
            request: Vec::new(),
            line: String::new(),
            body: Vec::new(),
            subject_token: None,
        })
    }

    /// Sends a request and reads the whole answer. Any other status than the expected one is an error.
    ///
    /// # Errors
    /// With what was answered instead, or when the connection failed.
    pub fn ask(&mut self, method: &str, path: &str, body: &str, expected: u16) -> Result<&[u8]> {
        self.request.clear();
        write!(
            self.request,
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nContent-Length: {}\r\n",
            self.address,
            body.len()
        )?;
        if !body.is_empty() {
            self.request
                .extend_from_slice(b"Content-Type: application/json\r\n");
        }
        if !self.token.is_empty() {
            write!(self.request, "X-Auth-Token: {}\r\n", self.token)?;
        }
        self.request.extend_from_slice(b"\r\n");
        self.request.extend_from_slice(body.as_bytes());
        self.stream.get_mut().write_all(&self.request)?;
        let status = self.read_answer()?;
        if status != expected {
            let told = String::from_utf8_lossy(&self.body);
            bail!("{method} {path}: {status} instead of {expected}: {told}");
        }
        Ok(&self.body)
    }

    /// As [`Client::ask`], with the body as JSON in and out.
    ///
    /// # Errors
    /// As [`Client::ask`], and when the answer is not of this form.
    pub fn json<T: DeserializeOwned>(
        &mut self,
        method: &str,
        path: &str,
        body: &str,
        expected: u16,
    ) -> Result<T> {
        let answer = self.ask(method, path, body, expected)?;
        serde_json::from_slice(answer).with_context(|| format!("{method} {path}: the answer"))
    }

    /// Logs the administrator in; from then on the token goes with every request. Answers the token and its project.
    ///
    /// # Errors
    /// When the login is refused.
    pub fn login(&mut self) -> Result<(String, String)> {
        let domain = json!({"name": "Default"});
        let body = json!({"auth": {
            "identity": {"methods": ["password"], "password": {
                "user": {"name": "admin", "domain": domain, "password": PASSWORD},
            }},
            "scope": {"project": {"name": "admin", "domain": domain}},
        }});
        let answer: Json = self.json("POST", "/identity/v3/auth/tokens", &body.to_string(), 201)?;
        let token = self.subject_token.take();
        self.token = token.context("the login's answer has no X-Subject-Token")?;
        let project = answer["token"]["project"]["id"].as_str();
        let project = project.context("the token has no project")?.to_owned();
        Ok((self.token.clone(), project))
    }

    fn read_answer(&mut self) -> Result<u16> {
        let status = self.read_line()?;
        let status = status.split(' ').nth(1).unwrap_or_default();
        let status = status.parse().context("the answer's first line")?;
        let (mut length, mut chunked) = (None, false);
        self.subject_token = None;
        loop {
            let line = self.read_line()?;
            if line.is_empty() {
                break;
            }
            let (name, value) = line.split_once(':').context("an answer's header")?;
            if name.eq_ignore_ascii_case("content-length") {
                length = Some(value.trim().parse().context("Content-Length")?);
            } else if name.eq_ignore_ascii_case("transfer-encoding") {
                chunked = value.trim().eq_ignore_ascii_case("chunked");
            } else if name.eq_ignore_ascii_case("x-subject-token") {
                self.subject_token = Some(value.trim().to_owned());
            }
        }
        self.body.clear();
        match length {
            Some(length) => self.read_octets(length)?,
            None if chunked => self.read_chunks()?,
            None if status == 204 => {}
            None => bail!("an answer does not say its length"),
        }
        Ok(status)
    }

    /// RFC 9112 §7.1; extensions and trailers are not asked for.
    fn read_chunks(&mut self) -> Result<()> {
        loop {
            let size = usize::from_str_radix(self.read_line()?, 16).context("a chunk's size")?;
            self.read_octets(size)?;
            if !self.read_line()?.is_empty() {
                bail!("a chunk does not end where it should");
            }
            if size == 0 {
                return Ok(());
            }
        }
    }

    /// Reads so many octets more of the body.
    fn read_octets(&mut self, count: usize) -> Result<()> {
        let begin = self.body.len();
        self.body.resize(begin + count, 0);
        Ok(self.stream.read_exact(&mut self.body[begin..])?)
    }

    fn read_line(&mut self) -> Result<&str> {
        self.line.clear();
        if self.stream.read_line(&mut self.line)? == 0 {
            bail!("the server closed the connection");
        }
        Ok(self.line.trim_end())
    }
}
