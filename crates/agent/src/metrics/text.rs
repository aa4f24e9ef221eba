//! Figures as Prometheus reads them (OpenMetrics 1.0).

use std::collections::BTreeMap;
use std::fmt;
use std::time::UNIX_EPOCH;

use hextet_proto::{DropReason, Sent};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::{Registry, Unit};

use super::Figures;
use super::process::{Process, started};
use crate::kernel::fastpath::UNATTRIBUTED;
use crate::kernel::{Kind, PuntReason, Verdict};

/// What there is to show besides the host's figures.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Own {
    /// The process.
    pub(super) process: Process,
    /// Readers that were put out because another needed the place.
    pub(super) evicted: u64,
}

/// All figures as text.
///
/// # Errors
/// The encoder's.
pub(super) fn text(figures: Figures, own: Own) -> Result<String, fmt::Error> {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(Shown { figures, own }));
    let mut text = String::new();
    encode(&mut text, &registry)?;
    Ok(text)
}

#[derive(Debug)]
struct Shown {
    figures: Figures,
    own: Own,
}

impl Collector for Shown {
    fn encode(&self, encoder: DescriptorEncoder) -> Result<(), fmt::Error> {
        let mut to = Writer(encoder);
        self.frames(&mut to)?;
        self.served(&mut to)?;
        self.host(&mut to)?;
        self.feed(&mut to)?;
        self.reconcile(&mut to)?;
        self.process(&mut to)
    }
}

impl Shown {
    /// Of the fast path.
    fn frames(&self, to: &mut Writer<'_>) -> fmt::Result {
        let sums = self.verdicts();
        let frames = sums
            .iter()
            .map(|(verdict, (packets, _))| (labels(*verdict), *packets));
        to.counters(
            "hextet_agent_frames",
            "Frames of guests and physical segments by what became of them: dropped, consumed (nobody needs them), passed; note: counted besides",
            None,
            frames,
        )?;
        let bytes = sums
            .iter()
            .map(|(verdict, (_, bytes))| (labels(*verdict), *bytes));
        to.counters(
            "hextet_agent_frame",
            "What they hold",
            Some(Unit::Bytes),
            bytes,
        )?;
        let unattributed =
            self.figures.frames.iter().filter(|((port, verdict), _)| {
                *port == UNATTRIBUTED && verdict.kind() != Kind::Note
            });
        to.counter(
            "hextet_agent_frames_unattributed",
            "Frames among those that are counted by verdict alone: the table of counters has no room for their ports",
            unattributed.map(|(_, (packets, _))| packets).sum(),
        )?;
        let lost = sums
            .get(&Verdict::PuntFull)
            .map_or(0, |(packets, _)| *packets);
        let served = &self.figures.served;
        let taken: u64 = served.punts.values().sum();
        to.counters(
            "hextet_agent_ring",
            "Frames for the agent: taken out of the ring, stale (too old when it was their turn), lost (the ring was full)",
            None,
            [("taken", taken), ("stale", served.stale), ("lost", lost)]
                .map(|(outcome, count)| ([("outcome", outcome)], count)),
        )?;
        to.counters(
            "hextet_agent_punts",
            "Frames that were taken out of the ring, by why they are the agent's",
            None,
            PuntReason::ALL.map(|reason| {
                let count = served.punts.get(&reason).copied().unwrap_or(0);
                ([("reason", reason.name())], count)
            }),
        )
    }

    /// Of all ports, those included that are gone.
    fn verdicts(&self) -> BTreeMap<Verdict, (u64, u64)> {
        let mut sums: BTreeMap<Verdict, (u64, u64)> = Verdict::ALL
            .into_iter()
            .map(|verdict| (verdict, (0, 0)))
            .collect();
        for ((_, verdict), (packets, bytes)) in &self.figures.frames {
            let sum = sums.entry(*verdict).or_default();
            *sum = (sum.0 + packets, sum.1 + bytes);
        }
        sums
    }

