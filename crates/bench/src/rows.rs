//! The rows: each says what it does, how often, and what it is to reach.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Result;

use crate::client::Client;
use crate::cloud::{Mode, Tally};
use crate::disk::Disk;
use crate::floor::Floor;
use crate::load::{Until, Window, window};
use crate::neutron;
use crate::report::{Report, Row, Unit, median};
use crate::server::Server;

/// Synced writes of one look at the disk: what they take differs from one tenth of a second to the next.
const SYNCED_WRITES: u64 = 1000;
/// The row that is a ratio to them has so many times the windows of others.
const ALONE_WINDOWS: usize = 3;

/// How much is measured.
pub struct Size {
    /// Windows or runs of each row.
    pub windows: usize,
    /// How long a window of load is.
    pub window: Duration,
    /// Requests of a window that counts them.
    pub steps: usize,
    /// Ports of the short list.
    pub few: u64,
    /// Ports of the long list, and of the server whose memory is measured.
    pub many: u64,
    /// Chains of the large cloud, ports of the one that is started.
    pub scale: u64,
    /// Chains of the small cloud that it is compared with.
    pub small: u64,
    /// Addresses of the pool that is filled up, and how many ports of its begin and of its end are timed.
    pub pool: u64,
    /// See there.
    pub ends: usize,
}

/// What every row needs.
pub struct Bench {
    /// The server's program.
    pub binary: PathBuf,
    /// A folder on the disk that is measured.
    pub folder: PathBuf,
    /// How much is measured.
    pub size: Size,
    /// The figures.
    pub report: Report,
}

impl Bench {
    fn start(&self, name: &str, database: Option<&str>) -> Result<Server> {
        Server::start(&self.binary, &self.folder.join(name), database)
    }

    /// Chains with 1 and, unless that is all that is wanted, with 8 clients on SQLite, beside the disk.
    ///
    /// # Errors
    /// With the first answer that is wrong.
    pub fn chains_sqlite(&mut self, eight: bool) -> Result<()> {
        let server = self.start("chains", None)?;
        let tally = Tally::default();
        self.chains_alone(&server, &tally)?;
        if eight {
            self.chains_together(&server, &tally)?;
        }
        finish(server, &tally)
    }

    fn chains_alone(&mut self, server: &Server, tally: &Tally) -> Result<()> {
        let mut disk = Disk::new(server.folder())?;
        let mut floor = Floor::start(server.folder())?;
        let (mut alone, mut floors) = (Vec::new(), Vec::new());
        let (mut over, mut append) = (Vec::new(), Vec::new());
        for _ in 0..ALONE_WINDOWS * self.size.windows {
            over.push(disk.overwrite(SYNCED_WRITES)?.as_secs_f64() * 1e3);
            append.push(disk.append(SYNCED_WRITES)?.as_secs_f64() * 1e3);
            alone.push(self.chains(server, tally, 1, Mode::Slaac)?);
            floors.push(floor.chains(self.size.window)?.as_secs_f64() * 1e3);
        }
        let floor_ratios = floors.iter().zip(&append);
        let floor_ratios = floor_ratios.map(|(floor, write)| floor / (3.0 * write));
        let floor_ratios = floor_ratios.collect();
        let ratios = |disk: &[f64]| -> Vec<f64> {
            let pairs = alone.iter().zip(disk);
            pairs
                .map(|(window, write)| 1e3 / window.rate() / (3.0 * write))
                .collect()
        };
        let (to_over, to_append) = (ratios(&over), ratios(&append));
        self.report.add(
            rates("chains, SQLite, 1 client", &alone)
                .against(neutron::CHAINS_1)
                .target(60.0 * neutron::CHAINS_1),
        );
        let p99 = alone.iter().map(Window::p99_ms).collect();
        self.report
            .add(medians("chain, SQLite, 1 client, p50", &alone));
        self.report.add(Row::new(
            "chain, SQLite, 1 client, p99",
            Unit::Milliseconds,
            p99,
        ));
        self.report.add(Row::new(
            "the disk: a synced 4 KB write, over a page",
            Unit::Milliseconds,
            over,
        ));
        self.report.add(Row::new(
            "the disk: a synced 4 KB write, at the end",
            Unit::Milliseconds,
            append,
        ));
        self.report.add(
            Row::new(
                "chain, 1 client : 3 synced writes at the end",
                Unit::Times,
                to_append,
            )
            .target(1.5),
        );
        self.report.add(Row::new(
            "chain, 1 client : 3 synced writes over",
            Unit::Times,
            to_over,
        ));
        self.report.add(Row::new(
            "the floor: 3 requests that only sync : 3 synced writes at the end",
            Unit::Times,
            floor_ratios,
        ));
        Ok(())
    }

