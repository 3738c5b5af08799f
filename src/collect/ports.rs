//! The collector `ports`: what listens on the documented ports.
//!
//! Finds the ports that each module is configured with; `source::sockets` reads sockets and descriptors, `health`
//! judges.
//!
//! A scrape asks the kernel for listeners, and makes one check for each port that is known to be the module's own. To
//! find the owner of a socket, descriptors are walked, those of every process where it is not the module's: that is
//! done in the background, when something has changed and else once a minute, so that a fault makes no scrape more
//! expensive.
//!
//! A module in another network namespace than the exporter's is looked up in that one. Where that is unknown, so are
//! its ports.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::{CollectError, Collector, Context, ErrorKind, Losses, Outcome};
use crate::catalog::modules::MODULES;
use crate::catalog::signals::ports::{HELD_BY_ANOTHER, HELD_BY_UNKNOWN, PORT_BOUND, PORT_NUMBER, PORT_OWNED};
use crate::catalog::{Kind, MetricDef, Module, Port, Protocol};
use crate::health;
use crate::snapshot::{Remark, Samples};
use crate::source::kit::background::Background;
use crate::source::kit::{LogOnChange, Miss, ProcRoot};
use crate::source::processes::ProcessState;
use crate::source::sockets::{Claim, Descriptor, Holder, Listeners, Network, SocketOwner, Sockets};
use crate::sync::locked;

/// How often holders are looked for while nothing changes, and how long a process is assumed to stay in its network
/// namespace.
const SEARCH_INTERVAL: Duration = Duration::from_secs(60);

/// The most processes of other modules that tell in which network namespace a module without a process would be.
const MAX_WITNESSES: usize = 16;

/// Ports given by flags, because the documentation names no attribute for them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PortOverrides {
    /// `--collector.ports.syslogd-port`: the one documented port without an attribute.
    pub syslogd: Option<u16>,
}

/// A port of a module that another program holds.
#[derive(Clone, Debug, PartialEq, Eq)]
struct HeldPort {
    module: &'static str,
    instance: String,
    port: &'static Port,
    number: u16,
    /// The process, where the exporter may look at it.
    holder: Option<Holder>,
}

/// What is looked for in the background.
#[derive(Debug, PartialEq, Eq)]
struct OwnerSearch {
    /// Incremented when a result turned out to be outdated, so that the search is repeated.
    round: u64,
    claims: Vec<Claim>,
}

/// Reports what listens on the documented ports.
pub struct Ports {
    sockets: Sockets,
    overrides: PortOverrides,
    /// The ports of which the module holds this socket by this descriptor.
    owned: Mutex<BTreeMap<PortKey, (u64, Descriptor)>>,
    /// Where processes are, and when that was looked up.
    networks: Mutex<BTreeMap<u32, (Network, Instant)>>,
    round: AtomicU64,
    search: Background<OwnerSearch, Vec<SocketOwner>>,
    held: Mutex<Vec<HeldPort>>,
    log: LogOnChange,
}

/// A port of a module and instance, by the name of its check.
type PortKey = (&'static str, String, &'static str);

/// A port that is looked for.
struct Wanted<'a> {
    module: &'static Module,
    instance: &'a str,
    port: &'static Port,
    number: u16,
    /// The living processes that may hold it.
    pids: Vec<u32>,
}

/// A port on which something listens whose owner is not known yet.
struct Claimed<'w> {
    one: &'w Wanted<'w>,
    claim: Claim,
}

impl Ports {
    /// Ports of the machine of `proc`.
    #[must_use]
    pub fn new(proc: &Arc<ProcRoot>, overrides: PortOverrides) -> Self {
        let sockets = Sockets::new(proc);
        let everywhere = sockets.clone();
        Self {
            sockets,
            overrides,
            owned: Mutex::default(),
            networks: Mutex::default(),
            round: AtomicU64::new(0),
            search: Background::new("ports", SEARCH_INTERVAL, move |search: &OwnerSearch| {
                everywhere.owners(&search.claims)
            }),
            held: Mutex::default(),
            log: LogOnChange::default(),
        }
    }