    /// Of the serving thread.
    fn served(&self, to: &mut Writer<'_>) -> fmt::Result {
        let served = &self.figures.served;
        let sums = self.verdicts();
        let by_program = [
            ("na", "na_fastpath", Verdict::NdAnswered),
            ("arp", "arp_fastpath", Verdict::ArpAnswered),
        ];
        let by_program = by_program.map(|(protocol, kind, verdict)| {
            let (packets, _) = sums.get(&verdict).copied().unwrap_or_default();
            ([("protocol", protocol), ("kind", kind)], packets)
        });
        let by_agent = Sent::ALL.iter().map(|kind| {
            let name = kind.name();
            let (protocol, _) = name.split_once('_').unwrap_or((name, ""));
            let count = served.links.sent.get(kind).copied().unwrap_or(0);
            ([("protocol", protocol), ("kind", name)], count)
        });
        to.counters(
            "hextet_agent_answers",
            "Frames to guests, by protocol and kind; those of kind _fastpath are the program's own, the others the agent's",
            None,
            by_program.into_iter().chain(by_agent),
        )?;
        to.counters(
            "hextet_agent_drops",
            "What the agent left unanswered, or could not deliver, by reason",
            None,
            DropReason::ALL.iter().map(|reason| {
                let count = served.links.dropped.get(reason).copied().unwrap_or(0);
                ([("reason", reason.name())], count)
            }),
        )?;
        to.counter(
            "hextet_agent_unsent",
            "Frames to guests that the kernel refused to send",
            served.unsent,
        )?;
        to.counters(
            "hextet_agent_segment_adverts_unheard",
            "Router Advertisements of physical segments that told nothing: invalid, or of a sender beyond those that are kept apart (senders)",
            None,
            [("invalid", served.unheard.invalid), ("senders", served.unheard.senders)]
                .map(|(reason, count)| ([("reason", reason)], count)),
        )?;
        to.counter(
            "hextet_agent_machines_restarted",
            "Ports whose protocol machine panicked and began anew",
            served.panics,
        )
    }

    fn host(&self, to: &mut Writer<'_>) -> fmt::Result {
        let ports = self.figures.ports;
        to.gauges(
            "hextet_agent_ports",
            "Ports of this host: up, down (bound here and not working), unplanned (attached here and not bound to this host)",
            [("up", ports.up), ("down", ports.down), ("unplanned", ports.unplanned)]
                .map(|(status, count)| ([("status", status)], count as u64)),
        )?;
        let claims = self.figures.claims;
        to.gauges(
            "hextet_agent_claims",
            "Taps that are named as ports are and carry none: waiting (for the server, or for their port to be made), refused (the port is another host's, or this one may not claim), over (more than are claimed at once)",
            [
                ("waiting", claims.waiting),
                ("refused", claims.refused),
                ("over", claims.over),
            ]
            .map(|(state, count)| ([("state", state)], count as u64)),
        )?;
        to.gauge(
            "hextet_agent_learned_addresses",
            "Addresses of ports that their guests formed themselves",
            self.figures.learned as u64,
        )?;
        to.gauge(
            "hextet_agent_dhcp_options_unknown",
            "Entries of ports' extra_dhcp_opts of which no guest is told, because no option has their name",
            self.figures.unknown_options as u64,
        )?;
        let tables = &self.figures.tables;
        to.gauges(
            "hextet_agent_table_rows",
            "Rows of the fast path's tables",
            tables
                .iter()
                .map(|table| ([("table", table.name)], u64::from(table.rows))),
        )?;
        to.gauges(
            "hextet_agent_table_rows_max",
            "Rows that the fast path's tables hold; a full one refuses the newest",
            tables
                .iter()
                .map(|table| ([("table", table.name)], u64::from(table.rows_max))),
        )
    }