    fn chains_together(&mut self, server: &Server, tally: &Tally) -> Result<()> {
        let mut together = Vec::new();
        let mut stateful = Vec::new();
        for _ in 0..self.size.windows {
            together.push(self.chains(server, tally, 8, Mode::Slaac)?);
            stateful.push(self.chains(server, tally, 8, Mode::Stateful)?);
        }
        self.report.add(
            rates("chains, SQLite, 8 clients", &together)
                .against(neutron::CHAINS_8)
                .target(150.0 * neutron::CHAINS_8),
        );
        self.report
            .add(rates("the same with stateful subnets", &stateful).against(neutron::CHAINS_8));
        Ok(())
    }

    /// Chains and creations of ports on PostgreSQL.
    ///
    /// # Errors
    /// With the first answer that is wrong.
    pub fn postgres(&mut self, url: &str) -> Result<()> {
        let server = self.start("postgres-server", Some(url))?;
        let tally = Tally::default();
        let (mut alone, mut together, mut creations) = (Vec::new(), Vec::new(), Vec::new());
        let network = tally.network(&mut server.client()?, Mode::Slaac)?;
        for _ in 0..self.size.windows {
            alone.push(self.chains(&server, &tally, 1, Mode::Slaac)?);
            together.push(self.chains(&server, &tally, 8, Mode::Slaac)?);
            creations.push(self.creations(&server, &tally, &network)?);
        }
        self.report.add(
            rates("chains, PostgreSQL, 1 client", &alone)
                .against(neutron::CHAINS_1)
                .target(40.0 * neutron::CHAINS_1),
        );
        self.report.add(
            rates("chains, PostgreSQL, 8 clients", &together)
                .against(neutron::CHAINS_8)
                .target(40.0 * neutron::CHAINS_8),
        );
        self.report.add(
            medians("port create p50, PostgreSQL, 1 client", &creations)
                .against(neutron::CREATE_MS)
                .target(5.0),
        );
        finish(server, &tally)
    }

    /// Ports: lists of few and of many, shows, creations, memory.
    ///
    /// # Errors
    /// With the first answer that is wrong.
    pub fn ports(&mut self) -> Result<()> {
        let server = self.start("ports", None)?;
        let tally = Tally::default();
        let mut client = server.client()?;
        // Half of the few are ends of chains, so that the server has been under that load, too.
        let chains = usize::try_from(self.size.few / 2)?;
        window(&server, 1, Until::Steps(chains), |client| {
            tally.chain(client, Mode::Slaac)
        })?;
        let network = tally.network(&mut client, Mode::Slaac)?;
        tally.fill_ports(&mut client, &network, self.size.few)?;
        let lists = self.lists(&mut client, self.size.few)?;
        self.report
            .add(lists.against(neutron::LIST_1000_MS).target(5.0));
        tally.fill_ports(&mut client, &network, self.size.many)?;
        let lists = self.lists(&mut client, self.size.many)?;
        self.report
            .add(lists.against(neutron::LIST_10000_MS).target(40.0));

        let path = format!("/v2.0/ports/{}", first_port(&mut client)?);
        let show = |client: &mut Client| client.ask("GET", &path, "", 200).map(|_| ());
        let (mut alone, mut together, mut creations) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..self.size.windows {
            alone.push(window(&server, 1, Until::Time(self.size.window), show)?);
            together.push(window(&server, 8, Until::Time(self.size.window), show)?);
            creations.push(self.creations(&server, &tally, &network)?);
        }
        self.report.add(
            medians("port create p50, SQLite, 1 client", &creations)
                .against(neutron::CREATE_MS)
                .target(1.5),
        );
        self.report.add(
            medians("port show p50, 1 client", &alone)
                .against(neutron::SHOW_MS)
                .target(0.3),
        );
        self.report.add(
            rates("port shows, 8 clients", &together)
                .against(neutron::SHOWS_8)
                .target(10_000.0),
        );

        let mut memory = Vec::new();
        for _ in 0..self.size.windows {
            // A connection of its own: one that was idle for long is closed by the server.
            let mut client = server.client()?;
            client.login()?;
            self.lists(&mut client, self.size.many)?;
            memory.push(server.pss()? as f64 / 1e6);
        }
        self.report.add(
            Row::new(
                format!("PSS holding {} ports", self.size.many),
                Unit::Megabytes,
                memory,
            )
            .against(neutron::PSS_MB)
            .target(60.0),
        );
        finish(server, &tally)
    }