    fn collect_at(&self, now: Instant, cx: &Context, out: &mut Samples) -> Result<Outcome, CollectError> {
        let wanted = self.wanted(cx);
        locked(&self.owned).retain(|key, _| wanted.iter().any(|one| one.key() == *key));
        if wanted.is_empty() {
            self.remember(Vec::new());
            return Ok(Outcome::NotApplicable);
        }
        let mut losses = Losses::default();
        let networks = self.networks(&wanted, now, cx, &mut losses);
        let listeners = self.listeners(&wanted, &networks, &mut losses);
        let mut claimed: Vec<Claimed> = Vec::new();
        let mut bound: BTreeMap<_, (PortKey, bool)> = BTreeMap::new();
        for (one, networks) in wanted.iter().zip(&networks) {
            let (module, protocol) = (one.module.name, one.port.protocol);
            out.push(&PORT_NUMBER, &[module, one.instance, one.port.check], f64::from(one.number));
            // Two attributes may name the same port.
            if bound.contains_key(&one.series()) {
                continue;
            }
            let Some(networks) = networks else { continue };
            let found: Vec<&Listeners> = networks.iter().filter_map(|network| listeners.get(network)).collect();
            let inodes: Vec<u64> = found.iter().flat_map(|found| found.at(protocol, one.number)).collect();
            // A process that may be the module's may have the port in another namespace.
            let can_tell = !one.pids.is_empty() || cx.processes.can_tell_of(one.module.name, one.instance);
            if inodes.is_empty() && !(can_tell && found.iter().all(|found| found.can_tell(protocol))) {
                continue;
            }
            bound.insert(one.series(), (one.key(), !inodes.is_empty()));
            one.push(&PORT_BOUND, !inodes.is_empty(), out);
            if inodes.is_empty() {
                continue;
            }
            if self.is_still_owned(one, &inodes) {
                one.push(&PORT_OWNED, true, out);
            } else if can_tell {
                claimed.push(Claimed { one, claim: Claim { inodes, pids: one.pids.clone() } });
            }
        }
        self.settle_claims(&claimed, now, cx, &mut losses, out);
        for one in &wanted {
            if let Some((key, bound)) = bound.get(&one.series()) {
                let verdict = health::port(Some(*bound), self.is_owned(key));
                out.judge(one.port.check, one.module.name, one.instance, verdict);
            }
        }
        Ok(losses.into_outcome())
    }