    fn feed(&self, to: &mut Writer<'_>) -> fmt::Result {
        let figures = &self.figures;
        to.gauge(
            "hextet_agent_feed_connected",
            "1 while the server answers",
            u64::from(figures.connected),
        )?;
        to.seconds(
            "hextet_agent_feed_since_timestamp",
            "Since when that is so, since 1970-01-01T00:00Z",
            Some(figures.feed_since.as_secs_f64()),
        )?;
        to.counter(
            "hextet_agent_feed_connections",
            "How often the server came to answer",
            figures.connections,
        )?;
        to.gauge(
            "hextet_agent_plan_revision",
            "The revision of the plan that this host holds",
            figures.revision,
        )
    }

    fn reconcile(&self, to: &mut Writer<'_>) -> fmt::Result {
        let passes = self.figures.passes;
        to.counter(
            "hextet_agent_reconcile_passes",
            "Looks at the whole host",
            passes.made,
        )?;
        to.counter(
            "hextet_agent_reconcile_failures",
            "Looks that could not be ended",
            passes.failed,
        )?;
        to.counter(
            "hextet_agent_reconcile_changes",
            "What they changed: links, rows, programs",
            passes.changes,
        )?;
        to.counter(
            "hextet_agent_pins_repaired",
            "Pins of the fast path that were gone and were put back",
            passes.pins,
        )?;
        to.counter(
            "hextet_agent_programs_taken_off",
            "Programs that somebody took off links behind the agent's back, and that were put on again",
            passes.taken_off,
        )?;
        to.counter(
            "hextet_agent_rows_refused",
            "Rows that the fast path's tables refused, most often because they are full; each attempt counts",
            passes.rows_refused,
        )?;
        let took = ConstCounter::new(passes.took.as_secs_f64());
        to.one(
            "hextet_agent_reconcile",
            "What the looks took together",
            Some(Unit::Seconds),
            &took,
        )?;
        let last = passes
            .last
            .and_then(|at| at.duration_since(UNIX_EPOCH).ok());
        to.seconds(
            "hextet_agent_reconcile_last_timestamp",
            "When the newest look ended that did not fail, since 1970-01-01T00:00Z",
            last.map(|last| last.as_secs_f64()),
        )?;
        to.counter(
            "hextet_agent_ledger_failures",
            "How often the ledger could not be written",
            self.figures.ledger_failures,
        )
    }

    fn process(&self, to: &mut Writer<'_>) -> fmt::Result {
        let process = self.own.process;
        to.counter(
            "hextet_agent_metrics_evicted",
            "Readers of these figures that were put out because another needed the place",
            self.own.evicted,
        )?;
        if let Some(cpu) = process.cpu {
            let cpu = ConstCounter::new(cpu.as_secs_f64());
            to.one("process_cpu", "Processor time", Some(Unit::Seconds), &cpu)?;
        }
        if let Some(bytes) = process.resident {
            let bytes = ConstGauge::new(bytes);
            to.one(
                "process_resident_memory",
                "Resident memory",
                Some(Unit::Bytes),
                &bytes,
            )?;
        }
        if let Some(files) = process.files {
            to.gauge("process_open_fds", "Open file descriptors", files)?;
        }
        to.seconds(
            "process_start_time",
            "When the agent was started, since 1970-01-01T00:00Z",
            Some(started().as_secs_f64()),
        )
    }
}

fn labels(verdict: Verdict) -> [(&'static str, &'static str); 2] {
    let kind = match verdict.kind() {
        Kind::Drop => "drop",
        Kind::Consumed => "consumed",
        Kind::Passed => "passed",
        Kind::Note => "note",
    };
    [("kind", kind), ("verdict", verdict.name())]
}

/// Names, texts and values to the encoder.
struct Writer<'a>(DescriptorEncoder<'a>);