    /// The choice of an address: of large pools, and of one that is nearly full.
    ///
    /// # Errors
    /// With the first answer that is wrong.
    pub fn addresses(&mut self) -> Result<()> {
        let server = self.start("addresses", None)?;
        let tally = Tally::default();
        let mut client = server.client()?;
        let wide = tally.network(&mut client, Mode::Stateful)?;
        let narrow = tally.pool(&mut client, 1 << 32)?;
        let (mut of_wide, mut of_narrow, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..self.size.windows {
            let small = self.creations(&server, &tally, &narrow)?;
            let large = self.creations(&server, &tally, &wide)?;
            ratios.push(large.median_ms() / small.median_ms());
            of_narrow.push(small);
            of_wide.push(large);
        }
        self.report
            .add(medians("port on a /96 pool, p50", &of_narrow));
        self.report
            .add(medians("port on a /64 pool, p50", &of_wide));
        let name = "the /64 pool : the /96 pool";
        self.report
            .add(Row::new(name, Unit::Times, ratios).target(1.2));

        let ends = Until::Steps(self.size.ends);
        let timed = 2 * self.size.ends as u64;
        let (mut first, mut last, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..self.size.windows {
            let network = tally.pool(&mut client, self.size.pool.into())?;
            let port = |client: &mut Client| tally.port(client, &network).map(|_| ());
            let empty = window(&server, 1, ends, port)?;
            tally.add_ports(&mut client, &network, self.size.pool - timed)?;
            let full = window(&server, 1, ends, port)?;
            ratios.push(full.median_ms() / empty.median_ms());
            first.push(empty);
            last.push(full);
        }
        let pool = self.size.pool;
        let what = |which| format!("the {which} {} of {pool} addresses, p50", self.size.ends);
        self.report.add(medians(&what("first"), &first));
        self.report.add(medians(&what("last"), &last));
        self.report
            .add(Row::new("the last : the first", Unit::Times, ratios));
        finish(server, &tally)
    }

    /// The cost of a chain in a large cloud against one in a small cloud.
    ///
    /// # Errors
    /// With the first answer that is wrong.
    pub fn scale(&mut self) -> Result<()> {
        let (small, large) = (self.start("small", None)?, self.start("large", None)?);
        let (few, many) = (Tally::default(), Tally::default());
        let half = (self.size.windows * self.size.steps / 2) as u64;
        few.fill_chains(&mut small.client()?, self.size.small.saturating_sub(half))?;
        let start = Instant::now();
        many.fill_chains(&mut large.client()?, self.size.scale - half)?;
        println!(
            "  {} chains made by bulk creation in {:.0} s",
            self.size.scale - half,
            start.elapsed().as_secs_f64()
        );
        let steps = Until::Steps(self.size.steps);
        let (mut ratios, mut times) = (Vec::new(), Vec::new());
        for _ in 0..self.size.windows {
            let first = window(&small, 1, steps, |client| few.chain(client, Mode::Slaac))?;
            let last = window(&large, 1, steps, |client| many.chain(client, Mode::Slaac))?;
            ratios.push(last.median_ms() / first.median_ms());
            times.push((first, last));
        }
        let (first, last): (Vec<Window>, Vec<Window>) = times.into_iter().unzip();
        let what = |count| format!("chain around the {count}th, p50, 1 client");
        self.report.add(medians(&what(self.size.small), &first));
        self.report.add(medians(&what(self.size.scale), &last));
        let name = format!("the {}th : the {}th", self.size.scale, self.size.small);
        self.report
            .add(Row::new(name, Unit::Times, ratios).target(1.2));
        finish(small, &few)?;
        finish(large, &many)
    }

    /// The start of a server on a large database.
    ///
    /// # Errors
    /// With the first answer that is wrong.
    pub fn restart(&mut self) -> Result<()> {
        let mut server = self.start("start", None)?;
        let tally = Tally::default();
        let mut client = server.client()?;
        let per_network = self.size.scale / 100;
        for number in 1..=100 {
            let network = tally.network(&mut client, Mode::Slaac)?;
            tally.fill_ports(&mut client, &network, number * per_network)?;
        }
        let question = format!("/v2.0/ports/{}", first_port(&mut client)?);
        drop(client);
        let mut times = Vec::new();
        for _ in 0..self.size.windows {
            times.push(server.restart(&question)?.as_secs_f64() * 1e3);
        }
        self.report.add(
            Row::new(
                format!("start with {} ports, to the first answer", self.size.scale),
                Unit::Milliseconds,
                times,
            )
            .target(1000.0)
            .note(format!("PSS {:.0} MB", server.pss()? as f64 / 1e6)),
        );
        finish(server, &tally)
    }

    fn chains(&self, server: &Server, tally: &Tally, clients: usize, mode: Mode) -> Result<Window> {
        window(server, clients, Until::Time(self.size.window), |client| {
            tally.chain(client, mode)
        })
    }

    /// A window of creations; the ports are deleted again, unmeasured.
    fn creations(&self, server: &Server, tally: &Tally, network: &str) -> Result<Window> {
        let made = std::sync::Mutex::new(Vec::new());
        let created = window(server, 1, Until::Steps(self.size.steps), |client| {
            let id = tally.port(client, network)?;
            made.lock().expect("no client panicked").push(id);
            Ok(())
        })?;
        let mut client = server.client()?;
        for id in made.into_inner().expect("no client panicked") {
            tally.delete_port(&mut client, &id)?;
        }
        Ok(created)
    }

    fn lists(&self, client: &mut Client, ports: u64) -> Result<Row> {
        let mut times = Vec::new();
        let mut bytes = 0;
        for _ in 0..self.size.windows.max(5) {
            let start = Instant::now();
            let body = client.ask("GET", "/v2.0/ports", "", 200)?;
            times.push(start.elapsed().as_secs_f64() * 1e3);
            bytes = body.len();
            let listed = count(body, b"\"mac_address\":");
            anyhow::ensure!(listed == ports, "{listed} ports listed of {ports}");
        }
        let note = format!(
            "{:.2} us and {} bytes a port",
            median(times.clone()) * 1e3 / ports as f64,
            bytes as u64 / ports
        );
        let what = format!("list of {ports} ports, all fields");
        Ok(Row::new(what, Unit::Milliseconds, times).note(note))
    }
}

/// How often a text stands in another.
fn count(text: &[u8], part: &[u8]) -> u64 {
    text.windows(part.len())
        .filter(|window| *window == part)
        .count() as u64
}

fn first_port(client: &mut Client) -> Result<String> {
    let page: std::collections::BTreeMap<String, serde_json::Value> =
        client.json("GET", "/v2.0/ports?limit=1&fields=id", "", 200)?;
    let id = page["ports"][0]["id"].as_str().map(str::to_owned);
    id.ok_or_else(|| anyhow::anyhow!("no port is listed"))
}

fn rates(what: &str, windows: &[Window]) -> Row {
    let values = windows.iter().map(Window::rate).collect();
    Row::new(what, Unit::PerSecond, values).note(cpu(windows))
}

fn medians(what: &str, windows: &[Window]) -> Row {
    let values = windows.iter().map(Window::median_ms).collect();
    Row::new(what, Unit::Milliseconds, values).note(cpu(windows))
}

/// What one step costs both sides.
fn cpu(windows: &[Window]) -> String {
    let (server, client): (Vec<f64>, Vec<f64>) = windows.iter().map(Window::cpu_us).unzip();
    format!(
        "cpu: server {:.0} us, client {:.0} us",
        median(server),
        median(client)
    )
}

/// The counts must be right, and the server must end well.
fn finish(mut server: Server, tally: &Tally) -> Result<()> {
    tally.check(&mut server.client()?)?;
    server.stop()?;
    remove(server.folder())
}

fn remove(folder: &Path) -> Result<()> {
    Ok(std::fs::remove_dir_all(folder)?)
}