    /// The ports of every module that has to run or does.
    fn wanted<'a>(&self, cx: &'a Context) -> Vec<Wanted<'a>> {
        let mut wanted = Vec::new();
        for module in MODULES.iter().copied().filter(|module| !module.ports.is_empty()) {
            for instance in cx.census().instances_of(module.name) {
                let of_instance = (module.kind == Kind::PerInstance).then_some(instance);
                // Of any instance where one process of the module serves all.
                let pids: Vec<u32> = cx.census().pids(module.name, of_instance, &cx.processes).collect();
                for port in module.ports {
                    let number = self.number(instance, port, cx);
                    wanted.push(Wanted { module, instance, port, number, pids: pids.clone() });
                }
            }
        }
        wanted
    }

    /// The number of a port. Values that can't be a port are dropped and reported where the configuration is read.
    fn number(&self, instance: &str, port: &Port, cx: &Context) -> u16 {
        let configured = match port.attribute {
            Some(attribute) => cx.installation.settings(instance).number(attribute),
            None => self.overrides.syslogd.map(u64::from),
        };
        configured.and_then(|number| u16::try_from(number).ok()).filter(|number| *number > 0).unwrap_or(port.number)
    }

    /// The network namespaces in which each port is looked for; none where that is unknown.
    fn networks(
        &self,
        wanted: &[Wanted],
        now: Instant,
        cx: &Context,
        losses: &mut Losses,
    ) -> Vec<Option<Vec<Network>>> {
        let mut known = locked(&self.networks);
        known.retain(|_, (_, since)| now.saturating_duration_since(*since) < SEARCH_INTERVAL);
        let mut network_of = |pid: u32| -> Result<Network, Miss> {
            if let Some((network, _)) = known.get(&pid) {
                return Ok(*network);
            }
            let network = self.sockets.network_of(pid)?;
            known.insert(pid, (network, now));
            Ok(network)
        };
        // A module that does not run is looked for where the others are.
        let alive = cx.processes.processes.iter().filter(|process| process.state != ProcessState::Zombie);
        let witnesses: Vec<u32> = alive.map(|process| process.pid).take(MAX_WITNESSES).collect();
        let mut networks_of = |one: &Wanted| {
            let pids = if one.pids.is_empty() { &witnesses } else { &one.pids };
            let mut networks = Vec::new();
            for pid in pids {
                match network_of(*pid) {
                    Ok(network) if !networks.iter().any(|known| same(*known, network)) => networks.push(network),
                    Ok(_) | Err(Miss::Gone) => {}
                    Err(miss) => {
                        losses.add(miss.into(), 1);
                        return None;
                    }
                }
            }
            if pids.is_empty() {
                networks.push(Network::Own);
            }
            // All of them have ended since the walk: the next one will show that.
            (!networks.is_empty()).then_some(networks)
        };
        wanted.iter().map(&mut networks_of).collect()
    }

    /// What listens in each network namespace.
    fn listeners(
        &self,
        wanted: &[Wanted],
        networks: &[Option<Vec<Network>>],
        losses: &mut Losses,
    ) -> BTreeMap<Network, Listeners> {
        let mut ports: BTreeMap<Network, Vec<(Protocol, u16)>> = BTreeMap::new();
        for (one, networks) in wanted.iter().zip(networks) {
            for network in networks.iter().flatten() {
                ports.entry(*network).or_default().push((one.port.protocol, one.number));
            }
        }
        let listeners = ports.into_iter().map(|(network, mut ports)| {
            ports.sort_unstable();
            ports.dedup();
            let found = self.sockets.listeners(&ports, network);
            for (_, miss) in &found.missing {
                losses.add((*miss).into(), 1);
            }
            losses.add(ErrorKind::Parse, found.broken);
            (network, found)
        });
        listeners.collect()
    }

    /// Whether the module still holds the socket by the descriptor that is remembered.
    fn is_still_owned(&self, one: &Wanted<'_>, inodes: &[u64]) -> bool {
        let mut owned = locked(&self.owned);
        let Some((inode, descriptor)) = owned.get(&one.key()).copied() else { return false };
        let holds = inodes.contains(&inode)
            && one.pids.contains(&descriptor.pid)
            && self.sockets.is_socket(descriptor, inode) == Ok(true);
        if !holds {
            owned.remove(&one.key());
            self.round.fetch_add(1, Ordering::Relaxed);
        }
        holds
    }

    /// Exports whose the sockets are, as far as the background search has found; starts it, and logs and remarks ports
    /// that other programs hold.
    fn settle_claims(&self, claimed: &[Claimed], now: Instant, cx: &Context, losses: &mut Losses, out: &mut Samples) {
        let mut held: Vec<HeldPort> = Vec::new();
        if !claimed.is_empty() {
            let round = self.round.load(Ordering::Relaxed);
            let claims: Vec<Claim> = claimed.iter().map(|one| one.claim.clone()).collect();
            if let Err(stall) = self.search.refresh(OwnerSearch { round, claims }, now, cx.deadline) {
                losses.add(stall.into(), 1);
            }
            let Some(done) = self.search.latest().filter(|done| done.input.round == round) else { return };
            for Claimed { one, claim } in claimed {
                let place = done.input.claims.iter().position(|asked| asked == claim);
                match place.and_then(|place| done.output.get(place)) {
                    Some(SocketOwner::Claimant { descriptor, inode }) => {
                        locked(&self.owned).insert(one.key(), (*inode, *descriptor));
                        one.push(&PORT_OWNED, true, out);
                    }
                    Some(SocketOwner::Other(holder)) => held.push(one.held(Some(holder.clone()))),
                    Some(SocketOwner::Hidden) => held.push(one.held(None)),
                    Some(SocketOwner::Unknown(miss)) => losses.add((*miss).into(), 1),
                    // A socket may have no owner, or the search may not have reached it yet.
                    Some(SocketOwner::Nobody) | None => {}
                }
            }
        }
        for port in &held {
            port.push(out);
            port.tell(&self.log);
            port.remark(out);
        }
        self.remember(held);
    }

    /// Whether the module holds the port of `key`, as far as that is known.
    fn is_owned(&self, key: &PortKey) -> Option<bool> {
        if locked(&self.owned).contains_key(key) {
            return Some(true);
        }
        let held = locked(&self.held);
        let is_it =
            |port: &HeldPort| (port.module, port.instance.as_str(), port.port.check) == (key.0, key.1.as_str(), key.2);
        held.iter().any(is_it).then_some(false)
    }

    /// Remembers the ports that other programs hold, and logs those that are no longer held.
    fn remember(&self, now: Vec<HeldPort>) {
        let mut held = locked(&self.held);
        for port in held.iter().filter(|port| !now.iter().any(|held| held.subject() == port.subject())) {
            if self.log.is_news(&port.subject(), None) {
                tracing::info!("{} is not held by another program any more", port.subject());
            }
        }
        *held = now;
    }
}

impl Collector for Ports {
    /// Partial when the sockets, or whose one is, could not be read; not applicable where no module with a port has to run.
    fn collect(&self, cx: &Context, out: &mut Samples) -> Result<Outcome, CollectError> {
        self.collect_at(Instant::now(), cx, out)
    }

    fn settle(&self, until: Instant) {
        self.search.settle(until);
    }
}

/// Whether two processes are in one network namespace.
fn same(one: Network, other: Network) -> bool {
    match (one, other) {
        (Network::Other { number: one, .. }, Network::Other { number: other, .. }) => one == other,
        (one, other) => one == other,
    }
}

/// Writes a sample of a port.
fn push(def: &'static MetricDef, labels: (&str, &str, u16, Protocol), value: bool, out: &mut Samples) {
    let (module, instance, number, protocol) = labels;
    out.push(def, &[module, instance, &number.to_string(), protocol.label()], f64::from(u8::from(value)));
}