impl Writer<'_> {
    fn one(
        &mut self,
        name: &str,
        help: &str,
        unit: Option<Unit>,
        value: &impl EncodeMetric,
    ) -> fmt::Result {
        let kind = value.metric_type();
        let encoder = self.0.encode_descriptor(name, help, unit.as_ref(), kind)?;
        value.encode(encoder)
    }

    fn counter(&mut self, name: &str, help: &str, value: u64) -> fmt::Result {
        self.one(name, help, None, &ConstCounter::new(value))
    }

    fn gauge(&mut self, name: &str, help: &str, value: u64) -> fmt::Result {
        self.one(name, help, None, &ConstGauge::new(value))
    }

    /// Nothing where there is no value.
    fn seconds(&mut self, name: &str, help: &str, value: Option<f64>) -> fmt::Result {
        value.map_or(Ok(()), |value| {
            self.one(name, help, Some(Unit::Seconds), &ConstGauge::new(value))
        })
    }

    fn counters<const N: usize>(
        &mut self,
        name: &str,
        help: &str,
        unit: Option<Unit>,
        values: impl IntoIterator<Item = ([(&'static str, &'static str); N], u64)>,
    ) -> fmt::Result {
        let kind = MetricType::Counter;
        let mut encoder = self.0.encode_descriptor(name, help, unit.as_ref(), kind)?;
        for (labels, value) in values {
            ConstCounter::new(value).encode(encoder.encode_family(&labels)?)?;
        }
        Ok(())
    }

    fn gauges<const N: usize>(
        &mut self,
        name: &str,
        help: &str,
        values: impl IntoIterator<Item = ([(&'static str, &'static str); N], u64)>,
    ) -> fmt::Result {
        let mut encoder = self
            .0
            .encode_descriptor(name, help, None, MetricType::Gauge)?;
        for (labels, value) in values {
            ConstGauge::new(value).encode(encoder.encode_family(&labels)?)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hextet_core::ids::PortNumber;

    /// Most bytes that a host shows.
    const TEXT_BYTES_MAX: usize = 64 * 1024;

    #[test]
    fn a_host_shows_as_much_with_a_thousand_ports_as_with_one() {
        let shown = |ports: u32| {
            let mut figures = Figures::default();
            for port in 1..=ports {
                for verdict in Verdict::ALL {
                    let counted = (u64::from(u32::MAX), u64::from(u32::MAX));
                    figures.frames.insert((PortNumber(port), verdict), counted);
                }
            }
            figures.ports.up = ports as usize;
            text(figures, Own::default()).unwrap()
        };
        let (one, many) = (shown(1), shown(1_000));
        assert_eq!(one.lines().count(), many.lines().count());
        assert!(many.len() < TEXT_BYTES_MAX, "{} bytes", many.len());
    }

    #[test]
    fn sums_are_of_all_ports_and_every_value_is_there_from_the_start() {
        let mut figures = Figures::default();
        let drop = Verdict::MacSpoofed;
        figures.frames.insert((PortNumber(1), drop), (2, 200));
        figures.frames.insert((PortNumber(7), drop), (3, 300));
        figures.served.links.sent.insert(Sent::RaSolicited, 4);
        let text = text(figures, Own::default()).unwrap();
        for line in [
            "hextet_agent_frames_total{kind=\"drop\",verdict=\"mac_spoofed\"} 5",
            "hextet_agent_frame_bytes_total{kind=\"drop\",verdict=\"mac_spoofed\"} 500",
            "hextet_agent_answers_total{protocol=\"ra\",kind=\"ra_solicited\"} 4",
            "hextet_agent_answers_total{protocol=\"dhcpv6\",kind=\"dhcpv6_reply\"} 0",
            "hextet_agent_frames_total{kind=\"drop\",verdict=\"punt_full\"} 0",
            "hextet_agent_feed_connected 0",
        ] {
            assert!(text.lines().any(|found| found == line), "{line}\n{text}");
        }
        let samples: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
        let names: std::collections::BTreeSet<&str> = samples
            .iter()
            .filter_map(|line| Some(line.rsplit_once(' ')?.0))
            .collect();
        assert_eq!(names.len(), samples.len(), "each once");
    }
}