impl Wanted<'_> {
    fn key(&self) -> PortKey {
        (self.module.name, self.instance.to_owned(), self.port.check)
    }

    fn series(&self) -> (&str, &str, u16, Protocol) {
        (self.module.name, self.instance, self.number, self.port.protocol)
    }

    fn push(&self, def: &'static MetricDef, value: bool, out: &mut Samples) {
        push(def, self.series(), value, out);
    }

    fn held(&self, holder: Option<Holder>) -> HeldPort {
        let (module, instance) = (self.module.name, self.instance.to_owned());
        HeldPort { module, instance, port: self.port, number: self.number, holder }
    }
}

impl HeldPort {
    fn push(&self, out: &mut Samples) {
        push(&PORT_OWNED, (self.module, &self.instance, self.number, self.port.protocol), false, out);
    }

    /// The port as shown to people.
    fn name(&self) -> String {
        format!("{}/{}", self.number, self.port.protocol.label())
    }

    fn subject(&self) -> String {
        format!("port {} of {}@{}", self.name(), self.module, self.instance)
    }

    /// Logs once what holds the port.
    fn tell(&self, log: &LogOnChange) {
        let message = match &self.holder {
            Some(holder) => format!("is held by {}", described(holder)),
            None => "is held by a process that the exporter may not look at".to_owned(),
        };
        if log.is_news(&self.subject(), Some(&message)) {
            tracing::warn!("{} {message}", self.subject());
        }
    }

    fn remark(&self, out: &mut Samples) {
        let (text, detail) = match &self.holder {
            Some(holder) => (HELD_BY_ANOTHER, format!("{}, {}", self.name(), described(holder))),
            None => (HELD_BY_UNKNOWN, self.name()),
        };
        let (module, instance, check) = (self.module, self.instance.clone(), self.port.check);
        out.remark(Remark { module, instance, check, text, detail });
    }
}

/// The process as shown to people. Programs choose their names, which must not control a terminal.
fn described(holder: &Holder) -> String {
    let (pid, name) = (holder.pid, holder.name.escape_ascii());
    if holder.name.is_empty() { format!("PID {pid}") } else { format!("PID {pid} ({name})") }
}

#[cfg(test)]
mod tests {
    use std::fs::{create_dir_all, set_permissions, write};
    use std::net::{TcpListener, UdpSocket};
    use std::os::unix::fs::{PermissionsExt, symlink};
    use std::path::Path;

    use super::*;
    use crate::catalog::signals::modules::MODULE_CHECK;
    use crate::parse::conf::{ServerConf, Settings};
    use crate::snapshot::Snapshot;
    use crate::source::as_plain_user;
    use crate::source::installation::Installation;
    use crate::source::processes::{Group, Present, Process, ProcessTable};

    /// A host: what its configuration says, and which processes it has.
    #[derive(Default)]
    struct Host {
        conf: String,
        instances: Vec<(&'static str, String)>,
        processes: Vec<(&'static str, &'static str, u32)>,
        hidden: bool,
    }

    impl Host {
        fn context(&self) -> Context {
            let parse =
                |xml: &str| Arc::new(ServerConf::parse(format!("<serverconf>{xml}</serverconf>").as_bytes()).unwrap());
            let shared = Some(parse(&self.conf));
            let mut installation = Installation { home: Some("/nl6".into()), ..Installation::default() };
            installation.shared = Settings::overlay(shared.clone(), None);
            installation.instances.insert("default".into(), Settings::overlay(shared.clone(), None));
            for (name, xml) in &self.instances {
                installation.instances.insert((*name).into(), Settings::overlay(shared.clone(), Some(parse(xml))));
            }
            let mut table = ProcessTable { hidden: self.hidden, ..ProcessTable::default() };
            for (module, instance, _) in &self.processes {
                let now = Present { processes: 1, ..Present::default() };
                table.groups.push(Group {
                    module: (*module).into(),
                    instance: (*instance).into(),
                    now,
                    ..Group::default()
                });
            }
            table.groups.sort_by(|a, b| (&a.module, &a.instance).cmp(&(&b.module, &b.instance)));
            for (module, instance, pid) in &self.processes {
                let is_it = |group: &Group| *group.module == **module && *group.instance == **instance;
                let group = table.groups.iter().position(is_it).unwrap();
                table.processes.push(Process { pid: *pid, group, state: ProcessState::Sleeping });
            }
            let mut cx = Context::for_tests(Instant::now() + Duration::from_secs(60));
            cx.installation = Arc::new(installation);
            cx.processes = table.into();
            cx
        }
    }

    /// A `/proc` of plain files.
    struct Proc(tempfile::TempDir);

    impl Proc {
        fn new() -> Proc {
            let root = tempfile::tempdir().unwrap();
            create_dir_all(root.path().join("net")).unwrap();
            // Other users' processes are not hidden.
            create_dir_all(root.path().join("1")).unwrap();
            write(root.path().join("1/stat"), "").unwrap();
            let root = Proc(root);
            for table in ["tcp", "tcp6", "udp", "udp6"] {
                root.table(table, &[]);
            }
            root
        }

        fn table(&self, name: &str, rows: &[(&str, u16, u64)]) {
            let mut text =
                "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid\n".to_owned();
            for (address, port, inode) in rows {
                let state = if name.starts_with("tcp") { "0A" } else { "07" };
                text += &format!("  1: {address}:{port:04X} {address}:0000 {state} 0:0 00:0 0 500 0 {inode} 1 0\n");
            }
            write(self.0.path().join("net").join(name), text).unwrap();
        }

        fn process(&self, pid: u32, name: &str, inodes: &[u64]) {
            let folder = self.0.path().join(pid.to_string());
            create_dir_all(folder.join("fd")).unwrap();
            write(folder.join("comm"), format!("{name}\n")).unwrap();
            for (number, inode) in inodes.iter().enumerate() {
                let link = folder.join("fd").join((number + 3).to_string());
                // The process may have been there with another socket.
                let _ = std::fs::remove_file(&link);
                symlink(format!("socket:[{inode}]"), link).unwrap();
            }
        }

        fn ports(&self) -> Ports {
            self.with(PortOverrides::default())
        }

        fn with(&self, overrides: PortOverrides) -> Ports {
            Ports::new(&Arc::new(ProcRoot::open(self.0.path()).unwrap()), overrides)
        }
    }

    const ANY4: &str = "00000000";
    const ANY6: &str = "00000000000000000000000000000000";
    const LOOPBACK: &str = "0100007F";

    #[track_caller]
    fn collect(ports: &Ports, host: &Host) -> (Snapshot, Outcome) {
        collect_at(ports, host, Instant::now())
    }

    /// Collects until the background has found out at the moment `now` what there is to find out.
    #[track_caller]
    fn collect_at(ports: &Ports, host: &Host, now: Instant) -> (Snapshot, Outcome) {
        ports.search.take_no_rest();
        ports.collect_at(now, &host.context(), &mut Samples::default()).unwrap();
        ports.search.settle(Instant::now() + Duration::from_secs(60));
        ports.search.take_no_rest();
        let mut samples = Samples::default();
        let outcome = ports.collect_at(now, &host.context(), &mut samples).unwrap();
        let snapshot = samples.freeze();
        assert_eq!(snapshot.rejected(), 0);
        (snapshot, outcome)
    }

    /// Bound and owned.
    fn port(snapshot: &Snapshot, labels: [&str; 4]) -> (Option<f64>, Option<f64>) {
        (snapshot.value(&PORT_BOUND, &labels), snapshot.value(&PORT_OWNED, &labels))
    }

    const SYSLOGD: [&str; 4] = ["syslogd", "default", "6666", "udp"];
    const WEB: [&str; 4] = ["web", "default", "8080", "tcp"];
    const CONTROL: [&str; 4] = ["web", "default", "8005", "tcp"];

    fn with_syslogd() -> Host {
        Host {
            conf: "<syslogd autoStart='true'/>".into(),
            processes: vec![("syslogd", "default", 10)],
            ..Host::default()
        }
    }

    #[test]
    fn a_module_that_listens_at_its_ports_owns_them() {
        let root = Proc::new();
        root.table("tcp6", &[(ANY6, 8080, 1)]);
        root.table("tcp", &[(LOOPBACK, 8005, 2)]);
        root.process(20, "nlserver", &[1, 2]);
        let host =
            Host { conf: "<web autoStart='true'/>".into(), processes: vec![("web", "default", 20)], ..Host::default() };
        let ports = root.ports();
        let (snapshot, outcome) = collect(&ports, &host);
        assert_eq!(outcome, Outcome::Complete);
        assert_eq!(port(&snapshot, WEB), (Some(1.0), Some(1.0)));
        assert_eq!(port(&snapshot, CONTROL), (Some(1.0), Some(1.0)));
        assert_eq!(snapshot.value(&PORT_NUMBER, &["web", "default", "http_port"]), Some(8080.0));
        assert_eq!(snapshot.of(&PORT_BOUND).count(), 2, "no other module has to run");
        assert_eq!(snapshot.remarks(), []);
    }

    #[test]
    fn a_port_that_another_program_holds_is_bound_and_not_owned_and_the_program_is_named() {
        let root = Proc::new();
        root.table("udp6", &[(ANY6, 6666, 7)]);
        root.process(10, "nlserver", &[1]);
        root.process(123, "socat\x1b[31m", &[7]);
        let ports = root.ports();
        let (snapshot, outcome) = collect(&ports, &with_syslogd());
        assert_eq!(outcome, Outcome::Complete);
        assert_eq!(port(&snapshot, SYSLOGD), (Some(1.0), Some(0.0)));
        let expected = Remark {
            module: "syslogd",
            instance: "default".into(),
            check: "port",
            text: HELD_BY_ANOTHER,
            detail: "6666/udp, PID 123 (socat\\x1b[31m)".into(),
        };
        assert_eq!(snapshot.remarks(), [expected]);

        root.table("udp6", &[(ANY6, 6666, 1)]);
        let (snapshot, _) = collect(&ports, &with_syslogd());
        assert_eq!(port(&snapshot, SYSLOGD), (Some(1.0), Some(1.0)));
        assert_eq!(snapshot.remarks(), []);
    }

    #[test]
    fn a_process_without_a_name_is_told_by_its_number() {
        assert_eq!(described(&Holder { pid: 7, name: Vec::new() }), "PID 7");
    }

    #[test]
    fn a_holder_that_can_not_be_seen_is_remarked_as_such_once_it_was_looked_for() {
        let root = Proc::new();
        root.table("udp", &[(ANY4, 6666, 7)]);
        root.process(10, "nlserver", &[1]);
        root.process(11, "rsyslogd", &[7]);
        set_permissions(root.0.path().join("11/fd"), PermissionsExt::from_mode(0o000)).unwrap();
        // The thread of the search is made here, and has the rights of the one that makes it.
        let (snapshot, _) = as_plain_user(|| collect(&root.ports(), &with_syslogd()));
        assert_eq!(port(&snapshot, SYSLOGD), (Some(1.0), Some(0.0)));
        let remark = &snapshot.remarks()[0];
        assert_eq!((remark.text, &*remark.detail), (HELD_BY_UNKNOWN, "6666/udp"));
    }

    #[test]
    fn a_socket_without_an_owner_is_never_called_foreign() {
        // One that no process holds any longer, and one that no process here holds although all can be looked at.
        for inode in [0, 7] {
            let root = Proc::new();
            root.table("udp", &[(ANY4, 6666, inode)]);
            root.process(10, "nlserver", &[1]);
            let ports = root.ports();
            for processes in [vec![("syslogd", "default", 10)], vec![]] {
                let host = Host { processes, ..with_syslogd() };
                let (snapshot, outcome) = collect(&ports, &host);
                assert_eq!(port(&snapshot, SYSLOGD), (Some(1.0), None), "{inode}");
                assert_eq!((snapshot.remarks(), outcome), (&[][..], Outcome::Complete));
            }
        }
    }

    #[test]
    fn a_port_that_nobody_listens_at_is_not_bound() {
        let root = Proc::new();
        root.process(10, "nlserver", &[]);
        let (snapshot, _) = collect(&root.ports(), &with_syslogd());
        assert_eq!(port(&snapshot, SYSLOGD), (Some(0.0), None));
    }

    #[test]
    fn the_port_of_an_expected_module_that_does_not_run_is_not_its_own() {
        let root = Proc::new();
        root.table("udp", &[(ANY4, 6666, 7)]);
        root.process(11, "rsyslogd", &[7]);
        let mut host = with_syslogd();
        host.processes.clear();
        let (snapshot, _) = collect(&root.ports(), &host);
        assert_eq!(port(&snapshot, SYSLOGD), (Some(1.0), Some(0.0)));
        host.hidden = true;
        let (snapshot, _) = collect(&root.ports(), &host);
        assert_eq!(port(&snapshot, SYSLOGD), (Some(1.0), None), "it may run, hidden");
    }

    #[test]
    fn a_port_that_nobody_listens_at_here_is_not_told_of_a_module_that_may_run_elsewhere() {
        let root = Proc::new();
        let mut host = with_syslogd();
        host.processes.clear();
        assert_eq!(port(&collect(&root.ports(), &host).0, SYSLOGD), (Some(0.0), None));
        host.hidden = true;
        let (snapshot, _) = collect(&root.ports(), &host);
        assert_eq!(port(&snapshot, SYSLOGD), (None, None));
        assert!(snapshot.of(&MODULE_CHECK).next().is_none());
    }

    #[test]
    fn where_descriptors_can_not_be_read_the_port_is_bound_and_the_owner_absent() {
        let root = Proc::new();
        root.table("udp", &[(ANY4, 6666, 7)]);
        root.process(10, "nlserver", &[7]);
        set_permissions(root.0.path().join("10/fd"), PermissionsExt::from_mode(0o000)).unwrap();
        let (snapshot, outcome) = as_plain_user(|| collect(&root.ports(), &with_syslogd()));
        assert_eq!(port(&snapshot, SYSLOGD), (Some(1.0), None));
        let mut losses = Losses::default();
        losses.add(ErrorKind::Permission, 1);
        assert_eq!(outcome, Outcome::Partial(losses));
    }

    #[test]
    fn a_port_that_was_moved_by_configuration_is_looked_for_where_it_is_now() {
        let root = Proc::new();
        root.table("tcp", &[(ANY4, 8080, 1), (ANY4, 9090, 2)]);
        root.process(20, "nlserver", &[2]);
        root.process(21, "other", &[1]);
        let mut host = Host {
            conf: "<web autoStart='true' httpPort='9090' controlPort=''/>".into(),
            processes: vec![("web", "default", 20)],
            ..Host::default()
        };
        let ports = root.ports();
        let (snapshot, _) = collect(&ports, &host);
        assert_eq!(port(&snapshot, ["web", "default", "9090", "tcp"]), (Some(1.0), Some(1.0)));
        assert_eq!(port(&snapshot, WEB), (None, None));
        assert_eq!(port(&snapshot, CONTROL), (Some(0.0), None), "an empty value means the default");
        host.conf = "<web autoStart='true'/>".into();
        let (snapshot, _) = collect(&ports, &host);
        assert_eq!(port(&snapshot, WEB), (Some(1.0), Some(0.0)));
    }

    #[test]
    fn a_number_that_can_be_no_port_is_passed_over_for_the_documented_one() {
        let root = Proc::new();
        for number in ["0", "65536", "http"] {
            let host = Host { conf: format!("<web autoStart='true' httpPort='{number}'/>"), ..Host::default() };
            let (snapshot, _) = collect(&root.ports(), &host);
            assert_eq!(port(&snapshot, WEB), (Some(0.0), None), "{number}");
        }
    }

    #[test]
    fn two_ports_with_one_number_are_one_series() {
        let root = Proc::new();
        let host = Host { conf: "<web autoStart='true' controlPort='8080'/>".into(), ..Host::default() };
        let (snapshot, _) = collect(&root.ports(), &host);
        assert_eq!(snapshot.of(&PORT_BOUND).count(), 1);
        assert_eq!(snapshot.of(&PORT_NUMBER).count(), 2);
    }

    #[test]
    fn of_two_instances_with_one_port_the_holder_owns_it() {
        let root = Proc::new();
        root.table("udp", &[(ANY4, 7777, 5)]);
        root.process(31, "nlserver", &[5]);
        root.process(32, "nlserver", &[]);
        let stat = || "<stat autoStart='true'/>".to_owned();
        let host = Host {
            instances: vec![("prod", stat()), ("test", stat())],
            processes: vec![("stat", "prod", 31), ("stat", "test", 32)],
            ..Host::default()
        };
        let ports = root.ports();
        let (snapshot, _) = collect(&ports, &host);
        assert_eq!(port(&snapshot, ["stat", "prod", "7777", "udp"]), (Some(1.0), Some(1.0)));
        assert_eq!(port(&snapshot, ["stat", "test", "7777", "udp"]), (Some(1.0), Some(0.0)));
        let remark = &snapshot.remarks()[0];
        assert_eq!((&*remark.instance, &*remark.detail), ("test", "7777/udp, PID 31 (nlserver)"));
    }

    #[test]
    fn the_operator_may_say_where_syslogd_listens() {
        let root = Proc::new();
        root.table("udp", &[(ANY4, 16666, 5)]);
        root.process(10, "nlserver", &[5]);
        let ports = root.with(PortOverrides { syslogd: Some(16666) });
        let (snapshot, _) = collect(&ports, &with_syslogd());
        assert_eq!(port(&snapshot, ["syslogd", "default", "16666", "udp"]), (Some(1.0), Some(1.0)));
    }

    #[test]
    fn a_host_without_such_modules_has_no_ports() {
        let root = Proc::new();
        let (snapshot, outcome) = collect(&root.ports(), &Host::default());
        assert_eq!(outcome, Outcome::NotApplicable);
        assert_eq!(snapshot.of(&PORT_BOUND).count(), 0);
        let running = Host { processes: vec![("syslogd", "default", 10)], ..Host::default() };
        let (snapshot, _) = collect(&root.ports(), &running);
        assert_eq!(port(&snapshot, SYSLOGD), (Some(0.0), None), "not expected, but it runs");
    }

    #[test]
    fn tables_that_are_not_there_leave_their_ports_untold() {
        let root = Proc::new();
        for table in ["udp", "udp6"] {
            std::fs::remove_file(root.0.path().join("net").join(table)).unwrap();
        }
        let mut host = with_syslogd();
        host.conf += "<web autoStart='true'/>";
        let (snapshot, outcome) = collect(&root.ports(), &host);
        assert_eq!(port(&snapshot, SYSLOGD), (None, None));
        assert_eq!(port(&snapshot, WEB), (Some(0.0), None));
        let mut losses = Losses::default();
        losses.add(ErrorKind::Gone, 1);
        assert_eq!(outcome, Outcome::Partial(losses));
    }

    #[test]
    fn a_socket_that_changed_hands_is_noticed() {
        let root = Proc::new();
        root.table("udp", &[(ANY4, 6666, 1)]);
        root.process(10, "nlserver", &[1]);
        let ports = root.ports();
        let (snapshot, _) = collect(&ports, &with_syslogd());
        assert_eq!(port(&snapshot, SYSLOGD), (Some(1.0), Some(1.0)));
        // The descriptor is another socket now, and the port still is bound to the old one.
        root.process(10, "nlserver", &[2]);
        let (snapshot, _) = collect(&ports, &with_syslogd());
        assert_eq!(port(&snapshot, SYSLOGD), (Some(1.0), None), "nobody holds it");
        // The process was started anew.
        root.process(11, "nlserver", &[1]);
        let restarted = Host { processes: vec![("syslogd", "default", 11)], ..with_syslogd() };
        let (snapshot, _) = collect(&ports, &restarted);
        assert_eq!(port(&snapshot, SYSLOGD), (Some(1.0), Some(1.0)));
    }

    #[test]
    fn descriptors_are_searched_once_while_nothing_changes() {
        let root = Proc::new();
        root.table("udp", &[(ANY4, 6666, 9)]);
        root.process(10, "nlserver", &[1]);
        root.process(11, "other", &[9]);
        let ports = root.ports();
        let (snapshot, _) = collect(&ports, &with_syslogd());
        assert_eq!(port(&snapshot, SYSLOGD), (Some(1.0), Some(0.0)));
        // Only a new search would see this.
        root.process(10, "nlserver", &[9]);
        let (snapshot, _) = collect(&ports, &with_syslogd());
        assert_eq!(port(&snapshot, SYSLOGD), (Some(1.0), Some(0.0)));
        let (snapshot, _) = collect_at(&ports, &with_syslogd(), Instant::now() + SEARCH_INTERVAL);
        assert_eq!(port(&snapshot, SYSLOGD), (Some(1.0), Some(1.0)));
    }

    #[test]
    fn a_module_in_another_network_namespace_is_not_judged_by_the_sockets_of_this_one() {
        let ours = UdpSocket::bind("127.0.0.1:0").unwrap();
        let number = ours.local_addr().unwrap().port();
        let mut syslogd = std::process::Command::new("unshare")
            .args(["--net", "sh", "-c", "echo; exec sleep 600"])
            .stdout(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        std::io::Read::read_exact(syslogd.stdout.as_mut().unwrap(), &mut [0]).unwrap();
        let ports =
            Ports::new(&Arc::new(ProcRoot::open(Path::new("/proc")).unwrap()), PortOverrides { syslogd: Some(number) });
        let host = Host { processes: vec![("syslogd", "default", syslogd.id())], ..with_syslogd() };
        let (snapshot, _) = collect(&ports, &host);
        let labels = ["syslogd", "default", &number.to_string(), "udp"];
        assert_eq!(port(&snapshot, labels), (Some(0.0), None), "nothing listens there");
        syslogd.kill().unwrap();
        syslogd.wait().unwrap();
        // It is still in the table of processes, but no process is left to ask for its namespace.
        let (snapshot, _) = collect(&ports, &host);
        assert_eq!(port(&snapshot, labels).1, None);
    }

    #[test]
    fn real_sockets_of_this_process_are_its_own_and_no_others() {
        let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
        let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
        let http = tcp.local_addr().unwrap().port();
        let host = Host {
            conf: format!("<web autoStart='true' httpPort='{http}' controlPort='{http}'/><syslogd autoStart='true'/>"),
            processes: vec![("web", "default", std::process::id())],
            ..Host::default()
        };
        let overrides = PortOverrides { syslogd: Some(udp.local_addr().unwrap().port()) };
        let ports = Ports::new(&Arc::new(ProcRoot::open(Path::new("/proc")).unwrap()), overrides);
        let (snapshot, _) = collect(&ports, &host);
        assert_eq!(port(&snapshot, ["web", "default", &http.to_string(), "tcp"]), (Some(1.0), Some(1.0)));
        let number = udp.local_addr().unwrap().port().to_string();
        assert_eq!(port(&snapshot, ["syslogd", "default", &number, "udp"]), (Some(1.0), Some(0.0)));
        let detail = &snapshot.remarks()[0].detail;
        assert!(detail.contains(&format!("/udp, PID {} (", std::process::id())), "{detail}");
        drop((udp, tcp));
        let (snapshot, _) = collect(&ports, &host);
        assert_eq!(port(&snapshot, ["web", "default", &http.to_string(), "tcp"]), (Some(0.0), None));
    }
}
